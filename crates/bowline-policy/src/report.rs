//! What a driver reports of a finished try.

use bowline_model::Outcome;
use bowline_model::decision::TryEnd;
use std::time::Duration;

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// What was seen.
    pub end: TryEnd,
    /// What it did to the world.
    pub outcome: Outcome,
    /// What the callee said about being asked again.
    pub pushback: Option<Pushback>,
    /// Whether one of the headers that the `retriable-headers` condition asks for was there.
    pub retriable_header: bool,
    /// Whether the answer carried `x-envoy-ratelimited`.
    pub rate_limited: bool,
    /// Whether the callee was still waiting for the caller, who had not sent all of the request: how long
    /// that took says nothing about the callee.
    pub callers_turn: bool,
    /// Whether a layer behind has used up its tries or its budget for this call, and says so.
    pub exhausted: bool,
    /// Whether the answer has only begun and says at its end how the try ended, as gRPC does in its trailers.
    /// The breaker waits for [`Permit::settle`](crate::Permit::settle) then.
    pub begun: bool,
}

impl Report {
    /// A try that ended this way, and nothing more to say about it.
    #[must_use]
    pub const fn new(end: TryEnd, outcome: Outcome) -> Self {
        Self {
            end,
            outcome,
            pushback: None,
            retriable_header: false,
            rate_limited: false,
            callers_turn: false,
            exhausted: false,
            begun: false,
        }
    }
}

/// What the callee said about being asked again: `Retry-After`, `grpc-retry-pushback-ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushback {
    /// After exactly this long.
    After(Duration),
    /// Not at all.
    Never,
}

impl Pushback {
    /// The longest anybody waits because a callee says so. A header must not be able to park calls for
    /// hours; Envoy discards longer ones too (`rate_limited_retry_back_off.max_interval`, 300 s).
    pub const WAIT_MAX: Duration = Duration::from_secs(300);

    /// Reads a `grpc-retry-pushback-ms`: what is negative or no number means never (gRPC proposal A6).
    ///
    /// ```
    /// use bowline_policy::Pushback;
    /// use std::time::Duration;
    /// assert_eq!(Pushback::parse_grpc("150"), Pushback::After(Duration::from_millis(150)));
    /// assert_eq!(Pushback::parse_grpc("-1"), Pushback::Never);
    /// assert_eq!(Pushback::parse_grpc("soon"), Pushback::Never);
    /// ```
    #[must_use]
    pub fn parse_grpc(value: &str) -> Self {
        value.parse().map_or(Self::Never, |millis: u32| Self::After(Duration::from_millis(millis.into())))
    }
}
