//! The longest that a call's tries may take, and how many of them fit into a span.

use bowline_design::resolved::TryPlan;
use std::fmt::Write;
use std::time::Duration;

/// The longest that all tries take if each runs to its cap, with the longest back-off between them:
/// `n·p + b`. `None` where a try has no cap of its own.
pub(crate) fn worst(plan: &TryPlan) -> Option<Duration> {
    let per_try = plan.per_try.as_ref()?.value;
    Some(per_try * plan.tries.value + waits(plan).iter().sum::<Duration>())
}

/// The longest back-off before each further try.
pub(crate) fn waits(plan: &TryPlan) -> Vec<Duration> {
    (1..plan.tries.value).map(|retry| plan.backoff.value.worst(retry)).collect()
}

/// `4 x 2 s + 25 ms + 75 ms + 175 ms`.
pub(crate) fn formula(plan: &TryPlan) -> String {
    let per_try = plan.per_try.as_ref().map_or_else(|| "?".to_owned(), |per_try| span(per_try.value));
    let mut text = format!("{} x {per_try}", plan.tries.value);
    for wait in waits(plan) {
        let _ = write!(text, " + {}", span(wait));
    }
    text
}

/// How many tries that run to their cap end within `limit`, and how many begin at all.
pub(crate) fn fitting(plan: &TryPlan, per_try: Duration, limit: Duration) -> (u32, u32) {
    let mut at = Duration::ZERO;
    let (mut fit, mut begin) = (0, 0);
    for number in 1..=plan.tries.value {
        if number > 1 {
            at += plan.backoff.value.worst(number - 1);
        }
        begin += u32::from(at < limit);
        at += per_try;
        fit += u32::from(at <= limit);
    }
    (fit, begin)
}

/// The per-try time with which all tries fit into `limit`, rounded down to what a person would write;
/// `None` where the back-off alone takes too long.
pub(crate) fn per_try_that_fits(plan: &TryPlan, limit: Duration) -> Option<Duration> {
    let rest = limit.checked_sub(waits(plan).iter().sum())?;
    let each = (rest / plan.tries.value).as_millis() as u64;
    let step = match each {
        0..20 => 1,
        20..200 => 5,
        200..2_000 => 10,
        _ => 100,
    };
    (each > 0).then(|| Duration::from_millis(each / step * step))
}

/// A span as a person writes it: `300 ms`, `2 s`, `8.275 s`, `1 min 30 s`.
pub(crate) fn span(span: Duration) -> String {
    let millis = span.as_secs_f64() * 1e3;
    if millis < 1_000.0 {
        return format!("{} ms", trimmed(millis));
    }
    let seconds = span.as_secs_f64();
    if seconds < 120.0 {
        return format!("{} s", trimmed(seconds));
    }
    let minutes = span.as_secs() / 60;
    match span.as_secs() % 60 {
        0 => format!("{minutes} min"),
        rest => format!("{minutes} min {rest} s"),
    }
}

/// A span as YAML takes it: `300ms`, `2s`.
pub(crate) fn yaml(span: Duration) -> String {
    match span.as_millis() {
        millis if millis.is_multiple_of(1_000) => format!("{}s", millis / 1_000),
        millis => format!("{millis}ms"),
    }
}

/// At most three decimals, and none that says nothing.
fn trimmed(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bowline_design::{Source, Sourced};
    use bowline_policy::{Backoff, RetryRule};

    fn plan(tries: u32, per_try_ms: u64) -> TryPlan {
        let backoff = Backoff::envoy(Duration::from_millis(25));
        TryPlan {
            tries: Sourced::default(tries, ""),
            per_try: Some(Sourced::default(Duration::from_millis(per_try_ms), "")),
            backoff: Sourced::default(backoff, ""),
            rule: Sourced { value: RetryRule::Outcome, from: Source::Default("") },
        }
    }

    #[test]
    fn the_articles_retries_may_take_8_275_seconds() {
        let plan = plan(4, 2_000);
        assert_eq!(worst(&plan), Some(Duration::from_millis(8_275)));
        assert_eq!(formula(&plan), "4 x 2 s + 25 ms + 75 ms + 175 ms");
    }

    #[test]
    fn one_of_four_tries_of_two_seconds_fits_into_three_and_two_begin() {
        assert_eq!(fitting(&plan(4, 2_000), Duration::from_secs(2), Duration::from_secs(3)), (1, 2));
        assert_eq!(per_try_that_fits(&plan(4, 2_000), Duration::from_secs(3)), Some(Duration::from_millis(680)));
    }

    #[test]
    fn spans_are_written_as_people_write_them() {
        assert_eq!(span(Duration::from_millis(300)), "300 ms");
        assert_eq!(span(Duration::from_millis(8_275)), "8.275 s");
        assert_eq!(span(Duration::from_secs(150)), "2 min 30 s");
        assert_eq!(yaml(Duration::from_millis(680)), "680ms");
        assert_eq!(yaml(Duration::from_secs(9)), "9s");
    }
}
