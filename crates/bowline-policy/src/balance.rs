//! Which host a try goes to.
//!
//! Why two at random and the better of them. Asking all hosts and taking the best sends everybody to the
//! same one until its numbers change (a herd); two drawn at random and compared spread almost as evenly and
//! need no agreement (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001).
//!
//! Why time and not the number of tries under way. A host that fails at once never has anything under way,
//! so "least requests" prefers exactly the broken one. Expected time times queue sees slowness, and a
//! failure counts as the longest wait of all ([`PeakEwma::penalty`]).
//!
//! In reading order:
//! - [`BalanceSettings`]: the way hosts are picked, as data
//! - [`Host`]: what is known about one endpoint, shared by all workers and kept over reloads
//! - [`Balancer`]: the hosts of one destination, and who is next
//! - [`Tried`]: where a call has been

mod balancer;
mod draw;
mod estimate;
mod hash;
mod host;
mod slow_start;
mod table;
mod tried;

pub use balancer::{Balancer, Joining, Picked};
pub use hash::hash;
pub use host::{Host, HostState};
pub use slow_start::SlowStart;
pub use tried::Tried;

use crate::ratio::Ratio;
use std::time::Duration;

/// The way hosts are picked.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BalanceSettings {
    /// Whose turn it is.
    pub algorithm: Algorithm,
    /// How a host that is new, or back, gets its share.
    pub slow_start: Option<SlowStart>,
    /// Below this share of hosts that are well all are used: so few would break under what the others
    /// leave them. Zero: only those that active checks have found ill, and only where nobody is well (Istio's
    /// `minHealthPercent` 0; Envoy's own panic threshold is 50 %).
    pub panic: Ratio,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Algorithm {
    /// One after the other; by weight if they have weights. What a policy that says nothing does.
    #[default]
    RoundRobin,
    /// Of two drawn at random the one whose expected time, times its queue, is lower.
    PeakEwma(PeakEwma),
    /// Of two drawn at random the one with fewer tries under way.
    LeastRequest,
    /// Any.
    Random,
    /// By a hash of the request, on a ring.
    RingHash {
        /// The ring has at least so many entries; Envoy's default is 1024.
        size_min: u32,
    },
    /// By a hash of the request, in a table that is filled in turns (Eisenbud and others, "Maglev: A Fast
    /// and Reliable Software Network Load Balancer", NSDI 2016).
    Maglev {
        /// Entries; a prime. The paper's, and Envoy's, is 65537.
        size: u32,
    },
}

/// How time is measured and expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeakEwma {
    /// How fast the past is forgotten.
    pub tau: Duration,
    /// What a host is expected to take that was asked and has not answered yet; one that nobody has asked is
    /// asked first.
    pub first: Duration,
    /// A host that failed, or was busy and named no time, counts as if its answer took so long, a little
    /// less with every moment; longer with every failure in a row.
    pub penalty: Duration,
}

impl PeakEwma {
    /// Linkerd's numbers: 10 s, 30 ms, and 5 s for what fails fast.
    pub const DEFAULT: Self = Self {
        tau: Duration::from_secs(10),
        first: Duration::from_millis(30),
        penalty: Duration::from_secs(5),
    };
}

impl Default for PeakEwma {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl BalanceSettings {
    /// What our own kinds do where nobody says otherwise.
    pub const OURS: Self =
        Self { algorithm: Algorithm::PeakEwma(PeakEwma::DEFAULT), slow_start: None, panic: Ratio::ZERO };
}
