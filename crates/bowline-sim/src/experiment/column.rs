//! What is compared, arm by arm. All columns are over the same requests: those that arrived in the measured
//! window.

use crate::objectives::Seen;
use crate::stats::{Better, Value};
use bowline_design::resolved::scenario::{Metric, Quantile};
use std::time::Duration;

/// One thing that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// The share that was acknowledged in time.
    AcknowledgedInTime,
    /// The share that had its final answer in time.
    AnsweredInTime,
    /// The time within which 99 of 100 were acknowledged.
    AcknowledgedP99,
    /// The time within which half were completed.
    CompletedP50,
    /// The time within which 99 of 100 were completed; none if more than one of a hundred failed.
    CompletedP99,
    /// The time within which 99 of 100 of **those that were completed** were: the one column over fewer.
    CompletedP99OfThose,
    /// The share that failed.
    Failed,
    /// The longest time between an acknowledgement and the end of what it acknowledged.
    Staleness,
    /// How long after the last fault until back to normal.
    Recovery,
    /// Requests to services, over what they are when every try succeeds.
    Work,
    /// How many were acknowledged and will never be done.
    Lost,
    /// Of how many an effect happened more than once.
    Duplicated,
    /// How many were set aside, or had not ended when the run did.
    Stuck,
    /// Of how many a record was processed after a later one of its key.
    Reordered,
    /// The most records that waited for one consumer group.
    Backlog,
    /// The share that failed although an effect of theirs happened.
    FailedWithEffect,
    /// The share that had not ended when the run did.
    Censored,
}

/// What a column's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// From 0 to 1.
    Share,
    /// Seconds.
    Seconds,
    /// So many requests or records.
    Count,
    /// So many times.
    Times,
}

impl Unit {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Seconds => "seconds",
            Self::Count => "count",
            Self::Times => "times",
        }
    }
}

impl Column {
    /// All, in order.
    pub const ALL: [Self; 17] = [
        Self::AcknowledgedInTime,
        Self::AnsweredInTime,
        Self::AcknowledgedP99,
        Self::CompletedP50,
        Self::CompletedP99,
        Self::CompletedP99OfThose,
        Self::Failed,
        Self::Staleness,
        Self::Recovery,
        Self::Work,
        Self::Lost,
        Self::Duplicated,
        Self::Stuck,
        Self::Reordered,
        Self::Backlog,
        Self::FailedWithEffect,
        Self::Censored,
    ];

    /// Its stable name in files.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::AcknowledgedInTime => "acknowledged_in_time",
            Self::AnsweredInTime => "answered_in_time",
            Self::AcknowledgedP99 => "acknowledged_p99",
            Self::CompletedP50 => "completed_p50",
            Self::CompletedP99 => "completed_p99",
            Self::CompletedP99OfThose => "completed_p99_of_completed",
            Self::Failed => "failed",
            Self::Staleness => "staleness_max",
            Self::Recovery => "recovery",
            Self::Work => "work_per_request",
            Self::Lost => "lost",
            Self::Duplicated => "duplicated",
            Self::Stuck => "stuck",
            Self::Reordered => "reordered",
            Self::Backlog => "backlog_max",
            Self::FailedWithEffect => "failed_with_effect",
            Self::Censored => "censored",
        }
    }

    /// What its numbers are.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::AcknowledgedInTime
            | Self::AnsweredInTime
            | Self::Failed
            | Self::FailedWithEffect
            | Self::Censored => Unit::Share,
            Self::AcknowledgedP99
            | Self::CompletedP50
            | Self::CompletedP99
            | Self::CompletedP99OfThose
            | Self::Staleness
            | Self::Recovery => Unit::Seconds,
            Self::Lost | Self::Duplicated | Self::Stuck | Self::Reordered | Self::Backlog => Unit::Count,
            Self::Work => Unit::Times,
        }
    }

    /// Which way is better.
    #[must_use]
    pub const fn better(self) -> Better {
        match self {
            Self::AcknowledgedInTime | Self::AnsweredInTime => Better::Higher,
            _ => Better::Lower,
        }
    }

    /// The smallest relative difference that it can show. A percentile is read off a bucket that is 1/64 of its
    /// value wide; everything else is counted, and so exact.
    #[must_use]
    pub const fn resolution(self) -> f64 {
        match self {
            Self::AcknowledgedP99 | Self::CompletedP50 | Self::CompletedP99 | Self::CompletedP99OfThose => {
                1.0 / 64.0
            }
            _ => 0.0,
        }
    }

    /// What a run gave.
    pub(crate) fn value(self, seen: &Seen<'_>, within: Duration) -> Value {
        let (clocks, fates) = (&seen.run.clocks, &seen.run.fates);
        let share = |count: u64| match fates.arrived {
            0 => Value::Unknown,
            arrived => Value::Known(count as f64 / arrived as f64),
        };
        let share_at_least = |count: u64, open: u64| match share(count) {
            Value::Known(share) if 0 < open => Value::AtLeast(share),
            other => other,
        };
        match self {
            Self::AcknowledgedInTime => seen.share_within(&clocks.acknowledged, within),
            Self::AnsweredInTime => seen.share_within(&clocks.answered, within),
            Self::AcknowledgedP99 => seen.value(Metric::Ack(Quantile::P99)),
            Self::CompletedP50 => seen.value(Metric::Completion(Quantile::P50)),
            Self::CompletedP99 => seen.value(Metric::Completion(Quantile::P99)),
            Self::CompletedP99OfThose => {
                let time = clocks.completed.quantile(0.99);
                time.map_or(Value::Unknown, |time| Value::Known(time.as_secs_f64()))
            }
            Self::Failed => share_at_least(fates.failed, fates.unanswered),
            Self::Staleness => seen.value(Metric::Staleness),
            Self::Recovery => seen.value(Metric::Recovery),
            Self::Work => seen.value(Metric::Work),
            Self::Lost => seen.value(Metric::Lost),
            Self::Duplicated => seen.value(Metric::Duplicated),
            Self::Stuck => seen.value(Metric::Stuck),
            Self::Reordered => seen.value(Metric::Reordered),
            Self::Backlog => seen.value(Metric::Backlog),
            Self::FailedWithEffect => share(fates.failed_with_effect),
            Self::Censored => share(fates.censored()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_where_their_numbers_say() {
        for (index, column) in Column::ALL.into_iter().enumerate() {
            assert_eq!(column as usize, index, "{column:?}");
        }
    }
}
