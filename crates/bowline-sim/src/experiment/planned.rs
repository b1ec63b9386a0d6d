//! From a design and one of its scenarios to what is run.

use super::{ArmPlan, ExperimentError, FaultWords, Plan, least_work, words};
use crate::definitions::seconds;
use crate::fault::FaultEvent;
use crate::model::Model;
use crate::objectives::Target;
use crate::run::{Limits, RunSpec, at};
use bowline_design::resolved::intake::Start;
use bowline_design::resolved::scenario::{Arm, Arrivals, Bound, Entry, Metric, Quantile, Scenario};
use bowline_design::resolved::{Design, Operation, ServiceId};
use bowline_design::{Reading, resolve_arm};
use std::sync::Arc;
use std::time::Duration;

/// What whoever starts an experiment may want otherwise than the scenario says.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// So many seeds; `None`: as many as the scenario says.
    pub seeds: Option<u32>,
    /// The first seed, which the others follow; `None`: one.
    pub first_seed: Option<u64>,
    /// How long requests arrive; `None`: as long as the scenario says. Faults that would begin later are left
    /// out.
    pub length: Option<Duration>,
    /// The arrivals, where they stand in a file: what
    /// [`parse_trace`](bowline_design::resolved::scenario::parse_trace) read from it.
    pub trace: Option<Arc<[Duration]>>,
}

/// "In time", where no objective and no need says what that is: a second, after which people's thoughts begin
/// to wander (Nielsen, "Usability Engineering", 1993, chapter 5).
const WITHIN: Duration = Duration::from_secs(1);

/// The longest that what arrived is given to get done: an hour. What needs more is censored.
const DRAIN_MAX: Duration = Duration::from_secs(3_600);

/// Events for each request to a service, at least: it arrives, is worked on, and is answered.
const EVENTS_EACH: f64 = 3.0;

impl Plan {
    /// What is run for a scenario of a design.
    ///
    /// Each arm is the design with the arm's overlay applied, resolved for itself: names in the scenario are
    /// looked up in the arm's own design.
    ///
    /// # Errors
    /// The design or an arm has mistakes, among them overlays that contradict each other; there is no such
    /// scenario; its load is nothing; it would take for ever; or a fault is about nothing in every arm.
    pub fn of(reading: &Reading, scenario: &str, options: &Options) -> Result<Self, ExperimentError> {
        let base = resolve_arm(reading, None)
            .map_err(|mistakes| ExperimentError::Mistakes { arm: None, mistakes })?;
        let Some(written) = base.scenario(scenario) else {
            let known = base.scenarios.iter().map(|known| known.name.to_string()).collect();
            return Err(ExperimentError::NoScenario { asked: scenario.to_owned(), known });
        };
        let written = wanted(written, options)?;
        let mut arms = Vec::new();
        let mut hit = Vec::new();
        for arm in &written.arms {
            let in_arm = |mistakes| ExperimentError::Mistakes { arm: Some(arm.name.to_string()), mistakes };
            let design = resolve_arm(reading, arm.overlay.as_deref()).map_err(in_arm)?;
            let full = format!("{}/{}", written.namespace, written.name);
            // With an overlay applied a design keeps the scenarios that have an arm with it, as this one has.
            let own = match design.scenario(&full) {
                Some(own) => wanted(own, options)?,
                None => written.clone(),
            };
            arms.push(arm_plan(&design, &own, arm, &mut hit)?);
        }
        if let Some(missed) = written.faults.iter().find(|fault| !hit.contains(&fault.place)) {
            let fault = format!("{} at {}:{}", missed.kind.as_str(), missed.place.file, missed.place.line);
            return Err(ExperimentError::HitsNothing(fault));
        }
        let first = options.first_seed.unwrap_or(1);
        let seeds = u64::from(options.seeds.unwrap_or(written.seeds.value));
        Ok(Self {
            name: written.name.to_string(),
            load: arms.first().map(|arm| words::loads(&arm.model)).unwrap_or_default(),
            faults: fault_words(&arms, written.warm_up.value),
            arms,
            seeds: (first..first.saturating_add(seeds)).collect(),
            warm_up: written.warm_up.value,
            length: written.load.length.value,
            drain: drain(&written),
            limits: Limits::default(),
            within: within(&base, &written),
        })
    }
}

/// The scenario as whoever starts it wants it.
pub(crate) fn wanted(written: &Scenario, options: &Options) -> Result<Scenario, ExperimentError> {
    let mut scenario = written.clone();
    if let Arrivals::TraceFile(file) = &scenario.load.arrivals.value {
        let times = options.trace.clone().ok_or_else(|| ExperimentError::TraceNotRead(file.clone()))?;
        scenario.load.arrivals.value = Arrivals::Trace(times);
    }
    if let Some(length) = options.length {
        scenario.load.length.value = length;
        scenario.faults.retain(|fault| fault.at < length);
    }
    Ok(scenario)
}

pub(crate) fn arm_plan(
    design: &Design,
    own: &Scenario,
    arm: &Arm,
    hit: &mut Vec<bowline_design::Place>,
) -> Result<ArmPlan, ExperimentError> {
    let name = arm.name.to_string();
    let model =
        Model::of(design, own).map_err(|error| ExperimentError::Model { arm: name.clone(), error })?;
    if let Some(events) = too_much(&model, own.warm_up.value.saturating_add(own.load.length.value)) {
        return Err(ExperimentError::TooMuch { events, events_max: Limits::default().events_max });
    }
    let mut faults = Vec::new();
    for fault in &own.faults {
        let alone = Scenario { faults: vec![fault.clone()], ..own.clone() };
        let events = FaultEvent::of(design, &alone);
        if !events.is_empty() {
            hit.push(fault.place.clone());
        }
        faults.extend(events);
    }
    Ok(ArmPlan {
        name,
        overlay: arm.overlay.as_deref().map(str::to_owned),
        objectives: own.objectives.iter().map(Target::of).collect(),
        needs: needs(design, own, &model),
        model: Arc::new(model),
        faults,
    })
}

/// How many events a run would take even with nothing going wrong, if that is more than its limit: then it is
/// refused beforehand.
pub(crate) fn too_much(model: &Model, whole: Duration) -> Option<f64> {
    const SAMPLES: u32 = 1_000;
    let rate_at = |sample: u32| {
        let at = at(whole / SAMPLES * sample);
        model.entries().iter().map(|entry| entry.arrivals.rate_at(at)).sum::<f64>()
    };
    let arrive = (0..SAMPLES).map(rate_at).sum::<f64>() / f64::from(SAMPLES) * seconds(whole);
    let events = arrive * least_work(model).max(1.0) * EVENTS_EACH;
    ((Limits::default().events_max as f64) < events).then_some(events)
}

/// The faults of all arms in words, each once, in order of time.
pub(crate) fn fault_words(arms: &[ArmPlan], warm_up: Duration) -> Vec<FaultWords> {
    let mut faults: Vec<FaultWords> = Vec::new();
    for arm in arms {
        for fault in &arm.faults {
            let words = FaultWords::of(&arm.model, fault, warm_up);
            if !faults.contains(&words) {
                faults.push(words);
            }
        }
    }
    faults.sort_by(|a, b| (a.at, &a.what).cmp(&(b.at, &b.what)));
    faults
}

fn operation_name(design: &Design, service: ServiceId, operation: usize) -> String {
    let service = design.service(service);
    format!("{}.{}", service.name, service.operations[operation].name)
}

// === what is asked of it ===

/// The operation that a load leads to first, where there is one.
fn asked<'d>(design: &'d Design, entry: &Entry) -> Option<(String, &'d Operation)> {
    let (service, operation) = match entry {
        Entry::Operation { service, operation } => (*service, *operation),
        Entry::Intake(id) => {
            let intake = &design.intakes[id.0 as usize];
            match intake.start {
                Start::Call { service, operation, .. } => (service, operation),
                Start::Publish { topic, .. } => {
                    let reads = design.subscriptions.iter().find(|group| group.topic == topic)?;
                    (reads.service, reads.operation)
                }
                Start::Saga { .. } => return None,
            }
        }
        Entry::Route(_) => return None,
    };
    Some((operation_name(design, service, operation), &design.service(service).operations[operation]))
}

/// What the operation that is asked needs of each request, and those inside of the calls to them.
fn needs(design: &Design, scenario: &Scenario, model: &Model) -> Vec<Target> {
    let mut targets = Vec::new();
    let asked = asked(design, &scenario.load.entry);
    if let Some((name, operation)) = &asked
        && let Some(needs) = &operation.needs
    {
        targets.extend(Target::needs_of(name, &needs.value));
    }
    let names: Vec<String> = model.operation_names().collect();
    for (id, service) in design.services() {
        for (index, operation) in service.operations.iter().enumerate() {
            let name = operation_name(design, id, index);
            if asked.as_ref().is_some_and(|(asked, _)| *asked == name) {
                continue;
            }
            let known = names.iter().position(|known| *known == name);
            let target = known.and_then(|known| Target::needs_inside(&name, known as u32, operation));
            targets.extend(target);
        }
    }
    targets
}

/// What "in time" means: what the objectives say of acknowledgements, or else what is needed.
pub(crate) fn within(design: &Design, scenario: &Scenario) -> Duration {
    let objective = |wanted: Option<Quantile>| {
        scenario.objectives.iter().find_map(|objective| match (objective.metric, objective.at_most) {
            (Metric::Ack(quantile), Bound::Time(time)) if wanted.is_none_or(|wanted| wanted == quantile) => {
                Some(time)
            }
            _ => None,
        })
    };
    let needed = || asked(design, &scenario.load.entry)?.1.needs.as_ref()?.value.answer_within;
    objective(Some(Quantile::P99)).or_else(|| objective(None)).or_else(needed).unwrap_or(WITHIN)
}

/// Twice the longest time that an objective speaks of, so that what misses it is seen to miss it.
pub(crate) fn drain(scenario: &Scenario) -> Duration {
    let times = scenario.objectives.iter().filter_map(|objective| match objective.at_most {
        Bound::Time(time) => Some(time.saturating_mul(2)),
        _ => None,
    });
    times.fold(RunSpec::DRAIN, Duration::max).min(DRAIN_MAX)
}
