//! What is turned in a sweep.

use super::{Setting, SweepError};
use crate::Arrivals;
use crate::fault::FaultEvent;
use crate::model::{Edge, Model, ServiceId};
use bowline_model::Instant;
use std::time::Duration;

/// What is turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Knob {
    /// How many requests a second come, all ways in together.
    Load,
    /// How long each fault lasts, in seconds.
    Outage,
    /// How long a try may take, in seconds; of calls without a limit for tries, the call.
    Timeout,
    /// How many tries a call has, the first included.
    Tries,
    /// How many requests may wait in front of one replica.
    Queue,
}

impl Knob {
    /// All, in order.
    pub const ALL: [Self; 5] = [Self::Load, Self::Outage, Self::Timeout, Self::Tries, Self::Queue];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Outage => "outage",
            Self::Timeout => "timeout",
            Self::Tries => "tries",
            Self::Queue => "queue",
        }
    }

    /// Whether it can stand at this value.
    pub(super) fn takes(self, value: f64) -> bool {
        let whole = value.fract().abs() < f64::EPSILON && value <= f64::from(u32::MAX);
        match self {
            Self::Load | Self::Outage | Self::Timeout => {
                value.is_finite() && 0.0 < value && Duration::try_from_secs_f64(value).is_ok()
            }
            Self::Tries => whole && 1.0 <= value,
            Self::Queue => whole && 0.0 <= value,
        }
    }

    /// Whether turning it leaves the model as it is.
    pub(super) fn is_of_faults(self) -> bool {
        self == Self::Outage
    }

    /// Where it stands now; `None` where it stands at several values, or at none.
    pub(super) fn now(self, model: &Model, faults: &[FaultEvent], at: Option<ServiceId>) -> Option<f64> {
        match self {
            Self::Load => Some(model.entries.iter().map(|entry| entry.arrivals.rate_at(Instant::ZERO)).sum()),
            Self::Outage => same(faults.iter().map(|fault| fault.length.map(|length| length.as_secs_f64()))),
            Self::Timeout => {
                same(calls(model, at).map(timeout).map(|time| time.map(|time| time.as_secs_f64())))
            }
            Self::Tries => {
                same(calls(model, at).map(|edge| Some(f64::from(edge.spec.policy.retry.tries.max(1)))))
            }
            Self::Queue => {
                let own = model.services.iter().enumerate();
                let own = own.filter(|(index, _)| at.is_none_or(|at| at.index() == *index));
                same(own.map(|(_, service)| service.queue.map(f64::from)))
            }
        }
    }

    /// Turns it to a value, which it [takes](Self::takes), or leaves it.
    pub(super) fn turn(
        self,
        to: Setting,
        at: Option<ServiceId>,
        model: &mut Model,
        faults: &mut [FaultEvent],
    ) -> Result<(), SweepError> {
        let Setting::At(value) = to else { return Ok(()) };
        match self {
            Self::Load => {
                let now: f64 = model.entries.iter().map(|entry| entry.arrivals.rate_at(Instant::ZERO)).sum();
                if now <= 0.0 {
                    return Err(SweepError::NoRate);
                }
                for entry in &mut model.entries {
                    entry.arrivals = scaled(&entry.arrivals, value / now)?;
                    entry.arrivals.check().map_err(SweepError::Arrivals)?;
                }
            }
            Self::Outage => {
                let length = Duration::from_secs_f64(value);
                faults.iter_mut().for_each(|fault| fault.length = Some(length));
            }
            Self::Timeout => {
                let time = Some(Duration::from_secs_f64(value));
                for edge in calls_mut(model, at) {
                    let retry = &mut edge.spec.policy.retry;
                    match edge.spec.deadline {
                        Some(_) if retry.per_try.is_none() => edge.spec.deadline = time,
                        _ => retry.per_try = time,
                    }
                }
            }
            Self::Tries => calls_mut(model, at).for_each(|edge| edge.spec.policy.retry.tries = value as u32),
            Self::Queue => {
                let own = model.services.iter_mut().enumerate();
                let own = own.filter(|(index, _)| at.is_none_or(|at| at.index() == *index));
                own.for_each(|(_, service)| service.queue = Some(value as u32));
            }
        }
        Ok(())
    }
}

/// What all of them are; `None` where they differ, are nothing, or are not there.
fn same(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let mut values = values;
    let first = values.next()??;
    values.all(|value| value == Some(first)).then_some(first)
}

/// How long a try may take, or else the call.
fn timeout(edge: &Edge) -> Option<Duration> {
    edge.spec.policy.retry.per_try.or(edge.spec.deadline)
}

/// The edges of calls, deliveries of records left out: to one service, or all.
fn calls(model: &Model, at: Option<ServiceId>) -> impl Iterator<Item = &Edge> {
    let is = is_call(model, at);
    model.edges.iter().zip(is).filter_map(|(edge, is)| is.then_some(edge))
}

fn calls_mut(model: &mut Model, at: Option<ServiceId>) -> impl Iterator<Item = &mut Edge> {
    let is = is_call(model, at);
    model.edges.iter_mut().zip(is).filter_map(|(edge, is)| is.then_some(edge))
}

fn is_call(model: &Model, at: Option<ServiceId>) -> Vec<bool> {
    let delivers = |edge: usize| model.subscriptions.iter().any(|each| each.spec.deliver.index() == edge);
    let leads = |edge: &Edge| at.is_none_or(|at| model.operations[edge.spec.to.index()].service == at);
    let numbered = model.edges.iter().enumerate();
    numbered.map(|(index, edge)| !delivers(index) && leads(edge)).collect()
}

/// The same arrivals, so many times as often.
fn scaled(arrivals: &Arrivals, factor: f64) -> Result<Arrivals, SweepError> {
    Ok(match arrivals {
        Arrivals::Poisson { rate } => Arrivals::Poisson { rate: rate * factor },
        Arrivals::Constant { rate } => Arrivals::Constant { rate: rate * factor },
        Arrivals::Bursts { base, burst, every, length } => {
            Arrivals::Bursts { base: base * factor, burst: burst * factor, every: *every, length: *length }
        }
        Arrivals::Ramp { from, to, begins, over } => {
            Arrivals::Ramp { from: from * factor, to: to * factor, begins: *begins, over: *over }
        }
        Arrivals::Steps(steps) => {
            Arrivals::Steps(steps.iter().map(|(length, rate)| (*length, rate * factor)).collect())
        }
        Arrivals::Batches { .. } | Arrivals::Trace(_) => return Err(SweepError::FixedArrivals),
    })
}
