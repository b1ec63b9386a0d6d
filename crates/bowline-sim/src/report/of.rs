//! From an experiment to a page.

use super::figures;
use super::graph;
use super::page::{
    Arm, Cell, Fault, Hero, Page, Reproduce, Row, Standing as CellStanding, Term, Timeout, Verdict,
};
use crate::definitions::{Class, Recovery, WORDS};
use crate::experiment::{self, Column, Experiment};
use crate::hero;
use crate::objectives::{Judged, Standing, Target};
use crate::run::Ending;
use crate::stats::{Best, Better, Effect, Level, Value, best, effect};

/// What no model has: a sentence each. What a model assumes of one design, it says itself.
const NOT_MODELLED: [&str; 6] = [
    "Decisions are production's own, since the code is; outcomes are a model's: services are distributions of times.",
    "Pauses that nobody planned are not there: garbage collection, throttled processors, cold starts, noisy neighbours.",
    "Connections cost nothing to open, and bytes cost nothing to send: no handshakes, no bandwidth, no head-of-line blocking.",
    "Nothing is scaled while it runs: replicas and consumers stay as many as the design says.",
    "Those who ask are patient and many: they do not reload, and one who was refused does not come back.",
    "Service times do not depend on the data or on each other, and what two services share beside a machine's cores is not there: databases, caches, disks.",
];

/// Words of the page beside those of the definitions.
const CLOCKS: [(&str, &str); 5] = [
    ("acknowledged", "The asker has a good answer, final or \"accepted\" (202)."),
    ("completed", "What was asked for is done."),
    (
        "visible",
        "All that follows from it is done, too; until then somebody may read what is no longer so (staleness).",
    ),
    (
        "percentiles",
        "Of all requests that arrived in the measured window. Those that failed stand behind all others.",
    ),
    (
        "work per request",
        "Requests that services worked on for one from outside, over what it takes when every try succeeds.",
    ),
];

/// Columns that stand in the table whatever they say. The others only where they say something.
const ALWAYS: [Column; 9] = [
    Column::AcknowledgedInTime,
    Column::CompletedP50,
    Column::CompletedP99,
    Column::Failed,
    Column::Staleness,
    Column::Recovery,
    Column::Work,
    Column::Lost,
    Column::Duplicated,
];

impl Page {
    /// The page of an experiment with the design of that name. What `check` finds can be added.
    #[must_use]
    pub fn of(experiment: &Experiment, design: &str, reproduce: Reproduce) -> Self {
        Self {
            scenario: experiment.name.clone(),
            design: design.to_owned(),
            about: hero::about(experiment),
            verdicts: verdicts(experiment),
            hero: table(experiment),
            conclusions: conclusions(experiment),
            warm_up: experiment.warm_up,
            length: experiment.length,
            faults: experiment.faults.iter().map(fault).collect(),
            arms: experiment.arms.iter().map(arm).collect(),
            findings: None,
            definitions: CLOCKS.iter().chain(&WORDS).map(term).collect(),
            assumptions: assumptions(experiment),
            reproduce,
        }
    }
}

/// What follows from the figures: arms that are not stable, and which needs are met.
fn conclusions(experiment: &Experiment) -> Vec<String> {
    let unstable = experiment.arms.iter().filter_map(|arm| {
        let why = match arm.class {
            Class::Stable => return None,
            Class::Vulnerable => "back late, or not in every run",
            Class::Metastable => "what keeps it down is no longer what brought it down",
            Class::Censored => "its runs were over before it was back, and before anybody could tell",
            Class::FailsByItself => "there is no normal to come back to",
        };
        Some(format!("{} is {}: {why}.", arm.name, said(arm.class)))
    });
    unstable.chain(hero::needs(experiment)).collect()
}

/// A class as what an arm is.
const fn said(class: Class) -> &'static str {
    match class {
        Class::Censored => "not judged",
        Class::FailsByItself => "failing by itself",
        Class::Stable | Class::Vulnerable | Class::Metastable => class.as_str(),
    }
}

fn fault(words: &experiment::FaultWords) -> Fault {
    Fault { what: words.what.clone(), at: words.at, until: words.until }
}

fn term((word, meaning): &(&str, &str)) -> Term {
    Term { word: (*word).to_owned(), meaning: (*meaning).to_owned() }
}

/// Those of all arms, each once, then those of every model.
fn assumptions(experiment: &Experiment) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for assumed in experiment.arms.iter().flat_map(|arm| arm.model.assumptions()) {
        if !all.iter().any(|known| **known == **assumed) {
            all.push(assumed.to_string());
        }
    }
    all.extend(NOT_MODELLED.iter().map(|text| (*text).to_owned()));
    all
}

// === an arm ===

fn arm(arm: &experiment::Arm) -> Arm {
    Arm {
        name: arm.name.clone(),
        censored: censored(arm),
        series: arm.first.series.clone(),
        arrived: arm.arrived,
        acknowledged: arm.acknowledged.clone(),
        completed: arm.completed.clone(),
        visible: arm.visible.clone(),
        timeouts: timeouts(arm),
        attribution: arm.attribution,
        graph: graph::of(&arm.model, &arm.first),
    }
}

fn censored(arm: &experiment::Arm) -> Option<String> {
    let short = arm.endings.iter().filter(|ending| **ending != Ending::Done);
    let (count, which) = (short.clone().count(), short.max_by_key(|ending| **ending as u8)?);
    let runs = arm.endings.len();
    Some(if runs == 1 { which.as_str().to_owned() } else { format!("in {count} of {runs} runs {which}") })
}

fn timeouts(arm: &experiment::Arm) -> Vec<Timeout> {
    let operations: Vec<String> = arm.model.operation_names().collect();
    let mut all = Vec::new();
    for edge in arm.model.edges() {
        let Some(operation) = operations.get(edge.to.index()) else { continue };
        let deadline = edge.deadline.map(|after| Timeout { after, what: format!("a call of {operation}") });
        let per_try = edge.policy.retry.per_try;
        let per_try = per_try.map(|after| Timeout { after, what: format!("a try of {operation}") });
        all.extend(deadline.into_iter().chain(per_try));
    }
    all.sort();
    all.dedup();
    all
}

// === the table ===

fn table(experiment: &Experiment) -> Hero {
    let says = |column: Column| {
        let values = experiment.arms.iter().flat_map(|arm| &arm.figure(column).values);
        values.into_iter().any(|value| !matches!(value, Value::Known(number) if *number == 0.0))
    };
    // Shown where it is something else than the share that was acknowledged.
    let differs = |column: Column, from: Column| {
        experiment.arms.iter().any(|arm| arm.figure(column).values != arm.figure(from).values)
    };
    let shown = Column::ALL.into_iter().filter(|column| match column {
        column if ALWAYS.contains(column) => true,
        Column::AnsweredInTime => differs(*column, Column::AcknowledgedInTime),
        Column::CompletedP99OfThose => differs(*column, Column::CompletedP99),
        column => says(*column),
    });
    let mut rows: Vec<Row> = shown.map(|column| row(experiment, column)).collect();
    rows.extend(kept(experiment, "objectives met", |arm| &arm.objectives));
    rows.extend(kept(experiment, "needs met", |arm| &arm.needs));
    Hero { population: "all requests".to_owned(), rows }
}

fn row(experiment: &Experiment, column: Column) -> Row {
    let best = &experiment.comparison(column).best;
    let cell = |(index, arm): (usize, &experiment::Arm)| {
        let mut cell = match column {
            Column::Recovery if !is_back(arm) => Cell { text: hero::recovery(arm), ..Cell::default() },
            column => figures::cell(column.unit(), &arm.figure(column).estimate),
        };
        if *best == Best::One(index) {
            cell.standing = CellStanding::Best;
        }
        cell
    };
    Row { what: title(experiment, column), cells: experiment.arms.iter().enumerate().map(cell).collect() }
}

/// Whether a time is all there is to say about its recovery.
fn is_back(arm: &experiment::Arm) -> bool {
    arm.recoveries.iter().all(|each| matches!(each, Recovery::Back { .. }))
}

fn title(experiment: &Experiment, column: Column) -> String {
    let within = super::words::exact(experiment.within);
    match column {
        Column::AcknowledgedInTime => format!("acknowledged in {within}"),
        Column::AnsweredInTime => format!("final answer in {within}"),
        Column::AcknowledgedP99 => "acknowledged: p99".to_owned(),
        Column::CompletedP50 => "completed: p50".to_owned(),
        Column::CompletedP99 => "completed: p99".to_owned(),
        Column::CompletedP99OfThose => "completed: p99 of those that were".to_owned(),
        Column::Failed => "failed".to_owned(),
        Column::Staleness => "worst staleness".to_owned(),
        Column::Recovery => "back to normal after".to_owned(),
        Column::Work => "work per request".to_owned(),
        Column::Lost => "lost".to_owned(),
        Column::Duplicated => "duplicated".to_owned(),
        Column::Stuck => "stuck".to_owned(),
        Column::Reordered => "reordered".to_owned(),
        Column::Backlog => "most waiting in a topic".to_owned(),
        Column::FailedWithEffect => "failed, and yet something was done".to_owned(),
        Column::Censored => "not seen to the end".to_owned(),
    }
}

fn kept(
    experiment: &Experiment,
    what: &str,
    of: fn(&experiment::Arm) -> &Vec<(Target, Judged)>,
) -> Option<Row> {
    if experiment.arms.iter().all(|arm| of(arm).is_empty()) {
        return None;
    }
    let cell = |arm: &experiment::Arm| {
        let met = of(arm).iter().filter(|(_, judged)| judged.standing == Standing::Met).count();
        let missed = of(arm).iter().any(|(_, judged)| judged.standing == Standing::Missed);
        let standing = if missed { CellStanding::Missed } else { CellStanding::Plain };
        Cell { text: format!("{met} of {}", of(arm).len()), margin: None, standing }
    };
    Some(Row { what: what.to_owned(), cells: experiment.arms.iter().map(cell).collect() })
}

// === the verdicts ===

/// One for each objective and each need that some arm has, in order.
fn verdicts(experiment: &Experiment) -> Vec<Verdict> {
    let targets =
        |arm: &experiment::Arm| arm.objectives.iter().chain(&arm.needs).cloned().collect::<Vec<_>>();
    let arms: Vec<Vec<(Target, Judged)>> = experiment.arms.iter().map(targets).collect();
    let mut wanted: Vec<&Target> = Vec::new();
    for (target, _) in arms.iter().flatten() {
        if !wanted.iter().any(|known| is_same(known, target)) {
            wanted.push(target);
        }
    }
    let find =
        |arm: &[(Target, Judged)], wanted: &Target| arm.iter().find(|(own, _)| is_same(own, wanted)).cloned();
    let each = |wanted: &&Target| {
        verdict(experiment, wanted, &arms.iter().map(|arm| find(arm, wanted)).collect::<Vec<_>>())
    };
    wanted.iter().map(each).collect()
}

/// Operations have other numbers in other arms, so targets are told apart by what they are called.
fn is_same(one: &Target, other: &Target) -> bool {
    one.name == other.name && one.bound == other.bound
}

fn verdict(experiment: &Experiment, wanted: &Target, arms: &[Option<(Target, Judged)>]) -> Verdict {
    let said = |arm: &Option<(Target, Judged)>| match arm {
        None => ("not asked".to_owned(), None),
        Some((target, judged)) => {
            let cell = figures::cell(figures::unit(target), &judged.estimate);
            let met = match judged.standing {
                Standing::Met => Some(true),
                Standing::Missed => Some(false),
                Standing::Unsure => None,
            };
            (figures::plain(&cell), met)
        }
    };
    let best = arms.iter().cloned().collect::<Option<Vec<_>>>().map(|arms| leads(experiment, &arms));
    let objective = format!("{}{}", wanted.name, figures::bound(wanted));
    Verdict { objective, best: best.unwrap_or_default(), arms: arms.iter().map(said).collect() }
}

/// Which arm does best and by how much, or that none does outside the noise.
fn leads(experiment: &Experiment, arms: &[(Target, Judged)]) -> String {
    let values: Vec<Vec<Value>> = arms.iter().map(|(_, judged)| judged.values.clone()).collect();
    let name = |index: usize| experiment.arms[index].name.clone();
    let resolution = figures::resolution(&arms[0].0);
    match best(&values, Better::Lower, resolution) {
        Best::Nothing => String::new(),
        Best::Same => "no difference".to_owned(),
        // One that never got there is not as good as one that did; the seeds are too few to be sure.
        Best::Noise(alike)
            if alike.iter().any(|arm| values[*arm].iter().all(|value| *value == Value::Never)) =>
        {
            "too few seeds to name the best".to_owned()
        }
        Best::Noise(alike) => {
            let names: Vec<String> = alike.into_iter().map(name).collect();
            if names.len() == values.len() {
                return "no winner outside the noise".to_owned();
            }
            format!("{}: between them is only noise", names.join(" or "))
        }
        Best::One(first) => {
            let level = Level::among(values.len());
            let others = (0..values.len()).filter(|index| *index != first);
            let effects: Vec<(usize, Effect)> = others
                .filter_map(|other| Some((other, effect(&values[first], &values[other], resolution, level)?)))
                .collect();
            match effects.iter().min_by(|a, b| a.1.mean.total_cmp(&b.1.mean)) {
                Some((next, effect)) => {
                    let by = figures::difference(figures::unit(&arms[0].0), effect);
                    format!("{} by {by} before {}", name(first), name(*next))
                }
                None => format!("{} alone", name(first)),
            }
        }
    }
}
