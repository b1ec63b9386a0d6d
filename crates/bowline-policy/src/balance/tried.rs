//! Where a call has been.

/// The hosts that a call has tried in this round, without a heap.
///
/// A round ends when every host that may be picked was tried. Twelve are remembered, in order; a call of
/// more tries forgets the oldest. Our default is three tries and nobody has asked for a dozen, while a set
/// of every host would make each call as large as the largest destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    hosts: [u16; Self::REMEMBERED],
    /// All of this round, also those that are forgotten.
    count: u32,
}

impl Tried {
    /// How many hosts are remembered.
    pub const REMEMBERED: usize = 12;

    /// Whether nothing was tried yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether `host` was tried in this round.
    #[must_use]
    pub fn contains(&self, host: u16) -> bool {
        self.hosts[..Self::REMEMBERED.min(self.count as usize)].contains(&host)
    }

    /// `host` is tried.
    pub const fn add(&mut self, host: u16) {
        self.hosts[self.count as usize % Self::REMEMBERED] = host;
        self.count += 1;
    }

    /// A round begins; only the last host is remembered, because it has just failed.
    pub(super) const fn begin_again(&mut self) {
        if self.count > 0 {
            let last = self.hosts[(self.count as usize - 1) % Self::REMEMBERED];
            *self = Self { hosts: [last; Self::REMEMBERED], count: 1 };
        }
    }

    /// Everything is forgotten.
    pub(super) const fn clear(&mut self) {
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_round_remembers_the_last_host_alone() {
        let mut tried = Tried::default();
        assert!(!tried.contains(0), "an empty one holds nothing, also not host 0");
        (3..6).for_each(|host| tried.add(host));
        assert!((3..6).all(|host| tried.contains(host)));
        tried.begin_again();
        assert!(tried.contains(5) && !tried.contains(3) && !tried.contains(4));
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut tried = Tried::default();
        (0..13).for_each(|host| tried.add(host));
        assert!(!tried.contains(0));
        assert!((1..13).all(|host| tried.contains(host)));
    }
}
