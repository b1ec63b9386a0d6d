//! What happened when: the arms under each other, with one time axis and one scale.
//!
//! Scales are shared by all arms. A queue that grows to thousands in one arm makes that of another a flat line,
//! and that is what is to be seen.

use super::page::{Arm, Page};
use super::scale::{self, POINTS_MAX, WIDTH};
use super::words;
use crate::series::Point;
use maud::{Markup, html};

/// One strip of a timeline.
struct Lane {
    title: &'static str,
    unit: Unit,
    height: f64,
    lines: &'static [Line],
}

/// One line of a strip.
struct Line {
    name: &'static str,
    class: &'static str,
    /// Of a point and the seconds it stands for.
    value: fn(&Point, f64) -> f64,
}

#[derive(Clone, Copy)]
enum Unit {
    PerSecond,
    Count,
    Nanoseconds,
}

const LANES: [Lane; 4] = [
    Lane {
        title: "requests a second",
        unit: Unit::PerSecond,
        height: 104.0,
        lines: &[
            Line { name: "offered", class: "offered", value: |p, s| p.offered as f64 / s },
            Line {
                name: "acknowledged",
                class: "acknowledged",
                value: |p, s| (p.answered + p.accepted) as f64 / s,
            },
            Line { name: "completed", class: "completed", value: |p, s| p.completed as f64 / s },
            Line { name: "failed", class: "failed", value: |p, s| p.failed as f64 / s },
        ],
    },
    Lane {
        title: "tries a second",
        unit: Unit::PerSecond,
        height: 56.0,
        lines: &[Line { name: "tries", class: "tries", value: |p, s| p.tries as f64 / s }],
    },
    Lane {
        title: "waiting in queues and topics",
        unit: Unit::Count,
        height: 64.0,
        lines: &[
            Line { name: "in queues", class: "queue", value: |p, _| p.queue as f64 },
            Line { name: "in topics", class: "backlog", value: |p, _| p.backlog as f64 },
        ],
    },
    Lane {
        title: "age of the oldest record not processed",
        unit: Unit::Nanoseconds,
        height: 56.0,
        lines: &[Line { name: "lag", class: "lag", value: |p, _| p.lag_ns as f64 }],
    },
];

/// Room above each lane for its title.
const HEAD: f64 = 22.0;
/// Height of the band that shows breakers.
const BAND: f64 = 12.0;
/// Room for the time axis.
const AXIS: f64 = 22.0;

/// The section with a timeline for each arm.
pub(super) fn section(page: &Page) -> Markup {
    let axis = Axis::of(page);
    let lanes: Vec<(&Lane, f64)> = LANES
        .iter()
        .map(|lane| (lane, highest(lane, page)))
        .filter(|(_, highest)| 0.0 < *highest)
        .map(|(lane, highest)| (lane, end_of(lane, highest)))
        .collect();
    let breakers = page.arms.iter().flat_map(|arm| &arm.series.points).any(|point| 0 < point.breakers_open);
    html! {
        section aria-labelledby="timeline" {
            h2 #timeline { "What happened when" }
            p {
                "The run with the first seed, all arms on one scale."
                @if !page.faults.is_empty() { " Shaded: " (faults(page)) "." }
                (hatched(page, &axis))
            }
            (legend(&lanes, breakers))
            @for (index, arm) in page.arms.iter().enumerate() {
                figure.timeline {
                    figcaption {
                        h3 { (arm.name) }
                        @if let Some(ending) = &arm.censored { p.censored { "Cut short: " (ending) "." } }
                    }
                    (chart(index, arm, page, &axis, &lanes, breakers))
                    (table(arm, &axis))
                }
            }
        }
    }
}

fn faults(page: &Page) -> String {
    let each = |fault: &super::page::Fault| {
        let from = words::moment(fault.at.as_secs_f64());
        match fault.until {
            Some(until) => format!("{}, {from} to {}", fault.what, words::moment(until.as_secs_f64())),
            None => format!("{}, from {from} on", fault.what),
        }
    };
    page.faults.iter().map(each).collect::<Vec<_>>().join("; ")
}

/// What the hatching is.
fn hatched(page: &Page, axis: &Axis) -> &'static str {
    match (page.warm_up.is_zero(), axis.load_ends < axis.to) {
        (true, false) => "",
        (false, false) => " Hatched: the warm-up, which is not counted.",
        (true, true) => " Hatched: after the load, when nobody comes any more.",
        (false, true) => {
            " Hatched: the warm-up, which is not counted, and after the load, when nobody comes any more."
        }
    }
}

/// Time, in seconds after the warm-up.
struct Axis {
    from: f64,
    to: f64,
    load_ends: f64,
}

/// The least share of the axis that what happens after the load must take to be shown. The last answers, a moment
/// after the last requests, would look like a load that breaks down.
const AFTERWARDS_MIN: f64 = 0.02;

impl Axis {
    fn of(page: &Page) -> Self {
        let ends = page.arms.iter().map(|arm| arm.series.points.len() as f64 * f64::from(arm.series.seconds));
        let from = -page.warm_up.as_secs_f64();
        let load_ends = page.length.as_secs_f64().max(from + 1.0);
        let last = ends.fold(load_ends, |last, end| last.max(from + end));
        let is_worth_showing = AFTERWARDS_MIN * (last - from) < last - load_ends;
        Self { from, to: if is_worth_showing { last } else { load_ends }, load_ends }
    }

    /// The points of an arm that begin within the axis.
    fn points<'a>(&self, arm: &'a Arm) -> &'a [Point] {
        let count = ((self.to - self.from) / f64::from(arm.series.seconds.max(1))).ceil() as usize;
        &arm.series.points[..count.min(arm.series.points.len())]
    }

    fn share(&self, seconds: f64) -> f64 {
        ((seconds - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }
}

/// Points put together so that there are not more than a line needs.
fn steps<'a>(arm: &'a Arm, axis: &Axis) -> impl Iterator<Item = (usize, &'a [Point])> {
    let points = axis.points(arm);
    let together = points.len().div_ceil(POINTS_MAX).max(1);
    points.chunks(together).enumerate().map(move |(index, points)| (index * together, points))
}

/// The values of a line, each with its moment: means of rates, the highest of heights.
fn values(line: &Line, unit: Unit, arm: &Arm, axis: &Axis) -> Vec<(f64, f64)> {
    let seconds = f64::from(arm.series.seconds);
    let each = |(first, points): (usize, &[Point])| {
        let middle = axis.from + (first as f64 + points.len() as f64 / 2.0) * seconds;
        let all = points.iter().map(|point| (line.value)(point, seconds));
        let value = match unit {
            Unit::PerSecond => all.sum::<f64>() / points.len() as f64,
            Unit::Count | Unit::Nanoseconds => all.fold(0.0, f64::max),
        };
        (middle, value)
    };
    steps(arm, axis).map(each).collect()
}

fn highest(lane: &Lane, page: &Page) -> f64 {
    let axis = Axis::of(page);
    let all = page.arms.iter().flat_map(|arm| lane.lines.iter().map(move |line| (arm, line)));
    all.flat_map(|(arm, line)| values(line, lane.unit, arm, &axis))
        .map(|(_, value)| value)
        .fold(0.0, f64::max)
}

/// Where the lane's axis ends: a round number of its unit.
fn end_of(lane: &Lane, highest: f64) -> f64 {
    match lane.unit {
        Unit::PerSecond | Unit::Count => scale::round_up(highest),
        Unit::Nanoseconds if 1e9 <= highest => scale::round_up(highest / 1e9) * 1e9,
        Unit::Nanoseconds => scale::round_up(highest / 1e6) * 1e6,
    }
}

fn said(unit: Unit, value: f64) -> String {
    match unit {
        Unit::PerSecond => format!("{}/s", words::digits(value)),
        Unit::Count => words::digits(value),
        Unit::Nanoseconds => words::span(std::time::Duration::from_nanos(value as u64)),
    }
}

fn legend(lanes: &[(&Lane, f64)], breakers: bool) -> Markup {
    html! {
        ul.legend aria-label="Lines" {
            @for line in lanes.iter().flat_map(|(lane, _)| lane.lines) {
                li { (swatch(line.class)) (line.name) }
            }
            @if breakers { li { svg.swatch aria-hidden="true" { rect.open y="3" width="100%" height="9" {} } "breakers not closed" } }
        }
    }
}

fn swatch(class: &str) -> Markup {
    html! { svg.swatch aria-hidden="true" { line.line.(class) x1="0" x2="100%" y1="7" y2="7" {} } }
}

fn chart(
    index: usize,
    arm: &Arm,
    page: &Page,
    axis: &Axis,
    lanes: &[(&Lane, f64)],
    breakers: bool,
) -> Markup {
    let band = if breakers { HEAD + BAND } else { 0.0 };
    let height = lanes.iter().map(|(lane, _)| HEAD + lane.height).sum::<f64>() + band + AXIS;
    let foot = height - AXIS;
    // Where each lane's plot begins: below its own head and all lanes before it.
    let tops = lanes.iter().scan(0.0, |below, (lane, _)| {
        let top = *below + HEAD;
        *below = top + lane.height;
        Some(top)
    });
    let band_top = foot - BAND;
    html! {
        svg.chart role="img" aria-labelledby={ "t" (index) " d" (index) } width="100%" height=(scale::place(height)) {
            title #{ "t" (index) } { "Timeline of " (arm.name) }
            desc #{ "d" (index) } { (described(arm, axis)) }
            @if !page.warm_up.is_zero() {
                rect.warm-up x="0" y="0" width=(scale::percent(axis.share(0.0))) height=(scale::place(foot)) {}
            }
            @if axis.load_ends < axis.to {
                @let over = axis.share(axis.load_ends);
                rect.warm-up x=(scale::percent(over)) y="0" width=(scale::percent(1.0 - over)) height=(scale::place(foot)) {}
            }
            @for fault in &page.faults { (shade(fault, axis, foot)) }
            @for (moment, name) in scale::moments(axis.from, axis.to) { (tick(moment, &name, axis, foot)) }
            @for ((lane, end), top) in lanes.iter().zip(tops) { (strip(lane, *end, top, arm, axis)) }
            @if breakers {
                text.lane x="0" y=(scale::place(band_top - 6.0)) { "breakers not closed" }
                svg x="0" y=(scale::place(band_top)) width="100%" height=(scale::place(BAND)) viewBox={ "0 0 " (WIDTH) " 1" } preserveAspectRatio="none" {
                    rect.band width=(WIDTH) height="1" {}
                    @for (from, to) in open(arm, axis) {
                        rect.open x=(scale::place(from)) width=(scale::place((to - from).max(1.0))) height="1" {}
                    }
                }
            }
        }
    }
}

fn shade(fault: &super::page::Fault, axis: &Axis, height: f64) -> Markup {
    let from = axis.share(fault.at.as_secs_f64());
    let to = fault.until.map_or(1.0, |until| axis.share(until.as_secs_f64()));
    // A fault of a moment is still to be seen.
    let width = (to - from).max(0.003);
    html! {
        rect.fault x=(scale::percent(from)) y="0" width=(scale::percent(width)) height=(scale::place(height)) {
            title { (fault.what) }
        }
    }
}

fn tick(moment: f64, name: &str, axis: &Axis, foot: f64) -> Markup {
    let share = axis.share(moment);
    let anchor = match share {
        share if share < 0.04 => "start",
        share if 0.94 < share => "end",
        _ => "middle",
    };
    let x = scale::percent(share);
    html! {
        line.grid x1=(x) x2=(x) y1="0" y2=(scale::place(foot + 4.0)) {}
        text.tick x=(x) y=(scale::place(foot + 17.0)) text-anchor=(anchor) { (name) }
    }
}

fn strip(lane: &Lane, end: f64, top: f64, arm: &Arm, axis: &Axis) -> Markup {
    let y = scale::place(top);
    let bottom = scale::place(top + lane.height);
    let height = lane.height;
    html! {
        text.lane x="0" y=(scale::place(top - 6.0)) { (lane.title) }
        text.tick x="100%" y=(scale::place(top - 6.0)) text-anchor="end" { (said(lane.unit, end)) }
        line.grid x1="0" x2="100%" y1=(y) y2=(y) {}
        line.base x1="0" x2="100%" y1=(bottom) y2=(bottom) {}
        svg.plot x="0" y=(y) width="100%" height=(scale::place(height)) viewBox={ "0 0 " (WIDTH) " " (scale::place(height)) } preserveAspectRatio="none" {
            @for line in lane.lines {
                @let values = values(line, lane.unit, arm, axis);
                // What never happened needs no line along the ground.
                @if values.iter().any(|(_, value)| 0.0 < *value) {
                    path.line.(line.class) d=(scale::path(values.iter().map(|(moment, value)| {
                        (axis.share(*moment) * WIDTH, height - value / end * height)
                    }))) {}
                }
            }
        }
    }
}

/// When breakers were not closed, in units of the plot.
fn open(arm: &Arm, axis: &Axis) -> Vec<(f64, f64)> {
    let seconds = f64::from(arm.series.seconds);
    let mut spans: Vec<(f64, f64)> = Vec::new();
    for (index, _) in arm.series.points.iter().enumerate().filter(|(_, point)| 0 < point.breakers_open) {
        let from = axis.share(axis.from + index as f64 * seconds) * WIDTH;
        let to = axis.share(axis.from + (index + 1) as f64 * seconds) * WIDTH;
        match spans.last_mut() {
            Some(last) if from - last.1 < 0.5 => last.1 = to,
            _ => spans.push((from, to)),
        }
    }
    spans
}

/// The chart in words: the height of each line and when.
fn described(arm: &Arm, axis: &Axis) -> String {
    let mut said_all = Vec::new();
    for lane in &LANES {
        for line in lane.lines {
            let values = values(line, lane.unit, arm, axis);
            let highest = values
                .iter()
                .copied()
                .fold((0.0, 0.0), |best, each| if best.1 < each.1 { each } else { best });
            if 0.0 < highest.1 {
                let (moment, value) = highest;
                said_all.push(format!(
                    "{} at most {} (at {})",
                    line.name,
                    said(lane.unit, value),
                    words::moment(moment)
                ));
            }
        }
    }
    let points = arm.series.points.iter().filter(|point| 0 < point.breakers_open).count();
    if 0 < points {
        said_all.push(format!("breakers not closed during {} s", points * arm.series.seconds as usize));
    }
    format!("{}. The table below has the figures.", said_all.join("; "))
}

/// Rows of a timeline's table. More would not be read.
const ROWS_MAX: usize = 24;

fn table(arm: &Arm, axis: &Axis) -> Markup {
    let seconds = f64::from(arm.series.seconds);
    let together = arm.series.points.len().div_ceil(ROWS_MAX).max(1);
    html! {
        details {
            summary { "The figures of " (arm.name) }
            div.wide tabindex="0" role="region" aria-label={ "Figures of " (arm.name) } {
                table {
                    thead {
                        tr {
                            th scope="col" { "from" }
                            @for line in LANES.iter().flat_map(|lane| lane.lines) { th scope="col" { (line.name) } }
                            th scope="col" { "breakers" }
                        }
                    }
                    tbody {
                        @for (index, points) in arm.series.points.chunks(together).enumerate() {
                            tr {
                                th scope="row" { (words::moment(axis.from + (index * together) as f64 * seconds)) }
                                @for lane in &LANES {
                                    @for line in lane.lines { td { (figure(line, lane.unit, points, seconds)) } }
                                }
                                td { (points.iter().map(|point| point.breakers_open).max().unwrap_or(0)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn figure(line: &Line, unit: Unit, points: &[Point], seconds: f64) -> String {
    let all = points.iter().map(|point| (line.value)(point, seconds));
    match unit {
        Unit::PerSecond => said(unit, all.sum::<f64>() / points.len() as f64),
        Unit::Count | Unit::Nanoseconds => said(unit, all.fold(0.0, f64::max)),
    }
}
