//! When a service's retries stop because too much of what it is asked fails.
//!
//! gRPC's retry throttling (proposal A6): a bucket of tokens for each server name. What fails takes a token out, what
//! goes well puts part of one back, and further tries are made only while it is more than half full. Unlike a
//! [budget](crate::budget) it knows no time and no number of calls, and failures count whether they are tried again
//! or not: a callee of which a tenth of the calls fails (with a tenth of a token for each success) gets no retries
//! at all, however few there are.

/// A bucket of tokens that lets further tries happen.
///
/// Tokens are counted in thousandths, as gRPC takes three decimals of the ratio and no more. Every state is a plain
/// number between none and [`RetryThrottleSettings::tokens_max`], and a bucket begins full.
///
/// ```
/// use bowline_policy::RetryThrottleSettings;
/// let settings = RetryThrottleSettings { tokens_max: 10_000, ratio: 100 };
/// let tokens = (0..5).fold(settings.tokens_max, |tokens, _| settings.failed(tokens));
/// assert!(!settings.allows(tokens), "five of ten tokens are not more than half");
/// assert!(settings.allows(settings.succeeded(tokens)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryThrottleSettings {
    /// The tokens of a full bucket, in thousandths.
    pub tokens_max: u32,
    /// What a success puts back, in thousandths of a token.
    pub ratio: u32,
}

impl RetryThrottleSettings {
    /// One token.
    pub const TOKEN: u32 = 1_000;
    /// The most tokens that gRPC lets a bucket have.
    pub const TOKENS_MAX: u32 = 1_000;

    /// What is left of `tokens` after a failure.
    #[must_use]
    pub const fn failed(self, tokens: u32) -> u32 {
        tokens.saturating_sub(Self::TOKEN)
    }

    /// What becomes of `tokens` by a success.
    #[must_use]
    pub const fn succeeded(self, tokens: u32) -> u32 {
        let more = tokens.saturating_add(self.ratio);
        if more < self.tokens_max { more } else { self.tokens_max }
    }

    /// Whether with so many tokens a further try may be made: with more than half of them.
    #[must_use]
    pub const fn allows(self, tokens: u32) -> bool {
        (self.tokens_max as u64) < 2 * tokens as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: RetryThrottleSettings = RetryThrottleSettings { tokens_max: 10_000, ratio: 100 };

    #[test]
    fn exactly_half_is_not_enough_and_a_thousandth_more_is() {
        assert!(!TEN.allows(5_000));
        assert!(TEN.allows(5_001));
    }

    #[test]
    fn a_bucket_is_never_fuller_than_full_nor_emptier_than_empty() {
        assert_eq!(TEN.succeeded(9_950), 10_000);
        assert_eq!(TEN.failed(300), 0);
        let greedy = RetryThrottleSettings { ratio: u32::MAX, ..TEN };
        assert_eq!(greedy.succeeded(9_000), 10_000);
    }

    #[test]
    fn thousandths_add_up_exactly() {
        let settings = RetryThrottleSettings { ratio: 546, ..TEN };
        let tokens = (0..1_000).fold(0, |tokens, _| settings.succeeded(tokens).min(9_999));
        assert_eq!(tokens, 9_999);
        assert_eq!((0..7).fold(0, |tokens, _| settings.succeeded(tokens)), 7 * 546);
    }

    #[test]
    fn a_callee_that_fails_more_often_than_its_ratio_puts_back_gets_no_retries_in_the_end() {
        // One failure for nine successes takes 1 and puts back 0.9.
        let round = |tokens| (0..9).fold(TEN.failed(tokens), |tokens, _| TEN.succeeded(tokens));
        let tokens = (0..100).fold(10_000, |tokens, _| round(tokens));
        assert!(!TEN.allows(tokens), "{tokens}");
    }
}
