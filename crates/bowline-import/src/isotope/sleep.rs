//! How long a script pauses: a duration of Go's, or a distribution as a branch of isotope wrote them.
//!
//! A histogram becomes a choice, exactly. A curve becomes a choice of ten equally likely spans, the middles of
//! its tenths: half of all is exact, the slowest hundredth is cut off, which is noted.

use super::Reading;
use crate::draft::{Work, rounded};
use crate::note::shorten;
use bowline_design::Text;
use bowline_design::format::{BadDuration, parse_duration};
use bowline_design::yaml::{self, Node, Shape};
use std::time::Duration;

/// The standard normal distribution's quantiles at 5 %, 15 %, .. 95 %.
const TENTHS: [f64; 10] = [
    -1.644_854, -1.036_433, -0.674_490, -0.385_320, -0.125_661, 0.125_661, 0.385_320, 0.674_490, 1.036_433,
    1.644_854,
];

/// Bars of one histogram, and values of raw data.
const BARS_MAX: usize = 1_000;

const EXPECTED: &str =
    "a duration such as 10ms, or a distribution: static, histogram, or dist normal, lognormal or exp";

impl Reading {
    pub(super) fn sleep(&mut self, node: Node<'_>) -> Option<Work> {
        match node.text() {
            Some(text) if text.trim_start().starts_with('{') => {
                // JSON in a text, which is YAML, too.
                let inner = Text { name: node.place().file, text: text.to_owned() };
                let (documents, mistakes) = yaml::parse(&inner);
                let root = documents.roots().next().filter(|_| mistakes.is_empty());
                let work = root.and_then(|root| self.distribution(root, node));
                self.or_refuse(work, node)
            }
            Some(text) => match parse_duration(text) {
                Ok(span) => Some(Work::Own(span)),
                // Go's `time.Sleep` returns at once.
                Err(BadDuration::Negative) => {
                    self.notes.add("sleep", "a time below zero is no time", Some(node.place()));
                    Some(Work::Own(Duration::ZERO))
                }
                Err(_) => {
                    let found = format!("`{}`", shorten(text));
                    self.mistake(node, found, EXPECTED).hint("durations have a unit: ns, us, ms, s, m or h");
                    None
                }
            },
            None => {
                let work = self.distribution(node, node);
                self.or_refuse(work, node)
            }
        }
    }

    fn or_refuse(&mut self, work: Option<Work>, node: Node<'_>) -> Option<Work> {
        if work.is_none() {
            let hint =
                "write what it is as a histogram: {type: histogram, data: {\"50ms\": 50, \"100ms\": 50}}";
            self.mistake(node, "a sleep that is not understood", EXPECTED).hint(hint);
        }
        work
    }

    /// `{type, data}`, or `{SleepCommand: [..]}` with one of them for each level of load.
    fn distribution(&mut self, node: Node<'_>, outer: Node<'_>) -> Option<Work> {
        if let Some(levels) = field(node, &["SleepCommand"]) {
            let text = "of the levels of load the last one is taken, as isotope does at full load";
            self.notes.add("SleepCommand", text, Some(outer.place()));
            return self.one(levels.items().last()?, outer);
        }
        self.one(node, outer)
    }

    fn one(&mut self, node: Node<'_>, outer: Node<'_>) -> Option<Work> {
        let data = field(node, &["data"])?;
        let spans = match field(node, &["type"])?.text()?.to_ascii_lowercase().as_str() {
            "static" => return Some(Work::Own(parse_duration(field(data, &["time"])?.text()?).ok()?)),
            "histogram" => {
                if data.fields().count() > BARS_MAX {
                    return None;
                }
                let bar = |(span, _, share): (&str, _, Node<'_>)| {
                    Some((number(share).filter(|share| *share > 0.0)?, parse_duration(span).ok()?))
                };
                let bars = data.fields().map(bar).collect::<Option<Vec<_>>>()?;
                let total: f64 = bars.iter().map(|(share, _)| share).sum();
                let shares = bars.into_iter().map(|(share, span)| (rounded(share / total), span));
                shares.filter(|(share, _)| *share > 0.0).collect::<Vec<_>>()
            }
            "dist" => {
                self.notes.add(
                    "sleep",
                    "a curve is written as ten equally likely spans; its slowest twentieth is cut off",
                    Some(outer.place()),
                );
                tenths(data)?.into_iter().map(|span| (0.1, span)).collect()
            }
            _ => return None,
        };
        let branches: Vec<_> =
            spans.into_iter().map(|(share, span)| (share, vec![Work::Own(span)])).collect();
        (!branches.is_empty()).then_some(Work::Choice(branches))
    }
}

/// The middles of a curve's tenths. Its numbers are milliseconds: isotope multiplies what it draws by 1e6 and
/// takes that for nanoseconds (`SleepCommandDistribution` in convert/pkg/graph/script/sleep_command.go).
fn tenths(data: Node<'_>) -> Option<Vec<Duration>> {
    let shape = field(data, &["dist", "name"]).filter(|node| node.shape() == Shape::Scalar);
    let shape = shape.or_else(|| field(data, &["name"]))?.text()?.to_ascii_lowercase();
    let parameters = data.fields().find(|(name, _, node)| *name == "Dist" && node.shape() == Shape::Map);
    let parameters = parameters.map_or(data, |(.., node)| node);
    let parameter = |names: &[&str]| number(field(parameters, names)?);
    let draw: Box<dyn Fn(usize) -> f64> = match shape.as_str() {
        "normal" | "lognormal" => {
            let (mean, sigma) = (parameter(&["mean", "mu"])?, parameter(&["sigma"])?);
            let lognormal = shape == "lognormal";
            Box::new(move |tenth| {
                let value = mean + sigma * TENTHS[tenth];
                if lognormal { value.exp() } else { value }
            })
        }
        "exp" => {
            let rate = parameter(&["rate"]).filter(|rate| *rate > 0.0)?;
            Box::new(move |tenth| -(1.0 - (tenth as f64 + 0.5) / 10.0).ln() / rate)
        }
        _ => return None,
    };
    let span = |tenth| Duration::try_from_secs_f64((draw(tenth) / 1e3).max(0.0)).ok();
    // Longer than a year is no pause; it is a number of another unit.
    let spans = (0..TENTHS.len()).map(span).collect::<Option<Vec<_>>>()?;
    spans.iter().all(|span| *span < Duration::from_secs(31_536_000)).then_some(spans)
}

/// A field by one of its names, in whatever letters: the branch's own files differ.
fn field<'t>(node: Node<'t>, names: &[&str]) -> Option<Node<'t>> {
    let known = |name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    node.fields().find(|(name, ..)| known(name)).map(|(.., node)| node)
}

fn number(node: Node<'_>) -> Option<f64> {
    node.text()?.parse().ok().filter(|number: &f64| number.is_finite())
}
