//! The longest that a call's tries may take, and how many of them fit into a span.

use crate::words::span;
use bowline_design::resolved::TryPlan;
use std::time::Duration;

/// After this many retries no back-off grows any more: nanoseconds doubled so often pass the 584 years
/// that 64 bits hold, and every cap with them.
const GROWTH_MAX: u32 = 64;

/// A formula names each back-off up to this many; the sum of more is shorter to read.
const WAITS_NAMED_MAX: u32 = 4;

/// The longest that all tries take if each runs to its cap, with the longest back-off between them:
/// `n x p + b`. `None` where a try has no cap of its own.
pub(crate) fn worst(plan: &TryPlan) -> Option<Duration> {
    Some(all(plan, plan.per_try.as_ref()?.value))
}

/// `4 x 2 s + 25 ms + 75 ms + 175 ms = 8.275 s`, with tries of `per_try`.
pub(crate) fn formula(plan: &TryPlan, per_try: Duration) -> String {
    let mut terms = vec![format!("{} x {}", plan.tries.value, span(per_try))];
    match plan.tries.value.saturating_sub(1) {
        retries @ 0..=WAITS_NAMED_MAX => terms.extend((1..=retries).map(|retry| span(wait(plan, retry)))),
        _ => terms.push(format!("{} of back-off", span(waits(plan)))),
    }
    format!("{} = {}", terms.join(" + "), span(all(plan, per_try)))
}

/// How many tries that run to their cap end within `limit`, with the longest back-off between them.
pub(crate) fn fitting(plan: &TryPlan, per_try: Duration, limit: Duration) -> u32 {
    within(
        plan,
        limit,
        |number| if number == 1 { per_try } else { per_try.saturating_add(wait(plan, number - 1)) },
    )
}

/// How many of them begin before `limit` is over.
pub(crate) fn beginning(plan: &TryPlan, per_try: Duration, limit: Duration) -> u32 {
    // A try begins when the one before has ended and its back-off is over, strictly within the limit.
    let Some(limit) = limit.checked_sub(Duration::from_nanos(1)) else { return 0 };
    within(plan, limit, |number| {
        if number == 1 { Duration::ZERO } else { per_try.saturating_add(wait(plan, number - 1)) }
    })
}

/// The per-try time with which all tries fit into `limit`, rounded down to what a person would write;
/// `None` where the back-off alone takes too long.
pub(crate) fn per_try_that_fits(plan: &TryPlan, limit: Duration) -> Option<Duration> {
    let rest = limit.checked_sub(waits(plan))?;
    Some(rounded_down(rest / plan.tries.value.max(1))).filter(|each| !each.is_zero())
}

/// A span rounded down to what a person would write.
pub(crate) fn rounded_down(span: Duration) -> Duration {
    let each = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let step = match each {
        0..20 => 1,
        20..200 => 5,
        200..2_000 => 10,
        _ => 100,
    };
    Duration::from_millis(each / step * step)
}

/// A span rounded up to what a person would write as a deadline: tenths of a second above one.
pub(crate) fn rounded_up(span: Duration) -> Duration {
    let step: u128 = if span < Duration::from_secs(1) { 1_000_000 } else { 100_000_000 };
    let nanos = span.as_nanos().div_ceil(step).saturating_mul(step);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// All tries of `per_try` each, and the longest back-off between them.
fn all(plan: &TryPlan, per_try: Duration) -> Duration {
    per_try.saturating_mul(plan.tries.value).saturating_add(waits(plan))
}

/// The longest back-off before retry `retry`, from one.
fn wait(plan: &TryPlan, retry: u32) -> Duration {
    plan.backoff.value.worst(retry.min(GROWTH_MAX))
}

/// The longest back-off of all retries together.
pub(crate) fn waits(plan: &TryPlan) -> Duration {
    let retries = plan.tries.value.saturating_sub(1);
    let growing = (1..=retries.min(GROWTH_MAX))
        .fold(Duration::ZERO, |sum, retry| sum.saturating_add(wait(plan, retry)));
    growing.saturating_add(wait(plan, GROWTH_MAX).saturating_mul(retries.saturating_sub(GROWTH_MAX)))
}

/// How many of the plan's tries are over by `limit`, where try `number` comes `step(number)` after the one
/// before. Steps stop growing after [`GROWTH_MAX`].
fn within(plan: &TryPlan, limit: Duration, step: impl Fn(u32) -> Duration) -> u32 {
    let mut at = Duration::ZERO;
    for number in 1..=plan.tries.value.min(GROWTH_MAX + 1) {
        at = at.saturating_add(step(number));
        if at > limit {
            return number - 1;
        }
    }
    let more = plan.tries.value.saturating_sub(GROWTH_MAX + 1);
    let each = step(GROWTH_MAX + 1).as_nanos();
    let fit = (limit - at).as_nanos().checked_div(each).unwrap_or(u128::MAX);
    plan.tries.value - more + u32::try_from(fit).unwrap_or(u32::MAX).min(more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bowline_design::Sourced;
    use bowline_policy::{Backoff, RetryRule};
    use proptest::prelude::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn plan(tries: u32, per_try: Duration, base: Duration) -> TryPlan {
        TryPlan {
            tries: Sourced::default(tries, ""),
            per_try: Some(Sourced::default(per_try, "")),
            backoff: Sourced::default(Backoff::envoy(base), ""),
            rule: Sourced::default(RetryRule::Outcome, ""),
        }
    }

    fn istio(tries: u32, per_try: Duration) -> TryPlan {
        plan(tries, per_try, ms(25))
    }

    #[test]
    fn the_articles_retries_may_take_8_275_seconds() {
        let plan = istio(4, ms(2_000));
        assert_eq!(worst(&plan), Some(ms(8_275)));
        assert_eq!(formula(&plan, ms(2_000)), "4 x 2 s + 25 ms + 75 ms + 175 ms = 8.275 s");
        assert_eq!(formula(&istio(11, ms(2_000)), ms(2_000)), "11 x 2 s + 2.025 s of back-off = 24.025 s");
    }

    #[test]
    fn one_of_four_tries_of_two_seconds_fits_into_three_and_two_begin() {
        let plan = istio(4, ms(2_000));
        assert_eq!(fitting(&plan, ms(2_000), ms(3_000)), 1);
        assert_eq!(beginning(&plan, ms(2_000), ms(3_000)), 2);
        assert_eq!(per_try_that_fits(&plan, ms(3_000)), Some(ms(680)));
    }

    #[test]
    fn a_try_that_would_begin_at_the_deadline_does_not_begin() {
        let plan = istio(2, ms(100));
        assert_eq!(beginning(&plan, ms(100), ms(125)), 1);
        assert_eq!(beginning(&plan, ms(100), ms(126)), 2);
    }

    #[test]
    fn four_billion_tries_overflow_nothing_and_take_no_time() {
        let plan = plan(u32::MAX, Duration::MAX, Duration::MAX);
        assert_eq!(worst(&plan), Some(Duration::MAX));
        let century = Duration::from_hours(24 * 365 * 100);
        assert_eq!((fitting(&plan, ms(1), century), beginning(&plan, ms(1), century)), (1, 1));
        let hasty = self::plan(u32::MAX, ms(1), Duration::ZERO);
        assert_eq!(fitting(&hasty, ms(1), ms(10_000)), 10_000);
        assert_eq!(fitting(&hasty, Duration::ZERO, ms(10_000)), u32::MAX);
    }

    #[test]
    fn deadlines_are_rounded_up_to_what_a_person_would_write() {
        assert_eq!(rounded_up(ms(8_275)), ms(8_300));
        assert_eq!(rounded_up(Duration::from_micros(300)), ms(1));
        assert_eq!(rounded_up(ms(270)), ms(270));
    }

    proptest! {
        #[test]
        fn tries_are_counted_as_a_clock_would(
            tries in 1_u32..200,
            per_try in 0_u64..3_000,
            base in 0_u64..100,
            limit in 0_u64..60_000,
        ) {
            let plan = plan(tries, ms(per_try), ms(base));
            let (mut at, mut ended, mut began) = (0, 0, 0);
            for number in 0..tries {
                if number > 0 {
                    at += (base * ((1 << number.min(20)) - 1)).min(10 * base);
                }
                began += u32::from(at < limit);
                at += per_try;
                ended += u32::from(at <= limit);
            }
            prop_assert_eq!(fitting(&plan, ms(per_try), ms(limit)), ended);
            prop_assert_eq!(beginning(&plan, ms(per_try), ms(limit)), began);
            prop_assert_eq!(worst(&plan), Some(ms(at)));
        }

        #[test]
        fn the_per_try_time_that_fits_does(tries in 1_u32..20, base in 1_u64..100, limit in 1_u64..60_000) {
            let mut plan = plan(tries, ms(1), ms(base));
            if let Some(fits) = per_try_that_fits(&plan, ms(limit)) {
                plan.per_try = Some(Sourced::default(fits, ""));
                prop_assert!(worst(&plan).unwrap() <= ms(limit));
            }
        }
    }
}
