//! Istio's `retryOn`, as Envoy understands it.

use bowline_model::decision::{RetryOn, TryEnd};

/// The conditions that Istio's `retryOn` names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    named: u32,
    codes: Vec<u16>,
}

impl Conditions {
    /// Reads a `retryOn`.
    ///
    /// # Errors
    /// The first word that is neither a condition nor a status code.
    pub fn parse(text: &str) -> Result<Self, String> {
        Err(text.to_owned())
    }

    /// What Istio asks for where no `retries` block is written.
    #[must_use]
    pub fn istio_default() -> Self {
        Self::default()
    }

    /// Whether `condition` is named.
    #[must_use]
    pub fn contains(&self, condition: RetryOn) -> bool {
        self.named & (1 << condition as u32) != 0
    }

    /// The status codes that are named.
    #[must_use]
    pub fn codes(&self) -> &[u16] {
        &self.codes
    }

    /// The condition that names how the try ended.
    #[must_use]
    pub fn matching(&self, end: TryEnd, retriable_header: bool, rate_limited: bool) -> Option<RetryOn> {
        let _ = (end, retriable_header, rate_limited);
        None
    }
}
