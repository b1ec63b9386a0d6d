//! What a plan decided for one try.

use std::time::Duration;

/// What happens to one try, to be obeyed inside it: within its time, under its breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injection {
    /// Held back this long first.
    pub delay: Option<Duration>,
    /// What comes after the delay.
    pub then: Then,
}

impl Injection {
    /// Nothing happens to the try.
    pub const NONE: Self = Self { delay: None, then: Then::Send };

    /// Whether nothing happens to the try.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}

/// What comes after the delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The try is sent as if nothing were.
    Send,
    /// The try is answered with this HTTP status and not sent.
    Abort {
        /// The status.
        status: u16,
    },
    /// The try is answered with this gRPC code, in trailers only, and not sent.
    AbortGrpc {
        /// The code, 0 to 16.
        code: u8,
    },
    /// The try seems to meet a refused connection and is not sent.
    Drop,
}
