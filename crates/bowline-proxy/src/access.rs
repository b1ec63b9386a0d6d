//! Who asks, and whether that one may.
//!
//! Who a caller is, it proves: by the certificate of its handshake, by a token that a gateway verifies, or, at the mesh
//! port, by the token that its process was given. Whether it may is decided by [`decide`], over what the snapshot has
//! cut out for the call.
//!
//! At the mesh port tokens of issuers are not looked at: what services send there is between them and their callees, who
//! may be outside and have tokens of their own kind.

use crate::flags::Flag;
use crate::ledger::Ledger;
use crate::proxy::Shared;
use crate::reply::Reply;
use crate::snapshot::{Door, PlannedEdge, Snapshot};
use crate::tokens::{Refused, Tokens};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bowline_call::Alarm;
use bowline_design::Design;
use bowline_design::resolved::access::{Caller, Grant, Token, decide};
use bowline_model::Outcome;
use bowline_model::decision::{Decision, Observer, TokenFault};
use http::HeaderMap;
use http::header::{self, HeaderValue};
use ring::digest;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// The services that tokens of processes stand for, by the digests of those. A token itself is not kept, and finding
/// one by its digest takes the same time however much of it was guessed.
#[derive(Debug, Default)]
pub(crate) struct Processes(HashMap<[u8; digest::SHA256_OUTPUT_LEN], Arc<str>>);

impl Processes {
    /// `tokens`: each token with its service.
    pub(crate) fn of<'t>(tokens: impl IntoIterator<Item = (&'t str, &'t str)>) -> Self {
        Self(
            tokens
                .into_iter()
                .map(|(token, service)| (digest_of(token.as_bytes()), service.into()))
                .collect(),
        )
    }

    fn service(&self, token: &[u8]) -> Option<&Arc<str>> {
        self.0.get(&digest_of(token))
    }
}

fn digest_of(token: &[u8]) -> [u8; digest::SHA256_OUTPUT_LEN] {
    let mut key = [0; digest::SHA256_OUTPUT_LEN];
    key.copy_from_slice(digest::digest(&digest::SHA256, token).as_ref());
    key
}

/// The service whose process asks, at the mesh port, by its token in `Proxy-Authorization`: as a bearer's (RFC 6750), or
/// as the name or the password that clients take from a proxy's URL (RFC 7617).
pub(crate) fn process(shared: &Shared, headers: &HeaderMap) -> Option<Arc<str>> {
    let said = headers.get(header::PROXY_AUTHORIZATION)?.as_bytes();
    let (scheme, rest) = said.split_at(said.iter().position(|byte| *byte == b' ')?);
    let rest = rest.trim_ascii();
    let processes = shared.processes.load();
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return processes.service(rest).cloned();
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let both = STANDARD.decode(rest).ok()?;
    let (name, password) = both.split_at(both.iter().position(|byte| *byte == b':')?);
    processes.service(if password.len() > 1 { &password[1..] } else { name }).cloned()
}

/// The token of the request's caller, once it was verified; `None`: it brings none. A request whose token names a key
/// that nobody knows waits a moment for news of the keys.
///
/// # Errors
/// What a token that is not believed is answered with.
pub(crate) async fn token(
    ledger: &mut Ledger<'_>,
    tokens: &Arc<Tokens>,
    headers: &HeaderMap,
) -> Result<Option<Arc<Token>>, TokenFault> {
    let text = match bearer(headers) {
        Ok(None) => return Ok(None),
        Ok(Some(text)) => Ok(text),
        Err(fault) => Err(fault),
    };
    let worker = ledger.connection().worker();
    let second = || worker.clock().wall().as_unix_nanos() / 1_000_000_000;
    let verify = |text: &str| worker.verified().borrow_mut().verify(tokens, text, second());
    let mut verified = text.map_err(Refused::from).and_then(verify);
    if let (
        Ok(text),
        Err(Refused { fault: TokenFault::UnknownKey | TokenFault::NoKeys, keyring: Some(keyring) }),
    ) = (text, &verified)
    {
        let (now, limits) = (worker.clock().now(), &worker.shared().limits);
        if let Some(news) = keyring.ask(now, limits.keys_again) {
            // In a box: it is rare, and every request's future would be as large.
            let waiting = async {
                Alarm::new(worker.clock()).or_until(now + limits.keys_wait, pin!(news)).await;
            };
            Box::pin(waiting).await;
            verified = verify(text);
        }
    }
    let ended = verified.as_ref().map(|(_, known)| *known).map_err(|refused| refused.fault);
    worker.shared().metrics.token(ended);
    match verified {
        Ok((token, _)) => Ok(Some(token)),
        Err(Refused { fault, .. }) => {
            let now = worker.clock().now();
            ledger.scratch.trail.decided(now, Decision::TokenRefused { fault });
            Err(fault)
        }
    }
}

/// What the request has in `Authorization` as a bearer; other schemes are between caller and callee.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, TokenFault> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let Some(first) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        return Err(TokenFault::Repeated);
    }
    let bytes = first.as_bytes();
    const SCHEME: &[u8] = b"bearer";
    let Some((scheme, rest)) = bytes.split_at_checked(SCHEME.len()) else { return Ok(None) };
    if !scheme.eq_ignore_ascii_case(SCHEME) || !(rest.is_empty() || rest[0] == b' ') {
        return Ok(None);
    }
    // What is no text is no token.
    let text = std::str::from_utf8(rest.trim_ascii()).map_err(|_| TokenFault::Malformed)?;
    Ok(Some(text))
}

/// What a token that is not believed is answered with. Keys that are not known yet are our own trouble, and may be there
/// the next moment.
pub(crate) const fn refusal(fault: TokenFault) -> Reply {
    let (status, outcome, retry_after) = match fault {
        TokenFault::NoKeys => (503, Outcome::Refused, Some(Duration::from_secs(1))),
        _ => (401, Outcome::Failed, None),
    };
    Reply { status, flag: Flag::AccessDenied, reason: fault.as_str(), outcome, retry_after }
}

/// Says what was wrong with it, in the form of RFC 6750, 3.
pub(crate) fn challenge(fault: TokenFault) -> Option<HeaderValue> {
    let error = match fault {
        TokenFault::NoKeys => return None,
        TokenFault::Repeated => "invalid_request",
        _ => "invalid_token",
    };
    let said = format!("Bearer error=\"{error}\", error_description=\"{}\"", fault.as_str());
    HeaderValue::from_str(&said).ok()
}

/// Whether the caller may ask for the call that was planned, and by which rule; it is noted.
///
/// # Errors
/// What a caller is answered with that may not.
pub(crate) fn admit<'s>(
    ledger: &mut Ledger<'s>,
    design: &'s Design,
    planned: &PlannedEdge,
    grants: &[Grant],
) -> Result<(), Reply> {
    let connection = ledger.connection();
    let caller = Caller {
        identity: connection.identity(),
        service: ledger.process.as_deref().and_then(|name| design.service_of_process(name)),
        token: ledger.token.as_deref(),
    };
    let decided = decide(grants, &caller);
    planned.tally.decided_access(decided.map(|_| ()));
    let now = connection.worker().clock().now();
    match decided {
        Ok(rule) => {
            ledger.scratch.trail.decided(now, Decision::AccessGranted { rule });
            ledger.granted = design.access.as_ref().and_then(|access| access.rules.get(usize::from(rule)));
            Ok(())
        }
        Err(why) => {
            ledger.scratch.trail.decided(now, Decision::AccessDenied { why });
            Err(Reply {
                status: 403,
                flag: Flag::AccessDenied,
                reason: "access denied",
                outcome: Outcome::Failed,
                retry_after: None,
            })
        }
    }
}

/// Whether the process that asks has to be looked for: only where it matters who that is.
pub(crate) fn matters(snapshot: &Snapshot, door: Door) -> bool {
    door == Door::Mesh && snapshot.design().access.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&'static [u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_bearers_token_is_looked_at_and_nothing_else() {
        assert_eq!(bearer(&of(&[])), Ok(None));
        for other in [&b"Basic YTpi"[..], b"Bear", b"Bearerx y", b"DPoP x"] {
            assert_eq!(bearer(&of(&[other])), Ok(None), "{other:?}");
        }
        assert_eq!(bearer(&of(&[b"bEaReR   a.b.c  "])), Ok(Some("a.b.c")));
        assert_eq!(bearer(&of(&[b"Bearer"])), Ok(Some("")));
        assert_eq!(bearer(&of(&[b"Bearer \xe4"])), Err(TokenFault::Malformed));
        assert_eq!(bearer(&of(&[b"Bearer a", b"Bearer a"])), Err(TokenFault::Repeated));
        assert_eq!(bearer(&of(&[b"Basic YTpi", b"Bearer a"])), Err(TokenFault::Repeated));
    }

    #[test]
    fn a_challenge_says_what_is_wrong_and_nothing_of_our_own_trouble() {
        let expired = challenge(TokenFault::Expired).unwrap();
        assert_eq!(expired, "Bearer error=\"invalid_token\", error_description=\"token expired\"");
        assert_eq!(challenge(TokenFault::NoKeys), None);
        assert_eq!((refusal(TokenFault::NoKeys).status, refusal(TokenFault::Signature).status), (503, 401));
    }
}
