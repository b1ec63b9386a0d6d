//! What a token says: whose it is, for whom, from when to when (RFC 7519, 4.1).

use bowline_design::resolved::Issuer;
use bowline_model::decision::TokenFault;
use serde_json::Value;

/// Reads the claims, an object.
pub(super) fn parse(payload: &[u8]) -> Result<Value, TokenFault> {
    let claims: Value = serde_json::from_slice(payload).map_err(|_| TokenFault::Malformed)?;
    if claims.is_object() { Ok(claims) } else { Err(TokenFault::Malformed) }
}

/// The second from which on a token with these claims does not hold any more, where it holds at second `now`.
pub(super) fn check(claims: &Value, issuer: &Issuer, now: u64) -> Result<u64, TokenFault> {
    let is_ours = |audience: &Value| {
        audience.as_str().is_some_and(|audience| issuer.audiences.iter().any(|own| **own == *audience))
    };
    let for_us = match claims.get("aud") {
        Some(Value::Array(all)) => all.iter().any(is_ours),
        Some(one) => is_ours(one),
        None => false,
    };
    if !for_us {
        return Err(TokenFault::Audience);
    }
    let leeway = issuer.leeway.as_secs();
    // One that never ends could not be taken back.
    let end = second(claims.get("exp").ok_or(TokenFault::Endless)?)?;
    let until = end.saturating_add(leeway);
    if until <= now {
        return Err(TokenFault::Expired);
    }
    if let Some(begin) = claims.get("nbf")
        && now.saturating_add(leeway) < second(begin)?
    {
        return Err(TokenFault::NotYet);
    }
    Ok(until)
}

/// A moment, in whole seconds since 1970: a number that may have a fraction.
fn second(moment: &Value) -> Result<u64, TokenFault> {
    let fraction =
        || moment.as_f64().filter(|second| (0.0..=MOMENT_MAX).contains(second)).map(|second| second as u64);
    moment.as_u64().or_else(fraction).ok_or(TokenFault::Malformed)
}

/// The last second that a floating-point number counts exactly.
const MOMENT_MAX: f64 = 9_007_199_254_740_992.0;
