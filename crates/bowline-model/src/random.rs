//! Randomness as an argument.

use std::time::Duration;

/// Where a decision's random numbers come from.
///
/// Implementors give uniformly distributed bits; everything else is derived here, so that the same
/// seed means the same decisions in production and in the simulator.
pub trait Random {
    /// The next 64 uniformly distributed bits.
    fn next_u64(&mut self) -> u64;

    /// A number below `bound`, or zero for a bound of zero.
    ///
    /// Multiply-shift (Lemire 2019, "Fast Random Integer Generation in an Interval") without its
    /// rejection step: the bias is below `bound / 2^64`, far under anything a back-off can show.
    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `[0, 1)`, from the upper 53 bits.
    fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A span in `[0, span]`, to the nanosecond.
    fn up_to(&mut self, span: Duration) -> Duration {
        Duration::from_nanos(self.below(crate::time::nanos(span).saturating_add(1)))
    }
}

impl<R: Random + ?Sized> Random for &mut R {
    fn next_u64(&mut self) -> u64 {
        (**self).next_u64()
    }
}

/// Steele, Lea and Flood's SplitMix64 (OOPSLA 2014): eight bytes of state, any seed is a good seed,
/// and a stream of its own for each purpose costs nothing. Not for secrets.
#[derive(Clone, Debug)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// A stream that starts from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl Random for SplitMix64 {
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_mix_gives_its_published_first_numbers() {
        // Reference output for seed 1234567, from the generator's public-domain C source.
        let mut random = SplitMix64::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.next_u64()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn below_stays_below_and_reaches_both_ends() {
        let mut random = SplitMix64::new(7);
        let mut seen = [false; 6];
        for _ in 0..1_000 {
            seen[random.below(6) as usize] = true;
        }
        assert_eq!(seen, [true; 6]);
        assert_eq!(random.below(0), 0);
    }
}
