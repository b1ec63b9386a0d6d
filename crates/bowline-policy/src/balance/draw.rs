//! Drawing a host: uniformly, or by weight, among those that may be picked.

use super::host::Host;
use super::slow_start::SlowStart;
use super::tried::Tried;
use bowline_model::{Instant, Random};
use std::sync::Arc;

/// A host and its weight beside the others.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) host: Arc<Host>,
    /// Relative to the heaviest: more than 0, at most 1.
    pub(super) weight: f32,
}

/// The hosts of one pick.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) members: &'a [Member],
    pub(super) tried: &'a Tried,
    pub(super) now: Instant,
    pub(super) which: Which,
    /// Whether weights differ.
    pub(super) weighted: bool,
    pub(super) slow_start: Option<&'a SlowStart>,
}

/// Who may be picked, as far as their health goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Those that are well.
    Well,
    /// Those that checks have found ill, too.
    In,
    /// All, whatever their tries have come to.
    All,
}

/// Draws before counting. Each misses only if it hits a host that may not be picked or is too light, so
/// with a tenth of all hosts out one call in ten thousand counts.
const DRAWS: u32 = 4;

impl Field<'_> {
    /// Whether the host at `index` may be picked.
    #[inline]
    pub(super) fn may(&self, index: usize) -> bool {
        self.members.get(index).is_some_and(|member| {
            (member.host.is_well(self.now) || self.may_though_not_well(&member.host))
                && (self.tried.is_empty() || !self.tried.contains(index as u16))
        })
    }

    fn may_though_not_well(&self, host: &Host) -> bool {
        match self.which {
            Which::Well => false,
            Which::In => host.is_in(self.now),
            Which::All => true,
        }
    }

    /// Whether all hosts weigh the same now.
    #[inline]
    pub(super) const fn is_even(&self) -> bool {
        !self.weighted && self.slow_start.is_none()
    }

    /// One that may be picked and is not `except`, each with a chance in proportion to its weight.
    #[inline]
    pub(super) fn draw(&self, except: Option<usize>, rng: &mut impl Random) -> Option<usize> {
        for _ in 0..DRAWS {
            let index = rng.below(self.members.len() as u64) as usize;
            if Some(index) != except
                && self.may(index)
                && (self.is_even() || rng.unit() < f64::from(self.weight(index)))
            {
                return Some(index);
            }
        }
        self.at_share(except, rng.unit())
    }

    /// The one at `share` (from 0 to below 1) of the weight of all that may be picked and are not `except`.
    #[cold]
    pub(super) fn at_share(&self, except: Option<usize>, share: f64) -> Option<usize> {
        let fitting = || (0..self.members.len()).filter(|index| Some(*index) != except && self.may(*index));
        let total: f64 = fitting().map(|index| f64::from(self.weight(index))).sum();
        let mut left = total * share;
        let mut last = None;
        for index in fitting() {
            left -= f64::from(self.weight(index));
            last = Some(index);
            if left < 0.0 {
                break;
            }
        }
        last
    }

    /// How many may be picked.
    pub(super) fn count(&self) -> usize {
        (0..self.members.len()).filter(|index| self.may(*index)).count()
    }

    fn weight(&self, index: usize) -> f32 {
        let Member { host, weight } = &self.members[index];
        match (self.slow_start, host.here_for(self.now)) {
            (Some(slow_start), Some(since)) => weight * slow_start.share(since) as f32,
            _ => *weight,
        }
    }
}
