//! How long something takes: a distribution, sampled from a stream.

use bowline_design::resolved::Takes;
use bowline_model::Random;
use bowline_model::time::nanos;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long something takes.
///
/// Floating point inside, whole nanoseconds out. A sample longer than [`Dist::SAMPLE_MAX`] is cut there.
#[derive(Clone, Debug, PartialEq)]
pub enum Dist {
    /// Always this long.
    Constant(Duration),
    /// Without memory: what queueing theory calls M.
    Exponential {
        /// The mean.
        mean: Duration,
    },
    /// What service times of healthy services look like.
    LogNormal {
        /// Half of all samples are below.
        median: Duration,
        /// The standard deviation of the logarithm.
        sigma: f64,
    },
    /// A mean and how much samples scatter around it.
    Gamma {
        /// The mean.
        mean: Duration,
        /// Standard deviation over mean: 0 is constant, 1 is exponential.
        cv: f64,
    },
    /// The bell curve, cut off at zero.
    Normal {
        /// The mean, before the cut.
        mean: Duration,
        /// The standard deviation, before the cut.
        deviation: Duration,
    },
    /// What was measured.
    Empirical(Arc<Empirical>),
}

/// A measured distribution: how many samples lay in which bucket. Within a bucket they are spread evenly.
#[derive(Clone, Debug, PartialEq)]
pub struct Empirical {
    /// Upper ends of the buckets in nanoseconds, rising; the first bucket begins at zero.
    ends: Vec<u64>,
    /// Samples up to and with each bucket.
    cumulated: Vec<u64>,
}

/// Why a distribution cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistError(&'static str);

impl Dist {
    /// The longest that one sample may be: an hour. Log-normal and gamma have no upper end, and one sample
    /// of a year would make a run of a year.
    pub const SAMPLE_MAX: Duration = Duration::from_secs(3_600);

    /// No time at all.
    pub const ZERO: Self = Self::Constant(Duration::ZERO);

    /// An exponential distribution.
    #[must_use]
    pub const fn exponential(mean: Duration) -> Self {
        Self::Exponential { mean }
    }

    /// The log-normal distribution with this median and this 99th percentile: what `takes` in a design means.
    ///
    /// # Errors
    /// The percentile is below the median, or the median is zero and the percentile is not.
    ///
    /// ```
    /// use bowline_sim::Dist;
    /// use std::time::Duration;
    /// let takes = Dist::fit(Duration::from_millis(8), Duration::from_millis(40)).unwrap();
    /// assert!(matches!(takes, Dist::LogNormal { sigma, .. } if (sigma - 0.692).abs() < 0.001));
    /// ```
    pub fn fit(p50: Duration, p99: Duration) -> Result<Self, DistError> {
        if p99 < p50 {
            return Err(DistError("the 99th percentile is below the median"));
        }
        if p50 == p99 {
            return Ok(Self::Constant(p50));
        }
        if p50.is_zero() {
            return Err(DistError("a median of zero with a larger 99th percentile has no log-normal fit"));
        }
        let sigma = Takes { p50, p99, samples: None }.sigma();
        Ok(Self::LogNormal { median: p50, sigma })
    }

    /// Whether it can be sampled.
    ///
    /// # Errors
    /// A parameter is negative, infinite or not a number.
    pub fn check(&self) -> Result<(), DistError> {
        let fine = |value: f64| value.is_finite() && 0.0 <= value;
        match self {
            Self::LogNormal { sigma, .. } if !fine(*sigma) => {
                Err(DistError("sigma of a log-normal distribution must be a number, zero or more"))
            }
            Self::Gamma { cv, .. } if !fine(*cv) => {
                Err(DistError("the coefficient of variation must be a number, zero or more"))
            }
            _ => Ok(()),
        }
    }

    /// The mean.
    #[must_use]
    pub fn mean(&self) -> Duration {
        match self {
            Self::Constant(span) | Self::Exponential { mean: span } | Self::Gamma { mean: span, .. } => *span,
            // The cut at zero moves the mean only where the deviation is large; named as given.
            Self::Normal { mean, .. } => *mean,
            Self::LogNormal { median, sigma } => {
                Duration::from_secs_f64(median.as_secs_f64() * (sigma * sigma / 2.0).exp())
            }
            Self::Empirical(measured) => measured.mean(),
        }
    }

    /// Draws a sample, in nanoseconds.
    pub fn sample(&self, rng: &mut impl Random) -> u64 {
        match self {
            Self::Constant(span) => nanos(*span),
            Self::Exponential { mean } => whole(unit_exponential(rng) * nanos(*mean) as f64),
            Self::LogNormal { median, sigma } => {
                whole(nanos(*median) as f64 * (sigma * unit_normal(rng)).exp())
            }
            Self::Gamma { mean, cv } => {
                let shape = 1.0 / (cv * cv);
                if shape.is_finite() {
                    whole(unit_gamma(shape, rng) / shape * nanos(*mean) as f64)
                } else {
                    nanos(*mean)
                }
            }
            Self::Normal { mean, deviation } => {
                whole(nanos(*mean) as f64 + unit_normal(rng) * nanos(*deviation) as f64)
            }
            Self::Empirical(measured) => measured.sample(rng),
        }
    }
}

impl Empirical {
    /// The distribution of a histogram: upper ends of buckets, and how many samples each holds.
    ///
    /// # Errors
    /// The ends do not rise, or there is no sample.
    pub fn new(buckets: &[(Duration, u64)]) -> Result<Arc<Self>, DistError> {
        if !buckets.windows(2).all(|pair| pair[0].0 < pair[1].0) {
            return Err(DistError("the upper ends of the buckets must rise"));
        }
        let mut sum = 0_u64;
        let cumulated: Vec<u64> = buckets
            .iter()
            .map(|(_, count)| {
                sum = sum.saturating_add(*count);
                sum
            })
            .collect();
        if sum == 0 {
            return Err(DistError("a histogram needs a sample"));
        }
        Ok(Arc::new(Self { ends: buckets.iter().map(|(end, _)| nanos(*end)).collect(), cumulated }))
    }

    fn mean(&self) -> Duration {
        let mut below = (0, 0);
        let mut sum = 0.0;
        for (end, cumulated) in self.ends.iter().zip(&self.cumulated) {
            sum += (cumulated - below.1) as f64 * (below.0 as f64 + *end as f64) / 2.0;
            below = (*end, *cumulated);
        }
        Duration::from_nanos((sum / below.1 as f64) as u64)
    }

    fn sample(&self, rng: &mut impl Random) -> u64 {
        let total = self.cumulated.last().copied().unwrap_or(0);
        let drawn = rng.below(total);
        let bucket = self.cumulated.partition_point(|cumulated| *cumulated <= drawn);
        let start = bucket.checked_sub(1).map_or(0, |before| self.ends[before]);
        let width = self.ends[bucket] - start;
        (start + rng.below(width.saturating_add(1))).min(whole(f64::MAX))
    }
}

/// A standard exponential sample.
pub(crate) fn unit_exponential(rng: &mut impl Random) -> f64 {
    // `unit` is below one, so the logarithm is finite.
    -(1.0 - rng.unit()).ln()
}

/// A standard normal sample (Box and Muller 1958), one of the two it makes.
fn unit_normal(rng: &mut impl Random) -> f64 {
    let radius = (2.0 * unit_exponential(rng)).sqrt();
    radius * (std::f64::consts::TAU * rng.unit()).cos()
}

/// A gamma sample of scale one (Marsaglia and Tsang 2000, "A simple method for generating gamma variables").
fn unit_gamma(shape: f64, rng: &mut impl Random) -> f64 {
    if shape < 1.0 {
        // A power of a uniform number takes one whole unit of shape away.
        let boost = (1.0 - rng.unit()).powf(1.0 / shape);
        return unit_gamma(shape + 1.0, rng) * boost;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = unit_normal(rng);
        let v = (1.0 + c * x).powi(3);
        if 0.0 < v && unit_exponential(rng) > -(x * x / 2.0 + d - d * v + d * v.ln()) {
            return d * v;
        }
    }
}

/// Whole nanoseconds, from zero to the longest sample.
fn whole(nanoseconds: f64) -> u64 {
    nanoseconds.clamp(0.0, Dist::SAMPLE_MAX.as_nanos() as f64).round() as u64
}

impl fmt::Display for DistError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for DistError {}

#[cfg(test)]
mod tests {
    use super::*;
    use bowline_model::SplitMix64;

    const N: usize = 200_000;

    fn samples(dist: &Dist) -> Vec<u64> {
        let mut rng = SplitMix64::new(5);
        let mut samples: Vec<u64> = (0..N).map(|_| dist.sample(&mut rng)).collect();
        samples.sort_unstable();
        samples
    }

    /// Mean and coefficient of variation lie within two percent of what is expected.
    fn check(dist: &Dist, mean_ms: f64, cv: f64) {
        let samples = samples(dist);
        let mean = samples.iter().sum::<u64>() as f64 / N as f64;
        let spread = samples.iter().map(|each| (*each as f64 - mean).powi(2)).sum::<f64>() / N as f64;
        let got = (mean / 1e6, spread.sqrt() / mean);
        assert!((got.0 / mean_ms - 1.0).abs() < 0.02, "{dist:?}: mean {} ms", got.0);
        assert!((got.1 - cv).abs() < 0.02, "{dist:?}: coefficient of variation {}", got.1);
        assert!(
            (dist.mean().as_secs_f64() * 1e3 / mean_ms - 1.0).abs() < 0.02,
            "{dist:?}: {:?}",
            dist.mean()
        );
    }

    #[test]
    fn each_has_the_mean_and_the_scatter_it_says() {
        let ms = Duration::from_millis;
        check(&Dist::Constant(ms(5)), 5.0, 0.0);
        check(&Dist::exponential(ms(5)), 5.0, 1.0);
        check(&Dist::Gamma { mean: ms(5), cv: 0.0 }, 5.0, 0.0);
        check(&Dist::Gamma { mean: ms(5), cv: 0.5 }, 5.0, 0.5);
        check(&Dist::Gamma { mean: ms(5), cv: 1.0 }, 5.0, 1.0);
        check(&Dist::Gamma { mean: ms(5), cv: 1.5 }, 5.0, 1.5);
        check(&Dist::Normal { mean: ms(10), deviation: ms(2) }, 10.0, 0.2);
        // exp(sigma^2 / 2) and sqrt(exp(sigma^2) - 1) for sigma = 0.5.
        check(&Dist::LogNormal { median: ms(5), sigma: 0.5 }, 5.0 * 1.1331, 0.5329);
        // Half between 0 and 10 ms, half between 10 and 20 ms: uniform, so 1 / sqrt(3).
        let even = Empirical::new(&[(ms(10), 3), (ms(20), 3)]).unwrap();
        check(&Dist::Empirical(even), 10.0, 0.5774);
    }

    #[test]
    fn a_fit_has_the_percentiles_it_was_fitted_to() {
        let fit = Dist::fit(Duration::from_millis(8), Duration::from_millis(40)).unwrap();
        let samples = samples(&fit);
        let (p50, p99) = (samples[N / 2] as f64 / 1e6, samples[N * 99 / 100] as f64 / 1e6);
        assert!((p50 / 8.0 - 1.0).abs() < 0.01, "{p50}");
        assert!((p99 / 40.0 - 1.0).abs() < 0.03, "{p99}");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let ms = Duration::from_millis;
        assert!(Dist::fit(ms(5), ms(4)).is_err());
        assert!(Dist::fit(ms(0), ms(4)).is_err());
        assert_eq!(Dist::fit(ms(4), ms(4)), Ok(Dist::Constant(ms(4))));
        for bad in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(Dist::Gamma { mean: ms(1), cv: bad }.check().is_err(), "{bad}");
            assert!(Dist::LogNormal { median: ms(1), sigma: bad }.check().is_err(), "{bad}");
        }
        assert!(Empirical::new(&[]).is_err());
        assert!(Empirical::new(&[(ms(2), 1), (ms(1), 1)]).is_err());
        assert!(Empirical::new(&[(ms(2), 0)]).is_err());
    }
}
