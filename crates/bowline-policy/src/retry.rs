//! Whether a try follows another.

use crate::backoff::Backoff;
use crate::conditions::Conditions;
use std::time::Duration;

/// How often a call is tried, and when again.
#[derive(Clone, Debug, PartialEq)]
pub struct RetrySettings {
    /// All tries, the first included; at least one. (Istio's `attempts` counts the tries after the first.)
    pub tries: u32,
    /// How long one try may take.
    pub per_try: Option<Duration>,
    /// How long to wait before the next.
    pub backoff: Backoff,
    /// After what.
    pub rule: RetryRule,
}

/// After what a try is followed by another.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum RetryRule {
    /// Ours, by outcome: after a refusal; after an unknown outcome only what may be repeated.
    #[default]
    Outcome,
    /// Istio's, by name: exactly what `retryOn` says.
    Named(Conditions),
}

/// What the callee said about being asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushback {
    /// After exactly this long.
    After(Duration),
    /// Not at all.
    Never,
}

impl RetrySettings {
    /// One try.
    #[must_use]
    pub const fn none() -> Self {
        Self { tries: 1, per_try: None, backoff: Backoff::None, rule: RetryRule::Outcome }
    }

    /// Up to `tries` tries, by outcome, with Envoy's back-off.
    #[must_use]
    pub const fn tries(tries: u32) -> Self {
        Self { tries, per_try: None, backoff: Backoff::ENVOY, rule: RetryRule::Outcome }
    }
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self::none()
    }
}
