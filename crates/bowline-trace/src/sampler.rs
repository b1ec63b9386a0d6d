//! Which requests are recorded: decided at the head, before anything is known of how they end.
//!
//! One decision for the whole trace is what makes it whole, so a caller's decision is followed unless the
//! settings say otherwise, and one of our own goes on in the flags of `traceparent`.

use bowline_model::TraceContext;

/// The bits of a trace id that are random (W3C Trace Context level 2, 2.2.4): its last 56.
const RANDOM_BITS: u32 = 56;

/// Decides what is recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// How many traces out of `2^56` are recorded where nobody has decided yet.
    below: u64,
    /// Whether a caller's decision is followed.
    parent: bool,
}

impl Sampler {
    /// Records what the caller records, and of traces that begin here the share `ratio`, from 0 to 1.
    #[must_use]
    pub fn ratio(ratio: f64) -> Self {
        let below = (ratio.clamp(0.0, 1.0) * (1_u64 << RANDOM_BITS) as f64) as u64;
        Self { below, parent: true }
    }

    /// The same, without regard to what the caller decided.
    #[must_use]
    pub const fn alone(self) -> Self {
        Self { parent: false, ..self }
    }

    /// Whether a request is recorded. A share is taken by the trace's id, so that all who take the same share
    /// take the same traces.
    #[must_use]
    pub fn samples(self, given: Option<TraceContext>, trace: u128) -> bool {
        match given {
            Some(given) if self.parent => given.is_sampled(),
            _ => (trace as u64) & ((1 << RANDOM_BITS) - 1) < self.below,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bowline_model::SplitMix64;

    #[test]
    fn a_tenth_of_the_traces_is_a_tenth() {
        let (sampler, mut random) = (Sampler::ratio(0.1), SplitMix64::new(3));
        let sampled =
            (0..100_000).filter(|_| sampler.samples(None, TraceContext::start(&mut random).trace)).count();
        // Four standard deviations of a binomial are 380.
        assert!((9_620..=10_380).contains(&sampled), "{sampled}");
    }

    #[test]
    fn all_is_all_and_nothing_is_nothing() {
        for trace in [1, u128::MAX] {
            assert!(Sampler::ratio(1.0).samples(None, trace));
            assert!(!Sampler::ratio(0.0).samples(None, trace));
        }
    }

    #[test]
    fn a_caller_that_decided_is_followed_unless_told_otherwise() {
        for (flags, ratio) in [(1, 0.0), (0, 1.0)] {
            let given = Some(TraceContext { trace: 7, parent: 7, flags });
            let sampler = Sampler::ratio(ratio);
            assert_eq!(sampler.samples(given, 7), flags == 1);
            assert_eq!(sampler.alone().samples(given, 7), flags == 0);
        }
    }
}
