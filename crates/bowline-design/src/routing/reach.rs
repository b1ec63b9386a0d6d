//! Which operations a rule may carry, and which it surely takes: what can be told without a request.
//!
//! A policy speaks of an operation, a rule of paths. Where a rule can never carry an operation, what
//! the two say does not meet; where one surely takes it, the rules behind never see it. Both answers
//! err on their own safe side: "may" is said too often, "surely" too rarely.

use super::condition::Condition;
use super::rewrite::UriRewrite;
use super::text_match::TextMatch;
use crate::resolved::{Operation, PathPattern};
use http::Method;

/// What asks for an operation.
struct Form<'o> {
    method: Method,
    /// The path up to the first parameter.
    fixed: String,
    /// The parameters' pattern; `None`: `fixed` is the whole path.
    pattern: Option<&'o PathPattern>,
}

impl<'o> Form<'o> {
    fn of(operation: &'o Operation) -> Option<Self> {
        match (&operation.http, &operation.grpc) {
            (Some((method, pattern)), _) => {
                let (fixed, whole) = pattern.fixed();
                Some(Self { method: method.clone(), fixed, pattern: (!whole).then_some(pattern) })
            }
            (None, Some(grpc)) => {
                Some(Self { method: Method::POST, fixed: format!("/{grpc}"), pattern: None })
            }
            (None, None) => None,
        }
    }

    fn may_be(&self, path: &str) -> bool {
        self.pattern.map_or(self.fixed == path, |pattern| pattern.matches(path))
    }

    fn may_start_with(&self, prefix: &str) -> bool {
        self.fixed.starts_with(prefix) || (self.pattern.is_some() && prefix.starts_with(&self.fixed))
    }

    fn must_start_with(&self, prefix: &str) -> bool {
        self.fixed.starts_with(prefix)
    }

    /// The whole path, where it is always the same.
    fn path(&self) -> Option<&str> {
        self.pattern.is_none().then_some(&self.fixed)
    }
}

/// Whether a request that meets one of `conditions` may, after `rewrite`, ask for `operation`.
pub(crate) fn may_carry(
    conditions: &[Condition],
    rewrite: Option<&UriRewrite>,
    operation: &Operation,
) -> bool {
    let Some(form) = Form::of(operation) else { return true };
    let any = [Condition::default()];
    let conditions = if conditions.is_empty() { &any } else { conditions };
    conditions.iter().any(|condition| {
        let method = condition.method.as_ref().is_none_or(|method| method.matches(form.method.as_str()));
        let path = match (rewrite, &condition.uri) {
            (Some(UriRewrite::Regex { .. }), _) => true,
            (Some(UriRewrite::Matched(with)), None | Some(TextMatch::Prefix(_) | TextMatch::Present)) => {
                form.may_start_with(with)
            }
            (Some(UriRewrite::Matched(with)), Some(TextMatch::Exact(_) | TextMatch::Regex(_))) => {
                form.may_be(with)
            }
            (None, None | Some(TextMatch::Present)) => true,
            (None, Some(_)) if condition.ignore_uri_case => true,
            (None, Some(TextMatch::Exact(exact))) => form.may_be(exact),
            (None, Some(TextMatch::Prefix(prefix))) => form.may_start_with(prefix),
            (None, Some(TextMatch::Regex(regex))) => form.path().is_none_or(|path| regex.matches(path)),
        };
        condition.excluded.is_none() && method && path
    })
}

/// Whether every request for `operation` meets one of `conditions`.
pub(crate) fn surely_takes(conditions: &[Condition], operation: &Operation) -> bool {
    let Some(form) = Form::of(operation) else { return conditions.is_empty() };
    let surely = |condition: &Condition| {
        let path = match &condition.uri {
            None | Some(TextMatch::Present) => true,
            Some(TextMatch::Exact(exact)) => form.path() == Some(exact),
            Some(TextMatch::Prefix(prefix)) => form.must_start_with(prefix),
            Some(TextMatch::Regex(regex)) => form.path().is_some_and(|path| regex.matches(path)),
        };
        let method = condition.method.as_ref().is_none_or(|method| method.matches(form.method.as_str()));
        path && method && condition.asks_only_method_and_path()
    };
    conditions.is_empty() || conditions.iter().any(surely)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mistake::Place;
    use crate::resolved::{CallSettings, Idempotency};
    use std::sync::Arc;

    fn operation(method: Method, path: &str) -> Operation {
        let place =
            Place { file: "t".into(), line: 1, column: 1, end: (1, 1), resource: "".into(), path: "".into() };
        Operation {
            name: "it".into(),
            place,
            http: Some((method, PathPattern::parse(path).unwrap())),
            grpc: None,
            idempotent: Idempotency::unsaid(None),
            pending: false,
            takes: None,
            needs: None,
            does: Vec::new(),
            settings: Arc::new(CallSettings::bare()),
        }
    }

    fn uri(uri: TextMatch) -> [Condition; 1] {
        [Condition { uri: Some(uri), ..Condition::default() }]
    }

    #[test]
    fn a_rule_may_carry_what_its_conditions_and_its_rewrite_allow() {
        let show = operation(Method::GET, "/orders/{id}");
        let stock = operation(Method::GET, "/stock");
        let exact = |path: &str| uri(TextMatch::Exact(path.into()));
        let prefix = |path: &str| uri(TextMatch::Prefix(path.into()));
        assert!(may_carry(&[], None, &show));
        assert!(may_carry(&exact("/orders/7"), None, &show));
        assert!(!may_carry(&exact("/orders"), None, &show));
        assert!(may_carry(&prefix("/orders/7"), None, &show));
        assert!(!may_carry(&prefix("/stock"), None, &show));
        let to_stock = UriRewrite::Matched("/stock".into());
        assert!(may_carry(&prefix("/inventory/stock"), Some(&to_stock), &stock));
        assert!(!may_carry(&prefix("/inventory/stock"), None, &stock));
        assert!(!may_carry(&prefix("/inventory/stock"), Some(&to_stock), &show));
        let posts = [Condition { method: Some(TextMatch::Exact("POST".into())), ..Condition::default() }];
        assert!(!may_carry(&posts, None, &show));
    }

    #[test]
    fn a_rule_surely_takes_what_no_request_can_avoid() {
        let show = operation(Method::GET, "/orders/{id}");
        assert!(surely_takes(&[], &show));
        assert!(surely_takes(&uri(TextMatch::Prefix("/orders".into())), &show));
        assert!(!surely_takes(&uri(TextMatch::Prefix("/orders/7".into())), &show));
        assert!(!surely_takes(&uri(TextMatch::Exact("/orders/7".into())), &show));
        let asks_more = [Condition { port: Some(80), ..Condition::default() }];
        assert!(!surely_takes(&asks_more, &show));
    }
}
