//! How long it took whom: percentiles with the tail drawn out, times on a scale of powers of ten.
//!
//! From left to right each equal step is ten times rarer: 90 %, 99 %, 99.9 %. A line that runs flat along a
//! timeout says that this timeout is what those requests got.
//!
//! Percentiles are of all requests that arrived, and those that never got there stand behind all that did: a line
//! ends where nobody is left.

use super::page::{Arm, Page, Timeout};
use super::scale::{self, WIDTH};
use super::words;
use crate::histogram::Histogram;
use maud::{Markup, html};
use std::time::Duration;

/// What is said where the rest of the requests never got there.
const NEVER: &str = "never";

/// One of the three clocks.
struct Clock {
    name: &'static str,
    about: &'static str,
    of: fn(&Arm) -> &Histogram,
}

const CLOCKS: [Clock; 3] = [
    Clock {
        name: "acknowledged",
        about: "from arrival to a good answer, final or 202",
        of: |arm| &arm.acknowledged,
    },
    Clock {
        name: "completed",
        about: "from arrival until what was asked for is done",
        of: |arm| &arm.completed,
    },
    Clock { name: "visible", about: "from arrival until all that follows is done", of: |arm| &arm.visible },
];

/// Arms that can be told apart by line. Beyond, lines repeat and the table tells.
const STYLES: usize = 6;
/// A plot's height.
const HEIGHT: f64 = 220.0;
const AXIS: f64 = 22.0;
const HEAD: f64 = 20.0;
/// Beyond one in a hundred thousand a run has too few requests to say anything.
const NINES_MAX: f64 = 5.0;
/// The rarest share of requests that the table shows is one in ten thousand.
const SHARES: [(f64, &str); 6] =
    [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9"), (0.9999, "p99.99"), (1.0, "most")];

/// The section with a plot for each clock.
pub(super) fn section(page: &Page) -> Markup {
    let clocks: Vec<&Clock> = CLOCKS.iter().filter(|clock| differs(clock, page)).collect();
    let timeouts = timeouts(page);
    html! {
        section aria-labelledby="percentiles" {
            h2 #percentiles { "How long it took" }
            p {
                "Of all requests of all seeds. To the right each step is ten times rarer; upward, ten times longer. "
                "A line ends where the rest never got there."
            }
            ul.legend aria-label="Arms" {
                @for (index, arm) in page.arms.iter().enumerate() {
                    li { svg.swatch aria-hidden="true" { line.line.(style(index)) x1="0" x2="100%" y1="7" y2="7" {} } (arm.name) }
                }
                @if !timeouts.is_empty() {
                    li { svg.swatch aria-hidden="true" { line.timeout x1="0" x2="100%" y1="7" y2="7" {} } "timeout" }
                }
            }
            div.plots {
                @for (index, clock) in clocks.iter().enumerate() {
                    figure { (plot(index, clock, page, &timeouts)) }
                }
            }
            @if !timeouts.is_empty() {
                ul.timeouts aria-label="Timeouts" {
                    @for (letter, (after, whose)) in letters().zip(&timeouts) {
                        li { b { (letter) } " " (words::exact(*after)) ": " (words::listed(whose)) }
                    }
                }
            }
            @if CLOCKS.len() != clocks.len() {
                p.note { "Clocks that say the same as the one before are left out." }
            }
            (table(page))
        }
    }
}

/// The first clock always; another if it says something that the one before does not.
fn differs(clock: &Clock, page: &Page) -> bool {
    match clock.name {
        "acknowledged" => true,
        "completed" => page.arms.iter().any(|arm| arm.completed != arm.acknowledged),
        _ => page.arms.iter().any(|arm| arm.visible != arm.completed),
    }
}

/// The time within which this share of **all** requests got there; `None`: the rest never did.
fn within(clock: &Clock, arm: &Arm, share: f64) -> Option<Duration> {
    let histogram = (clock.of)(arm);
    let rank = (share * all(clock, arm) as f64).ceil().max(1.0) as u64;
    if histogram.count() < rank { None } else { histogram.quantile(rank as f64 / histogram.count() as f64) }
}

/// What percentiles are of.
fn all(clock: &Clock, arm: &Arm) -> u64 {
    arm.arrived.max((clock.of)(arm).count())
}

/// Each time after which somebody stops waiting, with whose it is; the shortest first.
fn timeouts(page: &Page) -> Vec<(Duration, Vec<String>)> {
    let mut all: Vec<&Timeout> = page.arms.iter().flat_map(|arm| &arm.timeouts).collect();
    all.sort();
    all.dedup();
    let mut together: Vec<(Duration, Vec<String>)> = Vec::new();
    for timeout in all {
        match together.last_mut() {
            Some((after, whose)) if *after == timeout.after => whose.push(timeout.what.clone()),
            _ => together.push((timeout.after, vec![timeout.what.clone()])),
        }
    }
    together
}

fn letters() -> impl Iterator<Item = String> {
    ('a'..='z').map(String::from).chain((1_u32..).map(|number| format!("z{number}")))
}

fn style(index: usize) -> String {
    format!("arm-{}", index % STYLES)
}

/// Both axes of a plot. All plots of a page have the same, so that clocks can be compared.
struct Axes {
    nines: f64,
    low: i32,
    high: i32,
}

impl Axes {
    fn of(page: &Page, timeouts: &[(Duration, Vec<String>)]) -> Self {
        let histograms = || page.arms.iter().flat_map(|arm| CLOCKS.iter().map(move |clock| (clock.of)(arm)));
        let count = histograms().map(Histogram::count).max().unwrap_or(0).max(10);
        let shortest = histograms().filter_map(|histogram| histogram.quantile(0.02)).min();
        let longest = histograms().map(Histogram::max).chain(timeouts.iter().map(|(after, _)| *after)).max();
        // Below a microsecond nothing that goes over a wire happens.
        let power = |span: Option<Duration>| span.map_or(1e-3, |span| span.as_secs_f64().max(1e-6)).log10();
        let low = power(shortest).floor() as i32;
        let high = (power(longest).ceil() as i32).max(low + 1);
        Self { nines: (count as f64).log10().floor().clamp(1.0, NINES_MAX), low, high }
    }

    fn x(&self, share: f64) -> f64 {
        let left = (1.0 - share).max(1e-12);
        (-left.log10() / self.nines).clamp(0.0, 1.0)
    }

    fn y(&self, span: Duration) -> f64 {
        let power = span.as_secs_f64().max(1e-9).log10();
        let share = (power - f64::from(self.low)) / f64::from(self.high - self.low);
        (1.0 - share.clamp(0.0, 1.0)) * HEIGHT
    }
}

fn plot(index: usize, clock: &Clock, page: &Page, timeouts: &[(Duration, Vec<String>)]) -> Markup {
    let axes = Axes::of(page, timeouts);
    html! {
        figcaption { h3 { (clock.name) } p { (clock.about) } }
        svg.chart role="img" aria-labelledby={ "p" (index) " q" (index) } width="100%" height=(scale::place(HEAD + HEIGHT + AXIS)) {
            title #{ "p" (index) } { "Percentiles, " (clock.name) }
            desc #{ "q" (index) } { (described(clock, page)) }
            @for power in axes.low..=axes.high {
                @let y = scale::place(HEAD + axes.y(Duration::from_secs_f64(10_f64.powi(power))));
                line.grid x1="0" x2="100%" y1=(y) y2=(y) {}
            }
            (ticks(&axes))
            @for (number, (letter, (after, _))) in letters().zip(timeouts).enumerate() {
                @let y = HEAD + axes.y(*after);
                // Not from the edge on: there the powers of ten have their names.
                line.timeout x1="14%" x2="100%" y1=(scale::place(y)) y2=(scale::place(y)) {}
                // Staggered: two timeouts that lie close keep their letters apart.
                text.letter x=(scale::percent(0.30 + 0.07 * (number % 8) as f64)) y=(scale::place(y - 3.0)) { (letter) }
            }
            svg.plot x="0" y=(scale::place(HEAD)) width="100%" height=(scale::place(HEIGHT)) viewBox={ "0 0 " (WIDTH) " " (scale::place(HEIGHT)) } preserveAspectRatio="none" {
                @for (arm, number) in page.arms.iter().zip(0..) {
                    path.line.(style(number)) d=(line((clock.of)(arm), all(clock, arm), &axes)) {}
                }
            }
            @for power in axes.low..=axes.high {
                @let span = Duration::from_secs_f64(10_f64.powi(power));
                text.tick x="0" y=(scale::place(HEAD + axes.y(span) - 3.0)) { (decade(span)) }
            }
        }
    }
}

/// `100 ms` rather than `0.1 s`: the powers of ten stay in one unit as long as they can.
fn decade(span: Duration) -> String {
    match span.as_millis() {
        100 => "100 ms".to_owned(),
        millis if 1_000 <= millis => format!("{} s", words::thousands(span.as_secs())),
        _ => words::span(span),
    }
}

fn ticks(axes: &Axes) -> Markup {
    const NAMES: [&str; 6] = ["", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"];
    let foot = HEAD + HEIGHT;
    let mut all = vec![(axes.x(0.5), "50 %")];
    all.extend((1..=axes.nines as usize).map(|nines| (nines as f64 / axes.nines, NAMES[nines])));
    html! {
        @for (share, name) in all {
            @let x = scale::percent(share);
            line.grid x1=(x) x2=(x) y1=(scale::place(HEAD)) y2=(scale::place(foot + 4.0)) {}
            // The last name ends at the edge and needs the room of the one before it, unless that is far away.
            @if !(0.77..0.96).contains(&share) {
                text.tick x=(x) y=(scale::place(foot + 17.0)) text-anchor=(if 0.96 < share { "end" } else { "middle" }) { (name) }
            }
        }
    }
}

fn line(histogram: &Histogram, all: u64, axes: &Axes) -> String {
    let mut below = 0;
    let mut places: Vec<(f64, f64)> = Vec::new();
    for (end, count) in histogram.buckets() {
        let from = axes.x(below as f64 / all as f64) * WIDTH;
        below += count;
        let y = axes.y(end.min(histogram.max()));
        if places.is_empty() {
            places.push((from, y));
        }
        let x = axes.x(below as f64 / all as f64) * WIDTH;
        // A step of less than a unit would not be seen.
        if places.last().is_none_or(|last| 1.0 <= (x - last.0).abs() + (y - last.1).abs()) {
            places.push((x, y));
        }
    }
    scale::path(places)
}

fn described(clock: &Clock, page: &Page) -> String {
    let each = |arm: &Arm| {
        let said = |share| {
            within(clock, arm, share).map_or(NEVER.to_owned(), |span| format!("within {}", words::span(span)))
        };
        format!("{}: half {}, 99 % {}", arm.name, said(0.5), said(0.99))
    };
    let all: Vec<String> = page.arms.iter().map(each).collect();
    format!("{}. The table below has more.", all.join("; "))
}

fn table(page: &Page) -> Markup {
    html! {
        details {
            summary { "The percentiles" }
            div.wide tabindex="0" role="region" aria-label="Percentiles" {
                table {
                    thead {
                        tr {
                            th scope="col" { "arm" }
                            th scope="col" { "clock" }
                            @for (_, name) in SHARES { th scope="col" { (name) } }
                            th scope="col" { "mean" }
                            th scope="col" { "requests" }
                        }
                    }
                    tbody {
                        @for arm in &page.arms {
                            @for clock in &CLOCKS {
                                @let histogram = (clock.of)(arm);
                                tr {
                                    th scope="row" { (arm.name) }
                                    td { (clock.name) }
                                    @for (share, _) in SHARES { td { (within(clock, arm, share).map_or(NEVER.to_owned(), words::span)) } }
                                    td { (if histogram.count() == 0 { NEVER.to_owned() } else { words::span(histogram.mean()) }) }
                                    td { (words::thousands(histogram.count())) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
