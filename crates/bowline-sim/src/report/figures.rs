//! Figures with their unit and their uncertainty.
//!
//! A margin has the unit and the digits of its figure and is rounded up: what is said is never surer than what was
//! found.

use super::page::Cell;
use super::words;
use crate::experiment::Unit;
use crate::objectives::{Measure, Target};
use crate::stats::{Effect, Estimate};
use bowline_design::resolved::scenario::{Amount, Bound};

/// What the values of a target are.
pub(super) const fn unit(target: &Target) -> Unit {
    match target.measure {
        Measure::AtMost(_, Bound::Time(_)) | Measure::Strong | Measure::Answers { .. } => Unit::Seconds,
        Measure::AtMost(_, Bound::Requests(Amount::Share(_))) => Unit::Share,
        Measure::AtMost(_, Bound::Requests(Amount::Count(_)) | Bound::Records(_)) => Unit::Count,
        Measure::AtMost(_, Bound::Times(_)) => Unit::Times,
    }
}

/// The smallest relative difference that the values of a target can show: times are read off buckets that are 1/64
/// of their value wide.
pub(super) const fn resolution(target: &Target) -> f64 {
    match unit(target) {
        Unit::Seconds => 1.0 / 64.0,
        Unit::Share | Unit::Count | Unit::Times => 0.0,
    }
}

/// What several seeds gave, as a figure.
pub(super) fn cell(unit: Unit, estimate: &Estimate) -> Cell {
    let never = estimate.never;
    let all = estimate.runs + never + estimate.unknown;
    let Some(mean) = estimate.mean else {
        let text = if 0 < never { "never" } else { "not known" };
        return Cell { text: text.to_owned(), ..Cell::default() };
    };
    let scale = Scale::of(unit, mean);
    let text = scale.figure(mean);
    if 0 < never {
        return Cell { text: format!("{text}, never in {never} of {all}"), ..Cell::default() };
    }
    let text = if 0 < estimate.at_least { format!("≥ {text}") } else { text };
    Cell { text, margin: scale.margin(estimate.half), ..Cell::default() }
}

/// A figure in one piece.
pub(super) fn plain(cell: &Cell) -> String {
    match &cell.margin {
        Some(margin) => format!("{} {margin}", cell.text),
        None => cell.text.clone(),
    }
}

/// How much one arm differs from another.
pub(super) fn difference(unit: Unit, effect: &Effect) -> String {
    let size = effect.mean.abs();
    let scale = Scale::of(unit, size);
    let least = if effect.at_least { "at least " } else { "" };
    match (unit, scale.margin(effect.half)) {
        // Of shares the difference is in points: 3 % of 2 % is something else.
        (Unit::Share, margin) => {
            let figure = scale.bare(size);
            format!("{least}{figure}{} points", margin.map(|margin| format!(" {margin}")).unwrap_or_default())
        }
        (_, Some(margin)) => format!("{least}{} {margin}", scale.figure(size)),
        (_, None) => format!("{least}{}", scale.figure(size)),
    }
}

/// In which unit and with how many digits a figure and its margin are said.
struct Scale {
    factor: f64,
    /// Digits after the point.
    digits: usize,
    suffix: &'static str,
    /// Too long for a unit: minutes and hours.
    long: bool,
}

impl Scale {
    fn of(unit: Unit, value: f64) -> Self {
        let (factor, suffix) = match unit {
            Unit::Share => (100.0, " %"),
            Unit::Seconds if value == 0.0 => (1.0, ""),
            Unit::Seconds if value < 0.000_1 => (1e6, " µs"),
            Unit::Seconds if value < 0.1 => (1e3, " ms"),
            Unit::Seconds => (1.0, " s"),
            Unit::Count | Unit::Times => (1.0, ""),
        };
        let size = (value * factor).abs();
        let digits = match unit {
            _ if size == 0.0 => 0,
            // 98.3 %, 0.017 %: one digit after the point, or two that count.
            Unit::Share if 0.1 <= size => 1,
            Unit::Times if 0.1 <= size => 2,
            Unit::Count if 1.0 <= size => usize::from(size < 10.0 && 0.05 < (size - size.round()).abs()),
            _ if 10.0 <= size => 0,
            _ => (1 - size.log10().floor() as i32).clamp(0, 6) as usize,
        };
        Self { factor, digits, suffix, long: unit == Unit::Seconds && 120.0 <= value }
    }

    fn figure(&self, value: f64) -> String {
        if self.long {
            return words::span(std::time::Duration::from_secs_f64(value));
        }
        format!("{}{}", self.bare(value), self.suffix)
    }

    fn bare(&self, value: f64) -> String {
        let scaled = value * self.factor;
        if self.digits == 0 {
            words::thousands(scaled.round() as u64)
        } else {
            format!("{scaled:.*}", self.digits)
        }
    }

    /// Nothing where all seeds gave the same: then there is no more to say.
    fn margin(&self, half: Option<f64>) -> Option<String> {
        let half = half.filter(|half| 0.0 < *half)? * self.factor;
        let step = 10_f64.powi(self.digits as i32);
        let up = (half * step * (1.0 - 1e-9)).ceil() / step;
        Some(if self.digits == 0 {
            format!("±{}", words::thousands(up as u64))
        } else {
            format!("±{up:.*}", self.digits)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Value;

    #[track_caller]
    fn check(unit: Unit, values: &[Value], expected: &str) {
        assert_eq!(plain(&cell(unit, &Estimate::of(values))), expected);
    }

    fn around(mean: f64, off: f64) -> [Value; 4] {
        [mean - off, mean + off, mean - off, mean + off].map(Value::Known)
    }

    #[test]
    fn margins_have_the_digits_of_their_figure_and_are_rounded_up() {
        check(Unit::Share, &around(0.983, 0.0005), "98.3 % ±0.1");
        check(Unit::Seconds, &around(0.006, 0.0001), "6.0 ms ±0.2");
        check(Unit::Seconds, &around(8.8, 0.01), "8.8 s ±0.1");
        check(Unit::Count, &around(7_951.0, 80.0), "7,951 ±147");
        check(Unit::Times, &around(0.98, 0.0), "0.98");
    }

    #[test]
    fn nothing_is_said_that_nobody_saw() {
        check(Unit::Seconds, &[Value::Never, Value::Never], "never");
        check(Unit::Seconds, &[Value::Unknown], "not known");
        check(Unit::Seconds, &[Value::AtLeast(530.0)], "≥ 8 min 50 s");
        check(Unit::Seconds, &[Value::Known(1.0), Value::Never], "1.0 s, never in 1 of 2");
        check(Unit::Count, &[Value::Known(0.0)], "0");
    }
}
