//! A scenario, all its arms, many seeds: what is run, and what came of it.
//!
//! A [`Plan`] says what is run: made from a design and one of its scenarios ([`Plan::of`]) or by hand. Running it
//! ([`Plan::run`]) gives an [`Experiment`]: plain data, the same for the same plan on any number of threads.
//!
//! Each arm runs once for each seed, and once more without the faults: its untriggered twin, by which
//! [`definitions`] tell whether it is back to normal. All arms of a seed see the same
//! arrivals and draw the same service times, so that [`stats`](crate::stats) compare designs and not luck.

mod column;
mod error;
mod least;
pub(crate) mod planned;
mod short;
pub(crate) mod words;

pub use column::{Column, Unit};
pub use error::ExperimentError;
pub(crate) use least::least_work;
pub use planned::Options;

use crate::definitions::{self, Class, Recovery, Trigger};
use crate::fault::FaultEvent;
use crate::histogram::Histogram;
use crate::model::Model;
use crate::objectives::{Judged, Seen, Target};
use crate::parallel::run_all;
use crate::run::{Attribution, Cause, Ending, Endless, Limits, Run, RunSpec};
use crate::stats::{Best, Effect, Estimate, Level, Value, best, effect};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// What is run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scenario's name.
    pub name: String,
    /// The variants, the first of which the others are compared with.
    pub arms: Vec<ArmPlan>,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// How long it runs before anything is counted.
    pub warm_up: Duration,
    /// How long requests arrive after that.
    pub length: Duration,
    /// How long they then have to get done.
    pub drain: Duration,
    /// What each run may use.
    pub limits: Limits,
    /// "Acknowledged in time" means within this.
    pub within: Duration,
    /// What arrives, in words: `800/s`.
    pub load: String,
    /// What goes wrong, in words.
    pub faults: Vec<FaultWords>,
}

/// One variant.
#[derive(Clone, Debug)]
pub struct ArmPlan {
    /// Its name.
    pub name: String,
    /// The overlay that makes it; `None`: the design as it is.
    pub overlay: Option<String>,
    /// What is simulated.
    pub model: Arc<Model>,
    /// What goes wrong in it, on the run's clock: the warm-up included.
    pub faults: Vec<FaultEvent>,
    /// The scenario's objectives.
    pub objectives: Vec<Target>,
    /// What its operations need.
    pub needs: Vec<Target>,
}

/// A fault in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultWords {
    /// What, and to whom: `inventory down`.
    pub what: String,
    /// When it begins, after the warm-up.
    pub at: Duration,
    /// When it is over, after the warm-up; `None`: not before the end.
    pub until: Option<Duration>,
}

/// Where an experiment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Runs that are over.
    pub done: usize,
    /// All of them.
    pub of: usize,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// The scenario's name.
    pub name: String,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// How long it ran before anything was counted.
    pub warm_up: Duration,
    /// How long requests arrived after that.
    pub length: Duration,
    /// "Acknowledged in time" means within this.
    pub within: Duration,
    /// What arrived, in words.
    pub load: String,
    /// What went wrong, in words.
    pub faults: Vec<FaultWords>,
    /// The variants.
    pub arms: Vec<Arm>,
    /// What tells them apart, column by column in the order of [`Column::ALL`].
    pub comparisons: Vec<Comparison>,
    /// Events that were simulated, over all runs.
    pub events: u64,
}

/// What came of one variant, over all seeds.
#[derive(Clone, Debug)]
pub struct Arm {
    /// Its name.
    pub name: String,
    /// The overlay that makes it.
    pub overlay: Option<String>,
    /// What is simulated.
    pub model: Arc<Model>,
    /// What each seed gave, column by column in the order of [`Column::ALL`].
    pub figures: Vec<Figure>,
    /// The scenario's objectives.
    pub objectives: Vec<(Target, Judged)>,
    /// What its operations need.
    pub needs: Vec<(Target, Judged)>,
    /// Whether and when each seed was back to normal.
    pub recoveries: Vec<Recovery>,
    /// What they say together.
    pub class: Class,
    /// The utilisation of its busiest part without faults, at the mean over the seeds.
    pub utilisation: f64,
    /// How each seed's run ended.
    pub endings: Vec<Ending>,
    /// The run with the first seed, for its course over time.
    pub first: Run,
    /// The same without the faults.
    pub untriggered: Run,
    /// From arrival to acknowledgement, over all seeds.
    pub acknowledged: Histogram,
    /// From arrival to completion, over all seeds.
    pub completed: Histogram,
    /// From arrival to visibility, over all seeds.
    pub visible: Histogram,
    /// Where the time went, at the mean over the seeds.
    pub attribution: Attribution,
    /// What each edge of the model did, over all seeds.
    pub edges: Vec<EdgeSum>,
    /// Requests that arrived in the measured windows of all seeds.
    pub arrived: u64,
}

/// What each seed gave for one column.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// By seed.
    pub values: Vec<Value>,
    /// Together.
    pub estimate: Estimate,
}

/// What tells the arms apart in one column.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Which column.
    pub column: Column,
    /// How each arm differs from the first; `None`: there is nothing to compare, as for the first itself.
    pub effects: Vec<Option<Effect>>,
    /// Which is best, if that is outside the noise.
    pub best: Best,
}

/// What an edge's calls did, over all seeds and whole runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EdgeSum {
    /// Calls.
    pub calls: u64,
    /// Of those: succeeded.
    pub succeeded: u64,
    /// Tries.
    pub tries: u64,
    /// How often a breaker opened.
    pub opened: u64,
}

/// Runs that are under way before what they gave is taken together, for each thread. More would only cost
/// memory; with fewer, threads wait for each other.
const BATCH: usize = 8;

impl Plan {
    /// Runs it on `threads` threads. `progress` is told each time a run is over, and may break off.
    ///
    /// # Errors
    /// The plan is empty or cannot be run, a run is [`Endless`], or `progress` broke off.
    pub fn run(
        &self,
        threads: NonZeroUsize,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Experiment, ExperimentError> {
        let specs = self.specs()?;
        let mut arms: Vec<Gathered<'_>> = self.arms.iter().map(Gathered::new).collect();
        let mut done = 0;
        for batch in specs.chunks(BATCH * threads.get() * 2) {
            let mut tell = |over: usize| progress(Progress { done: done + over, of: specs.len() });
            let flat: Vec<RunSpec> = batch.iter().map(|(_, spec)| spec.clone()).collect();
            let runs = run_all(&flat, threads, &mut tell);
            if let Some((index, endless)) = Endless::first(runs.iter().map(Option::as_ref)) {
                let arm = self.arms[batch[index].0].name.clone();
                return Err(ExperimentError::Endless { arm, endless });
            }
            for ((arm, _), run) in batch.iter().zip(runs) {
                let run =
                    run.filter(|run| run.ending != Ending::Stopped).ok_or(ExperimentError::BrokenOff)?;
                arms[*arm].take(self, run);
            }
            done += batch.len();
        }
        Ok(self.finish(arms))
    }

    /// How many runs it takes.
    #[must_use]
    pub fn runs(&self) -> usize {
        let each = |arm: &ArmPlan| if arm.faults.is_empty() { 1 } else { 2 };
        self.arms.iter().map(each).sum::<usize>() * self.seeds.len()
    }

    /// All runs, with which arm each is of: for each seed each arm's run without faults and, if it has any, the
    /// one with them.
    fn specs(&self) -> Result<Vec<(usize, RunSpec)>, ExperimentError> {
        if self.arms.is_empty() {
            return Err(ExperimentError::NoArms);
        }
        if self.seeds.is_empty() {
            return Err(ExperimentError::NoSeeds);
        }
        let mut specs = Vec::with_capacity(self.runs());
        for seed in &self.seeds {
            for (index, arm) in self.arms.iter().enumerate() {
                let refused = |error| ExperimentError::Spec { arm: arm.name.clone(), error };
                let spec = RunSpec::new(Arc::clone(&arm.model), *seed, self.warm_up, self.length);
                let spec = spec.map_err(refused)?.with_drain(self.drain).with_limits(self.limits);
                specs.push((index, spec.clone()));
                if !arm.faults.is_empty() {
                    specs.push((index, spec.with_faults(arm.faults.clone()).map_err(refused)?));
                }
            }
        }
        Ok(specs)
    }

    fn finish(&self, gathered: Vec<Gathered<'_>>) -> Experiment {
        let events = gathered.iter().map(|arm| arm.events).sum();
        let arms: Vec<Arm> = gathered.into_iter().filter_map(Gathered::finish).collect();
        let comparisons = Column::ALL.iter().enumerate().map(|(index, column)| {
            let values: Vec<Vec<Value>> = arms.iter().map(|arm| arm.figures[index].values.clone()).collect();
            compare(*column, &values)
        });
        Experiment {
            name: self.name.clone(),
            seeds: self.seeds.clone(),
            warm_up: self.warm_up,
            length: self.length,
            within: self.within,
            load: self.load.clone(),
            faults: self.faults.clone(),
            comparisons: comparisons.collect(),
            arms,
            events,
        }
    }
}

fn compare(column: Column, values: &[Vec<Value>]) -> Comparison {
    let level = Level::among(values.len());
    let resolution = column.resolution();
    let against_first = values
        .iter()
        .enumerate()
        .map(|(index, arm)| if index == 0 { None } else { effect(&values[0], arm, resolution, level) });
    Comparison { column, effects: against_first.collect(), best: best(values, column.better(), resolution) }
}

/// What is kept of an arm's runs while they come in, seed by seed.
struct Gathered<'p> {
    plan: &'p ArmPlan,
    trigger: Option<Trigger>,
    least_work: f64,
    /// The run without faults of the seed whose run with faults has not come in.
    twin: Option<Run>,
    columns: Vec<Vec<Value>>,
    objectives: Vec<Vec<Value>>,
    needs: Vec<Vec<Value>>,
    recoveries: Vec<Recovery>,
    utilisation: f64,
    endings: Vec<Ending>,
    first: Option<(Run, Run)>,
    acknowledged: Histogram,
    completed: Histogram,
    visible: Histogram,
    spent: [[u128; Cause::ALL.len()]; 2],
    edges: Vec<EdgeSum>,
    arrived: u64,
    events: u64,
}

impl<'p> Gathered<'p> {
    fn new(plan: &'p ArmPlan) -> Self {
        Self {
            plan,
            trigger: Trigger::of(&plan.faults),
            least_work: least_work(&plan.model),
            twin: None,
            columns: vec![Vec::new(); Column::ALL.len()],
            objectives: vec![Vec::new(); plan.objectives.len()],
            needs: vec![Vec::new(); plan.needs.len()],
            recoveries: Vec::new(),
            utilisation: 0.0,
            endings: Vec::new(),
            first: None,
            acknowledged: Histogram::default(),
            completed: Histogram::default(),
            visible: Histogram::default(),
            spent: [[0; Cause::ALL.len()]; 2],
            edges: vec![EdgeSum::default(); plan.model.edges().len()],
            arrived: 0,
            events: 0,
        }
    }

    /// Takes the next of the arm's runs: for each seed first the one without faults.
    fn take(&mut self, plan: &Plan, run: Run) {
        self.events += run.events;
        if self.trigger.is_none() {
            return self.seen(plan, &run, &run);
        }
        match self.twin.take() {
            None => self.twin = Some(run),
            Some(twin) => self.seen(plan, &run, &twin),
        }
    }

    fn seen(&mut self, plan: &Plan, run: &Run, twin: &Run) {
        let model = &*self.plan.model;
        let recovery = definitions::recovery(model, run, twin, self.trigger);
        let seen = Seen { run, recovery: &recovery, least_work: self.least_work };
        for (column, values) in Column::ALL.iter().zip(&mut self.columns) {
            values.push(column.value(&seen, plan.within));
        }
        for (target, values) in self.plan.objectives.iter().zip(&mut self.objectives) {
            values.push(target.value(model, &seen));
        }
        for (target, values) in self.plan.needs.iter().zip(&mut self.needs) {
            values.push(target.value(model, &seen));
        }
        self.recoveries.push(recovery);
        self.utilisation += definitions::utilisation(model, twin);
        self.endings.push(run.ending);
        self.acknowledged.merge(&run.clocks.acknowledged);
        self.completed.merge(&run.clocks.completed);
        self.visible.merge(&run.clocks.visible);
        for (sum, spent) in self.spent.iter_mut().zip([run.attribution.p50, run.attribution.p99]) {
            sum.iter_mut().zip(spent).for_each(|(sum, nanos)| *sum += u128::from(nanos));
        }
        for (sum, edge) in self.edges.iter_mut().zip(&run.edges) {
            sum.calls += edge.calls;
            sum.succeeded += edge.succeeded;
            sum.tries += edge.tries;
            sum.opened += edge.opened;
        }
        self.arrived += run.fates.arrived;
        if self.first.is_none() {
            self.first = Some((run.clone(), twin.clone()));
        }
    }

    /// `None` if it was not run.
    fn finish(self) -> Option<Arm> {
        let (first, untriggered) = self.first?;
        let seeds = self.recoveries.len();
        let mean = |sums: [u128; Cause::ALL.len()]| {
            sums.map(|sum| u64::try_from(sum / seeds as u128).unwrap_or(u64::MAX))
        };
        let figure = |values: Vec<Value>| Figure { estimate: Estimate::of(&values), values };
        let judge = |targets: &[Target], values: Vec<Vec<Value>>| {
            targets
                .iter()
                .zip(values)
                .map(|(target, values)| (target.clone(), target.judge(values)))
                .collect()
        };
        Some(Arm {
            name: self.plan.name.clone(),
            overlay: self.plan.overlay.clone(),
            model: Arc::clone(&self.plan.model),
            figures: self.columns.into_iter().map(figure).collect(),
            objectives: judge(&self.plan.objectives, self.objectives),
            needs: judge(&self.plan.needs, self.needs),
            class: Class::of(&self.recoveries),
            recoveries: self.recoveries,
            utilisation: self.utilisation / seeds as f64,
            endings: self.endings,
            first,
            untriggered,
            acknowledged: self.acknowledged,
            completed: self.completed,
            visible: self.visible,
            attribution: Attribution { p50: mean(self.spent[0]), p99: mean(self.spent[1]) },
            edges: self.edges,
            arrived: self.arrived,
        })
    }
}

impl Arm {
    /// What it gave for a column.
    #[must_use]
    pub fn figure(&self, column: Column) -> &Figure {
        &self.figures[column as usize]
    }
}

impl Experiment {
    /// What tells the arms apart in a column.
    #[must_use]
    pub fn comparison(&self, column: Column) -> &Comparison {
        &self.comparisons[column as usize]
    }
}
