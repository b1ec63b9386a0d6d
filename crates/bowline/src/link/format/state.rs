//! Whose state the parts of a guard are.

use super::json::{Fields, FormatError, Object};

/// Whose state the parts of a guard are: guards that are told the same key share that part.
///
/// Opaque, compared for equality alone. A part without a key is the guard's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct StateKeys {
    /// The breaker's.
    pub breaker: Option<String>,
    /// The retry budget's.
    pub budget: Option<String>,
    /// The retry throttle's.
    pub retry_throttle: Option<String>,
    /// The bulkhead's.
    pub bulkhead: Option<String>,
    /// The rate limit's.
    pub rate: Option<String>,
    /// The admission throttle's.
    pub admission: Option<String>,
}

impl StateKeys {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, FormatError> {
        let key = |name| Ok(fields.text(name)?.map(str::to_owned));
        Ok(Self {
            breaker: key("breaker")?,
            budget: key("budget")?,
            retry_throttle: key("retry_throttle")?,
            bulkhead: key("bulkhead")?,
            rate: key("rate")?,
            admission: key("admission")?,
        })
    }

    /// `None` where there is no key at all.
    pub(super) fn write(&self) -> Option<Object> {
        let object = || {
            Object::new()
                .with_some("breaker", self.breaker.as_deref())
                .with_some("budget", self.budget.as_deref())
                .with_some("retry_throttle", self.retry_throttle.as_deref())
                .with_some("bulkhead", self.bulkhead.as_deref())
                .with_some("rate", self.rate.as_deref())
                .with_some("admission", self.admission.as_deref())
        };
        (*self != Self::default()).then(object)
    }
}
