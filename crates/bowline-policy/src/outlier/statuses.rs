//! A set of statuses of HTTP.

/// Statuses of HTTP, a bit for each from 100 to 611: asked of every answer, so that nothing is looked for in a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statuses([u64; 8]);

impl Statuses {
    /// The lowest.
    const FIRST: u16 = 100;

    /// Those of `statuses` that there is room for, which is all that HTTP has.
    #[must_use]
    pub fn of(statuses: impl IntoIterator<Item = u16>) -> Self {
        let mut set = Self::default();
        for (word, bit) in statuses.into_iter().filter_map(Self::place) {
            set.0[word] |= bit;
        }
        set
    }

    /// Whether `status` is one of them.
    #[must_use]
    #[inline]
    pub fn contains(&self, status: u16) -> bool {
        Self::place(status).is_some_and(|(word, bit)| self.0[word] & bit != 0)
    }

    /// All of them, the lowest first.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (Self::FIRST..Self::FIRST + 512).filter(|status| self.contains(*status))
    }

    #[inline]
    fn place(status: u16) -> Option<(usize, u64)> {
        let index = status.checked_sub(Self::FIRST)?;
        let word = usize::from(index / 64);
        (word < 8).then(|| (word, 1 << (index % 64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_what_it_was_made_of() {
        let made = [599, 429, 100, 500, 163, 164];
        let set = Statuses::of(made.into_iter().chain([99, 612, u16::MAX]));
        assert_eq!(set.iter().collect::<Vec<_>>(), [100, 163, 164, 429, 500, 599]);
        for status in 0..1_000 {
            assert_eq!(set.contains(status), made.contains(&status), "{status}");
        }
    }
}
