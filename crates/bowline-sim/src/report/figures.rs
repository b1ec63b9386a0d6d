//! Figures with their unit and their uncertainty.
//!
//! They are written as in the table in text, so that page and terminal say the same.

use super::page::Cell;
use super::words;
use crate::experiment::Unit;
use crate::hero;
use crate::objectives::{Measure, Target};
use crate::stats::{Effect, Estimate};
use bowline_design::resolved::scenario::{Amount, Bound};
use std::time::Duration;

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

/// What several seeds gave, as a figure: that of the table in text, its margin apart.
pub(super) fn cell(unit: Unit, estimate: &Estimate) -> Cell {
    let text = hero::cell(unit, estimate);
    match text.split_once(" +-") {
        Some((figure, margin)) => {
            Cell { text: figure.to_owned(), margin: Some(format!("±{margin}")), ..Cell::default() }
        }
        None => Cell { text, ..Cell::default() },
    }
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
    // The estimate of the differences is written as that of figures is.
    let estimate = Estimate {
        runs: effect.pairs,
        mean: Some(effect.mean.abs()),
        half: effect.half,
        ..Estimate::default()
    };
    let size = plain(&cell(unit, &estimate));
    let least = if effect.at_least { "at least " } else { "" };
    match unit {
        // Of shares the difference is in points: 3 % of 2 % is something else.
        Unit::Share => format!("{least}{} points", size.replace(" %", "")),
        Unit::Seconds | Unit::Count | Unit::Times => format!("{least}{size}"),
    }
}

/// What a target allows, as people write it: `≤ 300 ms`.
pub(super) fn bound(target: &Target) -> String {
    match (unit(target), target.at_most()) {
        (_, none) if none <= 0.0 => format!(": {}", target.bound),
        // A number and its unit stay on one line.
        (Unit::Seconds, seconds) => format!(" ≤ {}", words::exact(Duration::from_secs_f64(seconds)))
            .replace(' ', "\u{a0}")
            .replacen('\u{a0}', " ", 1),
        _ => format!(" ≤ {}", target.bound),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Value;

    #[test]
    fn margins_stand_apart_from_their_figures() {
        let around = |mean: f64, off: f64| Estimate::of(&[mean - off, mean + off].map(Value::Known));
        let cell = cell(Unit::Seconds, &around(40.0, 0.5));
        assert_eq!((&*cell.text, cell.margin.as_deref()), ("40 s", Some("±6")));
        assert_eq!(plain(&cell), "40 s ±6");
    }

    #[test]
    fn shares_differ_by_points() {
        let effect =
            Effect { pairs: 20, mean: -0.017, half: Some(0.001), outside_noise: true, at_least: false };
        assert_eq!(difference(Unit::Share, &effect), "1.7 ±0.1 points");
    }
}
