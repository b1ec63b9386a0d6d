//! Leaving a host out for a while because of how its tries ended.
//!
//! Envoy's outlier detection in its words, with four differences, each for a bug that people met:
//! - The share of hosts that are out is computed *with* the candidate. Before it, ten percent of three hosts
//!   means one host in one version of Envoy and none in the next.
//! - The last host that is in is never left out, unless told: nobody is better off without any.
//! - What comes back from a host while it is out counts for nothing. Those tries began before; counted, they
//!   put it out again the moment it is back.
//! - It is back when its time is over, not at the next sweep, and may come back slowly
//!   ([`SlowStart`](crate::balance::SlowStart)).
//!
//! Counting is atomic and takes no lock; the lock is taken to put a host out and for the sweep.

mod detector;
mod record;
mod statuses;

pub use detector::{Detector, Judged};
pub(crate) use record::Record;
pub use statuses::Statuses;

use crate::classify::{self, Health};
use crate::ratio::Ratio;
use crate::report::Report;
use bowline_model::decision::TryEnd;
use std::time::Duration;

/// When a host is left out, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutlierSettings {
    /// So many 5xx in a row. What got no answer counts as one, unless that is counted apart.
    pub consecutive_5xx: Option<u32>,
    /// So many 502, 503 and 504 in a row, and the same for what got no answer.
    pub consecutive_gateway: Option<u32>,
    /// What got no answer (no connection, a reset, a timeout) is counted apart, and so many in a row are
    /// too many.
    pub consecutive_local: Option<u32>,
    /// Which answers count as errors, instead of every 5xx; of them 502, 503 and 504 as gateway errors. What got no
    /// answer counts as before. A gRPC status counts as Envoy reads it ([`bowline_model::decision::TryEnd`] has its code).
    pub errors: Option<Statuses>,
    /// A share of successes far below the others'.
    pub success_rate: Option<SuccessRate>,
    /// A share of failures that is too much, whatever the others' is.
    pub failures: Option<FailureShare>,
    /// How often shares are compared, and how long a host must be in for one ejection to be forgotten.
    pub interval: Duration,
    /// How long a host is out, times how often it was.
    pub base: Duration,
    /// The longest a host is out; `base`, where that is longer.
    pub max: Duration,
    /// The most hosts that are out at once, the one in question counted.
    pub out_max: Ratio,
    /// Whether one may be out although `out_max` of so few hosts is none (Envoy's `always_eject_one_host`).
    pub one_always: bool,
    /// Whether the last host that is in may be left out too.
    pub last_too: bool,
}

/// When a share of successes is far below the others': below their mean less so many standard deviations.
///
/// The defaults are Envoy's (`success_rate_*` in outlier_detection.proto).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SuccessRate {
    /// Only where so many hosts had enough calls to compare.
    pub hosts_min: u32,
    /// Calls in an interval that are enough.
    pub calls_min: u32,
    /// Standard deviations below the mean.
    pub deviations: f64,
}

impl Default for SuccessRate {
    fn default() -> Self {
        Self { hosts_min: 5, calls_min: 100, deviations: 1.9 }
    }
}

/// When a share of failures is too much.
///
/// The number of hosts and of calls are Envoy's (`failure_percentage_*` in outlier_detection.proto).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FailureShare {
    /// Only where so many hosts had enough calls. 5.
    pub hosts_min: u32,
    /// Calls in an interval that are enough. 50.
    pub calls_min: u32,
    /// This share of them, or more.
    pub share: Ratio,
}

impl FailureShare {
    /// Of as many hosts and calls as Envoy wants to see.
    #[must_use]
    pub const fn of(share: Ratio) -> Self {
        Self { hosts_min: 5, calls_min: 50, share }
    }
}

impl OutlierSettings {
    /// What Istio's `outlierDetection: {}` means (destination_rule.proto; the longest time is Envoy's).
    pub const ISTIO: Self = Self {
        consecutive_5xx: Some(5),
        consecutive_gateway: None,
        consecutive_local: None,
        errors: None,
        success_rate: None,
        failures: None,
        interval: Duration::from_secs(10),
        base: Duration::from_secs(30),
        max: Duration::from_secs(300),
        out_max: Ratio::percent(10),
        one_always: false,
        last_too: false,
    };

    /// What our own `outlier: {}` means: Istio's numbers, and of few hosts one may always be out. With ten
    /// percent alone a destination of nine hosts has no protection at all, and nothing says so.
    pub const OURS: Self = Self { one_always: true, ..Self::ISTIO };

    /// Whether calls are counted from sweep to sweep.
    const fn compares(&self) -> bool {
        self.success_rate.is_some() || self.failures.is_some()
    }
}

/// What one finished try means to outlier detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It answered, and not with a 5xx.
    Good,
    /// It answered with a 5xx.
    Answered {
        /// 502, 503 or 504.
        gateway: bool,
    },
    /// Nothing answered.
    Local,
    /// It says nothing.
    Nothing,
}

impl Seen {
    pub(crate) fn of(report: &Report, errors: Option<&Statuses>) -> Self {
        if report.callers_turn {
            return Self::Nothing;
        }
        if let Some(errors) = errors
            && let Some(status) = status_of(report.end)
        {
            return match errors.contains(status) {
                true => Self::Answered { gateway: matches!(status, 502..=504) },
                false => Self::Good,
            };
        }
        match (classify::health(report.end, report.outcome), report.end) {
            (Health::Neutral, _) => Self::Nothing,
            (_, TryEnd::Answered { status: 500..=599 }) => {
                Self::Answered { gateway: matches!(report.end, TryEnd::Answered { status: 502..=504 }) }
            }
            // As Envoy reads gRPC codes: UNKNOWN, INTERNAL, DATA_LOSS as 500, UNIMPLEMENTED as 501,
            // DEADLINE_EXCEEDED as 504, UNAVAILABLE as 503 (source/common/grpc/status.cc).
            (_, TryEnd::AnsweredGrpc { code: 2 | 12 | 13 | 15, .. }) => Self::Answered { gateway: false },
            (_, TryEnd::AnsweredGrpc { code: 4 | 14, .. }) => Self::Answered { gateway: true },
            (_, TryEnd::Answered { .. } | TryEnd::AnsweredGrpc { .. }) => Self::Good,
            (Health::Good, _) => Self::Good,
            (Health::Bad, _) => Self::Local,
        }
    }
}

/// The status of an answer, that of gRPC as Envoy reads it (source/common/grpc/status.cc).
const fn status_of(end: TryEnd) -> Option<u16> {
    let code = match end {
        TryEnd::Answered { status } => return Some(status),
        TryEnd::AnsweredGrpc { code, .. } => code,
        _ => return None,
    };
    Some(match code {
        0 => 200,
        1 => 499,
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => 500,
    })
}
