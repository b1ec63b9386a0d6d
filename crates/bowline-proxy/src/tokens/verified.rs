//! Tokens that were believed and need not be looked at twice.
//!
//! Verifying a signature costs thirty to a hundred microseconds, and callers send the same token with each request. A
//! worker keeps those that it believed, under their digests, for as long as they hold: until they end, their issuer's
//! keys change, or the design's issuers do. What was not believed is not kept, so that nobody fills this with rubbish.

use super::{Believed, Refused, Tokens};
use bowline_design::resolved::access::Token;
use ring::digest;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// How many tokens one worker keeps. 4,096: whoever has more callers at once verifies the rest anew.
const KEPT_MAX: usize = 4_096;

/// How long they may be together, in bytes of text. 4 MiB: a kilobyte each is what most have; what they claim takes a few
/// times as much.
const KEPT_BYTES_MAX: usize = 4 << 20;

type Digest = [u8; digest::SHA256_OUTPUT_LEN];

/// Tokens that one worker has believed.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    /// Whose word that was.
    by: Option<Arc<Tokens>>,
    kept: HashMap<Digest, Believed>,
    /// Oldest first, each with the length of its text.
    order: VecDeque<(Digest, usize)>,
    /// The sum of those.
    bytes: usize,
}

impl Verified {
    /// What `text` says, if it holds at second `now` by `tokens`; and whether that was known.
    ///
    /// # Errors
    /// Why it does not.
    pub(crate) fn verify(
        &mut self,
        tokens: &Arc<Tokens>,
        text: &str,
        now: u64,
    ) -> Result<(Arc<Token>, bool), Refused> {
        if !self.by.as_ref().is_some_and(|by| Arc::ptr_eq(by, tokens)) {
            *self = Self { by: Some(Arc::clone(tokens)), ..Self::default() };
        }
        if super::jws::TOKEN_BYTES_MAX < text.len() {
            return Err(bowline_model::decision::TokenFault::TooLarge.into());
        }
        let mut key: Digest = [0; digest::SHA256_OUTPUT_LEN];
        key.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        if let Some(known) = self.kept.get(&key)
            && tokens.holds(known, now)
        {
            return Ok((Arc::clone(&known.token), true));
        }
        let believed = tokens.verify(text, now)?;
        let token = Arc::clone(&believed.token);
        if self.kept.insert(key, believed).is_none() {
            self.order.push_back((key, text.len()));
            self.bytes += text.len();
            while KEPT_MAX < self.order.len() || KEPT_BYTES_MAX < self.bytes {
                let Some((oldest, length)) = self.order.pop_front() else { break };
                self.kept.remove(&oldest);
                self.bytes -= length;
            }
        }
        Ok((token, false))
    }

    /// How many are kept.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.kept.len()
    }
}
