//! Tokens of callers (JWT, RFC 7519): whose they are, and whether they hold.
//!
//! A token is believed where all of this is so: it is signed by a key that its issuer publishes, in the one way that
//! this key is for; it was made for one of the issuer's audiences here; it has begun and has not ended. What it says of
//! itself picks the key and nothing else: neither whether nor how it is signed.
//!
//! In reading order:
//! - `jws`: a token's three parts
//! - `keys`: a key set, and what one key vouches for
//! - `claims`: whose it is, for whom, from when to when
//! - `keyring`: the keys of one issuer, as far as they are known
//! - `verified`: tokens that were believed and need not be looked at twice

mod claims;
mod jws;
mod keyring;
mod keys;
mod verified;

pub(crate) use keyring::Keyring;
pub(crate) use keys::{KEY_SET_BYTES_MAX, Keys};
pub(crate) use verified::Verified;

use crate::trouble::Trouble;
use bowline_call::tls::{Source, TlsError};
use bowline_design::Design;
use bowline_design::resolved::access::{KeySource, Token};
use bowline_design::resolved::{Issuer, IssuerId};
use bowline_model::decision::TokenFault;
use jws::Jws;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Whose tokens are believed, made ready for one design.
#[derive(Debug)]
pub(crate) struct Tokens {
    issuers: Vec<Issuer>,
    /// In their order.
    keyrings: Vec<Arc<Keyring>>,
    /// Which issuer calls itself so.
    by_name: HashMap<Arc<str>, usize>,
}

/// A token that holds.
#[derive(Clone, Debug)]
pub(crate) struct Believed {
    pub(crate) token: Arc<Token>,
    /// The second, since 1970, from which on it does not.
    until: u64,
    /// The keys that it was verified by, as [`Keyring::generation`] counts them.
    generation: u64,
}

/// Why a token does not hold, and whose it claims to be, where news of that one's keys may change it.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) fault: TokenFault,
    pub(crate) keyring: Option<Arc<Keyring>>,
}

impl From<TokenFault> for Refused {
    fn from(fault: TokenFault) -> Self {
        Self { fault, keyring: None }
    }
}

impl Tokens {
    /// Makes the issuers of `design` ready; `None`: it has none. Keys that are known go on from `before`, and all of it
    /// where nothing has changed.
    pub(crate) fn of(
        design: &Design,
        before: Option<&Arc<Self>>,
        files: &dyn Source,
        troubles: &mut Vec<Trouble>,
    ) -> Option<Arc<Self>> {
        if design.issuers.is_empty() {
            return None;
        }
        let known = |keys: &KeySource| {
            let before = before?;
            let at = before.issuers.iter().position(|issuer| issuer.keys == *keys)?;
            Some(Arc::clone(&before.keyrings[at]))
        };
        let mut keyrings: Vec<Arc<Keyring>> = Vec::with_capacity(design.issuers.len());
        let mut made: BTreeMap<&KeySource, Arc<Keyring>> = BTreeMap::new();
        for issuer in &design.issuers {
            let keyring = made.entry(&issuer.keys).or_insert_with(|| {
                let keyring =
                    known(&issuer.keys).unwrap_or_else(|| Arc::new(Keyring::new(issuer.keys.clone())));
                if let KeySource::File(file) = &issuer.keys {
                    let read = files.read(file).map_err(|error| error.to_string());
                    match read.and_then(|bytes| Keys::parse(&bytes)) {
                        Ok(keys) => drop(keyring.learn(keys)),
                        Err(why) => {
                            let user = format!("issuer {}/{}", issuer.namespace, issuer.name);
                            let error = TlsError::new(file, why);
                            troubles.push(Trouble::new(user, &error, keyring.keys().is_some()));
                        }
                    }
                }
                keyring
            });
            keyrings.push(Arc::clone(keyring));
        }
        let same = |before: &&Arc<Self>| before.issuers == design.issuers;
        if let Some(before) = before.filter(same) {
            return Some(Arc::clone(before));
        }
        let named = design.issuers.iter().enumerate();
        let by_name = named.map(|(index, issuer)| (Arc::clone(&issuer.issuer), index)).collect();
        Some(Arc::new(Self { issuers: design.issuers.clone(), keyrings, by_name }))
    }

    /// The keys of issuers that are asked for them.
    pub(crate) fn asked(&self) -> impl Iterator<Item = &Arc<Keyring>> {
        self.keyrings.iter().filter(|keyring| matches!(keyring.source(), KeySource::Url { .. }))
    }

    /// Verifies `text` at second `now` since 1970.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn verify(&self, text: &str, now: u64) -> Result<Believed, Refused> {
        let jws = Jws::parse(text)?;
        let claims = claims::parse(&jws.payload)?;
        let named = claims.get("iss").and_then(|issuer| issuer.as_str());
        let index = named.and_then(|named| self.by_name.get(named)).ok_or(TokenFault::UnknownIssuer)?;
        let (issuer, keyring) = (&self.issuers[*index], &self.keyrings[*index]);
        let refused = |fault| Refused { fault, keyring: Some(Arc::clone(keyring)) };
        let generation = keyring.generation();
        let keys = keyring.keys().ok_or_else(|| refused(TokenFault::NoKeys))?;
        keys.verify(&jws).map_err(refused)?;
        let until = claims::check(&claims, issuer, now)?;
        let subject = match claims.get("sub") {
            None => None,
            Some(subject) => Some(subject.as_str().ok_or(TokenFault::Malformed)?.into()),
        };
        let token = Token { issuer: IssuerId(*index as u32), subject, claims };
        Ok(Believed { token: Arc::new(token), until, generation })
    }

    /// Whether what was believed holds still, at second `now`: its time has not ended, and its issuer's keys are the
    /// same.
    fn holds(&self, believed: &Believed, now: u64) -> bool {
        let keyring = self.keyrings.get(believed.token.issuer.0 as usize);
        now < believed.until && keyring.is_some_and(|keyring| keyring.generation() == believed.generation)
    }
}

#[cfg(test)]
mod tests;
