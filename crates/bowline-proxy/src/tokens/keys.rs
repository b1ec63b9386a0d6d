//! A key set (JWKS, RFC 7517), and what its keys vouch for.
//!
//! What a key is for is said by what it is, never by the token: an RSA key verifies RS256 and nothing else, one on P-256
//! ES256, one of Ed25519 EdDSA. Secrets (`oct`) are passed over: whoever verifies with one could sign, too.

use super::jws::{Algorithm, Jws};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bowline_model::decision::TokenFault;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::{Map, Value};

/// How large a key set may be. 256 KiB: a hundred RSA keys with their certificates.
pub(crate) const KEY_SET_BYTES_MAX: usize = 256 * 1024;

/// How many keys are kept of one. 64: an issuer has two or three, one with a key for each tenant a few dozen.
const KEYS_MAX: usize = 64;

/// With how many keys a token is tried that names none. 4: more would let anybody buy much work with few bytes.
const NAMELESS_TRIES_MAX: usize = 4;

/// The shortest RSA modulus, in bytes: 2,048 bits (RFC 7518, 3.3).
const MODULUS_BYTES_MIN: usize = 256;

/// The keys of one issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keys(Vec<Key>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    name: Option<String>,
    material: Material,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// A point, uncompressed (SEC 1, 2.3.3).
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl Keys {
    /// Reads a key set. Keys that are for something else are passed over.
    ///
    /// # Errors
    /// Why it cannot be used, for people.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        if KEY_SET_BYTES_MAX < bytes.len() {
            return Err(format!("more than {KEY_SET_BYTES_MAX} bytes"));
        }
        let set: Value = serde_json::from_slice(bytes).map_err(|error| format!("no key set: {error}"))?;
        let listed = set.get("keys").and_then(Value::as_array).ok_or("no key set: it has no list `keys`")?;
        let keys: Vec<Key> = listed.iter().filter_map(Value::as_object).filter_map(Key::of).collect();
        match keys.len() {
            0 => Err(format!("none of its {} keys is one for RS256, ES256 or EdDSA", listed.len())),
            1..=KEYS_MAX => Ok(Self(keys)),
            many => Err(format!("{many} keys, and at most {KEYS_MAX} are kept")),
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether one of them signed `jws`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn verify(&self, jws: &Jws<'_>) -> Result<(), TokenFault> {
        let fits = |key: &&Key| key.algorithm() == jws.algorithm;
        let Some(name) = &jws.key else {
            let candidates = || self.0.iter().filter(fits);
            return match candidates().count() {
                0 => Err(TokenFault::Algorithm),
                1..=NAMELESS_TRIES_MAX if candidates().any(|key| key.signed(jws)) => Ok(()),
                1..=NAMELESS_TRIES_MAX => Err(TokenFault::Signature),
                _ => Err(TokenFault::UnknownKey),
            };
        };
        let named = || self.0.iter().filter(|key| key.name.as_ref() == Some(name));
        match (named().next(), named().find(fits)) {
            (None, _) => Err(TokenFault::UnknownKey),
            (Some(_), None) => Err(TokenFault::Algorithm),
            (_, Some(key)) if key.signed(jws) => Ok(()),
            (_, Some(_)) => Err(TokenFault::Signature),
        }
    }
}

impl Key {
    /// A key of a set; `None` where it is not for verifying what is understood here.
    fn of(key: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        let verifies = match key.get("key_ops") {
            None => true,
            Some(ops) => ops.as_array()?.iter().any(|op| op == "verify"),
        };
        if !verifies || key.contains_key("use") && text("use") != Some("sig") {
            return None;
        }
        let material = match (text("kty")?, text("crv")) {
            ("RSA", _) => {
                let modulus = bytes("n")?;
                // A leading zero is no digit (RFC 7518, 6.3.1.1), and some write one.
                let digits = modulus.iter().position(|byte| *byte != 0).unwrap_or(modulus.len());
                let modulus = modulus[digits..].to_vec();
                (MODULUS_BYTES_MIN <= modulus.len())
                    .then_some(Material::Rsa { modulus, exponent: bytes("e")? })?
            }
            ("EC", Some("P-256")) => {
                let (x, y) = (bytes("x")?, bytes("y")?);
                (x.len() == 32 && y.len() == 32).then(|| Material::P256([&[4][..], &x, &y].concat()))?
            }
            ("OKP", Some("Ed25519")) => {
                let point = bytes("x")?;
                (point.len() == 32).then_some(Material::Ed25519(point))?
            }
            _ => return None,
        };
        let key = Self { name: text("kid").map(str::to_owned), material };
        // A key that is said to be for something else is not used for this.
        let said = match text("alg") {
            None => Some(key.algorithm()),
            Some(name) => Algorithm::named(name),
        };
        (said == Some(key.algorithm())).then_some(key)
    }

    const fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
            Material::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    fn signed(&self, jws: &Jws<'_>) -> bool {
        let verified = match &self.material {
            Material::Rsa { modulus, exponent } => {
                let key = RsaPublicKeyComponents { n: modulus, e: exponent };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, jws.signed, &jws.signature)
            }
            Material::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(jws.signed, &jws.signature)
            }
            Material::Ed25519(point) => {
                UnparsedPublicKey::new(&ED25519, point).verify(jws.signed, &jws.signature)
            }
        };
        verified.is_ok()
    }
}
