//! Who may call what, and whose tokens are believed.
//!
//! [`Access::grants`] cuts out, once, what concerns one call; [`decide`] is the decision, a pure function of that and of
//! what a caller has proved. The gateway, `explain` and `test` ask the same function.

use super::ServiceId;
use crate::mistake::Place;
use bowline_model::Identity;
use bowline_model::decision::DeniedWhy;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Whose tokens they are: an index into [`super::Design::issuers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssuerId(pub u32);

/// Somebody whose tokens gateways believe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Its name in the design.
    pub name: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Where it is declared.
    pub place: Place,
    /// What its tokens say in `iss`.
    pub issuer: Arc<str>,
    /// Of these a token names one in `aud`.
    pub audiences: Vec<Arc<str>>,
    /// Where its keys are.
    pub keys: KeySource,
    /// How far clocks may be apart.
    pub leeway: Duration,
}

/// Where the keys of an issuer are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeySource {
    /// In a file, by its name.
    File(Arc<str>),
    /// Behind a URL.
    Url {
        /// Whether TLS is spoken there.
        secure: bool,
        /// The host.
        host: Arc<str>,
        /// The port.
        port: u16,
        /// The path, with its query.
        path: Arc<str>,
        /// A file of those whose word is taken for the host; `None`: the machine's.
        ca: Option<Arc<str>>,
    },
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => f.write_str(file),
            Self::Url { secure, host, port, path, .. } => {
                write!(f, "{}://{host}:{port}{path}", if *secure { "https" } else { "http" })
            }
        }
    }
}

/// Every rule over who may call what. Whatever none of them lets through is denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// In the order of the documents.
    pub rules: Vec<AccessRule>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule {
    /// `Access shop/orders-may-pay`.
    pub name: Arc<str>,
    /// Where it is written.
    pub place: Place,
    /// Whoever proves one of these is let through.
    pub from: Arc<[Proof]>,
    /// To these.
    pub calls: Vec<Callable>,
}

/// What can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Callable {
    /// Of whom.
    pub service: ServiceId,
    /// An index of its operations; `None`: whatever it can be asked, declared or not.
    pub operation: Option<usize>,
}

/// What a caller may prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Nothing.
    Anyone,
    /// That it is this service.
    Service {
        /// The service.
        service: ServiceId,
        /// Its name, for people.
        name: Arc<str>,
        /// The names in certificates that are its own.
        identities: Arc<[Arc<str>]>,
    },
    /// That it has this name.
    Identity(Arc<str>),
    /// What a token says.
    Token {
        /// Whose token.
        issuer: IssuerId,
        /// The issuer's name, for people.
        name: Arc<str>,
        /// Whom it is about.
        subject: Option<Arc<str>>,
        /// What it claims, all of it.
        claims: Vec<(Arc<str>, Arc<str>)>,
    },
}

/// For people: `service orders`.
impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::Service { name, .. } => write!(f, "service {name}"),
            Self::Identity(name) => f.write_str(name),
            Self::Token { name, subject, claims, .. } => {
                write!(f, "a token of {name}")?;
                if let Some(subject) = subject {
                    write!(f, " about {subject}")?;
                }
                claims.iter().try_for_each(|(name, value)| write!(f, ", {name} {value}"))
            }
        }
    }
}

/// What a caller has proved. Nothing that it merely says is in here.
#[derive(Clone, Copy, Debug, Default)]
pub struct Caller<'c> {
    /// The names in its certificate.
    pub identity: Option<&'c Identity>,
    /// The service that it is, by the token of its process.
    pub service: Option<ServiceId>,
    /// A token that was verified.
    pub token: Option<&'c Token>,
}

/// What a verified token says.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Whose it is.
    pub issuer: IssuerId,
    /// Whom it is about.
    pub subject: Option<Box<str>>,
    /// Everything that it claims: an object.
    pub claims: Value,
}

impl Caller<'_> {
    /// Whether it has proved nothing at all.
    #[must_use]
    pub const fn is_anonymous(&self) -> bool {
        self.identity.is_none() && self.service.is_none() && self.token.is_none()
    }
}

/// What one rule lets through to one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The rule, as an index of [`Access::rules`].
    pub rule: u16,
    /// Whoever proves one of these.
    pub from: Arc<[Proof]>,
}

impl Access {
    /// What concerns calls of `operation` of `service`; an operation that is not declared is `None`, and only a rule for
    /// the whole service lets anybody through to it.
    #[must_use]
    pub fn grants(&self, service: ServiceId, operation: Option<usize>) -> Arc<[Grant]> {
        let concerns = |callable: &Callable| {
            callable.service == service && (callable.operation.is_none() || callable.operation == operation)
        };
        let rules = self.rules.iter().zip(0..=u16::MAX);
        let concerned = rules.filter(|(rule, _)| rule.calls.iter().any(concerns));
        concerned.map(|(rule, index)| Grant { rule: index, from: Arc::clone(&rule.from) }).collect()
    }
}

/// Whether `caller` is let through: by the first rule, by its index, that lets it.
///
/// # Errors
/// Why none does.
pub fn decide(grants: &[Grant], caller: &Caller<'_>) -> Result<u16, DeniedWhy> {
    let lets = |grant: &&Grant| grant.from.iter().any(|proof| proof.is_given_by(caller));
    match grants.iter().find(lets) {
        Some(grant) => Ok(grant.rule),
        None if grants.is_empty() => Err(DeniedWhy::NobodyMay),
        None if caller.is_anonymous() => Err(DeniedWhy::Anonymous),
        None => Err(DeniedWhy::NotGranted),
    }
}

impl Proof {
    fn is_given_by(&self, caller: &Caller<'_>) -> bool {
        match self {
            Self::Anyone => true,
            Self::Service { service, identities, .. } => {
                caller.service == Some(*service)
                    || caller.identity.is_some_and(|identity| identities.iter().any(|name| identity.is(name)))
            }
            Self::Identity(name) => caller.identity.is_some_and(|identity| identity.is(name)),
            Self::Token { issuer, subject, claims, .. } => caller.token.is_some_and(|token| {
                token.issuer == *issuer
                    && subject.as_ref().is_none_or(|subject| token.subject.as_deref() == Some(subject))
                    && claims.iter().all(|(name, value)| token.claims_that(name, value))
            }),
        }
    }
}

impl Token {
    /// Whether it claims `name`, a name or a JSON Pointer (RFC 6901), to be `value`, or to be a list with that in it.
    fn claims_that(&self, name: &str, value: &str) -> bool {
        let found = if name.starts_with('/') { self.claims.pointer(name) } else { self.claims.get(name) };
        match found {
            Some(Value::Array(all)) => all.iter().any(|one| is(one, value)),
            Some(one) => is(one, value),
            None => false,
        }
    }
}

/// Whether a claim is this text; numbers and truths as JSON writes them.
fn is(claim: &Value, text: &str) -> bool {
    match claim {
        Value::String(own) => own == text,
        Value::Number(own) => own.to_string() == text,
        Value::Bool(own) => text == if *own { "true" } else { "false" },
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(from: Vec<Proof>, calls: Vec<Callable>) -> AccessRule {
        AccessRule { name: "Access default/one".into(), place: place(), from: from.into(), calls }
    }

    fn place() -> Place {
        let none: Arc<str> = "".into();
        Place { file: none.clone(), line: 1, column: 1, end: (1, 1), resource: none.clone(), path: none }
    }

    const fn call(service: u32, operation: Option<usize>) -> Callable {
        Callable { service: ServiceId(service), operation }
    }

    fn orders() -> Proof {
        let identities: Vec<Arc<str>> = vec!["spiffe://shop/orders".into()];
        Proof::Service { service: ServiceId(7), name: "orders".into(), identities: identities.into() }
    }

    fn token(issuer: u32, subject: &str, claims: Value) -> Token {
        Token { issuer: IssuerId(issuer), subject: Some(subject.into()), claims }
    }

    #[test]
    fn a_claim_is_a_text_a_number_a_truth_or_one_of_a_list() {
        let token = token(
            0,
            "ada",
            json!({ "role": "clerk", "level": 3, "staff": true, "groups": [ "a", "b" ], "realm": { "roles": [ "x" ] }, "https://shop/tier": "gold", "none": null }),
        );
        for (name, value) in [
            ("role", "clerk"),
            ("level", "3"),
            ("staff", "true"),
            ("groups", "b"),
            ("/realm/roles", "x"),
            ("https://shop/tier", "gold"),
        ] {
            assert!(token.claims_that(name, value), "{name} {value}");
        }
        for (name, value) in [
            ("role", "Clerk"),
            ("role", ""),
            ("level", "3.0"),
            ("groups", "[\"a\",\"b\"]"),
            ("groups", "c"),
            ("realm", "roles"),
            ("/realm", "x"),
            ("none", "null"),
            ("nowhere", ""),
        ] {
            assert!(!token.claims_that(name, value), "{name} {value}");
        }
    }

    /// Every set of rules of a small world beside every caller of it, against the decision as a sentence: somebody is let
    /// through if and only if some rule names the call and something that it proves.
    #[test]
    fn a_caller_is_let_through_exactly_where_some_rule_names_the_call_and_a_proof_of_its_own() {
        let proofs = [
            Proof::Anyone,
            orders(),
            Proof::Identity("spiffe://shop/orders".into()),
            Proof::Identity("ada.shop.test".into()),
            Proof::Token { issuer: IssuerId(0), name: "a".into(), subject: None, claims: Vec::new() },
            Proof::Token { issuer: IssuerId(1), name: "b".into(), subject: None, claims: Vec::new() },
            Proof::Token {
                issuer: IssuerId(0),
                name: "a".into(),
                subject: Some("ada".into()),
                claims: Vec::new(),
            },
            Proof::Token {
                issuer: IssuerId(0),
                name: "a".into(),
                subject: None,
                claims: vec![("role".into(), "clerk".into())],
            },
        ];
        let identities = [
            None,
            Some(Identity::new(["spiffe://shop/orders"], [])),
            Some(Identity::new([], ["ada.shop.test"])),
        ];
        let tokens = [
            None,
            Some(token(0, "ada", json!({ "role": "clerk" }))),
            Some(token(0, "bob", json!({}))),
            Some(token(1, "ada", json!({}))),
        ];
        // Which proof holds of whom, written down once more, without the code under test.
        let proves = |proof: usize, identity: usize, service: Option<ServiceId>, token: usize| match proof {
            0 => true,
            1 => identity == 1 || service == Some(ServiceId(7)),
            2 => identity == 1,
            3 => identity == 2,
            4 => token == 1 || token == 2,
            5 => token == 3,
            6 | 7 => token == 1,
            _ => unreachable!(),
        };
        let reaches = [call(1, None), call(1, Some(0)), call(1, Some(1)), call(2, None)];
        let mut decided = 0;
        for set in 0..proofs.len() * reaches.len() * proofs.len() * reaches.len() {
            let (first, second) = (set % 32, set / 32);
            let pairs = [(first % 8, reaches[first / 8]), (second % 8, reaches[second / 8])];
            let rules = pairs.map(|(proof, reach)| rule(vec![proofs[proof].clone()], vec![reach]));
            let access = Access { rules: rules.into() };
            for (asked, operation) in [(1, None), (1, Some(0)), (1, Some(1)), (2, Some(0)), (3, None)] {
                let grants = access.grants(ServiceId(asked), operation);
                for (identity, own) in identities.iter().enumerate() {
                    for service in [None, Some(ServiceId(7)), Some(ServiceId(8))] {
                        for (number, token) in tokens.iter().enumerate() {
                            let caller = Caller { identity: own.as_ref(), service, token: token.as_ref() };
                            let expected = pairs.iter().position(|(proof, reach)| {
                                reach.service.0 == asked
                                    && (reach.operation.is_none() || reach.operation == operation)
                                    && proves(*proof, identity, service, number)
                            });
                            let got = decide(&grants, &caller);
                            assert_eq!(
                                got.ok().map(usize::from),
                                expected,
                                "{pairs:?} {caller:?} {asked} {operation:?}"
                            );
                            decided += 1;
                        }
                    }
                }
            }
        }
        assert_eq!(decided, 1_024 * 5 * 36);
    }

    #[test]
    fn who_is_denied_is_told_apart() {
        let access = Access { rules: vec![rule(vec![orders()], vec![call(1, Some(0))])] };
        let grants = access.grants(ServiceId(1), Some(0));
        let nobody = Caller::default();
        assert_eq!(decide(&access.grants(ServiceId(1), None), &nobody), Err(DeniedWhy::NobodyMay));
        assert_eq!(decide(&grants, &nobody), Err(DeniedWhy::Anonymous));
        let other = Caller { service: Some(ServiceId(8)), ..nobody };
        assert_eq!(decide(&grants, &other), Err(DeniedWhy::NotGranted));
        assert_eq!(decide(&grants, &Caller { service: Some(ServiceId(7)), ..nobody }), Ok(0));
    }
}
