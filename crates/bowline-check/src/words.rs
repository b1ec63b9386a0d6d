//! Spans, counts and factors, as findings write them.

use std::time::Duration;

/// A span as a person writes it: `300 ms`, `2 s`, `8.275 s`, `2 min 30 s`.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs_f64();
    if seconds < 1.0 {
        return format!("{} ms", trimmed(seconds * 1e3));
    }
    if seconds < 120.0 {
        return format!("{} s", trimmed(seconds));
    }
    let minutes = span.as_secs() / 60;
    let rest = span - Duration::from_secs(minutes * 60);
    if rest.is_zero() { format!("{minutes} min") } else { format!("{minutes} min {}", self::span(rest)) }
}

/// `1 try`, `3 tries`.
pub(crate) fn counted(count: u32, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

/// A factor with at most one decimal: `3`, `1.2`; beyond a million nobody counts.
pub(crate) fn factor(number: f64) -> String {
    if number > 1e6 {
        return "more than a million".to_owned();
    }
    format!("{number:.1}").trim_end_matches(".0").to_owned()
}

/// A share of all: `4.4 %`, `50 %`, `0.3 %`; two figures are enough to judge one.
pub(crate) fn percent(share: f64) -> String {
    let hundredths = share * 100.0;
    let text = if hundredths < 1.0 { format!("{hundredths:.2}") } else { format!("{hundredths:.1}") };
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} %")
}

/// At most three decimals, and none that says nothing.
fn trimmed(number: f64) -> String {
    format!("{number:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_people_write_them() {
        for (millis, text) in
            [(0, "0 ms"), (300, "300 ms"), (8_275, "8.275 s"), (120_000, "2 min"), (150_500, "2 min 30.5 s")]
        {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
        assert_eq!(span(Duration::from_micros(1_500)), "1.5 ms");
    }

    #[test]
    fn shares_are_written_in_hundredths() {
        assert_eq!(
            [0.5, 0.0437, 0.011, 0.0031, 1.0].map(percent),
            ["50 %", "4.4 %", "1.1 %", "0.31 %", "100 %"]
        );
    }

    #[test]
    fn factors_have_no_decimal_that_says_nothing() {
        assert_eq!([1.2, 3.0, 10.0, 27.04].map(factor), ["1.2", "3", "10", "27"]);
        assert_eq!(factor(f64::INFINITY), "more than a million");
    }
}
