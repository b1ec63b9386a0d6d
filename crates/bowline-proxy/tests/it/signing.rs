//! Issuers of tokens: keys of each kind, the sets that publish them, and what they sign.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};

/// Somebody who signs, under the name of its key.
pub(crate) struct Signer {
    pub(crate) name: &'static str,
    key: Key,
}

enum Key {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// `ring` makes no RSA keys: this one was made for these tests by OpenSSL.
const RSA: &[u8] = include_bytes!("../fixtures/rsa.pk8");

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    /// Always of the same key.
    pub(crate) fn rsa(name: &'static str) -> Self {
        Self { name, key: Key::Rsa(RsaKeyPair::from_pkcs8(RSA).unwrap()) }
    }

    pub(crate) fn p256(name: &'static str) -> Self {
        let (kind, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let made = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Self { name, key: Key::P256(EcdsaKeyPair::from_pkcs8(kind, made.as_ref(), &random).unwrap()) }
    }

    pub(crate) fn ed25519(name: &'static str) -> Self {
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self { name, key: Key::Ed25519(Ed25519KeyPair::from_pkcs8(made.as_ref()).unwrap()) }
    }

    /// One of each kind.
    pub(crate) fn each() -> [Self; 3] {
        [Self::rsa("rsa"), Self::p256("p256"), Self::ed25519("ed25519")]
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match self.key {
            Key::Rsa(_) => "RS256",
            Key::P256(_) => "ES256",
            Key::Ed25519(_) => "EdDSA",
        }
    }

    /// The public half, as a key set has it.
    pub(crate) fn jwk(&self) -> Value {
        let (name, alg) = (self.name, self.algorithm());
        match &self.key {
            Key::Rsa(pair) => {
                let public: PublicKeyComponents<Vec<u8>> = pair.public().into();
                let (n, e) = (encode(public.n), encode(public.e));
                json!({ "kty": "RSA", "kid": name, "alg": alg, "use": "sig", "n": n, "e": e })
            }
            Key::P256(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = (encode(&point[1..33]), encode(&point[33..]));
                json!({ "kty": "EC", "crv": "P-256", "kid": name, "alg": alg, "x": x, "y": y })
            }
            Key::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": name, "x": encode(pair.public_key()) })
            }
        }
    }

    /// A token that makes these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_with(&json!({ "alg": self.algorithm(), "kid": self.name, "typ": "JWT" }), claims)
    }

    /// The same, saying this of itself.
    pub(crate) fn token_with(&self, head: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encode(head.to_string()), encode(claims.to_string()));
        format!("{signed}.{}", encode(self.sign(signed.as_bytes())))
    }

    fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, bytes, &mut signature).unwrap();
                signature
            }
            Key::P256(pair) => pair.sign(&random, bytes).unwrap().as_ref().to_vec(),
            Key::Ed25519(pair) => pair.sign(bytes).as_ref().to_vec(),
        }
    }
}

/// What publishes these keys.
pub(crate) fn key_set<'s>(signers: impl IntoIterator<Item = &'s Signer>) -> String {
    let keys: Vec<Value> = signers.into_iter().map(Signer::jwk).collect();
    json!({ "keys": keys }).to_string()
}
