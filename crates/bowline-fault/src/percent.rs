//! How often something happens.

use std::fmt;

/// A share of all cases, in parts per million.
///
/// An integer, because a share that is compared with random bits in floating point is off by whatever
/// the conversion loses; Envoy's finest denominator is a million too (`FractionalPercent`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u32);

impl Percent {
    /// Every case.
    pub const ALWAYS: Self = Self(Self::WHOLE);
    /// No case.
    pub const NEVER: Self = Self(0);

    /// What a whole is made of.
    const WHOLE: u32 = 1_000_000;

    /// The share `percent`, from 0 to 100, rounded to a ten-thousandth of a percent. Anything else,
    /// NaN included, is `None`.
    ///
    /// ```
    /// use bowline_fault::Percent;
    /// assert_eq!(Percent::from_percent(100.0), Some(Percent::ALWAYS));
    /// assert_eq!(Percent::from_percent(100.1), None);
    /// ```
    #[must_use]
    pub fn from_percent(percent: f64) -> Option<Self> {
        let parts = f64::from(Self::WHOLE / 100);
        (0.0..=100.0).contains(&percent).then(|| Self((percent * parts).round() as u32))
    }

    /// Parts per million.
    #[must_use]
    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// Whether a case with these uniformly distributed `bits` belongs to the share.
    #[must_use]
    pub const fn includes(self, bits: u64) -> bool {
        ((bits as u128 * Self::WHOLE as u128) >> 64) < self.0 as u128
    }
}

/// As people write it: `12.5 %`.
impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", f64::from(self.0) / 10_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_includes_nothing_and_always_includes_everything() {
        for bits in [0, 1, u64::MAX / 2, u64::MAX] {
            assert!(!Percent::NEVER.includes(bits));
            assert!(Percent::ALWAYS.includes(bits));
        }
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for bad in [-0.1, 100.000_1, f64::NAN, f64::INFINITY] {
            assert_eq!(Percent::from_percent(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_share_reads_as_people_write_it() {
        assert_eq!(Percent::from_percent(12.5).map(|share| share.to_string()).as_deref(), Some("12.5 %"));
        assert_eq!(Percent::ALWAYS.to_string(), "100 %");
    }
}
