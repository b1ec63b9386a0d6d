//! How long a host takes: a moving average that believes bad news at once and good news slowly.
//!
//! Why peaks. A mean needs many samples to notice that a host became slow, and all of them are callers who
//! wait. Here one slow answer is believed whole and then forgotten over `tau` (Finagle's peak EWMA).
//!
//! Why reading changes nothing: what is read is the average as it has aged until now. An idle host's past
//! fades, so that one that was slow once is asked again.

use crate::sync::atomic::{AtomicU64, Ordering};
use bowline_model::Instant;
use bowline_model::time::nanos;
use std::time::Duration;

/// The average and its time in one word, so that no reader sees the one without the other.
///
/// Upper half: nanoseconds as `f32`; lower half: when, in ticks of 2^20 ns (about a millisecond; they come
/// round after 52 days, and a host that was idle for so long only looks less idle). Zero: no sample yet.
#[derive(Debug)]
pub(super) struct Estimate(AtomicU64);

const TICK_BITS: u32 = 20;

impl Estimate {
    pub(super) fn none() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The average at `now` in nanoseconds; `None` where there is no sample.
    #[inline]
    pub(super) fn read(&self, now: Instant, tau: Duration) -> Option<f32> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            word => {
                let (average, age) = unpack(word, now);
                Some(average * fading(age, tau))
            }
        }
    }

    /// A sample of which only is known that it is at least so long: it can raise the average and never lower it.
    pub(super) fn at_least(&self, now: Instant, tau: Duration, took: Duration) {
        if self.read(now, tau).is_none_or(|average| average < nanos(took) as f32) {
            self.record(now, tau, took);
        }
    }

    /// One more sample.
    #[inline]
    pub(super) fn record(&self, now: Instant, tau: Duration, took: Duration) {
        let sample = (nanos(took).max(1)) as f32;
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let next = if word == 0 {
                sample
            } else {
                let (average, age) = unpack(word, now);
                if average <= sample {
                    sample
                } else {
                    let kept = fading(age, tau);
                    average * kept + sample * (1.0 - kept)
                }
            };
            // A sample within the same tick that is no peak weighs nothing yet: its tick's worth of time is
            // counted by the first one after it.
            let packed = (u64::from(next.to_bits()) << 32) | u64::from(tick(now));
            match self.0.compare_exchange_weak(word, packed, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => word = other,
            }
        }
    }
}

fn unpack(word: u64, now: Instant) -> (f32, u32) {
    let age = tick(now).wrapping_sub(word as u32);
    // A clock that is a little behind: no time has passed.
    let age = if age > u32::MAX / 2 { 0 } else { age };
    (f32::from_bits((word >> 32) as u32), age)
}

const fn tick(now: Instant) -> u32 {
    (now.as_nanos() >> TICK_BITS) as u32
}

/// What is left after `age` ticks: `e^(-age/tau)` by the first four terms of its series. Only sums,
/// products and one division, which are the same to the last bit on every machine; the library's `exp` is
/// not, and a simulation must replay everywhere.
fn fading(age: u32, tau: Duration) -> f32 {
    let x = age as f32 / ((nanos(tau) >> TICK_BITS).max(1)) as f32;
    1.0 / (1.0 + x * (1.0 + x * (0.5 + x / 6.0)))
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    const TAU: Duration = Duration::from_secs(10);

    fn read(estimate: &Estimate, now: Instant) -> Duration {
        Duration::from_nanos(estimate.read(now, TAU).unwrap() as u64)
    }

    fn close(left: Duration, right: Duration) -> bool {
        let (left, right) = (left.as_secs_f64(), right.as_secs_f64());
        (left - right).abs() <= 0.03 * right
    }

    #[test]
    fn bad_news_is_believed_at_once_and_good_news_over_ten_seconds() {
        let estimate = Estimate::none();
        let mut now = Instant::from_millis(1_000);
        estimate.record(now, TAU, Duration::from_millis(10));
        estimate.record(now, TAU, Duration::from_millis(500));
        assert!(close(read(&estimate, now), Duration::from_millis(500)));
        for _ in 0..1_000 {
            now += Duration::from_millis(10);
            estimate.record(now, TAU, Duration::from_millis(10));
        }
        // Ten seconds are one tau: 1/e of the peak is left, over what the samples say.
        let expected = 10.0 + 490.0 * (-1.0_f64).exp();
        assert!(
            close(read(&estimate, now), Duration::from_secs_f64(expected / 1e3)),
            "{:?}",
            read(&estimate, now)
        );
    }

    #[test]
    fn what_took_at_least_so_long_makes_a_host_slower_and_never_faster() {
        let estimate = Estimate::none();
        let now = Instant::from_millis(5);
        estimate.record(now, TAU, Duration::from_millis(50));
        let later = now + Duration::from_secs(1);
        let before = estimate.read(later, TAU);
        estimate.at_least(later, TAU, Duration::from_millis(10));
        assert_eq!(estimate.read(later, TAU), before);
        estimate.at_least(later, TAU, Duration::from_millis(200));
        assert!(close(read(&estimate, later), Duration::from_millis(200)));
    }

    #[test]
    fn reading_changes_nothing_and_the_past_fades() {
        let estimate = Estimate::none();
        let now = Instant::from_millis(5);
        estimate.record(now, TAU, Duration::from_secs(1));
        let later = now + Duration::from_secs(20);
        let first = read(&estimate, later);
        assert_eq!(first, read(&estimate, later));
        assert!(close(first, Duration::from_secs_f64(1.0 / 6.333)), "the series, not the power: {first:?}");
        assert!(close(read(&estimate, now), Duration::from_secs(1)), "a clock a little behind");
    }
}
