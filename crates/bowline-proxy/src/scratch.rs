//! Memory that one request leaves to the next of its worker.
//!
//! As many as there ever were requests at once, whatever the number of connections: an idle connection holds
//! none, and the many streams of one connection each get their own.

use bowline_call::{Alarm, Clock};
use bowline_model::{SplitMix64, Trail};
use http::HeaderMap;
use std::cell::RefCell;

/// How much is kept for later requests. 256: what a worker has under way in a busy moment; a storm may take more
/// and does not leave it lying about.
const SPARE_MAX: usize = 256;

/// Memory for one request.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) trail: Trail,
    pub(crate) alarm: Alarm,
    pub(crate) random: SplitMix64,
    /// An empty map with room, for the next answer's headers.
    pub(crate) spare: HeaderMap,
}

impl Scratch {
    pub(crate) fn new(clock: Clock, seed: u64) -> Self {
        Self {
            trail: Trail::default(),
            alarm: Alarm::new(clock),
            random: SplitMix64::new(seed),
            spare: HeaderMap::new(),
        }
    }
}

/// Memory that waits for a request. It changes hands by its address.
pub(crate) type Spares = Vec<Box<Scratch>>;

/// Memory on loan: it goes back when this is dropped.
#[derive(Debug)]
pub(crate) struct Lent<'w> {
    scratch: Option<Box<Scratch>>,
    home: &'w RefCell<Spares>,
}

impl<'w> Lent<'w> {
    pub(crate) const fn new(scratch: Box<Scratch>, home: &'w RefCell<Spares>) -> Self {
        Self { scratch: Some(scratch), home }
    }

    /// The memory.
    ///
    /// # Panics
    /// Never: it is there until the loan ends.
    pub(crate) fn get(&mut self) -> &mut Scratch {
        self.scratch.as_deref_mut().expect("it is given back by `Drop` alone")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut home = self.home.borrow_mut();
        if let Some(scratch) = self.scratch.take().filter(|_| home.len() < SPARE_MAX) {
            home.push(scratch);
        }
    }
}
