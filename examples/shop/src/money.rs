//! What an amount means.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A sum of money: a whole number of the currency's smallest unit, and the currency.
///
/// A bare `"amount": 42` is read as 42 cents by one service and as 42 euros by the next. Here neither
/// can happen: the unit is part of the type, and the currency part of every message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amount {
    /// In minor units: 4200 is 42.00 EUR. Never a fraction, so sums are exact.
    pub value: u64,
    /// Which money.
    pub currency: Currency,
}

/// The currencies the shop takes. One it does not know is refused when the message is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Currency {
    /// Euro, 100 minor units.
    #[serde(rename = "EUR")]
    Eur,
}

impl Amount {
    /// An amount in euro cents.
    #[must_use]
    pub const fn euro_cents(value: u64) -> Self {
        Self { value, currency: Currency::Eur }
    }
}

/// As a person reads it: `42.00 EUR`.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Currency::Eur = self.currency;
        write!(f, "{}.{:02} EUR", self.value / 100, self.value % 100)
    }
}
