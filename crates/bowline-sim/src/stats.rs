//! What several seeds say together: means, intervals, and when one arm may be called better than another.
//!
//! Why Student's t and not a bootstrap: seeds are few (twenty), where a bootstrap of the mean is too narrow, and
//! a table needs no random numbers. Why paired: all arms of a seed see the same arrivals and draw the same
//! service times (common random numbers), so what they differ by is the design and not the luck.
//!
//! Only `+ - * /` and square roots, which IEEE 754 rounds the same way everywhere: the same runs give the same
//! bytes.

use std::cmp::Ordering;

/// What one run gave for one figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// So much.
    Known(f64),
    /// This much and perhaps more: the run was over before it was seen (censored).
    AtLeast(f64),
    /// It did not happen: the request at this rank failed, so there is no time at which it was done.
    Never,
    /// The run cannot say.
    Unknown,
}

impl Value {
    /// The number, if it is wholly known.
    #[must_use]
    pub const fn known(self) -> Option<f64> {
        match self {
            Self::Known(value) => Some(value),
            Self::AtLeast(_) | Self::Never | Self::Unknown => None,
        }
    }
}

/// How sure an interval is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// 95 of 100 such intervals hold the true mean: what is shown.
    P95,
    /// 99 of 100: what naming a winner takes.
    P99,
    /// 999 of 1000: what it takes among more than six arms.
    P999,
}

impl Level {
    /// What it takes to name a winner among so many arms.
    ///
    /// The best is compared with each of the others, and one comparison in twenty is wrong at 95 %. By
    /// Bonferroni five comparisons at 99 % are together as sure as one at 95 %, and fifty at 99.9 %; no
    /// scenario has more than 32 arms.
    #[must_use]
    pub const fn among(arms: usize) -> Self {
        if arms <= 6 { Self::P99 } else { Self::P999 }
    }

    /// Student's t, two-sided: how many standard errors the interval reaches.
    #[must_use]
    pub fn t(self, freedom: usize) -> f64 {
        let (table, z) = match self {
            Self::P95 => (&T95, 1.959_964),
            Self::P99 => (&T99, 2.575_829),
            Self::P999 => (&T999, 3.290_527),
        };
        match freedom {
            0 => f64::INFINITY,
            1..=30 => table[freedom - 1],
            // Fisher and Cornish's series: beyond thirty its first two terms are off by less than 0.001.
            _ => {
                let v = freedom as f64;
                let (z3, z5) = (z * z * z, z * z * z * z * z);
                z + (z3 + z) / (4.0 * v) + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * v * v)
            }
        }
    }
}

/// Quantiles of Student's distribution for 1 to 30 degrees of freedom, at 0.975; any statistics textbook.
const T95: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];
/// The same at 0.995.
const T99: [f64; 30] = [
    63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169, 3.106, 3.055, 3.012, 2.977, 2.947,
    2.921, 2.898, 2.878, 2.861, 2.845, 2.831, 2.819, 2.807, 2.797, 2.787, 2.779, 2.771, 2.763, 2.756, 2.750,
];
/// The same at 0.9995.
const T999: [f64; 30] = [
    636.619, 31.599, 12.924, 8.610, 6.869, 5.959, 5.408, 5.041, 4.781, 4.587, 4.437, 4.318, 4.221, 4.140,
    4.073, 4.015, 3.965, 3.922, 3.883, 3.850, 3.819, 3.792, 3.768, 3.745, 3.725, 3.707, 3.690, 3.674, 3.659,
    3.646,
];

/// What several runs gave for one figure, together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// How many runs gave a number, known or at least.
    pub runs: usize,
    /// Their mean; `None`: no run gave one.
    pub mean: Option<f64>,
    /// Half of the mean's 95 % interval; `None`: one run alone says nothing about chance.
    pub half: Option<f64>,
    /// The smallest.
    pub low: f64,
    /// The largest.
    pub high: f64,
    /// In how many of them the number is only a lower bound. With any, so is the mean.
    pub at_least: usize,
    /// How many runs gave [`Value::Never`].
    pub never: usize,
    /// How many runs could not say.
    pub unknown: usize,
}

impl Estimate {
    /// What these runs say together.
    #[must_use]
    pub fn of(values: &[Value]) -> Self {
        let mut numbers = Vec::with_capacity(values.len());
        let mut estimate = Self::default();
        for value in values {
            match value {
                Value::Known(number) => numbers.push(*number),
                Value::AtLeast(number) => {
                    numbers.push(*number);
                    estimate.at_least += 1;
                }
                Value::Never => estimate.never += 1,
                Value::Unknown => estimate.unknown += 1,
            }
        }
        estimate.runs = numbers.len();
        if let Some(mean) = mean(&numbers) {
            estimate.mean = Some(mean);
            estimate.half = half(&numbers, mean, Level::P95);
            estimate.low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
            estimate.high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        }
        estimate
    }

    /// Whether every run gave a number that is wholly known.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        0 < self.runs && self.at_least == 0 && self.never == 0 && self.unknown == 0
    }
}

/// The mean; `None` of nothing.
#[must_use]
pub fn mean(numbers: &[f64]) -> Option<f64> {
    let sum: f64 = numbers.iter().sum();
    (!numbers.is_empty()).then(|| sum / numbers.len() as f64)
}

/// Half of the interval around the mean of these numbers; `None` of fewer than two.
fn half(numbers: &[f64], mean: f64, level: Level) -> Option<f64> {
    let freedom = numbers.len().checked_sub(1).filter(|freedom| 0 < *freedom)?;
    let squares: f64 = numbers.iter().map(|number| (number - mean) * (number - mean)).sum();
    let error = (squares / freedom as f64 / numbers.len() as f64).sqrt();
    Some(level.t(freedom) * error)
}

/// How one arm differs from another, seed by seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// How many seeds could be compared.
    pub pairs: usize,
    /// The mean of the differences, the second less the first.
    pub mean: f64,
    /// Half of its 95 % interval; `None`: one pair alone says nothing about chance.
    pub half: Option<f64>,
    /// Whether it is outside the noise: its interval at `level` does not reach zero, and it is more than the
    /// figure can resolve.
    pub outside_noise: bool,
    /// Whether the second's numbers were lower bounds, so that the true difference may be greater.
    pub at_least: bool,
}

/// How `other` differs from `base`: seed `i` of the one against seed `i` of the other.
///
/// `resolution` is the smallest relative difference that the figure can show at all: a percentile that was
/// read off buckets of one percent does not tell apart what lies within one. `None`: no pair can be compared.
#[must_use]
pub fn effect(base: &[Value], other: &[Value], resolution: f64, level: Level) -> Option<Effect> {
    let mut differences = Vec::with_capacity(base.len());
    let mut at_least = false;
    let mut size: f64 = 0.0;
    for pair in base.iter().zip(other) {
        match pair {
            (Value::Known(base), Value::Known(other)) => {
                differences.push(other - base);
                size = size.max(base.abs()).max(other.abs());
            }
            // The difference is at least this, which errs on the side of calling it noise.
            (Value::Known(base), Value::AtLeast(other)) if base <= other => {
                differences.push(other - base);
                size = size.max(base.abs()).max(other.abs());
                at_least = true;
            }
            _ => (),
        }
    }
    let middle = mean(&differences)?;
    let reach = half(&differences, middle, level);
    let outside_noise = differences.len() == base.len()
        && resolution * size < middle.abs()
        && reach.is_some_and(|reach| reach < middle.abs());
    Some(Effect {
        pairs: differences.len(),
        mean: middle,
        half: half(&differences, middle, Level::P95),
        outside_noise,
        at_least,
    })
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Less is.
    Lower,
    /// More is.
    Higher,
}

/// Which of several arms is best.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Best {
    /// This one, better than each of the others outside the noise.
    One(usize),
    /// These cannot be told from the best.
    Noise(Vec<usize>),
    /// All arms gave the same in every seed.
    Same,
    /// There is nothing to compare: one arm, one seed, or no numbers.
    Nothing,
}

/// Seeds from which on an arm that gives a number each time is better than one that never does, whatever the
/// numbers: were the two alike, one always ahead would happen in 1 of 128 tries, which is less than 1 %.
const SIGN_SEEDS: usize = 8;

/// Names the best arm, if it is better than each of the others outside the noise; see [`effect`].
///
/// An arm with censored or missing numbers cannot win: nobody knows how bad it is.
#[must_use]
pub fn best(arms: &[Vec<Value>], better: Better, resolution: f64) -> Best {
    let Some(seeds) = arms.first().map(Vec::len) else { return Best::Nothing };
    if arms.len() < 2 || seeds == 0 {
        return Best::Nothing;
    }
    if arms.iter().all(|arm| *arm == arms[0]) {
        return Best::Same;
    }
    let candidates: Vec<(usize, f64)> = arms
        .iter()
        .enumerate()
        .filter(|(_, values)| values.iter().all(|value| value.known().is_some()))
        .filter_map(|(index, values)| Some((index, Estimate::of(values).mean?)))
        .collect();
    let ahead = |a: &f64, b: &f64| match better {
        Better::Lower => a.partial_cmp(b),
        Better::Higher => b.partial_cmp(a),
    };
    // Of equals the first: the order of arms is the scenario's.
    let first = candidates.iter().min_by(|(_, a), (_, b)| ahead(a, b).unwrap_or(Ordering::Equal));
    let Some((leader, _)) = first else { return Best::Nothing };
    if seeds < 2 {
        return Best::Nothing;
    }
    let level = Level::among(arms.len());
    let mut alike: Vec<usize> = (0..arms.len())
        .filter(|arm| arm != leader && !is_beaten(&arms[*leader], &arms[*arm], better, resolution, level))
        .collect();
    if alike.is_empty() {
        return Best::One(*leader);
    }
    alike.push(*leader);
    alike.sort_unstable();
    Best::Noise(alike)
}

fn is_beaten(leader: &[Value], other: &[Value], better: Better, resolution: f64, level: Level) -> bool {
    if other.iter().all(|value| *value == Value::Never) {
        return SIGN_SEEDS <= other.len();
    }
    let Some(effect) = effect(leader, other, resolution, level) else { return false };
    let worse = match better {
        Better::Lower => 0.0 < effect.mean,
        // A lower bound of what should be high says nothing against it.
        Better::Higher => effect.mean < 0.0 && !effect.at_least,
    };
    worse && effect.outside_noise
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(numbers: &[f64]) -> Vec<Value> {
        numbers.iter().copied().map(Value::Known).collect()
    }

    /// Twenty numbers around zero, by a rule, with a standard deviation of about one.
    fn noise(offset: u64) -> Vec<f64> {
        let mut rng = bowline_model::SplitMix64::new(offset);
        let mut draw = || bowline_model::Random::next_u64(&mut rng) as f64 / u64::MAX as f64;
        (0..20).map(|_| (0..12).map(|_| draw()).sum::<f64>() - 6.0).collect()
    }

    #[test]
    fn the_series_goes_on_where_the_table_ends() {
        for (level, at_31, at_100) in
            [(Level::P95, 2.040, 1.984), (Level::P99, 2.744, 2.626), (Level::P999, 3.633, 3.390)]
        {
            assert!((level.t(31) - at_31).abs() < 0.002, "{level:?}: {}", level.t(31));
            assert!((level.t(100) - at_100).abs() < 0.002, "{level:?}: {}", level.t(100));
            assert!((1..200).all(|v| level.t(v + 1) < level.t(v)), "{level:?} falls");
        }
    }

    #[test]
    fn a_mean_has_students_interval() {
        // 2, 4, 6: mean 4, standard error sqrt(4 / 3), t of two degrees 4.303.
        let estimate = Estimate::of(&known(&[2.0, 4.0, 6.0]));
        assert_eq!((estimate.mean, estimate.low, estimate.high), (Some(4.0), 2.0, 6.0));
        assert!((estimate.half.unwrap() - 4.303 * (4.0_f64 / 3.0).sqrt()).abs() < 1e-9);
        assert_eq!(Estimate::of(&known(&[2.0])).half, None);
        assert_eq!(Estimate::of(&[]).mean, None);
    }

    #[test]
    fn what_is_not_known_is_counted_and_not_averaged_away() {
        let values = [Value::Known(1.0), Value::AtLeast(3.0), Value::Never, Value::Unknown];
        let estimate = Estimate::of(&values);
        assert_eq!((estimate.runs, estimate.at_least, estimate.never, estimate.unknown), (2, 1, 1, 1));
        assert_eq!(estimate.mean, Some(2.0));
        assert!(!estimate.is_whole());
    }

    #[test]
    fn a_known_delta_is_found_through_noise_that_both_arms_share() {
        // Each seed is lucky or not by ten times the delta, for both arms alike.
        let luck = noise(1);
        let jitter = noise(2);
        let base: Vec<f64> = luck.iter().map(|luck| 100.0 + 10.0 * luck).collect();
        let other: Vec<f64> =
            base.iter().zip(&jitter).map(|(base, jitter)| base - 1.0 + 0.3 * jitter).collect();
        let arms = [known(&base), known(&other)];
        assert_eq!(best(&arms, Better::Lower, 0.0), Best::One(1));
        assert_eq!(best(&arms, Better::Higher, 0.0), Best::One(0));
        let effect = effect(&arms[0], &arms[1], 0.0, Level::P99).unwrap();
        let half = effect.half.unwrap();
        assert!((effect.mean + 1.0).abs() < half && half < 0.3, "{effect:?}");
    }

    #[test]
    fn noise_names_nobody() {
        let named = (0..200).filter(|round| {
            let arm = |of: u64| known(&noise(1_000 + 10 * round + of));
            let arms = [arm(0), arm(1), arm(2)];
            matches!(best(&arms, Better::Lower, 0.0), Best::One(_))
        });
        // Three arms that are alike: both comparisons of the luckiest at 99 % are wrong at once less than
        // once in a hundred times.
        assert!(named.count() <= 2);
    }

    #[test]
    fn what_cannot_be_resolved_is_no_difference() {
        let arms = [known(&[1.000, 1.000, 1.000]), known(&[1.005, 1.005, 1.005])];
        assert_eq!(best(&arms, Better::Lower, 0.0), Best::One(0));
        assert_eq!(best(&arms, Better::Lower, 0.016), Best::Noise(vec![0, 1]));
    }

    #[test]
    fn one_seed_names_nobody() {
        assert_eq!(best(&[known(&[1.0]), known(&[9.0])], Better::Lower, 0.0), Best::Nothing);
        assert_eq!(best(&[known(&[1.0]), known(&[1.0])], Better::Lower, 0.0), Best::Same);
    }

    #[test]
    fn who_is_censored_can_lose_and_cannot_win() {
        let back = known(&[40.0, 41.0, 39.0, 40.5]);
        let late = vec![Value::AtLeast(530.0); 4];
        assert_eq!(best(&[back.clone(), late.clone()], Better::Lower, 0.0), Best::One(0));
        assert_eq!(best(&[late.clone(), late.clone()], Better::Lower, 0.0), Best::Same);
        // The censored one may be the better of the two: its bound lies below.
        let early = vec![Value::AtLeast(5.0); 4];
        assert_eq!(best(&[back, early], Better::Lower, 0.0), Best::Noise(vec![0, 1]));
    }

    #[test]
    fn who_never_gets_done_loses_when_there_are_seeds_enough_to_say_so() {
        let done = |seeds: usize| vec![Value::Known(1.0); seeds];
        let never = |seeds: usize| vec![Value::Never; seeds];
        assert_eq!(best(&[never(8), done(8)], Better::Lower, 0.0), Best::One(1));
        assert_eq!(best(&[never(7), done(7)], Better::Lower, 0.0), Best::Noise(vec![0, 1]));
    }
}
