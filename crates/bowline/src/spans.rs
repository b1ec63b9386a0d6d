//! `25.ms()`: spans of time as one says them.

use std::time::Duration;

/// Spans of time as one says them.
///
/// ```
/// use bowline::Spans;
/// use std::time::Duration;
///
/// assert_eq!(25.ms(), Duration::from_millis(25));
/// assert_eq!(10.s(), Duration::from_secs(10));
/// ```
pub trait Spans {
    /// This many milliseconds.
    fn ms(self) -> Duration;
    /// This many seconds.
    fn s(self) -> Duration;
}

/// A plain integer is a `u32` here, whatever stands around it: 49 days of milliseconds, and never
/// negative.
impl Spans for u32 {
    fn ms(self) -> Duration {
        Duration::from_millis(self.into())
    }

    fn s(self) -> Duration {
        Duration::from_secs(self.into())
    }
}
