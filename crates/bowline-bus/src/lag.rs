//! How far a group is behind, as an age.

use crate::error::{Error, Why};
use crate::log::{Log, Slot, Window};
use bowline_model::WallTime;
use std::time::Duration;

/// How far a group is behind in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lag {
    /// Every record is settled.
    None,
    /// The oldest record that is not settled has this age, by the broker's clock.
    Behind(Duration),
    /// Nobody can say: the group has not begun, or retention took the record.
    Unknown,
}

/// The age of the oldest record that is not settled.
///
/// `now` is the time by the clock that the broker stamps records with. It is the age of a record and no difference of
/// offsets: a group that is stuck is further behind with every second, although nothing is published.
///
/// # Errors
/// What the broker says.
///
/// # Cancel safety
/// Nothing happens.
pub async fn lag(log: &dyn Log, slot: &Slot, now: WallTime) -> Result<Lag, Error> {
    let Some(cursor) = log.cursor(slot).await? else { return Ok(Lag::Unknown) };
    let mut from = cursor.floor;
    for range in &cursor.settled {
        if range.contains(&from) {
            from = range.end;
        }
    }
    let window = Window { records: 1, bytes: 1, wait: Duration::ZERO };
    match log.read(&slot.topic, slot.partition, from, window).await {
        Ok(records) => Ok(records.first().map_or(Lag::None, |oldest| {
            Lag::Behind(Duration::from_nanos(now.as_unix_nanos().saturating_sub(oldest.at.as_unix_nanos())))
        })),
        Err(error) if matches!(error.why(), Why::OffsetOutOfRange { .. }) => Ok(Lag::Unknown),
        Err(error) => Err(error),
    }
}
