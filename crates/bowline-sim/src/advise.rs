//! Advice on each call of a design: what it would give as a call, as a record, and as both, by what the business
//! needs.
//!
//! Numbers first: each way is run through the scenarios like any arm, with the same customers, and judged by the
//! needs that the operations declare. What is only reckoned (what has to be up, how tries multiply) is said to
//! be. The opinion comes last and is a sentence: it counts needs and prefers what is there.

mod text;
mod ways;

use crate::experiment::planned::{arm_plan, drain, fault_words, wanted, within};
use crate::experiment::{ArmPlan, Experiment, ExperimentError, Options, Plan, Progress, words};
use crate::objectives::Standing;
use crate::run::Limits;
use bowline_design::resolved::Design;
use bowline_design::resolved::scenario::{Arm as WrittenArm, Scenario};
use bowline_design::resolved::service::Consistency;
use bowline_design::{Reading, resolve_arm};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use ways::{EDGES_MAX, Edge, longest_outage, path, to_be_safe, variant, way_in};

/// A way to take a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// Call, and wait.
    Sync,
    /// Call, and write down what it does not do in time.
    Hybrid,
    /// Write down, do it later.
    Async,
}

impl Way {
    /// All, what is simplest first.
    pub const ALL: [Self; 3] = [Self::Sync, Self::Hybrid, Self::Async];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Hybrid => "hybrid",
            Self::Async => "async",
        }
    }
}

/// Advice on a design under several scenarios.
#[derive(Clone, Debug)]
pub struct Advice {
    /// The scenarios, each with an arm for every way that differs from the design as it is.
    pub experiments: Vec<Experiment>,
    /// The calls.
    pub calls: Vec<CallAdvice>,
    /// Calls on which no advice is given, because there are more than anybody reads.
    pub left_out: usize,
}

/// Advice on one call.
#[derive(Clone, Debug)]
pub struct CallAdvice {
    /// Which: `orders.place -> stock.take`, or `(way in) -> orders.place`.
    pub name: String,
    /// How it is taken now.
    pub now: Way,
    /// The ways.
    pub ways: Vec<WayAdvice>,
    /// One sentence.
    pub opinion: String,
}

/// What one way gives.
#[derive(Clone, Debug)]
pub struct WayAdvice {
    /// Which.
    pub way: Way,
    /// Why it cannot be had; then there is nothing else.
    pub impossible: Option<&'static str>,
    /// Which arm of each experiment is this way.
    pub arms: Vec<usize>,
    /// Services and brokers that have to be up for an answer.
    pub must_be_up: usize,
    /// The share of time in which they are, if each is so 99.9 % of the time by itself.
    pub availability: f64,
    /// Tries that one request can cause at one operation, by the worst path.
    pub tries_max: f64,
    /// Each need, over all scenarios.
    pub needs: Vec<NeedMet>,
    /// What the design has to say for it to be safe.
    pub safe: Vec<String>,
    /// The documents that make the design so; empty where it is so already.
    pub says: String,
}

/// What a way makes of a need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeedMet {
    /// The need: `orders.place answerWithin 300ms`.
    pub need: String,
    /// Whether it is met in every scenario.
    pub standing: Standing,
    /// Why, where no run had to say so.
    pub why: Option<&'static str>,
}

/// A way of a call, before it is run.
#[derive(Clone)]
struct Candidate {
    edge: usize,
    way: Way,
    design: Design,
    scenario: Scenario,
    says: String,
}

/// Advice on each call that the scenarios' loads cause. All of them have to begin at the same operation.
///
/// # Errors
/// As for [`Plan::of`].
pub fn advise(
    reading: &Reading,
    scenarios: &[&str],
    options: &Options,
    threads: NonZeroUsize,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Advice, ExperimentError> {
    let design =
        resolve_arm(reading, None).map_err(|mistakes| ExperimentError::Mistakes { arm: None, mistakes })?;
    let mut edges: Vec<Edge> = Vec::new();
    let mut planned = Vec::new();
    for name in scenarios {
        let Some(written) = design.scenario(name) else {
            let known = design.scenarios.iter().map(|known| known.name.to_string()).collect();
            return Err(ExperimentError::NoScenario { asked: (*name).to_owned(), known });
        };
        let written = wanted(written, options)?;
        let own = ways::edges(&design, &written);
        if edges.is_empty() {
            edges = own;
        }
        planned.push(written);
    }
    let left_out = edges.len().saturating_sub(EDGES_MAX);
    edges.truncate(EDGES_MAX);

    let plans: Vec<(Plan, Vec<Candidate>)> = planned
        .into_iter()
        .map(|scenario| plan(reading, &design, scenario, &edges, options))
        .collect::<Result<_, _>>()?;
    let of = plans.iter().map(|(plan, _)| plan.runs()).sum();
    let (mut experiments, mut done) = (Vec::new(), 0);
    for (plan, _) in &plans {
        let mut tell = |now: Progress| progress(Progress { done: done + now.done, of });
        experiments.push(plan.run(threads, &mut tell)?);
        done += plan.runs();
    }
    let calls = (0..edges.len()).map(|edge| call(&design, &edges, edge, &plans, &experiments));
    Ok(Advice { calls: calls.collect(), experiments, left_out })
}

/// The design as it is, and each way of each call that differs from it.
fn plan(
    reading: &Reading,
    design: &Design,
    scenario: Scenario,
    edges: &[Edge],
    options: &Options,
) -> Result<(Plan, Vec<Candidate>), ExperimentError> {
    let mut candidates = Vec::new();
    let overlaid = overlaid(reading, &scenario, options)?;
    for (index, edge) in edges.iter().enumerate() {
        let now = now(design, &scenario, edge);
        for way in Way::ALL.into_iter().filter(|way| *way != now) {
            // What the design says of it already is better than anything made up here.
            let own = overlaid.iter().find(|own| edge.from.is_none() && own.way == way);
            if let Some(own) = own.filter(|own| ways::asked(&own.design, &own.scenario) == Some(edge.to)) {
                candidates.push(Candidate { edge: index, ..own.clone() });
            } else if let Some(variant) = variant(design, &scenario, edge, way) {
                let ways::Variant { design, scenario, says } = variant;
                candidates.push(Candidate { edge: index, way, design, scenario, says });
            }
        }
    }
    let mut hit = Vec::new();
    let mut arm = |name: String, design: &Design, scenario: &Scenario| {
        let from = bowline_design::Source::Default("advice");
        let arm = WrittenArm { name: name.into(), overlay: None, from };
        arm_plan(design, scenario, &arm, &mut hit)
    };
    let mut arms: Vec<ArmPlan> = vec![arm("as it is".to_owned(), design, &scenario)?];
    for candidate in &candidates {
        let name = format!("{} {}", edge_name(design, &edges[candidate.edge]), candidate.way.as_str());
        arms.push(arm(name, &candidate.design, &candidate.scenario)?);
    }
    let first = options.first_seed.unwrap_or(1);
    let seeds = u64::from(options.seeds.unwrap_or(scenario.seeds.value));
    let plan = Plan {
        name: scenario.name.to_string(),
        load: words::loads(&arms[0].model),
        faults: fault_words(&arms, scenario.warm_up.value),
        seeds: (first..first.saturating_add(seeds)).collect(),
        warm_up: scenario.warm_up.value,
        length: scenario.load.length.value,
        drain: drain(&scenario),
        limits: Limits::default(),
        within: within(design, &scenario),
        arms,
    };
    // What the design is as it stands comes first, as the first arm does.
    let as_it_is =
        Candidate { edge: usize::MAX, way: Way::Sync, design: design.clone(), scenario, says: String::new() };
    candidates.insert(0, as_it_is);
    Ok((plan, candidates))
}

/// The ways in that the scenario's own arms take.
fn overlaid(
    reading: &Reading,
    scenario: &Scenario,
    options: &Options,
) -> Result<Vec<Candidate>, ExperimentError> {
    let mut overlaid = Vec::new();
    for arm in &scenario.arms {
        let Some(overlay) = &arm.overlay else { continue };
        let in_arm = |mistakes| ExperimentError::Mistakes { arm: Some(arm.name.to_string()), mistakes };
        let design = resolve_arm(reading, Some(overlay)).map_err(in_arm)?;
        if let Some(own) = design.scenario(&format!("{}/{}", scenario.namespace, scenario.name)) {
            let own = wanted(own, options)?;
            let (way, says) = (way_in(&design, &own), format!("# as the overlay {overlay} says\n"));
            overlaid.push(Candidate { edge: 0, way, design: design.clone(), scenario: own, says });
        }
    }
    Ok(overlaid)
}

fn now(design: &Design, scenario: &Scenario, edge: &Edge) -> Way {
    if edge.from.is_none() { way_in(design, scenario) } else { Way::Sync }
}

fn edge_name(design: &Design, edge: &Edge) -> String {
    let from = edge.from.map_or("(way in)".to_owned(), |from| design.name_of(from));
    format!("{from} -> {}", design.name_of(edge.to))
}

fn call(
    design: &Design,
    edges: &[Edge],
    index: usize,
    plans: &[(Plan, Vec<Candidate>)],
    experiments: &[Experiment],
) -> CallAdvice {
    let edge = &edges[index];
    let now = plans.first().map_or(Way::Sync, |(_, all)| now(design, &all[0].scenario, edge));
    let way = |way: Way| {
        // Which arm of each experiment it is.
        let arm_of = |candidates: &[Candidate]| {
            let own = candidates.iter().position(|each| (each.edge, each.way) == (index, way));
            if way == now { Some(0) } else { own }
        };
        let arms: Option<Vec<usize>> = plans.iter().map(|(_, candidates)| arm_of(candidates)).collect();
        let Some(arms) = arms.filter(|arms| !arms.is_empty()) else { return impossible(way) };
        let first = &plans[0].1[arms[0]];
        let path = path(&first.design, &first.scenario);
        let busy = experiments.iter().zip(&arms).map(|(experiment, arm)| experiment.arms[*arm].utilisation);
        let outage = plans.iter().map(|(_, all)| longest_outage(&all[0].scenario)).max().unwrap_or_default();
        WayAdvice {
            way,
            impossible: None,
            must_be_up: path.must_be_up,
            availability: path.availability,
            tries_max: path.tries_max,
            needs: needs(design, edge, way, experiments, &arms),
            safe: to_be_safe(design, edge, way, outage, busy.fold(0.0, f64::max)),
            says: first.says.clone(),
            arms,
        }
    };
    let ways: Vec<WayAdvice> = Way::ALL.into_iter().map(way).collect();
    CallAdvice { name: edge_name(design, edge), now, opinion: opinion(now, &ways), ways }
}

fn impossible(way: Way) -> WayAdvice {
    WayAdvice {
        way,
        impossible: Some(
            "an operation calls or publishes; only an intake can do the one and, if that fails, the other",
        ),
        arms: Vec::new(),
        must_be_up: 0,
        availability: 0.0,
        tries_max: 0.0,
        needs: Vec::new(),
        safe: Vec::new(),
        says: String::new(),
    }
}

/// What a way makes of each need, over all scenarios.
fn needs(design: &Design, edge: &Edge, way: Way, experiments: &[Experiment], arms: &[usize]) -> Vec<NeedMet> {
    let callee = design.name_of(edge.to);
    let inside = edge.from.is_some();
    let mut needs: Vec<NeedMet> = Vec::new();
    for (experiment, arm) in experiments.iter().zip(arms) {
        for (target, judged) in &experiment.arms[*arm].needs {
            let need = format!("{} {}", target.name, target.bound);
            // Whoever reads records waits for no answer.
            let unasked =
                way == Way::Async && inside && target.is_inside() && target.name.starts_with(&callee);
            let (standing, why) =
                if unasked { (Standing::Met, Some("nobody waits for it")) } else { (judged.standing, None) };
            match needs.iter_mut().find(|known| known.need == need) {
                Some(known) => known.standing = worse(known.standing, standing),
                None => needs.push(NeedMet { need, standing, why }),
            }
        }
    }
    let declared = design.operation(edge.to).needs.as_ref().map(|needs| &needs.value);
    if inside && declared.and_then(|needs| needs.consistency) == Some(Consistency::Strong) {
        let (standing, why) = match way {
            Way::Sync => (Standing::Met, "its caller waits for it"),
            Way::Async | Way::Hybrid => (Standing::Missed, "its caller has answered before it is done"),
        };
        needs.push(NeedMet { need: format!("{callee} consistency strong"), standing, why: Some(why) });
    }
    needs
}

const fn worse(a: Standing, b: Standing) -> Standing {
    match (a, b) {
        (Standing::Missed, _) | (_, Standing::Missed) => Standing::Missed,
        (Standing::Unsure, _) | (_, Standing::Unsure) => Standing::Unsure,
        (Standing::Met, Standing::Met) => Standing::Met,
    }
}

/// The way that meets the most needs; of equals the one that is there, and then the simplest.
fn opinion(now: Way, ways: &[WayAdvice]) -> String {
    let met = |way: &WayAdvice| way.needs.iter().filter(|need| need.standing == Standing::Met).count();
    let possible: Vec<&WayAdvice> = ways.iter().filter(|way| way.impossible.is_none()).collect();
    let Some(stay) = possible.iter().find(|way| way.way == now) else { return "none".to_owned() };
    if possible.iter().all(|way| way.needs.is_empty()) {
        return "none: no operation on the way says what it needs".to_owned();
    }
    let unsure = |way: &WayAdvice| {
        let count = way.needs.iter().filter(|need| need.standing == Standing::Unsure).count();
        if count == 0 { String::new() } else { format!(", and {count} cannot be told") }
    };
    let counted = |way: &WayAdvice| format!("{} of {} needs{}", met(way), way.needs.len(), unsure(way));
    let short = |way: &WayAdvice| format!("{} of {}{}", met(way), way.needs.len(), unsure(way));
    let mut best = *stay;
    for way in &possible {
        if met(best) < met(way) {
            best = way;
        }
    }
    if best.way == now {
        return format!("stay {}: it meets {}, and no other way more", now.as_str(), counted(best));
    }
    let (way, now) = (best.way.as_str(), now.as_str());
    format!("{way}: it meets {}, where {now}, as it is, meets {}", counted(best), short(stay))
}
