//! What is changed of path and authority before a request is sent on.

use super::condition::Condition;
use super::text_match::{TextMatch, compile};
use http::HeaderValue;
use regex::Regex;
use std::borrow::Cow;

/// What is changed before a request is sent on.
#[derive(Clone, Debug, Default)]
pub struct Rewrite {
    /// The path.
    pub uri: Option<UriRewrite>,
    /// The authority.
    pub authority: Option<HeaderValue>,
}

/// How a path is changed. The query stays.
#[derive(Clone, Debug)]
pub enum UriRewrite {
    /// What the condition matched is replaced: of a prefix the prefix, of everything else the path.
    Matched(Box<str>),
    /// Every place where the expression matches is replaced.
    Regex {
        /// The expression.
        pattern: Regex,
        /// The replacement, in the form of the `regex` crate: `${1}` is the first group.
        with: Box<str>,
        /// The replacement as it is written.
        written: Box<str>,
    },
}

impl UriRewrite {
    /// A rewrite by regular expression; `\1` is the first group, as Istio writes it.
    ///
    /// # Errors
    /// What is wrong with either, as a fragment of a sentence.
    pub fn regex(pattern: &str, with: &str) -> Result<Self, String> {
        let pattern = compile(pattern)?;
        let translated = translate(with, pattern.captures_len() - 1)?;
        Ok(Self::Regex { pattern, with: translated.into(), written: with.into() })
    }

    /// The new path for `path` (without query), which was routed by `condition`.
    #[must_use]
    pub fn apply<'p>(&'p self, path: &'p str, condition: Option<&Condition>) -> Cow<'p, str> {
        match self {
            Self::Regex { pattern, with, .. } => pattern.replace_all(path, &**with),
            Self::Matched(with) => replace_matched(with, path, condition),
        }
    }
}

/// `path` (without query) with `with` in the place of what `condition` matched of it.
pub(super) fn replace_matched<'p>(with: &'p str, path: &str, condition: Option<&Condition>) -> Cow<'p, str> {
    let matched = match condition.and_then(|condition| condition.uri.as_ref()) {
        Some(TextMatch::Prefix(prefix)) => prefix.len(),
        Some(TextMatch::Exact(_) | TextMatch::Regex(_)) => path.len(),
        // Istio makes of a rule without a path one for the prefix `/`.
        Some(TextMatch::Present) | None => 1,
    };
    let rest = path.get(matched..).unwrap_or_default();
    if rest.is_empty() { Cow::Borrowed(with) } else { Cow::Owned([with, rest].concat()) }
}

/// RE2's replacement text (`\0` to `\9`, `\\`) as the `regex` crate's.
fn translate(with: &str, groups: usize) -> Result<String, String> {
    let mut translated = String::with_capacity(with.len());
    let mut characters = with.chars();
    while let Some(character) = characters.next() {
        match character {
            '$' => translated.push_str("$$"),
            '\\' => match characters.next() {
                Some('\\') => translated.push('\\'),
                Some(digit) if digit.is_ascii_digit() => {
                    let group = digit as usize - '0' as usize;
                    if groups < group {
                        return Err(format!(
                            "the replacement names group {group}, the expression has {groups}"
                        ));
                    }
                    translated.push_str(&format!("${{{group}}}"));
                }
                _ => return Err("a `\\` in the replacement is followed by a digit or by `\\`".to_owned()),
            },
            other => translated.push(other),
        }
    }
    Ok(translated)
}

#[cfg(test)]
mod tests {
    use super::super::text_match::FullRegex;
    use super::*;

    fn matched(with: &str, uri: Option<TextMatch>, path: &str) -> String {
        let condition = Condition { uri, ..Condition::default() };
        UriRewrite::Matched(with.into()).apply(path, Some(&condition)).into_owned()
    }

    #[test]
    fn of_a_prefix_only_the_prefix_is_replaced() {
        let prefix = || Some(TextMatch::Prefix("/api/".into()));
        assert_eq!(matched("/", prefix(), "/api/orders"), "/orders");
        assert_eq!(matched("/v2/", prefix(), "/api/"), "/v2/");
    }

    #[test]
    fn of_an_exact_path_or_an_expression_all_is_replaced() {
        assert_eq!(matched("/b", Some(TextMatch::Exact("/a".into())), "/a"), "/b");
        assert_eq!(matched("/b", Some(TextMatch::Regex(FullRegex::new("/a.*").unwrap())), "/a/c"), "/b");
    }

    #[test]
    fn a_rule_without_a_path_is_one_for_the_prefix_slash() {
        assert_eq!(matched("/v1/", None, "/orders"), "/v1/orders");
    }

    #[test]
    fn groups_are_written_as_in_re2() {
        let rewrite = |pattern: &str, with: &str, path: &str| {
            UriRewrite::regex(pattern, with).map(|rewrite| rewrite.apply(path, None).into_owned())
        };
        let moved = rewrite("^/service/([^/]+)(/.*)$", r"\2/instance/\1", "/service/foo/v1/api");
        assert_eq!(moved.unwrap(), "/v1/api/instance/foo");
        assert_eq!(rewrite("one", "two", "/xxx/one/yyy/one/zzz").unwrap(), "/xxx/two/yyy/two/zzz");
        assert_eq!(rewrite("a", "$1", "/a").unwrap(), "/$1");
        assert!(rewrite("a", r"\1", "/a").is_err());
        assert!(rewrite("a", r"\x", "/a").is_err());
    }
}
