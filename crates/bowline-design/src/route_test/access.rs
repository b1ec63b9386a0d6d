//! Whether a test's caller is let through, as the test expects.

use crate::kinds::access::{AccessFrom, JwtFrom};
use crate::kinds::route_tests::{RouteTest, WantedAccess};
use crate::resolved::access::{Caller, IssuerId, Token, decide};
use crate::resolved::{Design, ServiceId};
use crate::routing::{Action, Asked, Found};
use bowline_model::Identity;
use serde_json::{Map, Value};

/// What is not as the test expects; nothing where it says neither who asks nor what has to become of it.
pub(super) fn differences(
    design: &Design,
    test: &RouteTest,
    asked: &Asked<'_>,
    found: &Found<'_>,
) -> Vec<String> {
    if test.access.is_none() && test.request.from.is_none() {
        return Vec::new();
    }
    let who = match test.request.from.as_deref().map(|from| Who::of(design, from)) {
        None => Who::default(),
        Some(Ok(who)) => who,
        Some(Err(unknown)) => return vec![unknown],
    };
    let wanted = test.access.as_ref().map_or(WantedAccess::Allowed, |wanted| wanted.value);
    let Some(access) = &design.access else {
        return match wanted {
            WantedAccess::Allowed => Vec::new(),
            WantedAccess::Denied => {
                vec!["denied expected, and the design has no Access: everybody is let through".to_owned()]
            }
        };
    };
    let rewritten = match &found.route.action {
        Action::Forward { rewrite: Some(rewrite), .. } => {
            rewrite.uri.as_ref().map(|uri| uri.apply(asked.path, found.condition))
        }
        _ => None,
    };
    let path = rewritten.as_deref().unwrap_or(asked.path);
    let caller = who.caller();
    let mut differs = Vec::new();
    for weighted in found.route.destinations() {
        let service = design.service(weighted.destination.service);
        let operation = service.operation_for(asked.method, path);
        let call = match operation {
            Some(index) => format!("{}.{}", service.name, service.operations[index].name),
            None => service.name.to_string(),
        };
        match (decide(&access.grants(weighted.destination.service, operation), &caller), wanted) {
            (Ok(rule), WantedAccess::Denied) => {
                let rule = &access.rules[usize::from(rule)];
                differs.push(format!(
                    "denied expected, {} lets it through to {call} ({})",
                    rule.name, rule.place
                ));
            }
            (Err(why), WantedAccess::Allowed) => {
                differs.push(format!("let through expected, denied to {call}: {why}"));
            }
            _ => {}
        }
    }
    differs
}

/// Somebody who asks, and what it has proved.
#[derive(Default)]
struct Who {
    identity: Option<Identity>,
    service: Option<ServiceId>,
    token: Option<Token>,
}

impl Who {
    /// # Errors
    /// Whom the design does not know.
    fn of(design: &Design, from: &AccessFrom) -> Result<Self, String> {
        Ok(match from {
            AccessFrom::Anyone(_) => Self::default(),
            AccessFrom::Service(name) => {
                let service = design.service_named(name);
                let unknown = || format!("`from`: no service is named `{}`", name.value);
                Self { service: Some(service.ok_or_else(unknown)?), ..Self::default() }
            }
            // Whether a name is a URI or one of DNS is no matter to who is asked for it.
            AccessFrom::Identity(name) => {
                let name = name.value.as_str();
                let identity =
                    if name.contains("://") { Identity::new([name], []) } else { Identity::new([], [name]) };
                Self { identity: Some(identity), ..Self::default() }
            }
            AccessFrom::Jwt(jwt) => Self { token: Some(token(design, jwt)?), ..Self::default() },
        })
    }

    fn caller(&self) -> Caller<'_> {
        Caller { identity: self.identity.as_ref(), service: self.service, token: self.token.as_ref() }
    }
}

/// A token with what the test says is in it. A claim that it names by a pointer is put where that leads.
fn token(design: &Design, jwt: &JwtFrom) -> Result<Token, String> {
    let (namespace, name) = jwt.issuer.split_once('/').unwrap_or(("", &jwt.issuer));
    let is_it = |issuer: &crate::resolved::Issuer| {
        *issuer.name == *name && (namespace.is_empty() || *issuer.namespace == *namespace)
    };
    let issuer = design.issuers.iter().position(is_it);
    let issuer = issuer.ok_or_else(|| format!("`from`: no issuer is named `{}`", jwt.issuer.value))?;
    let mut claims = Map::new();
    for (name, value) in &jwt.claims {
        let value = Value::String(value.value.clone());
        match name.strip_prefix('/') {
            None => drop(claims.insert(name.clone(), value)),
            Some(pointer) => put(&mut claims, pointer, value),
        }
    }
    let subject = jwt.subject.as_ref().map(|subject| subject.value.as_str().into());
    Ok(Token { issuer: IssuerId(issuer as u32), subject, claims: Value::Object(claims) })
}

fn put(into: &mut Map<String, Value>, pointer: &str, value: Value) {
    let unescaped = |part: &str| part.replace("~1", "/").replace("~0", "~");
    match pointer.split_once('/') {
        None => drop(into.insert(unescaped(pointer), value)),
        Some((first, rest)) => {
            let below = into.entry(unescaped(first)).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(below) = below {
                put(below, rest, value);
            }
        }
    }
}
