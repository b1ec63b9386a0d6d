//! Whether memory grew.

use std::time::Duration;

/// Resident memory over time.
#[derive(Debug, Default)]
pub(super) struct Samples(Vec<(Duration, f64)>);

/// How much it grew from one third of a run to the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Growth {
    pub(super) mb: f64,
    pub(super) allowed_mb: f64,
}

/// What may come with every second. At ten thousand requests a second eight bytes for each, the least that can be
/// forgotten in a list, are 80 KB; a design that a reload does not let go of is more than 20 KB, and there is a reload
/// a second.
const PER_SECOND_MB: f64 = 0.008;
/// What chance may do: an arena more of the allocator's, and buffers of the few connections that one moment has and
/// another has not.
const BY_CHANCE_MB: f64 = 1.0;

impl Samples {
    pub(super) fn add(&mut self, at: Duration, mb: f64) {
        self.0.push((at, mb));
    }

    pub(super) fn last(&self) -> f64 {
        self.0.last().map_or(f64::NAN, |(_, mb)| *mb)
    }

    /// The first third is for warming up: pools, the allocator's arenas, windows that fill. Of the others the medians
    /// are compared, which one busy moment does not move.
    pub(super) fn growth(&self) -> Growth {
        let third = self.0.len() / 3;
        if third == 0 {
            return Growth { mb: 0.0, allowed_mb: BY_CHANCE_MB };
        }
        let (earlier, later) = (&self.0[third..2 * third], &self.0[self.0.len() - third..]);
        let seconds = (later[third / 2].0.saturating_sub(earlier[third / 2].0)).as_secs_f64();
        Growth {
            mb: median(later) - median(earlier),
            allowed_mb: PER_SECOND_MB.mul_add(seconds, BY_CHANCE_MB),
        }
    }
}

fn median(samples: &[(Duration, f64)]) -> f64 {
    let mut all: Vec<f64> = samples.iter().map(|(_, mb)| *mb).collect();
    all.sort_unstable_by(f64::total_cmp);
    all[all.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten minutes, a sample each second.
    fn growth(mb: impl Fn(f64) -> f64) -> Growth {
        let mut samples = Samples::default();
        (0..600).for_each(|second| samples.add(Duration::from_secs(second), mb(second as f64)));
        samples.growth()
    }

    #[test]
    fn eight_bytes_a_request_are_growth_and_warming_up_is_not() {
        let leak = growth(|second| 20.0 + 0.08 * second);
        assert!(leak.allowed_mb < leak.mb, "{leak:?}");
        let a_design_a_second = growth(|second| 20.0 + 0.02 * second);
        assert!(a_design_a_second.allowed_mb < a_design_a_second.mb, "{a_design_a_second:?}");
        let warms_up = growth(|second| 20.0 - 5.0 * (-second / 40.0).exp());
        assert!(warms_up.mb < warms_up.allowed_mb, "{warms_up:?}");
        let busy_moments = growth(|second| if second % 10.0 < 2.0 { 30.0 } else { 20.0 });
        assert_eq!(busy_moments.mb, 0.0);
    }
}
