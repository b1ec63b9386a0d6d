//! `bowline check --simulate`: what each suggested edit would do, before and after, under the design's own load.
//!
//! A rule knows that something can go wrong; how much the edit gives is a question for the simulator. Both run side
//! by side with the same arrivals and the same service times, so that what differs is the edit. Only an edit that is
//! proven is simulated: with it made, the design loads, the finding is gone and no new error is there.

use super::design::Loaded;
use super::experiment::{threads, trace, watched};
use crate::arguments::{Check, Output};
use crate::{Failure, print};
use bowline_check::{Finding, Review, Severity};
use bowline_design::format::format_duration;
use bowline_design::resolved::Scenario;
use bowline_design::{Reading, Text, read, resolve};
use bowline_sim::experiment::{ArmPlan, Column, Experiment, Options, Plan};
use bowline_sim::hero;
use bowline_sim::stats::{Better, Value};
use serde_json::{Value as Json, json};
use std::fmt::Write;
use std::time::Duration;

/// How often each is run, where nobody says: enough for an interval that tells a halving from chance, and few
/// enough to wait for.
const SEEDS: u32 = 5;

/// The fewest that are run when there is much to simulate: two would give intervals that hold anything.
const SEEDS_MIN: u32 = 3;

/// How long it runs before the first fault: what is normal shows within seconds at any rate worth simulating.
const BEFORE: Duration = Duration::from_secs(10);

/// How long after the last: who is not back to normal by then is said to need longer.
const AFTER: Duration = Duration::from_secs(40);

/// So long where there is no fault: what comes of chance alone takes longer to show.
const QUIET: Duration = Duration::from_secs(120);

/// Requests to services that are simulated at most, over all runs: about fifteen seconds on two cores.
const WORK_MAX: f64 = 4e7;

/// What is told of each edit, with the word for people.
const COLUMNS: [(Column, &str); 4] = [
    (Column::AcknowledgedP99, "acknowledged p99"),
    (Column::Failed, "failed"),
    (Column::Work, "work per request"),
    (Column::Recovery, "recovery"),
];

/// What was simulated.
pub(crate) struct Simulated {
    /// For each finding: what is said of its edit.
    edits: Vec<Said>,
    /// For each scenario that was run: all edits that make a difference to it, beside the design as it is.
    ran: Vec<Ran>,
    /// Why something, or all of it, was not.
    notes: Vec<String>,
}

/// What is said of a finding's edit.
enum Said {
    /// Why it is not simulated.
    Not(String),
    /// It was; the index of its arm in each of `ran`, none where it changes nothing there.
    Arms(Vec<Option<usize>>),
}

struct Ran {
    experiment: Experiment,
    /// What was made shorter.
    shortened: Option<Duration>,
}

/// A finding's design with its edit made.
struct Mended {
    finding: usize,
    reading: Reading,
}

/// Simulates what the edits of all findings would do.
///
/// # Errors
/// A scenario of the design cannot be run.
pub(crate) fn simulate(
    check: &Check,
    loaded: &Loaded,
    review: &Review,
    output: Output,
) -> Result<Simulated, Failure> {
    let (derived, mut notes) = (derived(loaded), Vec::new());
    let mut texts = loaded.texts.clone();
    texts.extend(derived.clone());
    let reading = read(&texts);
    let scenarios = match resolve(&reading) {
        Ok(design) => design.scenarios.iter().filter(runs_as_it_is).cloned().collect(),
        Err(_) => Vec::new(),
    };
    let mut edits: Vec<Said> = Vec::new();
    let mut mended: Vec<Mended> = Vec::new();
    for (index, finding) in review.findings.iter().enumerate() {
        match proven(finding, review, loaded, derived.as_ref()) {
            Ok(reading) => {
                mended.push(Mended { finding: index, reading });
                edits.push(Said::Arms(Vec::new()));
            }
            Err(why) => edits.push(Said::Not(why)),
        }
    }
    if mended.is_empty() {
        notes.push("nothing: no finding has an edit that is known to mend it".to_owned());
        return Ok(Simulated { edits, ran: Vec::new(), notes });
    }
    if scenarios.is_empty() {
        let why = "no load is known: no Scenario runs the design as it is, and no rate limit names a rate";
        for mended in &mended {
            edits[mended.finding] = Said::Not(why.to_owned());
        }
        notes.push(why.to_owned());
        return Ok(Simulated { edits, ran: Vec::new(), notes });
    }
    if derived.is_some() {
        notes.push(DERIVED.to_owned());
    }
    let mut plans = Vec::new();
    for scenario in &scenarios {
        plans.push(beside(check, &reading, scenario, &mended)?);
    }
    for left_out in fit(check, &mut plans, mended.len()) {
        let why = format!("there is much to simulate; --seeds {SEEDS_MIN} simulates all");
        edits[mended[left_out].finding] = Said::Not(why);
    }
    let mut ran = Vec::new();
    for plan in plans {
        let runs = plan.arms.iter().any(Option::is_some);
        for (arm, mended) in plan.arms.iter().zip(&mended) {
            if let Said::Arms(arms) = &mut edits[mended.finding]
                && runs
            {
                arms.push(*arm);
            }
        }
        if runs {
            let done =
                watched(&plan.plan.name, output, |progress| plan.plan.run(threads(check.threads), progress));
            ran.push(Ran { experiment: done.map_err(Failure::findings)?, shortened: plan.shortened });
        }
    }
    Ok(Simulated { edits, ran, notes })
}

fn runs_as_it_is(scenario: &&Scenario) -> bool {
    scenario.arms.iter().any(|arm| arm.overlay.is_none())
}

// === what is simulated ===

/// The design with a finding's edit made, if that is known to mend it; otherwise why not.
fn proven(
    finding: &Finding,
    review: &Review,
    loaded: &Loaded,
    derived: Option<&Text>,
) -> Result<Reading, String> {
    if finding.edits.is_empty() {
        return Err("it has no edit: somebody has to choose first".to_owned());
    }
    let mut texts = finding.mended(&loaded.texts).ok_or("its edit cannot be made in this text")?;
    let reading = read(&texts);
    let design = resolve(&reading).map_err(|_| "with its edit the design does not load")?;
    let after = bowline_check::check(&design, &reading.documents);
    let about = |finding: &Finding| {
        (finding.rule, finding.severity, finding.place.resource.clone(), finding.place.path.clone())
    };
    if after.iter().any(|other| about(other) == about(finding)) {
        return Err("its edit is not proven to mend it".to_owned());
    }
    let errors =
        |findings: &[Finding]| findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let excused = review.excused.iter().filter(|excused| excused.finding.severity == Severity::Error);
    if errors(&after) > errors(&review.findings) + excused.count() {
        return Err("its edit brings an error of another rule".to_owned());
    }
    match derived {
        None => Ok(reading),
        Some(derived) => {
            texts.push(derived.clone());
            Ok(read(&texts))
        }
    }
}

/// What is said of a derived scenario.
const DERIVED: &str = "the design has no Scenario: simulated is what its highest rate limit lets through, with the service \
     down for 10 s";

/// A small scenario where the design has none and a rate limit says how much may come: that much, and the service
/// away for a while.
fn derived(loaded: &Loaded) -> Option<Text> {
    if !loaded.design.scenarios.is_empty() {
        return None;
    }
    let limited = loaded.design.services().flat_map(|(_, service)| {
        service.operations.iter().filter_map(move |operation| {
            let rate = operation.settings.rate.as_ref()?.value.per_second;
            (rate > 0).then_some((rate, service, operation))
        })
    });
    let (rate, service, operation) = limited.max_by_key(|(rate, ..)| *rate)?;
    let text = format!(
        "apiVersion: bowline.dev/v1alpha1\nkind: Scenario\nmetadata: {{ name: rate-limit, namespace: {} }}\nspec:\n  \
         load: {{ operation: {}.{}, arrivals: poisson, rate: {rate}/s, for: 60s }}\n  \
         faults: [ {{ at: 10s, for: 10s, service: {}, crash: {{}} }} ]\n",
        service.namespace, service.name, operation.name, service.name
    );
    Some(Text { name: "the rate limit".into(), text })
}

/// A scenario with the design as it is and every mended one that differs there.
struct Beside {
    plan: Plan,
    /// For each mended design its arm; none where the scenario does not reach what the edit changes.
    arms: Vec<Option<usize>>,
    shortened: Option<Duration>,
}

fn beside(
    check: &Check,
    reading: &Reading,
    scenario: &Scenario,
    mended: &[Mended],
) -> Result<Beside, Failure> {
    let path = check.design.as_deref().unwrap_or(std::path::Path::new("-"));
    let options = Options {
        seeds: Some(check.seeds.unwrap_or(SEEDS)),
        first_seed: Some(1),
        length: check.length,
        trace: trace(scenario, path)?,
    };
    let name = format!("{}/{}", scenario.namespace, scenario.name);
    let of = |reading: &Reading| Plan::of(reading, &name, &options).map_err(Failure::findings);
    let mut plan = of(reading)?;
    plan.arms.retain(|arm| arm.overlay.is_none());
    plan.arms.truncate(1);
    let written = plan.length;
    let mut arms = Vec::new();
    for mended in mended {
        let other = of(&mended.reading)?.arms.into_iter().find(|arm| arm.overlay.is_none());
        let other = other.filter(|other| plan.arms.first().is_none_or(|base| differ(base, other)));
        arms.push(other.is_some().then_some(plan.arms.len()));
        plan.arms.extend(other);
    }
    // The names stand in no output: findings name their edits.
    for (index, arm) in plan.arms.iter_mut().enumerate().skip(1) {
        arm.name = format!("edit {index}");
    }
    let plan = match (check.length, plan.faults.is_empty()) {
        (Some(_), _) => plan,
        (None, true) => plan.shortened(Duration::ZERO, QUIET),
        (None, false) => plan.shortened(BEFORE, AFTER),
    };
    let shortened = (plan.length < written).then_some(written);
    Ok(Beside { plan, arms, shortened })
}

/// Whether two models are not the same: then there is something to see.
fn differ(a: &ArmPlan, b: &ArmPlan) -> bool {
    format!("{:?}", a.model) != format!("{:?}", b.model)
}

/// Makes it few enough runs to wait for, unless whoever asks has said how many: fewer seeds, then fewer findings,
/// the gravest of which come first. Answers with those that are left out.
fn fit(check: &Check, plans: &mut [Beside], mended: usize) -> Vec<usize> {
    let work = |plans: &[Beside]| -> f64 {
        plans.iter().filter(|plan| plan.plan.arms.len() > 1).map(|plan| plan.plan.work()).sum()
    };
    if check.seeds.is_some() || work(plans) <= WORK_MAX {
        return Vec::new();
    }
    for plan in &mut *plans {
        plan.plan.seeds.truncate(SEEDS_MIN as usize);
    }
    let mut left_out = Vec::new();
    for index in (1..mended).rev() {
        if work(plans) <= WORK_MAX {
            break;
        }
        left_out.push(index);
        for plan in &mut *plans {
            if let Some(arm) = plan.arms[index].take() {
                // Arms stand in the order of the findings: this one is the last.
                plan.plan.arms.truncate(arm);
            }
        }
    }
    left_out
}

// === what is said of it ===

/// Whether the edit changes a figure, and which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Better,
    Worse,
    /// The same in every run, or as far as figures are written.
    Same,
    /// What differs may be chance.
    Noise,
}

impl Verdict {
    fn of(experiment: &Experiment, column: Column, arm: usize) -> Self {
        let figures = [0, arm].map(|arm| experiment.arms[arm].figure(column));
        let [before, after] = figures.map(|figure| &figure.values);
        let [seen, then] = figures.map(|figure| hero::cell(column.unit(), &figure.estimate));
        if before == after || seen == then {
            return Self::Same;
        }
        // A request that is never done, or a run that is never back, is worse than any number.
        let all_known = |values: &[Value]| values.iter().all(|value| value.known().is_some());
        let none_known = |values: &[Value]| values.iter().all(|value| value.known().is_none());
        let bounded_by = |values: &[Value], bounds: &[Value]| {
            values.iter().zip(bounds).all(|pair| match pair {
                (Value::Known(value), Value::AtLeast(bound)) => value < bound,
                (Value::Known(_), Value::Never) => true,
                _ => false,
            })
        };
        if all_known(after) && none_known(before) && bounded_by(after, before) {
            return Self::Better;
        }
        if all_known(before) && none_known(after) && bounded_by(before, after) {
            return Self::Worse;
        }
        match experiment.comparison(column).effects[arm].filter(|effect| effect.outside_noise) {
            None => Self::Noise,
            Some(effect) if (effect.mean < 0.0) == (column.better() == Better::Lower) => Self::Better,
            Some(_) => Self::Worse,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Same => "same",
            Self::Noise => "within the noise",
        }
    }
}

impl Simulated {
    /// What stands below a finding.
    pub(crate) fn text(&self, finding: usize) -> String {
        let arms = match &self.edits[finding] {
            Said::Not(why) => return format!("    = not simulated: {why}\n"),
            Said::Arms(arms) => arms,
        };
        let mut text = String::new();
        for (ran, arm) in self.ran.iter().zip(arms) {
            let Some(arm) = *arm else { continue };
            let rows: Vec<_> =
                COLUMNS.iter().filter_map(|column| row(&ran.experiment, *column, arm)).collect();
            if rows.iter().all(|[.., verdict]| verdict == Verdict::Same.as_str()) {
                let as_before: Vec<String> =
                    rows.iter().map(|[what, before, ..]| format!("{what} {before}")).collect();
                let (name, as_before) = (&ran.experiment.name, as_before.join(", "));
                let _ = writeln!(text, "    = with the edit, under {name} nothing changes: {as_before}");
                continue;
            }
            let width = |cell: usize| rows.iter().map(|row| row[cell].chars().count()).max().unwrap_or(0);
            let widths = [width(0), width(1), width(2)];
            let _ = writeln!(text, "    = with the edit, under {}:", ran.experiment.name);
            for [what, before, after, verdict] in &rows {
                let verdict = match verdict.as_str() {
                    "better" => print::style("32", verdict),
                    "worse" => print::style("31", verdict),
                    _ => print::dim(verdict),
                };
                let [a, b, c] = widths;
                let _ = writeln!(text, "        {what:<a$}  {before:>b$} -> {after:<c$}  {verdict}");
            }
        }
        if text.is_empty() {
            text.push_str(
                "    = not simulated: no scenario reaches what the edit changes, or it changes no figure\n",
            );
        }
        text
    }

    /// The last lines: what was run.
    pub(crate) fn sum(&self, took: Duration) -> String {
        let mut text = String::new();
        for Ran { experiment, shortened } in &self.ran {
            let cut = shortened.map_or(String::new(), |from| format!(", cut from {}", format_duration(from)));
            let _ = writeln!(text, "simulated: {}: {}{cut}", experiment.name, about(experiment));
        }
        if !self.ran.is_empty() {
            let events: u64 = self.ran.iter().map(|ran| ran.experiment.events).sum();
            let _ = writeln!(
                text,
                "  {:.1} million events in {:.1} s; +- is the 95 % interval of the mean, `better` and `worse` hold at 99 %",
                events as f64 / 1e6,
                took.as_secs_f64()
            );
        }
        for note in &self.notes {
            let _ = writeln!(text, "simulated: {note}");
        }
        text
    }

    /// What a program gets for a finding: null where nothing was simulated.
    pub(crate) fn finding_json(&self, finding: usize) -> Json {
        let arms = match &self.edits[finding] {
            Said::Not(why) => return json!({"not": why, "scenarios": []}),
            Said::Arms(arms) => arms,
        };
        let of = |(ran, arm): (&Ran, &Option<usize>)| {
            let columns = COLUMNS.iter().map(|(column, _)| figures(&ran.experiment, *column, (*arm)?));
            Some(json!({"scenario": ran.experiment.name, "figures": columns.collect::<Option<Vec<_>>>()?}))
        };
        json!({"not": null, "scenarios": self.ran.iter().zip(arms).filter_map(of).collect::<Vec<_>>()})
    }

    /// What a program gets about all of it.
    pub(crate) fn json(&self) -> Json {
        let of = |Ran { experiment, shortened }: &Ran| {
            json!({
                "scenario": experiment.name,
                "load": experiment.load,
                "faults": experiment.faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "lengthSeconds": experiment.length.as_secs_f64(),
                "cutFromSeconds": shortened.map(|from| from.as_secs_f64()),
                "seeds": experiment.seeds,
                "events": experiment.events,
            })
        };
        json!({"ran": self.ran.iter().map(of).collect::<Vec<_>>(), "notes": self.notes})
    }
}

/// `60 s of 800/s, inventory down 10..20 s, 5 seeds, each as it is and with 2 edits`.
fn about(experiment: &Experiment) -> String {
    let edits = super::design::counted(experiment.arms.len() - 1, "edit");
    let about = hero::about(experiment);
    let about = about.rsplit_once(", ").map_or(about.as_str(), |(about, _)| about);
    format!("{about}, as it is and with {edits}")
}

/// What, before, after and the verdict; none where the column says nothing, as recovery without faults.
fn row(experiment: &Experiment, (column, what): (Column, &str), arm: usize) -> Option<[String; 4]> {
    let figure = |arm: usize| &experiment.arms[arm].figure(column).estimate;
    let (before, after) = (figure(0), figure(arm));
    if before.unknown == experiment.seeds.len() && after.unknown == experiment.seeds.len() {
        return None;
    }
    if column == Column::Recovery && experiment.faults.is_empty() {
        return None;
    }
    let cell = |estimate| hero::cell(column.unit(), estimate);
    let verdict = Verdict::of(experiment, column, arm).as_str();
    Some([what.to_owned(), cell(before), cell(after), verdict.to_owned()])
}

fn figures(experiment: &Experiment, column: Column, arm: usize) -> Option<Json> {
    let estimate = |arm: usize| {
        let estimate = &experiment.arms.get(arm)?.figure(column).estimate;
        Some(json!({
            "mean": estimate.mean,
            "half": estimate.half,
            "runs": estimate.runs,
            "atLeast": estimate.at_least,
            "never": estimate.never,
        }))
    };
    let effect = experiment.comparison(column).effects[arm];
    Some(json!({
        "figure": column.id(),
        "unit": column.unit().as_str(),
        "before": estimate(0)?,
        "after": estimate(arm)?,
        "difference": effect.map(|effect| json!({"mean": effect.mean, "half": effect.half})),
        "verdict": Verdict::of(experiment, column, arm).as_str(),
    }))
}
