//! Records that were set aside, in the order of their key.

use crate::error::Error;
use crate::event::Event;
use crate::log::{BoxFuture, Slot};
use bowline_lane::{Aside, Key};
use bowline_model::WallTime;
use std::sync::Arc;
use std::time::Duration;

/// Where dead letters and the records parked behind them are kept.
///
/// A key of which a record is kept here is *parked* where the group asked for that: later records of the key come here
/// as well, and none overtakes another. The list of parked keys is part of what the next owner of the partition gets
/// ([`Assigned::parked`](bowline_lane::Assigned::parked)); a store that implements both traits reads it from here. A
/// record that was on its way here when its partition was taken from its owner may arrive later than that: the next
/// owner then works on the key until the partition is assigned again.
pub trait DeadLetters: Send + Sync + 'static {
    /// Keeps the record, durably. Keeping the same record of the same group again is a success and keeps it once:
    /// whoever does not know whether it happened may repeat it.
    ///
    /// # Errors
    /// [`Error::outcome`] says whether it may be kept all the same.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it unknown whether the record is kept; keep it again.
    fn set_aside<'a>(&'a self, letter: DeadLetter, within: Duration) -> BoxFuture<'a, Result<(), Error>>;

    /// What is kept of one partition, oldest offset first, at most `limit`.
    ///
    /// # Errors
    /// What the store says.
    ///
    /// # Cancel safety
    /// Nothing happens.
    fn list<'a>(&'a self, slot: &'a Slot, limit: u32) -> BoxFuture<'a, Result<Vec<DeadLetter>, Error>>;

    /// The keys of one partition that are parked.
    ///
    /// # Errors
    /// What the store says.
    ///
    /// # Cancel safety
    /// Nothing happens.
    fn parked<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Vec<Key>, Error>>;

    /// Takes a record away that was redriven or given up. Its key is parked no more once none of it is kept. Answers
    /// whether it was there.
    ///
    /// # Errors
    /// What the store says.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it unknown whether the record is gone.
    fn remove<'a>(&'a self, slot: &'a Slot, offset: u64) -> BoxFuture<'a, Result<bool, Error>>;
}

/// A record that was set aside.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Whose: the group and the partition.
    pub slot: Slot,
    /// Where it was.
    pub offset: u64,
    /// Its key.
    pub key: Option<Key>,
    /// Dead or parked, and why.
    pub aside: Aside,
    /// Whether later records of its key have to come here as well.
    pub parks_key: bool,
    /// How often it was delivered in vain.
    pub deliveries: u32,
    /// When it was set aside.
    pub at: WallTime,
    /// What was said about its last failure, for people.
    pub reason: String,
    /// What it says.
    pub event: Arc<Event>,
}
