//! What "recovered", "metastable" and "stable" mean, decided before any number was seen.
//!
//! Why a module: the most quoted figures of a report, how long it took to recover and whether it ever did,
//! depend on a definition more than on the system. These are ours; [`WORDS`] says them in sentences, and a
//! report prints those.
//!
//! The measure is always the **untriggered run**: the same arm, the same seed, the same arrivals and service
//! times, without the faults. Its own scatter makes a **band**, and a run is back to normal once it is within
//! the band and stays there. A fixed threshold ("p99 below 300 ms") would call a slow design never recovered and
//! a fast one never hurt.

use crate::fault::FaultEvent;
use crate::model::Model;
use crate::run::{Ending, Run};
use crate::series::{Point, Series};
use bowline_model::Instant;
use std::time::Duration;

/// How far above the untriggered run's share of failed requests (or of requests that were only accepted) a
/// second may lie: 5 of 100. Less than what people notice on a chart, more than what one unlucky request in a
/// quiet second makes.
pub const SHARE_SLACK: f64 = 0.05;

/// How far above the untriggered run's times and requests in flight a second may lie, at least: 5 %. A model
/// without any randomness has no scatter, and its band would have no width.
pub const RELATIVE_SLACK: f64 = 0.05;

/// How many standard deviations of the untriggered run's own seconds the band reaches. Queues have
/// exponential tails, of which 0.7 % lie beyond four; a bell curve has fewer.
pub const SIGMAS: f64 = 4.0;

/// How long a run must stay within the band to be back: ten seconds, of which one may lie outside. A retry
/// storm that breathes has good seconds, and rarely ten of them.
pub const HOLD: usize = 10;

/// Of all seconds after it is back, one in this many may lie outside the band, as now and then one of the
/// untriggered run does: that is no relapse.
pub const STAYS: usize = 20;

/// The half-width of the window over which the untriggered run is averaged, in seconds: wide enough to be
/// steady, narrow enough to follow a ramp.
pub const WINDOW: usize = 30;

/// How many drain times a run has to come back before it is called metastable: three. The drain law is exact
/// when nothing is repeated; ten percent of retries already double it (8800 / (1000 - 880) s in the place of
/// 8000 / (1000 - 800) s), and that is slow, not stuck.
pub const DRAINS: u32 = 3;

/// It has at least this long, whatever the drain time: an open breaker waits ten seconds before it probes, and
/// twice as long the second time.
pub const GRACE: Duration = Duration::from_secs(30);

/// Below this many more requests in flight nothing is called growth: a run of a minute at ten a second is
/// rough.
const GROWTH_MIN: f64 = 20.0;

/// Requests in flight that grow by more than this share of what arrives never stop growing: one percent. At 98
/// percent of capacity a queue still wanders by a tenth of that over minutes.
const GROWTH_SHARE: f64 = 0.01;

/// From this share of failed requests on a run fails, whoever's fault it is: half.
const FAILING_SHARE: f64 = 0.5;

/// Two requests more in flight, or a tenth of a millisecond, are nothing.
const IN_FLIGHT_SLACK: f64 = 2.0;
const NANOS_SLACK: f64 = 100_000.0;

/// The words of a report and what they mean.
pub const WORDS: [(&str, &str); 8] = [
    ("untriggered run", "The same arm with the same seed, arrivals and service times, without the faults."),
    (
        "band",
        "For each second: the untriggered run's share of failed requests and of requests that were accepted \
         and not finished, each plus 5 points; the mean time of its answers and its requests in flight, each \
         averaged over a minute, plus 5 % or four standard deviations of its seconds, whichever is more.",
    ),
    (
        "back to normal after",
        "From the end of the last fault to the first second within the band from which on nine of ten \
         seconds are, for ten seconds, and 19 of 20, to the end of the load.",
    ),
    (
        "drain time",
        "How long what piled up needs to be worked off: the time the faults lasted times u / (1 - u), with u \
         the utilisation of the busiest service or consumer group in the untriggered run.",
    ),
    (
        "metastable",
        "Not back three drain times (at least 30 s) after the last fault is gone, although the untriggered run \
         is well: what keeps it down is no longer what brought it down.",
    ),
    (
        "vulnerable",
        "Back in some seeds and metastable in others, or back only after more than three drain times.",
    ),
    (
        "censored",
        "The load ended before it was back, and before three drain times had passed: nobody knows. It is \
         counted as what was seen at least, never as never.",
    ),
    (
        "fails by itself",
        "The untriggered run does not keep up either: more than half of its last requests fail, or its \
         requests in flight grow without an end. There is no normal to come back to.",
    ),
];

/// When something goes wrong, from the first fault to the last, on the run's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// When the first fault begins.
    pub from: Duration,
    /// When the last is gone; `None`: one of them stays to the end.
    pub gone: Option<Duration>,
}

impl Trigger {
    /// From the first of these faults to the last; `None` without any.
    #[must_use]
    pub fn of(faults: &[FaultEvent]) -> Option<Self> {
        let since = |at: Instant| Duration::from_nanos(at.as_nanos());
        let from = faults.iter().map(|fault| since(fault.at)).min()?;
        let over = faults.iter().map(|fault| fault.over_at().map(since));
        let gone = over.reduce(|a, b| Some(a?.max(b?))).flatten();
        Some(Self { from, gone })
    }
}

/// Whether and when a run was back to normal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing went wrong.
    Untriggered,
    /// What went wrong stayed to the end of the load.
    TriggerStays,
    /// There is no normal: the untriggered run does not keep up.
    FailsByItself(Ailment),
    /// Back this long after the last fault was gone.
    Back {
        /// How long; to the second.
        after: Duration,
        /// Later than [`DRAINS`] drain times: for so long it was metastable.
        late: bool,
    },
    /// Not back, and it had long enough.
    Metastable {
        /// How long it was watched after the last fault was gone.
        watched: Duration,
    },
    /// Not back when the load ended, and it might yet have come.
    Censored {
        /// How long it was watched after the last fault was gone.
        watched: Duration,
        /// How long it would have had to be.
        needed: Duration,
    },
}

/// Why an untriggered run is not well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ailment {
    /// More than half of the last quarter's requests fail.
    Fails,
    /// Requests in flight grow without an end.
    Grows,
    /// It reached a limit of the simulation.
    Limit(Ending),
}

impl Ailment {
    /// One sentence without its end.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fails => "more than half of its requests fail without any fault",
            Self::Grows => "it does not keep up with its load without any fault",
            Self::Limit(_) => "it reached a limit of the simulation without any fault",
        }
    }
}

/// What several seeds say together about a design under a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Back in time in every seed.
    Stable,
    /// Back in some seeds and metastable in others, or back late.
    Vulnerable,
    /// Not back in time in any seed that could tell.
    Metastable,
    /// No seed that is not back could tell.
    Censored,
    /// Fails without the trigger in some seed.
    FailsByItself,
}

impl Class {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Vulnerable => "vulnerable",
            Self::Metastable => "metastable",
            Self::Censored => "censored",
            Self::FailsByItself => "fails by itself",
        }
    }

    /// What these runs, one a seed, say together.
    #[must_use]
    pub fn of(recoveries: &[Recovery]) -> Self {
        let any = |is: fn(&Recovery) -> bool| recoveries.iter().any(is);
        let fails = any(|each| matches!(each, Recovery::FailsByItself(_)));
        let late = any(|each| matches!(each, Recovery::Back { late: true, .. }));
        let back = any(|each| matches!(each, Recovery::Back { .. } | Recovery::Untriggered));
        let metastable = any(|each| matches!(each, Recovery::Metastable { .. }));
        let censored = any(|each| matches!(each, Recovery::Censored { .. } | Recovery::TriggerStays));
        match (metastable, back) {
            _ if fails => Self::FailsByItself,
            (true, true) => Self::Vulnerable,
            (true, false) => Self::Metastable,
            (false, _) if late => Self::Vulnerable,
            (false, _) if censored => Self::Censored,
            (false, _) => Self::Stable,
        }
    }
}

/// Whether and when `run` was back to normal, by its untriggered twin: see [`WORDS`].
#[must_use]
pub fn recovery(model: &Model, run: &Run, twin: &Run, trigger: Option<Trigger>) -> Recovery {
    if let Err(ailment) = keeps_up(twin) {
        return Recovery::FailsByItself(ailment);
    }
    let Some(trigger) = trigger else { return Recovery::Untriggered };
    let Some(gone) = trigger.gone.filter(|gone| *gone < run.to) else { return Recovery::TriggerStays };
    let needed = drain_time(model, twin, gone.saturating_sub(trigger.from)).map(|drain| drain * DRAINS);
    // A service that is always busy never drains: what is not back by the end is then never judged.
    let needed = needed.unwrap_or(Duration::MAX).max(GRACE);
    judge(&run.series, &twin.series, (run.from, run.to), gone, needed)
}

/// The same on bare series: the load from `window.0` to `window.1`, the last fault gone at `gone`, metastable
/// if not back `needed` after it.
#[must_use]
pub fn judge(
    run: &Series,
    twin: &Series,
    window: (Duration, Duration),
    gone: Duration,
    needed: Duration,
) -> Recovery {
    let seconds = run.seconds.max(twin.seconds);
    let (run, twin) = (run.coarse(seconds), twin.coarse(seconds));
    let length = Duration::from_secs(seconds.into());
    let index = |at: Duration| (at.as_nanos() / length.as_nanos()) as usize;
    let first = window.0.as_nanos().div_ceil(length.as_nanos()) as usize;
    // A run that was stopped short has no points for the rest: what is not there was not seen.
    let last = index(window.1).min(run.len()).min(twin.len());
    let watched = (length * last as u32).saturating_sub(gone);
    let not_back = || {
        if needed <= watched {
            Recovery::Metastable { watched }
        } else {
            Recovery::Censored { watched, needed }
        }
    };
    if last <= first {
        return not_back();
    }
    let bands = bands(&twin[first..last]);
    let outside: Vec<bool> =
        run[first..last].iter().zip(&bands).map(|(point, band)| !band.holds(point)).collect();
    let start = index(gone).saturating_sub(first);
    match back_at(&outside, start) {
        Some(at) => {
            let after = (length * (first + at) as u32).saturating_sub(gone);
            Recovery::Back { after, late: needed < after }
        }
        None => not_back(),
    }
}

/// The first point from `start` on that is within the band and from which on the run stays: see [`HOLD`] and
/// [`STAYS`].
fn back_at(outside: &[bool], start: usize) -> Option<usize> {
    // How many of the points from each on lie outside.
    let mut rest = vec![0; outside.len() + 1];
    for at in (0..outside.len()).rev() {
        rest[at] = rest[at + 1] + usize::from(outside[at]);
    }
    (start..outside.len().saturating_sub(HOLD - 1)).find(|at| {
        let held = rest[*at] - rest[at + HOLD];
        let left = outside.len() - at;
        // Few points may hold the one that ten of them may.
        !outside[*at] && held <= HOLD / 10 && rest[*at] <= (left / STAYS).max(HOLD / 10)
    })
}

/// How long what piles up while nothing is done needs to be worked off: λT / (μ - λ), which is T u / (1 - u)
/// with the utilisation u = λ / μ of the busiest part of the untriggered run. `None`: it is never worked off.
#[must_use]
pub fn drain_time(model: &Model, twin: &Run, outage: Duration) -> Option<Duration> {
    let busy = utilisation(model, twin);
    (busy < 1.0).then(|| Duration::try_from_secs_f64(outage.as_secs_f64() * busy / (1.0 - busy)).ok())?
}

/// The utilisation of the busiest service or consumer group while there was load: 1 is all places taken all
/// the time.
#[must_use]
pub fn utilisation(model: &Model, run: &Run) -> f64 {
    let span = run.ended_at.min(run.to).as_secs_f64();
    let of = |busy_ns: f64, places: f64| if span <= 0.0 { 0.0 } else { busy_ns / 1e9 / (places * span) };
    let services = model.services.iter().zip(&run.services).map(|(service, did)| {
        of(did.busy as f64, f64::from(service.replicas) * f64::from(service.concurrency))
    });
    let groups = model.subscriptions.iter().map(|subscription| {
        let calls = run.edges.get(subscription.spec.deliver.index());
        let busy = calls.map_or(0.0, |calls| calls.took.mean().as_nanos() as f64 * calls.took.count() as f64);
        of(busy, f64::from(subscription.spec.concurrency))
    });
    services.chain(groups).fold(0.0, f64::max)
}

/// Whether a run without faults keeps up with its load.
///
/// # Errors
/// What is wrong with it.
pub fn keeps_up(run: &Run) -> Result<(), Ailment> {
    if matches!(run.ending, Ending::EventsMax | Ending::InFlightMax) {
        return Err(Ailment::Limit(run.ending));
    }
    let length = run.series.interval();
    let first = run.from.as_nanos().div_ceil(length.as_nanos()) as usize;
    let last = ((run.to.as_nanos() / length.as_nanos()) as usize).min(run.series.points.len());
    let quarter = last.saturating_sub(first) / 4;
    if quarter == 0 {
        return Ok(());
    }
    let points = &run.series.points[first..last];
    let (second, fourth) = (&points[quarter..2 * quarter], &points[points.len() - quarter..]);
    let sum = |points: &[Point], of: fn(&Point) -> u64| points.iter().map(of).sum::<u64>() as f64;
    let failed = sum(fourth, |point| point.failed);
    if FAILING_SHARE * sum(fourth, ended) < failed {
        return Err(Ailment::Fails);
    }
    let in_flight = |points| sum(points, |point| u64::from(point.in_flight)) / quarter as f64;
    let growth = in_flight(fourth) - in_flight(second);
    // From the middle of the second quarter to that of the last there are two quarters.
    let arrived = sum(second, |point| point.offered) + sum(fourth, |point| point.offered);
    if GROWTH_MIN < growth && GROWTH_SHARE * arrived < growth {
        return Err(Ailment::Grows);
    }
    Ok(())
}

const fn ended(point: &Point) -> u64 {
    point.answered + point.accepted + point.failed
}

/// A span in seconds.
#[must_use]
pub(crate) fn seconds(span: Duration) -> f64 {
    span.as_secs_f64()
}

// === the band ===

/// What a point may show and be normal.
#[derive(Clone, Copy, Debug)]
struct Band {
    failed_share: f64,
    accepted_share: f64,
    /// Mean nanoseconds of the answers.
    answer_ns: f64,
    in_flight: f64,
}

impl Band {
    fn holds(&self, point: &Point) -> bool {
        let ended = ended(point) as f64;
        // A second in which nothing ended shows in what is in flight.
        let share = |count: u64, at_most: f64| {
            // What chance alone adds to a share of so few.
            let chance = if ended <= 0.0 { 0.0 } else { (at_most * (1.0 - at_most.min(1.0)) / ended).sqrt() };
            count as f64 <= (at_most + SIGMAS * chance) * ended
        };
        share(point.failed, self.failed_share)
            && share(point.accepted, self.accepted_share)
            && point.answered_ns as f64 <= self.answer_ns * point.answered as f64
            && f64::from(point.in_flight) <= self.in_flight
    }
}

/// The bands of an untriggered run's points.
fn bands(twin: &[Point]) -> Vec<Band> {
    let share = |count: u64, point: &Point| match ended(point) {
        0 => 0.0,
        ended => count as f64 / ended as f64,
    };
    let failed: Vec<f64> = twin.iter().map(|point| share(point.failed, point)).collect();
    let accepted: Vec<f64> = twin.iter().map(|point| share(point.accepted, point)).collect();
    let answer_ns: Vec<f64> = twin.iter().map(mean_answer_ns).collect();
    let in_flight: Vec<f64> = twin.iter().map(|point| f64::from(point.in_flight)).collect();
    let (failed, accepted) = (around(&failed), around(&accepted));
    let answer_ns = upper(&answer_ns, NANOS_SLACK);
    let in_flight = upper(&in_flight, IN_FLIGHT_SLACK);
    (0..twin.len())
        .map(|at| Band {
            failed_share: failed[at] + SHARE_SLACK,
            accepted_share: accepted[at] + SHARE_SLACK,
            answer_ns: answer_ns[at],
            in_flight: in_flight[at],
        })
        .collect()
}

fn mean_answer_ns(point: &Point) -> f64 {
    match point.answered {
        0 => 0.0,
        answered => point.answered_ns as f64 / answered as f64,
    }
}

/// The upper edge of the band of such values.
fn upper(values: &[f64], slack: f64) -> Vec<f64> {
    let around = around(values);
    let squares = values.iter().zip(&around).map(|(value, mean)| (value - mean) * (value - mean));
    let deviation = (squares.sum::<f64>() / values.len().max(1) as f64).sqrt();
    around.iter().map(|mean| mean + (RELATIVE_SLACK * mean).max(SIGMAS * deviation).max(slack)).collect()
}

/// The mean of the values around each, [`WINDOW`] to both sides as far as there are any.
fn around(values: &[f64]) -> Vec<f64> {
    let mean = |at: usize| {
        let window = &values[at.saturating_sub(WINDOW)..values.len().min(at + WINDOW + 1)];
        window.iter().sum::<f64>() / window.len() as f64
    };
    (0..values.len()).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDED: Duration = Duration::from_secs(120);

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A hundred answered a second in ten milliseconds each, with five in flight; a little more in odd seconds.
    fn normal(second: usize) -> Point {
        let odd = second as u64 % 2;
        let answered = 100;
        Point {
            offered: answered,
            answered,
            answered_ns: answered * (10_000_000 + odd * 100_000),
            in_flight: 5 + odd as u32,
            ..Point::default()
        }
    }

    fn failing(second: usize) -> Point {
        Point { answered: 0, failed: 100, answered_ns: 0, ..normal(second) }
    }

    fn series(points: impl Iterator<Item = Point>) -> Series {
        Series { seconds: 1, points: points.collect() }
    }

    /// What becomes of 300 s of load with a fault from 60 to 70 s, when each second is as `of` says.
    fn judged(of: impl Fn(usize) -> Point) -> Recovery {
        judge(
            &series((0..300).map(of)),
            &series((0..300).map(normal)),
            (secs(10), secs(300)),
            secs(70),
            NEEDED,
        )
    }

    fn bad_in(from: usize, to: usize, bad: fn(usize) -> Point) -> Recovery {
        judged(|second| if (from..to).contains(&second) { bad(second) } else { normal(second) })
    }

    const fn back(seconds: u64) -> Recovery {
        Recovery::Back { after: Duration::from_secs(seconds), late: false }
    }

    #[test]
    fn back_is_from_the_end_of_the_fault_to_the_first_normal_second() {
        assert_eq!(bad_in(60, 70, failing), back(0));
        assert_eq!(bad_in(60, 71, failing), back(1));
        assert_eq!(bad_in(60, 110, failing), back(40));
    }

    #[test]
    fn each_of_the_four_signs_counts() {
        let signs: [fn(usize) -> Point; 4] = [
            |second| Point { failed: 6, answered: 94, answered_ns: 94 * 10_000_000, ..normal(second) },
            |second| Point { accepted: 6, answered: 94, answered_ns: 94 * 10_000_000, ..normal(second) },
            |second| Point { answered_ns: 100 * 10_700_000, ..normal(second) },
            |second| Point { in_flight: 9, ..normal(second) },
        ];
        // 5 points, and the chance of so few: six of a hundred are just within.
        assert_eq!(bad_in(60, 110, signs[0]), back(0));
        let many: [fn(usize) -> Point; 2] = [
            |second| Point { failed: 15, answered: 85, answered_ns: 85 * 10_000_000, ..normal(second) },
            |second| Point { accepted: 15, answered: 85, answered_ns: 85 * 10_000_000, ..normal(second) },
        ];
        for sign in many.into_iter().chain(signs.into_iter().skip(2)) {
            assert_eq!(bad_in(60, 110, sign), back(40));
        }
    }

    #[test]
    fn being_better_than_normal_is_normal() {
        let better = |second| Point { answered_ns: 1_000_000, in_flight: 0, answered: 130, ..normal(second) };
        assert_eq!(judged(better), back(0));
    }

    #[test]
    fn a_good_second_is_not_yet_recovery() {
        // Nine good seconds, one bad, and then well again: not the first nine.
        let breathing = |second: usize| {
            let bad = (60..160).contains(&second) && second % 8 < 2;
            if bad { failing(second) } else { normal(second) }
        };
        assert_eq!(judged(breathing), back(84));
    }

    #[test]
    fn one_bad_second_is_no_relapse_and_many_are() {
        assert_eq!(judged(|second| if second == 200 { failing(second) } else { normal(second) }), back(0));
        // Well from 70 to 150, then down for a minute.
        assert_eq!(bad_in(150, 210, failing), Recovery::Back { after: secs(140), late: true });
    }

    #[test]
    fn not_back_is_metastable_only_when_it_had_long_enough() {
        assert_eq!(bad_in(60, 300, failing), Recovery::Metastable { watched: secs(230) });
        let short = |length: usize| {
            let run =
                series((0..length).map(|second| if second < 60 { normal(second) } else { failing(second) }));
            let twin = series((0..length).map(normal));
            judge(&run, &twin, (secs(10), secs(length as u64)), secs(70), NEEDED)
        };
        assert_eq!(short(190), Recovery::Metastable { watched: secs(120) });
        assert_eq!(short(189), Recovery::Censored { watched: secs(119), needed: NEEDED });
    }

    #[test]
    fn back_too_late_to_be_seen_to_stay_is_censored() {
        let run = series(
            (0..100).map(|second| if (60..95).contains(&second) { failing(second) } else { normal(second) }),
        );
        let twin = series((0..100).map(normal));
        let judged = judge(&run, &twin, (secs(10), secs(100)), secs(70), NEEDED);
        assert_eq!(judged, Recovery::Censored { watched: secs(30), needed: NEEDED });
    }

    #[test]
    fn a_run_that_was_cut_short_is_censored() {
        let run = series((0..80).map(|second| if second < 60 { normal(second) } else { failing(second) }));
        let twin = series((0..300).map(normal));
        let judged = judge(&run, &twin, (secs(10), secs(300)), secs(70), NEEDED);
        assert_eq!(judged, Recovery::Censored { watched: secs(10), needed: NEEDED });
    }

    #[test]
    fn late_is_back_and_late() {
        assert_eq!(bad_in(60, 190, failing), back(120));
        assert_eq!(bad_in(60, 191, failing), Recovery::Back { after: secs(121), late: true });
    }

    #[test]
    fn points_of_different_length_are_brought_to_the_longer() {
        let run = series(
            (0..300).map(|second| if (60..110).contains(&second) { failing(second) } else { normal(second) }),
        );
        let twin = series((0..300).map(normal));
        let twin = Series { seconds: 2, points: twin.coarse(2) };
        assert_eq!(judge(&run, &twin, (secs(10), secs(300)), secs(70), NEEDED), back(40));
    }

    #[test]
    fn the_band_follows_a_ramp() {
        let ramp = |second: usize| Point { in_flight: 5 + second as u32, ..normal(second) };
        let run = series((0..300).map(ramp));
        assert_eq!(judge(&run, &run, (secs(10), secs(300)), secs(70), NEEDED), back(0));
    }

    #[test]
    fn seeds_together_make_a_class() {
        let late = Recovery::Back { after: secs(200), late: true };
        let metastable = Recovery::Metastable { watched: secs(230) };
        let censored = Recovery::Censored { watched: secs(5), needed: NEEDED };
        let fails = Recovery::FailsByItself(Ailment::Grows);
        for (seeds, class) in [
            (&[back(0), back(40)][..], Class::Stable),
            (&[Recovery::Untriggered], Class::Stable),
            (&[back(0), late], Class::Vulnerable),
            (&[back(0), metastable], Class::Vulnerable),
            (&[metastable, metastable], Class::Metastable),
            (&[metastable, censored], Class::Metastable),
            (&[back(0), censored], Class::Censored),
            (&[censored], Class::Censored),
            (&[metastable, back(0), fails], Class::FailsByItself),
        ] {
            assert_eq!(Class::of(seeds), class, "{seeds:?}");
        }
    }

    #[test]
    fn a_trigger_is_from_the_first_fault_to_the_last() {
        use crate::fault::FaultKind;
        let fault = |at, length: Option<u64>| FaultEvent {
            at: Instant::ZERO + secs(at),
            length: length.map(secs),
            kind: FaultKind::BowlineDown,
        };
        assert_eq!(Trigger::of(&[]), None);
        let both = Trigger::of(&[fault(90, Some(5)), fault(60, Some(10))]);
        assert_eq!(both, Some(Trigger { from: secs(60), gone: Some(secs(95)) }));
        let stays = Trigger::of(&[fault(90, None), fault(60, Some(10))]);
        assert_eq!(stays, Some(Trigger { from: secs(60), gone: None }));
    }
}
