//! Retries that keep themselves going: the screen for what is metastable.
//!
//! A service that has room for its load can be too slow for ever: once its queue is long, tries time out in it, are made
//! again, and so keep it long. Two things decide whether that can happen: how many retries are allowed, and how many
//! tries are late at the load with all of them.

use crate::graph::{Call, patience};
use crate::traffic::{Traffic, busy};
use crate::words::{factor, span};
use crate::{Asked, layer};
use bowline_design::resolved::ServiceId;

/// What a scenario asks of one service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asks {
    /// Requests a second.
    pub(crate) rate: f64,
    /// Seconds of work a second that the mean is surely not below.
    pub(crate) surely: f64,
    /// Seconds of work a second at the mean.
    pub(crate) mean: f64,
}

impl Asks {
    /// `None` where nothing is asked, or what is asked takes no time that is known.
    pub(crate) fn of(asked: &Asked<'_>, traffic: &Traffic<'_>, id: ServiceId) -> Option<Self> {
        let mut asks = Self { rate: 0.0, surely: 0.0, mean: 0.0 };
        for node in asked.graph.in_order().filter(|node| node.service == id) {
            let (rate, busy) = (traffic.of(node), busy(asked.graph.operation(node)));
            asks.rate += rate;
            asks.surely += rate * busy.surely;
            asks.mean += rate * busy.mean;
        }
        (asks.rate > 0.0 && asks.mean > 0.0).then_some(asks)
    }

    /// Requests a second that so many places can do at the mean.
    pub(crate) fn capacity(&self, places: f64) -> f64 {
        self.rate * places / self.mean
    }
}

/// Retries that keep themselves going.
#[derive(Clone, Debug)]
pub(crate) struct Storm {
    /// How many tries the least patient call makes.
    pub(crate) tries: u32,
    /// Whether every call that makes some of the retries has a budget, or what stands for one.
    pub(crate) has_budget: bool,
    /// The numbers.
    pub(crate) formula: String,
}

/// Whether tries that time out in the queue make as many retries as it takes to keep the queue long.
///
/// `l` calls a second become `l'` tries with all the retries that are allowed. Of an M/M/1 queue's answers
/// the share `exp(-(m - l') p)` comes later than `p`; if that many tries out of `l'` are more than the
/// `l' - l` retries, the retries are their own cause. At `l' >= m` all are late.
pub(crate) fn storm(
    asked: &Asked<'_>,
    traffic: &Traffic<'_>,
    id: ServiceId,
    asks: &Asks,
    most: f64,
) -> Option<Storm> {
    let (call, per_try, tries) = layers(asked, traffic, id)
        .filter_map(|call| {
            Some((
                call,
                patience(call.settings)?,
                layer::tries(call.settings, asked.graph.operation(call.to)),
            ))
        })
        .min_by_key(|(_, per_try, _)| *per_try)?;
    let more = retries(asked, traffic, id);
    if more <= 0.0 {
        return None;
    }
    let with_retries = asks.rate + more;
    let late = (-(most - with_retries).max(0.0) * per_try.as_secs_f64()).exp();
    if late * with_retries < more {
        return None;
    }
    let capped = if call.settings.budget.is_some() { " the budget allows" } else { "" };
    Some(Storm {
        tries,
        has_budget: layers(asked, traffic, id).all(|call| layer::is_bounded(call.settings)),
        formula: format!(
            "{}/s + {}/s of retries{capped} = {}/s of {}/s: {} % of tries wait longer than {}, {}/s >= {}/s",
            factor(asks.rate),
            factor(more),
            factor(with_retries),
            factor(most),
            (late * 100.0).round(),
            span(per_try),
            factor(late * with_retries),
            factor(more)
        ),
    })
}

/// The retries a second that a service gets if all tries fail, as far as budgets allow them.
pub(crate) fn retries(asked: &Asked<'_>, traffic: &Traffic<'_>, id: ServiceId) -> f64 {
    layers(asked, traffic, id).map(|call| retries_of(asked, traffic, call)).sum()
}

/// The calls of a service that are made, and tried again after work done.
fn layers<'a>(
    asked: &'a Asked<'_>,
    traffic: &'a Traffic<'_>,
    id: ServiceId,
) -> impl Iterator<Item = &'a Call<'a>> {
    let is_layer = |call: &&Call<'_>| layer::tries(call.settings, asked.graph.operation(call.to)) > 1;
    asked
        .graph
        .calls
        .iter()
        .filter(move |call| call.to.service == id && traffic.by(call) > 0.0)
        .filter(is_layer)
}

/// The retries a second of one call, if its tries fail: bounded by the budget's ratio and its floor.
fn retries_of(asked: &Asked<'_>, traffic: &Traffic<'_>, call: &Call<'_>) -> f64 {
    let rate = traffic.by(call);
    let tries = layer::tries(call.settings, asked.graph.operation(call.to));
    (rate * f64::from(tries - 1)).min(layer::retries_max(call.settings, rate))
}
