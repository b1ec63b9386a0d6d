//! Figures as people read them: two digits that count, a unit, and the uncertainty where it shows.

use crate::experiment::Unit;
use crate::stats::Estimate;

/// A figure and its uncertainty: `98.3 % +-0.1`, `0.14 s`, `>= 60 s`, `failed`.
#[must_use]
pub fn cell(unit: Unit, estimate: &Estimate) -> String {
    let of = estimate.runs + estimate.never + estimate.unknown;
    let Some(mean) = estimate.mean else {
        return if 0 < estimate.never { "failed".to_owned() } else { "-".to_owned() };
    };
    if 0 < estimate.never {
        return format!("failed in {} of {of}", estimate.never);
    }
    // "More than none" would say that there was one.
    if 0 < estimate.at_least && mean <= 0.0 {
        return "0 so far".to_owned();
    }
    let scale = Scale::of(unit, mean);
    let at_least = if 0 < estimate.at_least { ">= " } else { "" };
    let margin = estimate.half.map(|half| scale.number(half)).filter(|margin| !is_nothing(margin));
    // The mean of lower bounds is one itself, and how far they scatter says nothing.
    let margin = margin.filter(|_| estimate.at_least == 0);
    let margin = margin.map_or(String::new(), |margin| format!(" +-{margin}"));
    format!("{at_least}{}{margin}", scale.whole(mean))
}

/// One number with its unit.
pub(crate) fn number(unit: Unit, value: f64) -> String {
    Scale::of(unit, value).whole(value)
}

fn is_nothing(number: &str) -> bool {
    number.bytes().all(|byte| matches!(byte, b'0' | b'.' | b','))
}

/// How a number is written: what it is multiplied with, digits after the point, and what stands behind it.
#[derive(Clone, Copy, Debug)]
struct Scale {
    factor: f64,
    digits: usize,
    suffix: &'static str,
}

impl Scale {
    fn of(unit: Unit, value: f64) -> Self {
        let size = value.abs();
        let scale = |factor, digits, suffix| Self { factor, digits, suffix };
        match unit {
            // As many digits as it takes to tell nearly all from all, and nearly none from none.
            Unit::Share => {
                let from_edge = size.min((1.0 - size).abs());
                let digits = match from_edge {
                    edge if edge <= 0.0 => 0,
                    edge if edge < 0.000_005 => 4,
                    edge if edge < 0.000_05 => 3,
                    edge if edge < 0.000_5 => 2,
                    _ => 1,
                };
                scale(100.0, digits, " %")
            }
            Unit::Seconds if size <= 0.0 => scale(1.0, 0, ""),
            Unit::Seconds if size < 0.000_1 => scale(1e6, digits(size * 1e6), " us"),
            Unit::Seconds if size < 0.1 => scale(1e3, digits(size * 1e3), " ms"),
            Unit::Seconds => scale(1.0, digits(size), " s"),
            Unit::Count if (size - size.round()).abs() < 1e-9 => scale(1.0, 0, ""),
            Unit::Count => scale(1.0, digits(size), ""),
            Unit::Times => scale(1.0, 2, ""),
        }
    }

    fn number(self, value: f64) -> String {
        format!("{:.*}", self.digits, value * self.factor)
    }

    fn whole(self, value: f64) -> String {
        if is_nothing(&self.number(value)) && self.suffix == " %" {
            return "0".to_owned();
        }
        let number = self.number(value);
        // `6 ms`, not `6.0 ms`; shares keep their digit, so that columns of them stand alike.
        let short = if self.suffix == " %" { None } else { number.strip_suffix(".0") };
        format!("{}{}", short.unwrap_or(&number), self.suffix)
    }
}

/// Digits after the point so that two of them count.
fn digits(value: f64) -> usize {
    match value {
        value if 9.95 <= value => 0,
        value if 0.995 <= value => 1,
        value if 0.099_5 <= value => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Value;

    #[test]
    fn figures_are_read_at_a_glance() {
        for (unit, value, text) in [
            (Unit::Share, 0.983_1, "98.3 %"),
            (Unit::Share, 1.0, "100 %"),
            (Unit::Share, 0.0, "0"),
            (Unit::Share, 0.999_98, "99.998 %"),
            (Unit::Share, 0.000_02, "0.002 %"),
            (Unit::Seconds, 0.006, "6 ms"),
            (Unit::Seconds, 0.023, "23 ms"),
            (Unit::Seconds, 0.14, "0.14 s"),
            (Unit::Seconds, 8.8, "8.8 s"),
            (Unit::Seconds, 41.6, "42 s"),
            (Unit::Seconds, 0.0, "0"),
            (Unit::Seconds, 0.000_05, "50 us"),
            (Unit::Count, 7951.0, "7951"),
            (Unit::Count, 0.25, "0.25"),
            (Unit::Times, 0.98, "0.98"),
        ] {
            assert_eq!(number(unit, value), text);
        }
    }

    #[test]
    fn uncertainty_is_said_where_it_shows() {
        let cell = |values: &[Value]| cell(Unit::Seconds, &Estimate::of(values));
        assert_eq!(cell(&[Value::Known(40.0), Value::Known(40.0)]), "40 s");
        assert_eq!(cell(&[Value::Known(40.0), Value::Known(39.0)]), "40 s +-6");
        assert_eq!(cell(&[Value::Known(40.0)]), "40 s");
        assert_eq!(cell(&[Value::AtLeast(60.0), Value::Known(70.0)]), ">= 65 s");
        assert_eq!(cell(&[Value::AtLeast(0.0), Value::Known(0.0)]), "0 so far");
        assert_eq!(cell(&[Value::Never, Value::Never]), "failed");
        assert_eq!(cell(&[Value::Never, Value::Known(1.0)]), "failed in 1 of 2");
        assert_eq!(cell(&[Value::Unknown]), "-");
    }
}
