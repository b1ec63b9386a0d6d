//! When requests come: open loop, whatever happens to the ones before.

use crate::dist::unit_exponential;
use bowline_model::time::nanos;
use bowline_model::{Instant, Random};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// When requests come. Rates are requests a second.
///
/// Why open loop: customers do not wait for each other, and a load that politely slows down when the system
/// does hides the very thing one wants to see (coordinated omission).
#[derive(Clone, Debug, PartialEq)]
pub enum Arrivals {
    /// Independently of each other.
    Poisson {
        /// How many a second.
        rate: f64,
    },
    /// Evenly spaced.
    Constant {
        /// How many a second.
        rate: f64,
    },
    /// Poisson at `base`, and at `burst` for `length` out of `every`, first after `every - length`.
    Bursts {
        /// Between the bursts.
        base: f64,
        /// In a burst.
        burst: f64,
        /// From one burst's start to the next one's.
        every: Duration,
        /// How long a burst lasts.
        length: Duration,
    },
    /// So many at one moment, again and again.
    Batches {
        /// How many.
        size: u32,
        /// When the first come.
        first: Duration,
        /// From one batch to the next.
        every: Duration,
    },
    /// Poisson at a rate that goes from one value to another in a straight line, and stays.
    Ramp {
        /// At the beginning.
        from: f64,
        /// At the end, and from then on.
        to: f64,
        /// When it begins to change.
        begins: Duration,
        /// How long it takes.
        over: Duration,
    },
    /// Poisson at each rate for its time; the last rate stays.
    Steps(Arc<[(Duration, f64)]>),
    /// At exactly these nanoseconds, and no more.
    Trace(Arc<[u64]>),
}

/// Why arrivals cannot be.
#[derive(Clone, Debug, PartialEq)]
pub enum ArrivalsError {
    /// A rate that is zero throughout, negative, infinite or no number.
    Rate(f64),
    /// Bursts that fill all of the time or more, or last no time.
    Burst,
    /// Batches of nobody, or all at one moment.
    Batch,
    /// No steps, or a step without length.
    Step,
    /// The trace is empty or goes back in time.
    Trace,
}

/// The highest rate: beyond one request every ten nanoseconds nothing is modelled any more.
const RATE_MAX: f64 = 1e8;

impl Arrivals {
    /// Whether requests can come this way.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), ArrivalsError> {
        let rates = |rates: &[f64]| match rates.iter().find(|rate| !(0.0..=RATE_MAX).contains(*rate)) {
            Some(bad) => Err(ArrivalsError::Rate(*bad)),
            None if rates.iter().all(|rate| *rate <= 0.0) => Err(ArrivalsError::Rate(0.0)),
            None => Ok(()),
        };
        match self {
            Self::Poisson { rate } | Self::Constant { rate } => rates(&[*rate]),
            Self::Bursts { base, burst, every, length } => {
                if length.is_zero() || every <= length {
                    return Err(ArrivalsError::Burst);
                }
                rates(&[*base, *burst])
            }
            Self::Batches { size, every, .. } if *size == 0 || every.is_zero() => Err(ArrivalsError::Batch),
            Self::Batches { .. } => Ok(()),
            Self::Ramp { from, to, .. } => rates(&[*from, *to]),
            Self::Steps(steps) => {
                if steps.is_empty() || steps.iter().any(|(length, _)| length.is_zero()) {
                    return Err(ArrivalsError::Step);
                }
                rates(&steps.iter().map(|(_, rate)| *rate).collect::<Vec<_>>())
            }
            Self::Trace(at) => {
                let rises = !at.is_empty() && at.windows(2).all(|pair| pair[0] <= pair[1]);
                if rises { Ok(()) } else { Err(ArrivalsError::Trace) }
            }
        }
    }

    /// How many a second come at `at`; of batches and traces, their average.
    #[must_use]
    pub fn rate_at(&self, at: Instant) -> f64 {
        match self {
            Self::Constant { rate } => *rate,
            Self::Batches { size, every, .. } => f64::from(*size) / every.as_secs_f64(),
            Self::Trace(times) => {
                let last = times.last().copied().unwrap_or(0).max(1);
                times.len() as f64 / (last as f64 / 1e9)
            }
            _ => self.piece(at.as_nanos()).rate_at(at.as_nanos()),
        }
    }

    /// The arrival after `number` others, the last of which came at `last`; `None` when no more come.
    ///
    /// One draw for each arrival, so the same stream means the same arrivals whatever else happens.
    pub fn next(&self, number: u64, last: Instant, rng: &mut impl Random) -> Option<Instant> {
        match self {
            Self::Constant { rate } => {
                // From the number, not from the last one: spacings that are rounded do not add up to a drift.
                let at = (number + 1) as f64 / rate * 1e9;
                Some(Instant::from_nanos(at.round() as u64))
            }
            Self::Batches { size, first, every } => {
                let batch = number / u64::from(*size);
                Some(Instant::from_nanos(nanos(*first).saturating_add(batch.saturating_mul(nanos(*every)))))
            }
            Self::Trace(times) => times.get(usize::try_from(number).ok()?).copied().map(Instant::from_nanos),
            Self::Poisson { rate } => {
                let gap = unit_exponential(rng) / rate * 1e9;
                Some(Instant::from_nanos(last.as_nanos().saturating_add(gap.round() as u64)))
            }
            Self::Bursts { .. } | Self::Ramp { .. } | Self::Steps(_) => self.through_pieces(last, rng),
        }
    }

    /// A Poisson process whose rate changes is one of rate one on a clock that runs at that rate.
    fn through_pieces(&self, last: Instant, rng: &mut impl Random) -> Option<Instant> {
        let mut left = unit_exponential(rng);
        let mut now = last.as_nanos();
        loop {
            let piece = self.piece(now);
            match piece.advance(now, left) {
                Ok(at) => return Some(Instant::from_nanos(at)),
                Err(_) if piece.end == u64::MAX => return None,
                Err(mass) => {
                    left -= mass;
                    now = piece.end;
                }
            }
        }
    }

    /// The piece of the rate's curve that `at` lies in.
    fn piece(&self, at: u64) -> Piece {
        match self {
            Self::Poisson { rate } | Self::Constant { rate } => Piece::flat(0, u64::MAX, *rate),
            Self::Bursts { base, burst, every, length } => {
                let (every, length) = (nanos(*every), nanos(*length));
                let start = at / every * every;
                let turn = start + (every - length);
                if at < turn {
                    Piece::flat(start, turn, *base)
                } else {
                    Piece::flat(turn, start + every, *burst)
                }
            }
            Self::Ramp { from, to, begins, over } => {
                let (start, end) = (nanos(*begins), nanos(*begins + *over));
                if at < start {
                    Piece::flat(0, start, *from)
                } else if at < end {
                    Piece { start, end, from: *from, to: *to }
                } else {
                    Piece::flat(end, u64::MAX, *to)
                }
            }
            Self::Steps(steps) => {
                let mut start = 0;
                for (index, (length, rate)) in steps.iter().enumerate() {
                    let end = if index + 1 == steps.len() { u64::MAX } else { start + nanos(*length) };
                    if at < end {
                        return Piece::flat(start, end, *rate);
                    }
                    start = end;
                }
                Piece::flat(start, u64::MAX, 0.0)
            }
            Self::Batches { .. } | Self::Trace(_) => Piece::flat(0, u64::MAX, 0.0),
        }
    }
}

/// A stretch of time in which the rate goes from one value to another in a straight line.
#[derive(Clone, Copy, Debug)]
struct Piece {
    start: u64,
    end: u64,
    from: f64,
    to: f64,
}

impl Piece {
    const fn flat(start: u64, end: u64, rate: f64) -> Self {
        Self { start, end, from: rate, to: rate }
    }

    fn slope(&self) -> f64 {
        (self.to - self.from) / ((self.end - self.start) as f64 / 1e9)
    }

    fn rate_at(&self, at: u64) -> f64 {
        let since = at.clamp(self.start, self.end) - self.start;
        self.from + self.slope() * (since as f64 / 1e9)
    }

    /// When `mass` expected arrivals have passed since `now`; the mass up to the end if that is less.
    fn advance(&self, now: u64, mass: f64) -> Result<u64, f64> {
        let rate = self.rate_at(now);
        let left = (self.end - now) as f64 / 1e9;
        let whole = (rate + self.to) / 2.0 * left;
        if whole <= mass {
            return Err(whole);
        }
        // rate * t + slope / 2 * t^2 = mass, solved in the form that does not cancel for a slope near zero.
        let slope = self.slope();
        let root = (rate * rate + 2.0 * slope * mass).max(0.0).sqrt();
        let seconds = 2.0 * mass / (rate + root);
        Ok(now.saturating_add((seconds * 1e9).round() as u64))
    }
}

impl fmt::Display for ArrivalsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate(rate) => write!(f, "a rate must be above zero and at most {RATE_MAX}/s, not {rate}/s"),
            Self::Burst => f.write_str("a burst must last some time, and less than from one to the next"),
            Self::Batch => f.write_str("a batch needs a request, and some time until the next"),
            Self::Step => f.write_str("arrivals in steps need a step, and each step a length"),
            Self::Trace => f.write_str("a trace needs an arrival, and must not go back in time"),
        }
    }
}

impl std::error::Error for ArrivalsError {}

#[cfg(test)]
mod tests {
    use super::*;
    use bowline_model::SplitMix64;

    fn arrivals(arrivals: &Arrivals, until: Duration) -> Vec<u64> {
        let mut rng = SplitMix64::new(9);
        let mut times = Vec::new();
        let mut last = Instant::ZERO;
        while let Some(at) = arrivals.next(times.len() as u64, last, &mut rng) {
            if nanos(until) <= at.as_nanos() {
                break;
            }
            times.push(at.as_nanos());
            last = at;
        }
        times
    }

    fn between(times: &[u64], from: u64, to: u64) -> f64 {
        times.iter().filter(|at| (from * 1_000_000_000..to * 1_000_000_000).contains(*at)).count() as f64
    }

    /// Within four standard deviations of a Poisson count.
    fn near(got: f64, expected: f64) {
        assert!((got - expected).abs() <= 4.0 * expected.sqrt() + 1.0, "{got}, expected {expected}");
    }

    #[test]
    fn each_comes_at_the_rate_it_says() {
        let seconds = Duration::from_secs;
        near(arrivals(&Arrivals::Poisson { rate: 100.0 }, seconds(100)).len() as f64, 10_000.0);

        let ramp = arrivals(
            &Arrivals::Ramp { from: 0.0, to: 100.0, begins: seconds(0), over: seconds(100) },
            seconds(200),
        );
        near(between(&ramp, 0, 50), 1_250.0);
        near(between(&ramp, 50, 100), 3_750.0);
        near(between(&ramp, 100, 200), 10_000.0);

        let steps = Arrivals::Steps([(seconds(10), 100.0), (seconds(10), 0.0), (seconds(1), 300.0)].into());
        let steps = arrivals(&steps, seconds(40));
        near(between(&steps, 0, 10), 1_000.0);
        assert_eq!(between(&steps, 10, 20), 0.0);
        near(between(&steps, 20, 40), 6_000.0);

        let bursts = Arrivals::Bursts { base: 10.0, burst: 500.0, every: seconds(10), length: seconds(2) };
        let bursts = arrivals(&bursts, seconds(100));
        near((0..10).map(|each| between(&bursts, each * 10 + 8, each * 10 + 10)).sum(), 10_000.0);
        near((0..10).map(|each| between(&bursts, each * 10, each * 10 + 8)).sum(), 800.0);
    }

    #[test]
    fn constant_arrivals_do_not_drift() {
        let times = arrivals(&Arrivals::Constant { rate: 3.0 }, Duration::from_secs(1_000));
        assert_eq!(times[2_997], 999_333_333_333);
    }

    #[test]
    fn a_trace_is_followed_and_then_over() {
        let trace = Arrivals::Trace([5, 5, 900].into());
        assert_eq!(arrivals(&trace, Duration::from_secs(1)), [5, 5, 900]);
    }

    #[test]
    fn a_batch_comes_at_one_moment() {
        let second = Duration::from_secs(1);
        let batches = Arrivals::Batches { size: 2, first: second, every: 2 * second };
        assert_eq!(
            arrivals(&batches, 4 * second).iter().map(|at| at / 1_000_000_000).collect::<Vec<_>>(),
            [1, 1, 3, 3]
        );
    }

    #[test]
    fn a_ramp_down_to_nothing_ends() {
        let ramp =
            Arrivals::Ramp { from: 10.0, to: 0.0, begins: Duration::ZERO, over: Duration::from_secs(10) };
        near(arrivals(&ramp, Duration::MAX).len() as f64, 50.0);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let second = Duration::from_secs(1);
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            assert!(Arrivals::Poisson { rate }.check().is_err(), "{rate}");
        }
        assert!(Arrivals::Bursts { base: 1.0, burst: 2.0, every: second, length: second }.check().is_err());
        assert!(Arrivals::Steps([].into()).check().is_err());
        assert!(Arrivals::Trace([2, 1].into()).check().is_err());
        assert!(Arrivals::Ramp { from: 0.0, to: 5.0, begins: second, over: second }.check().is_ok());
    }
}
