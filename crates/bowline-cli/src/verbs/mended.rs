//! `bowline check --simulate`: what each suggested edit would do, before and after, under the design's own load.
//!
//! A rule knows that something can go wrong; how much the edit gives is a question for the simulator. Both run side
//! by side with the same arrivals and the same service times, so that what differs is the edit. Only an edit that is
//! proven is simulated: with it made, the design loads, the finding is gone and no new error is there.

mod told;

use super::design::Loaded;
use super::experiment::{threads, trace, watched};
use crate::arguments::{Check, Output};
use bowline_check::{Finding, Review, Severity};
use bowline_design::resolved::Scenario;
use bowline_design::{Design, Reading, Text, read, resolve};
use bowline_sim::experiment::{ArmPlan, Experiment, Options, Plan};
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

/// Simulates what the edits of all findings would do. What cannot be simulated is said, and the rest goes on.
///
/// `known`: the design with the arrivals that stand in files.
pub(crate) fn simulate(
    check: &Check,
    loaded: &Loaded,
    known: &Design,
    review: &Review,
    output: Output,
) -> Simulated {
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
        match proven(finding, review, (loaded, known), derived.as_ref()) {
            Ok(reading) => {
                mended.push(Mended { finding: index, reading });
                edits.push(Said::Arms(Vec::new()));
            }
            Err(why) => edits.push(Said::Not(why)),
        }
    }
    if mended.is_empty() {
        notes.push("nothing: no finding has an edit that is known to mend it".to_owned());
        return Simulated { edits, ran: Vec::new(), notes };
    }
    if scenarios.is_empty() {
        let why = "no load is known: no Scenario runs the design as it is, and no rate limit names a rate";
        for mended in &mended {
            edits[mended.finding] = Said::Not(why.to_owned());
        }
        notes.push(why.to_owned());
        return Simulated { edits, ran: Vec::new(), notes };
    }
    if derived.is_some() {
        notes.push(DERIVED.to_owned());
    }
    let mut plans = Vec::new();
    for scenario in &scenarios {
        match beside(check, &reading, scenario, &mended) {
            Ok(plan) => plans.push(plan),
            Err(why) => notes.push(format!("not {}: {why}", scenario.name)),
        }
    }
    if plans.is_empty() {
        for mended in &mended {
            edits[mended.finding] = Said::Not("no scenario of the design can be run".to_owned());
        }
    }
    for left_out in fit(check, &mut plans, mended.len()) {
        let why = format!("there is much to simulate; --seeds {SEEDS_MIN} simulates all");
        edits[mended[left_out].finding] = Said::Not(why);
    }
    let mut ran = Vec::new();
    for Beside { plan, arms, shortened } in
        plans.into_iter().filter(|plan| plan.arms.iter().any(Option::is_some))
    {
        let done = watched(&plan.name, output, |progress| plan.run(threads(check.threads), progress));
        let experiment = match done {
            Ok(experiment) => experiment,
            Err(why) => {
                notes.push(format!("not {}: {why}", plan.name));
                continue;
            }
        };
        for (arm, mended) in arms.iter().zip(&mended) {
            if let Said::Arms(arms) = &mut edits[mended.finding] {
                arms.push(*arm);
            }
        }
        ran.push(Ran { experiment, shortened });
    }
    Simulated { edits, ran, notes }
}

fn runs_as_it_is(scenario: &&Scenario) -> bool {
    scenario.arms.iter().any(|arm| arm.overlay.is_none())
}

// === what is simulated ===

/// The design with a finding's edit made, if that is known to mend it; otherwise why not.
fn proven(
    finding: &Finding,
    review: &Review,
    (loaded, known): (&Loaded, &Design),
    derived: Option<&Text>,
) -> Result<Reading, String> {
    if finding.edits.is_empty() {
        return Err("it has no edit: somebody has to choose first".to_owned());
    }
    let mut texts = finding.mended(&loaded.texts).ok_or("its edit cannot be made in this text")?;
    let reading = read(&texts);
    let mut design = resolve(&reading).map_err(|_| "with its edit the design does not load")?;
    design.take_traces(known);
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

/// Both sides of a scenario, or why it cannot be run.
fn beside(
    check: &Check,
    reading: &Reading,
    scenario: &Scenario,
    mended: &[Mended],
) -> Result<Beside, String> {
    let path = check.design.as_deref().unwrap_or(std::path::Path::new("-"));
    let options = Options {
        seeds: Some(check.seeds.unwrap_or(SEEDS)),
        first_seed: Some(1),
        length: check.length,
        trace: trace(scenario, path).map_err(|failure| failure.error.to_string())?,
    };
    let name = format!("{}/{}", scenario.namespace, scenario.name);
    let of = |reading: &Reading| Plan::of(reading, &name, &options).map_err(|error| error.to_string());
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
