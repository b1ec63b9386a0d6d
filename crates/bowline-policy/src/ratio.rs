//! A share in fixed point.

use std::fmt;

/// A share between zero and one, in parts per million.
///
/// Budgets that turned a share into "one token per `(1.0 / share) as isize` calls" gave 33 % where 30 %
/// was asked and 100 % where 70 % was. Here a share is an integer and is only ever multiplied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ratio(u32);

impl Ratio {
    /// Nothing of it.
    pub const ZERO: Self = Self(0);
    /// All of it.
    pub const ONE: Self = Self(Self::WHOLE);

    /// What a whole is made of.
    pub(crate) const WHOLE: u32 = 1_000_000;

    /// The share `value`, from 0 to 1, rounded to a millionth. Anything else, NaN included, is `None`.
    ///
    /// ```
    /// use bowline_policy::Ratio;
    /// assert_eq!(Ratio::from_f64(0.7).map(|ratio| ratio.of(10)), Some(7));
    /// assert_eq!(Ratio::from_f64(1.5), None);
    /// ```
    #[must_use]
    pub fn from_f64(value: f64) -> Option<Self> {
        (0.0..=1.0).contains(&value).then(|| Self((value * f64::from(Self::WHOLE)).round() as u32))
    }

    /// The share of `percent` hundredths, at most all.
    ///
    /// ```
    /// use bowline_policy::Ratio;
    /// assert_eq!(Ratio::percent(20), Ratio::from_f64(0.2).unwrap());
    /// ```
    #[must_use]
    pub const fn percent(percent: u32) -> Self {
        if percent > 100 { Self::ONE } else { Self(percent * (Self::WHOLE / 100)) }
    }

    /// Parts per million.
    #[must_use]
    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// As a number between 0 and 1, for people and formulas; no decision is made from it.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / f64::from(Self::WHOLE)
    }

    /// How many whole ones of `n` the share is.
    #[must_use]
    pub const fn of(self, n: u64) -> u64 {
        (n as u128 * self.0 as u128 / Self::WHOLE as u128) as u64
    }

    /// Whether `part` is at least this share of `whole`, exactly.
    #[must_use]
    pub const fn is_reached(self, part: u32, whole: u32) -> bool {
        part as u64 * Self::WHOLE as u64 >= whole as u64 * self.0 as u64
    }
}

/// As people write it: `20 %`.
impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", f64::from(self.0) / 10_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_share_is_refused() {
        for bad in [-0.001, 1.001, f64::NAN, f64::INFINITY] {
            assert_eq!(Ratio::from_f64(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_share_is_reached_exactly_and_not_before() {
        let half = Ratio::percent(50);
        assert!(half.is_reached(10, 20));
        assert!(!half.is_reached(9, 19 + 1));
        assert!(Ratio::ONE.is_reached(u32::MAX, u32::MAX));
        assert!(!Ratio::ONE.is_reached(u32::MAX - 1, u32::MAX));
    }

    #[test]
    fn a_share_reads_as_people_write_it() {
        assert_eq!(Ratio::percent(20).to_string(), "20 %");
        assert_eq!(Ratio::from_f64(0.123).map(|ratio| ratio.to_string()).as_deref(), Some("12.3 %"));
    }
}
