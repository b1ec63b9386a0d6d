//! The events.

use crate::run::{Attribution, Clocks, Ending, Fates, Progress, Run, RunSpec};
use crate::series::Series;
use std::ops::ControlFlow;

pub(crate) fn run(spec: &RunSpec, _progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Run {
    Run {
        seed: spec.seed,
        ending: Ending::Done,
        ended_at: spec.warm_up + spec.length,
        from: spec.warm_up,
        to: spec.warm_up + spec.length,
        series: Series::default(),
        clocks: Clocks::default(),
        fates: Fates::default(),
        attribution: Attribution::default(),
        services: Vec::new(),
        edges: Vec::new(),
        topics: Vec::new(),
        subscriptions: Vec::new(),
        work: 0,
        events: 0,
        in_flight_max: 0,
    }
}
