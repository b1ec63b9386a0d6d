//! From figures to places on a chart.
//!
//! A chart is as wide as the screen lets it be, and only its lines are stretched: they live in a nested drawing
//! of [`WIDTH`] units that does not keep its proportions, with strokes that do not scale. Texts and ticks are
//! placed by percentages and keep their size, so the same chart reads on a phone.

use super::words;
use std::fmt::Write;

/// The width of a plot, in its own units. Each is less than a pixel almost everywhere.
pub(super) const WIDTH: f64 = 1_000.0;

/// The most points of a line: a pixel on a wide screen has one, and a page stays small.
pub(super) const POINTS_MAX: usize = 500;

/// A figure rounded to a tenth of a unit: small pages, and the same text whatever the last bit was.
pub(super) fn place(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").map_or(text.clone(), str::to_owned);
    if text == "-0" { "0".to_owned() } else { text }
}

/// A share of the width, in percent.
pub(super) fn percent(share: f64) -> String {
    format!("{}%", place(share * 100.0))
}

/// The next number that is round enough for an axis to end there.
pub(super) fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powi(value.log10().floor() as i32);
    let steps = [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    let step = steps.into_iter().find(|step| value <= step * power * (1.0 + 1e-9));
    step.unwrap_or(10.0) * power
}

/// Where a time axis from `from` to `to` seconds has its ticks, and what they are called: at most seven, at round
/// moments. Names are short, so all are in seconds where not all are whole minutes.
pub(super) fn moments(from: f64, to: f64) -> Vec<(f64, String)> {
    /// Steps that clocks have.
    const STEPS: [f64; 19] = [
        1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0,
        14_400.0, 21_600.0, 43_200.0, 86_400.0, 172_800.0,
    ];
    let step = STEPS.into_iter().find(|step| (to - from) / step <= 6.0).unwrap_or(172_800.0);
    let first = (from / step).ceil() as i64;
    let last = (to / step).floor() as i64;
    let name = |at: f64| if step < 60.0 && at != 0.0 { format!("{at:.0} s") } else { words::moment(at) };
    (first..=last).map(|index| index as f64 * step).map(|at| (at, name(at))).collect()
}

/// The path through these places, from left to right.
pub(super) fn path(places: impl IntoIterator<Item = (f64, f64)>) -> String {
    let mut text = String::new();
    for (index, (x, y)) in places.into_iter().enumerate() {
        let _ = write!(text, "{}{} {}", if index == 0 { 'M' } else { 'L' }, place(x), place(y));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        assert_eq!(round_up(0.0), 1.0);
        assert_eq!(round_up(803.0), 1_000.0);
        assert_eq!(round_up(1_000.0), 1_000.0);
        assert_eq!(round_up(0.021), 0.025);
    }

    #[test]
    fn time_has_ticks_at_round_moments() {
        let names =
            |from, to| moments(from, to).into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(", ");
        assert_eq!(names(-30.0, 660.0), "0, 2 min, 4 min, 6 min, 8 min, 10 min");
        assert_eq!(names(-10.0, 160.0), "0, 30 s, 60 s, 90 s, 120 s, 150 s");
        assert_eq!(names(0.0, 4.0), "0, 1 s, 2 s, 3 s, 4 s");
    }

    #[test]
    fn places_have_one_digit_at_most() {
        assert_eq!(place(12.04), "12");
        assert_eq!(place(-0.01), "0");
        assert_eq!(path([(0.0, 1.25), (3.0, 4.0)]), "M0 1.2L3 4");
    }
}
