//! A design under one or two parameters turned over a grid: where it is stable, and where it tips.
//!
//! Each cell of the grid is the same plan with the knobs turned, run over its seeds and judged by
//! [`definitions`]. The design's own point is always on the grid: by its value, or, where calls have several
//! values or none, as a point at which nothing is turned.

mod knob;

pub use knob::Knob;

use crate::arrivals::ArrivalsError;
use crate::definitions::{self, Class, Recovery, Trigger};
use crate::experiment::planned::too_much;
use crate::experiment::{ArmPlan, Plan, Progress, Unit};
use crate::fault::FaultEvent;
use crate::hero::{self, Json, number};
use crate::model::{Model, ServiceId};
use crate::objectives::recovered;
use crate::parallel::run_all;
use crate::run::{Ending, Endless, Limits, Run, RunSpec, SpecError};
use crate::stats::{Estimate, Value};
use std::fmt;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// The most values on one axis: more fit on no page.
pub const VALUES_MAX: usize = 64;

/// What is turned, and to which values.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What.
    pub knob: Knob,
    /// The service whose calls (or queue) it is about; `None`: all.
    pub at: Option<String>,
    /// To which values, in any order; the design's own is added.
    pub values: Vec<f64>,
}

/// One axis of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    /// What was turned.
    pub knob: Knob,
    /// The service it was about; `None`: all.
    pub at: Option<String>,
    /// Where it stood, rising; the design as it is, if that is no one value, first.
    pub values: Vec<Setting>,
    /// Which of them is the design's own.
    pub own: usize,
}

/// Where a knob stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Setting {
    /// Where the design has it: at several values (some calls have two tries, others three), or at none (a
    /// queue without an end). It is not turned.
    AsItIs,
    /// At this value.
    At(f64),
}

impl Setting {
    /// The value; `None` where it is not turned.
    #[must_use]
    pub const fn value(self) -> Option<f64> {
        match self {
            Self::AsItIs => None,
            Self::At(value) => Some(value),
        }
    }

    /// What is not turned first, then by value.
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        match (self.value(), other.value()) {
            (Some(one), Some(other)) => one.total_cmp(&other),
            (one, other) => one.is_some().cmp(&other.is_some()),
        }
    }
}

/// What became of a design on a grid.
#[derive(Clone, Debug)]
pub struct Map {
    /// The scenario's name.
    pub scenario: String,
    /// The arm's name.
    pub arm: String,
    /// The seeds of each cell.
    pub seeds: Vec<u64>,
    /// Across.
    pub x: Scale,
    /// Down; `None`: one row.
    pub y: Option<Scale>,
    /// The cells, row by row.
    pub cells: Vec<Cell>,
}

/// What became of one point.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Where it stands across.
    pub x: Setting,
    /// Where it stands down; `None`: there is one row.
    pub y: Option<Setting>,
    /// What its seeds say together.
    pub class: Class,
    /// Each seed's recovery.
    pub recoveries: Vec<Recovery>,
    /// How long it took, in seconds.
    pub recovery: Estimate,
    /// The share of requests that failed.
    pub failed: Estimate,
}

/// Why there is no map.
#[derive(Debug)]
pub enum SweepError {
    /// The plan has not that many arms.
    NoArm(usize),
    /// No seeds.
    NoSeeds,
    /// An axis without values, or with more than [`VALUES_MAX`].
    Values(Knob, usize),
    /// A knob does not take a value.
    Value {
        /// Which knob.
        knob: Knob,
        /// The value.
        value: f64,
    },
    /// Both axes turn the same.
    Twice(Knob),
    /// There is no such service.
    NoService(String),
    /// Arrivals that come at fixed times, which no factor changes.
    FixedArrivals,
    /// A load that begins with nothing, of which no factor makes more.
    NoRate,
    /// Requests cannot come at the rate of a point.
    Arrivals(ArrivalsError),
    /// There is no fault whose length could be turned.
    NoFault,
    /// A point would take about so many events, more than a run may.
    TooMuch(f64),
    /// It cannot be run.
    Spec(SpecError),
    /// A run did not come to an end.
    Endless(Endless),
    /// Whoever watched broke it off.
    BrokenOff,
}

/// Nothing is looked at after the load has ended, so hardly anything has to be run.
const DRAIN: Duration = Duration::from_secs(1);

/// Models that are run together: enough for every thread to have work, few enough for their runs to be kept.
const BATCH: usize = 8;

/// One point of the grid, before it is run.
struct Point {
    x: Setting,
    y: Option<Setting>,
    faults: Vec<FaultEvent>,
}

/// Turns the knobs of a plan's arm over a grid.
///
/// # Errors
/// The grid or the plan cannot be, or `progress` broke off.
pub fn sweep(
    plan: &Plan,
    arm: usize,
    x: &Axis,
    y: Option<&Axis>,
    threads: NonZeroUsize,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Map, SweepError> {
    let own = plan.arms.get(arm).ok_or(SweepError::NoArm(arm))?;
    if plan.seeds.is_empty() {
        return Err(SweepError::NoSeeds);
    }
    if let Some(y) = y.filter(|y| (y.knob, &y.at) == (x.knob, &x.at)) {
        return Err(SweepError::Twice(y.knob));
    }
    let (across, x_at) = scale(own, x)?;
    let down = y.map(|y| scale(own, y)).transpose()?;
    let (down, y_at) = down.map_or((None, None), |(down, at)| (Some(down), at));
    let grid = grid(own, (&across, x_at), down.as_ref().map(|down| (down, y_at)))?;
    let whole = plan.warm_up.saturating_add(plan.length);
    if let Some(events) = grid.iter().find_map(|(model, _)| too_much(model, whole)) {
        return Err(SweepError::TooMuch(events));
    }

    let seeds = plan.seeds.len();
    let of = grid
        .iter()
        .map(|(_, points)| (points.iter().filter(|point| !point.faults.is_empty()).count() + 1) * seeds);
    let of = of.sum();
    let (mut cells, mut done) = (Vec::new(), 0);
    for batch in grid.chunks(BATCH * threads.get()) {
        let mut specs = Vec::new();
        for (model, points) in batch {
            specs.extend(specs_of(plan, model, points).map_err(SweepError::Spec)?);
        }
        let mut tell = |over: usize| progress(Progress { done: done + over, of });
        let runs = run_all(&specs, threads, &mut tell);
        if let Some((_, endless)) = Endless::first(runs.iter().map(Option::as_ref)) {
            return Err(SweepError::Endless(endless));
        }
        let runs: Option<Vec<Run>> = runs.into_iter().collect();
        let runs = runs.filter(|runs| runs.iter().all(|run| run.ending != Ending::Stopped));
        let runs = runs.ok_or(SweepError::BrokenOff)?;
        done += runs.len();
        let mut runs = runs.chunks(seeds);
        for (model, points) in batch {
            let twins = runs.next().unwrap_or_default();
            for point in points {
                let own = if point.faults.is_empty() { twins } else { runs.next().unwrap_or_default() };
                cells.push(cell(model, point, own, twins));
            }
        }
    }
    // Points of one model were run together; the map goes row by row.
    cells.sort_by(|a: &Cell, b: &Cell| {
        let row = |cell: &Cell| cell.y.unwrap_or(Setting::AsItIs);
        row(a).order(&row(b)).then_with(|| a.x.order(&b.x))
    });
    Ok(Map {
        scenario: plan.name.clone(),
        arm: own.name.clone(),
        seeds: plan.seeds.clone(),
        x: across,
        y: down,
        cells,
    })
}

/// An axis with the design's own point on it.
fn scale(arm: &ArmPlan, axis: &Axis) -> Result<(Scale, Option<ServiceId>), SweepError> {
    let knob = axis.knob;
    if axis.values.is_empty() || VALUES_MAX < axis.values.len() {
        return Err(SweepError::Values(knob, axis.values.len()));
    }
    if let Some(value) = axis.values.iter().find(|value| !knob.takes(**value)) {
        return Err(SweepError::Value { knob, value: *value });
    }
    if knob == Knob::Outage && arm.faults.is_empty() {
        return Err(SweepError::NoFault);
    }
    let named =
        |name: &String| arm.model.service_named(name).ok_or_else(|| SweepError::NoService(name.clone()));
    let at = axis.at.as_ref().map(named).transpose()?;
    let own = knob.now(&arm.model, &arm.faults, at).filter(|own| knob.takes(*own));
    let own = own.map_or(Setting::AsItIs, Setting::At);
    let mut values: Vec<Setting> = axis.values.iter().copied().map(Setting::At).chain([own]).collect();
    values.sort_by(Setting::order);
    values.dedup();
    let own = values.iter().position(|value| value.order(&own).is_eq()).unwrap_or_default();
    Ok((Scale { knob, at: axis.at.clone(), values, own }, at))
}

/// A model of the grid and its points: those that differ in their faults alone share one, and so the runs
/// without faults.
type Shared = (Arc<Model>, Vec<Point>);

/// All points of the grid.
fn grid(
    arm: &ArmPlan,
    x: (&Scale, Option<ServiceId>),
    y: Option<(&Scale, Option<ServiceId>)>,
) -> Result<Vec<Shared>, SweepError> {
    // The axis that changes the model goes round on the outside.
    let swapped = y.is_some() && x.0.knob.is_of_faults();
    let (outer, inner) = match y {
        Some(y) if swapped => (y, Some(x)),
        y => (x, y),
    };
    let mut grid: Vec<Shared> = Vec::new();
    for outside in &outer.0.values {
        let mut model = (*arm.model).clone();
        let mut faults = arm.faults.clone();
        outer.0.knob.turn(*outside, outer.1, &mut model, &mut faults)?;
        let Some(inner) = inner else {
            grid.push((Arc::new(model), vec![Point { x: *outside, y: None, faults }]));
            continue;
        };
        let mut points = Vec::new();
        for inside in &inner.0.values {
            let (mut model, mut faults) = (model.clone(), faults.clone());
            inner.0.knob.turn(*inside, inner.1, &mut model, &mut faults)?;
            let (x, y) = if swapped { (*inside, *outside) } else { (*outside, *inside) };
            points.push((model, Point { x, y: Some(y), faults }));
        }
        if inner.0.knob.is_of_faults() {
            grid.push((Arc::new(model), points.into_iter().map(|(_, point)| point).collect()));
        } else {
            grid.extend(points.into_iter().map(|(model, point)| (Arc::new(model), vec![point])));
        }
    }
    Ok(grid)
}

/// Without faults first, then each point that has some; seed by seed.
fn specs_of(plan: &Plan, model: &Arc<Model>, points: &[Point]) -> Result<Vec<RunSpec>, SpecError> {
    let mut specs = Vec::new();
    let spec = |seed: &u64| {
        let spec = RunSpec::new(Arc::clone(model), *seed, plan.warm_up, plan.length)?;
        Ok::<_, SpecError>(spec.with_drain(DRAIN).with_limits(plan.limits))
    };
    for seed in &plan.seeds {
        specs.push(spec(seed)?);
    }
    for point in points.iter().filter(|point| !point.faults.is_empty()) {
        for seed in &plan.seeds {
            specs.push(spec(seed)?.with_faults(point.faults.clone())?);
        }
    }
    Ok(specs)
}

fn cell(model: &Model, point: &Point, runs: &[Run], twins: &[Run]) -> Cell {
    let trigger = Trigger::of(&point.faults);
    let pairs = runs.iter().zip(twins);
    let recoveries: Vec<Recovery> =
        pairs.map(|(run, twin)| definitions::recovery(model, run, twin, trigger)).collect();
    let times: Vec<Value> = recoveries.iter().map(recovered).collect();
    let failed = runs.iter().map(|run| match run.fates.arrived {
        0 => Value::Unknown,
        arrived => Value::Known(run.fates.failed as f64 / arrived as f64),
    });
    Cell {
        x: point.x,
        y: point.y,
        class: Class::of(&recoveries),
        recoveries,
        recovery: Estimate::of(&times),
        failed: Estimate::of(&failed.collect::<Vec<_>>()),
    }
}

impl Scale {
    /// What is turned: `load`, `timeout of inventory`.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.at {
            Some(at) => format!("{} of {at}", self.knob.as_str()),
            None => self.knob.as_str().to_owned(),
        }
    }

    /// A value with its unit.
    #[must_use]
    pub fn value(&self, setting: Setting) -> String {
        let Setting::At(value) = setting else { return "as it is".to_owned() };
        match self.knob {
            Knob::Load => format!("{value}/s"),
            Knob::Outage | Knob::Timeout => {
                let span = Duration::from_secs_f64(value);
                bowline_design::format::format_duration(span)
            }
            Knob::Tries | Knob::Queue => format!("{value}"),
        }
    }
}

impl Map {
    /// The cell at these indexes of its axes.
    #[must_use]
    pub fn cell(&self, x: usize, y: usize) -> Option<&Cell> {
        self.cells.get(y * self.x.values.len() + x)
    }

    /// Whether the cell at these indexes is the design as it is.
    #[must_use]
    pub fn is_own(&self, x: usize, y: usize) -> bool {
        self.x.own == x && self.y.as_ref().is_none_or(|scale| scale.own == y)
    }

    /// The map as text: how long recovery took, and a letter where it did not.
    #[must_use]
    pub fn text(&self) -> String {
        let across = self.x.name();
        let mut head =
            format!("  {}, arm {}: back to normal after, by {across} (across)", self.scenario, self.arm);
        if let Some(y) = &self.y {
            head.push_str(&format!(" and {} (down)", y.name()));
        }
        let seeds = self.seeds.len();
        head.push_str(&format!(", {seeds} seed{} a cell\n\n", if seeds == 1 { "" } else { "s" }));
        let mut rows = vec![vec![self.y.as_ref().map_or(String::new(), Scale::name)]];
        rows[0].extend(self.x.values.iter().map(|value| format!(" {}", self.x.value(*value))));
        let downs = self.y.as_ref().map_or(1, |scale| scale.values.len());
        for y in 0..downs {
            let mut row = vec![self.y.as_ref().map_or(String::new(), |scale| scale.value(scale.values[y]))];
            for x in 0..self.x.values.len() {
                let said = self.cell(x, y).map_or(String::new(), said);
                row.push(if self.is_own(x, y) { format!("[{said}]") } else { format!(" {said}") });
            }
            rows.push(row);
        }
        let mut text = head;
        for line in hero::aligned(&rows) {
            text.push_str(&format!("  {line}\n"));
        }
        text.push_str("\n  M metastable   v vulnerable   ? censored: the load ended too soon to tell   x fails by itself");
        text.push_str("   [] the design as it is\n");
        text
    }

    /// The map as JSON. A knob that is not turned stands at `null`.
    #[must_use]
    pub fn json(&self) -> String {
        let scale = |scale: &Scale| {
            Json::Object(vec![
                ("knob", Json::text(scale.knob.as_str())),
                ("at", scale.at.as_ref().map_or(Json::Null, Json::text)),
                ("values", Json::list(scale.values.iter().map(|setting| Json::maybe(setting.value())))),
                ("own", Json::maybe(scale.values[scale.own].value())),
            ])
        };
        let cell = |cell: &Cell| {
            Json::Object(vec![
                ("x", Json::maybe(cell.x.value())),
                ("y", Json::maybe(cell.y.and_then(Setting::value))),
                ("class", Json::text(cell.class.as_str())),
                ("recoverySeconds", Json::Object(Json::estimate(&cell.recovery))),
                ("failedShare", Json::Object(Json::estimate(&cell.failed))),
                ("recoveries", Json::list(cell.recoveries.iter().map(hero::recovery_json))),
            ])
        };
        Json::Object(vec![
            ("version", Json::Count(2)),
            ("scenario", Json::text(&self.scenario)),
            ("arm", Json::text(&self.arm)),
            ("seeds", Json::list(self.seeds.iter().map(|seed| Json::Count(*seed)))),
            ("x", scale(&self.x)),
            ("y", self.y.as_ref().map_or(Json::Null, scale)),
            ("cells", Json::list(self.cells.iter().map(cell))),
        ])
        .to_string()
    }
}

/// A cell in a few letters.
fn said(cell: &Cell) -> String {
    let time = || cell.recovery.mean.map_or(String::new(), |mean| number(Unit::Seconds, mean));
    match cell.class {
        Class::Stable if cell.recoveries.iter().all(|each| *each == Recovery::Untriggered) => "ok".to_owned(),
        Class::Stable => time(),
        Class::Vulnerable if 0 < cell.recovery.at_least => "v".to_owned(),
        Class::Vulnerable => format!("v {}", time()),
        Class::Metastable => "M".to_owned(),
        Class::Censored => "?".to_owned(),
        Class::FailsByItself => "x".to_owned(),
    }
}

impl fmt::Display for SweepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoArm(arm) => write!(f, "there is no arm {}", arm + 1),
            Self::NoSeeds => f.write_str("a sweep needs a seed"),
            Self::Values(knob, count) => {
                write!(f, "{} takes 1 to {VALUES_MAX} values, not {count}", knob.as_str())
            }
            Self::Value { knob, value } => match knob {
                Knob::Load | Knob::Outage | Knob::Timeout => {
                    write!(f, "{} must be above zero, not {value}", knob.as_str())
                }
                Knob::Tries => write!(f, "tries are whole and at least 1, not {value}"),
                Knob::Queue => write!(f, "a queue's places are whole, not {value}"),
            },
            Self::Twice(knob) => write!(f, "{} is turned on both axes", knob.as_str()),
            Self::NoService(name) => write!(f, "there is no service `{name}`"),
            Self::FixedArrivals => {
                f.write_str("the load comes at fixed times or in batches, which cannot be turned")
            }
            Self::NoRate => {
                f.write_str("the load begins at a rate of nothing, of which no factor makes more")
            }
            Self::Arrivals(error) => error.fmt(f),
            Self::NoFault => f.write_str("the scenario has no fault whose length could be turned"),
            Self::TooMuch(events) => write!(
                f,
                "a point would take about {events:.0} events a run, more than {}: shorten it or lower its rate",
                Limits::default().events_max
            ),
            Self::Spec(_) => f.write_str("it cannot be run"),
            Self::Endless(endless) => endless.fmt(f),
            Self::BrokenOff => f.write_str("it was broken off"),
        }
    }
}

impl std::error::Error for SweepError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Spec(error) => Some(error),
            _ => None,
        }
    }
}
