//! A token's three parts (RFC 7515, 7.1): what it says of itself, what it says, and a signature over both.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bowline_model::decision::TokenFault;
use serde_json::Value;

/// How long a token may be. 8 KiB: those of large directories, with a hundred groups, are half of that, and whatever
/// is sent with each request has to fit into the head beside it.
pub(super) const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Ways of signing that are understood. Each has a kind of key of its own, so that none can be taken for another; `none`
/// and what is signed with a secret that both sides share (HS256 and its like) are not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// The one that is called so (RFC 7518, 3.1; RFC 8037, 3.1; RFC 9864).
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "ES256" => Self::Es256,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }
}

/// A signed token, taken apart and not verified.
#[derive(Debug)]
pub(super) struct Jws<'t> {
    pub(super) algorithm: Algorithm,
    /// Which key it names.
    pub(super) key: Option<String>,
    /// What the signature is over.
    pub(super) signed: &'t [u8],
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl<'t> Jws<'t> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// It is none, or one that demands what nobody here understands.
    pub(super) fn parse(text: &'t str) -> Result<Self, TokenFault> {
        if TOKEN_BYTES_MAX < text.len() {
            return Err(TokenFault::TooLarge);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (head, payload) = signed.split_once('.').ok_or(TokenFault::Malformed)?;
        // Five parts are an encrypted token (RFC 7516), and the payload of a signed one has no dot.
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Malformed);
        let head: Value = serde_json::from_slice(&decode(head)?).map_err(|_| TokenFault::Malformed)?;
        let payload = decode(payload)?;
        let head = head.as_object().ok_or(TokenFault::Malformed)?;
        let name = head.get("alg").and_then(Value::as_str).ok_or(TokenFault::Malformed)?;
        let algorithm = Algorithm::named(name).ok_or(TokenFault::Algorithm)?;
        // What must be understood is not (RFC 7515, 4.1.11).
        if head.contains_key("crit") || !head.get("typ").is_none_or(is_access_token) {
            return Err(TokenFault::Malformed);
        }
        let key = match head.get("kid") {
            None => None,
            Some(key) => Some(key.as_str().ok_or(TokenFault::Malformed)?.to_owned()),
        };
        Ok(Self { algorithm, key, signed: signed.as_bytes(), payload, signature: decode(signature)? })
    }
}

/// Whether a token of this type lets somebody in. Others, such as those that say that somebody has logged out, are signed
/// by the same keys and mean something else (RFC 8725, 3.11).
fn is_access_token(kind: &Value) -> bool {
    let Some(kind) = kind.as_str() else { return false };
    let kind = kind.strip_prefix("application/").unwrap_or(kind);
    kind.eq_ignore_ascii_case("JWT") || kind.eq_ignore_ascii_case("at+jwt")
}
