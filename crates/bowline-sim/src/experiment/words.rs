//! Faults and loads in words.

use super::FaultWords;
use crate::Arrivals;
use crate::fault::{Calls, FaultEvent, FaultKind};
use crate::model::Model;
use bowline_design::format::format_duration;
use std::time::Duration;

impl FaultWords {
    /// A fault of a model in words; its times are counted from the end of the warm-up.
    #[must_use]
    pub fn of(model: &Model, fault: &FaultEvent, warm_up: Duration) -> Self {
        let since = |at: bowline_model::Instant| Duration::from_nanos(at.as_nanos()).saturating_sub(warm_up);
        Self { what: what(model, &fault.kind), at: since(fault.at), until: fault.over_at().map(since) }
    }
}

/// `inventory down 60..70 s`.
impl std::fmt::Display for FaultWords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let whole = |span: Duration| span.subsec_nanos() == 0;
        match self.until {
            Some(until) if whole(self.at) && whole(until) => {
                write!(f, "{} {}..{} s", self.what, self.at.as_secs(), until.as_secs())
            }
            Some(until) => {
                write!(f, "{} {}..{}", self.what, format_duration(self.at), format_duration(until))
            }
            None => write!(f, "{} from {} on", self.what, format_duration(self.at)),
        }
    }
}

fn what(model: &Model, kind: &FaultKind) -> String {
    let service = |id: crate::model::ServiceId| &*model.services[id.index()].name;
    let of = |replica: Option<u32>| replica.map_or(String::new(), |replica| format!(" {}", replica + 1));
    let calls = |calls: Calls| match calls.from {
        Some(from) => format!("{} to {}", service(calls.to), service(from)),
        None => service(calls.to).to_owned(),
    };
    let topic = |id: crate::model::TopicId| &*model.topics[id.index()].spec.name;
    match kind {
        FaultKind::Crash { service: id, replica, .. } => format!("{}{} down", service(*id), of(*replica)),
        FaultKind::Pause { service: id, replica } => format!("{}{} paused", service(*id), of(*replica)),
        FaultKind::Slow { service: id, replica, factor } => {
            format!("{}{} {factor} times as slow", service(*id), of(*replica))
        }
        FaultKind::Error { calls: which, replica, status, percent } => {
            format!("{}{} answers {status} to {percent}", calls(*which), of(*replica))
        }
        FaultKind::DropFirst { calls: which, tries } => {
            format!("{} refuses the first {tries} tries", calls(*which))
        }
        FaultKind::Blackhole { calls: which } => format!("{} unreachable", calls(*which)),
        FaultKind::Reset { calls: which, percent } => format!("{} resets {percent}", calls(*which)),
        FaultKind::Partition { from, to, both } => {
            let from = from.map_or("clients", service);
            let way = if *both { "and" } else { "to" };
            format!("{from} {way} {} cut", service(*to))
        }
        FaultKind::Latency { edge, extra } => {
            format!("{} {} later", model.edges[edge.index()].spec.name, format_duration(*extra))
        }
        FaultKind::BrokerDown { .. } => "broker down".to_owned(),
        FaultKind::BowlineDown => "Bowline down".to_owned(),
        FaultKind::ConsumerStuck { subscription } => {
            format!("{} stuck", model.subscriptions[subscription.index()].spec.name)
        }
        FaultKind::Poison { topic: id, percent, .. } => format!("{percent} of {} poisoned", topic(*id)),
        FaultKind::Duplicate { topic: id, percent, .. } => format!("{percent} of {} twice", topic(*id)),
    }
}

/// What arrives, over all ways in: `800/s`.
pub(crate) fn loads(model: &Model) -> String {
    let each: Vec<String> = model.entries().iter().map(|entry| load(&entry.arrivals)).collect();
    each.join(" and ")
}

fn load(arrivals: &Arrivals) -> String {
    match arrivals {
        Arrivals::Poisson { rate } => format!("{rate}/s"),
        Arrivals::Constant { rate } => format!("{rate}/s evenly"),
        Arrivals::Batches { size, every, .. } => format!("{size} every {}", format_duration(*every)),
        Arrivals::Bursts { base, burst, every, length } => format!(
            "{base}/s and {burst}/s for {} of every {}",
            format_duration(*length),
            format_duration(*every)
        ),
        Arrivals::Ramp { from, to, over, .. } => {
            format!("{from}/s to {to}/s over {}", format_duration(*over))
        }
        Arrivals::Steps(steps) => {
            let rates = steps.iter().map(|(_, rate)| *rate);
            let (low, high) = rates
                .fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), rate| (low.min(rate), high.max(rate)));
            format!("{low}/s to {high}/s")
        }
        Arrivals::Trace(times) => format!("a trace of {}", times.len()),
    }
}
