//! The keys of one issuer, as far as they are known.
//!
//! They outlive reloads. What is known holds while the issuer does not answer: its keys do not become bad because its
//! web server does, and whoever forgot them would turn away everybody.
//!
//! A token that names a key nobody knows may be the first one after the issuer has changed its keys. Then it is asked
//! once, and not again for a while, however many such tokens come: anybody can make up a name.

use super::keys::Keys;
use bowline_design::resolved::access::KeySource;
use bowline_model::Instant;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The keys of one issuer.
#[derive(Debug)]
pub(crate) struct Keyring {
    source: KeySource,
    known: Mutex<Option<Arc<Keys>>>,
    /// Grows with each change of the keys.
    generation: AtomicU64,
    /// Questions that were asked because of a key that nobody knew.
    asked: watch::Sender<u64>,
    /// How many of those an answer has come to since, a failure counting as one.
    answered: watch::Sender<u64>,
    /// When the last of them was asked.
    last: Mutex<Option<Instant>>,
}

impl Keyring {
    /// Nothing is known yet.
    pub(super) fn new(source: KeySource) -> Self {
        Self {
            source,
            known: Mutex::default(),
            generation: AtomicU64::new(0),
            asked: watch::channel(0).0,
            answered: watch::channel(0).0,
            last: Mutex::default(),
        }
    }

    /// Where they come from.
    pub(crate) const fn source(&self) -> &KeySource {
        &self.source
    }

    /// What is known; `None`: nothing yet.
    pub(crate) fn keys(&self) -> Option<Arc<Keys>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A number that is another after each change.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// These are the keys from now on; whether that is news.
    pub(crate) fn learn(&self, keys: Keys) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = known.as_deref() != Some(&keys);
        if is_news {
            *known = Some(Arc::new(keys));
            // Within the lock: whoever reads the number first and the keys then never takes old keys for new ones.
            self.generation.fetch_add(1, Ordering::Release);
        }
        is_news
    }

    /// Has the issuer asked, unless that was done within `every` before `now`. What to wait for, where an answer is on
    /// its way.
    pub(crate) fn ask(&self, now: Instant, every: Duration) -> Option<impl Future<Output = ()> + use<>> {
        if matches!(self.source, KeySource::File(_)) {
            return None;
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last + every <= now) {
            *last = Some(now);
            self.asked.send_modify(|asked| *asked += 1);
        }
        let asked = *self.asked.borrow();
        let mut answered = self.answered.subscribe();
        let waits = *answered.borrow() < asked;
        waits.then_some(async move {
            // The sender is ours to hold; without it there is nothing to wait for.
            let _ = answered.wait_for(|answered| asked <= *answered).await;
        })
    }

    /// For who asks the issuer: told of each question.
    pub(crate) fn questions(&self) -> watch::Receiver<u64> {
        self.asked.subscribe()
    }

    /// All questions up to this one have been answered, in whatever way.
    pub(crate) fn answered(&self, question: u64) {
        self.answered.send_replace(question);
    }
}
