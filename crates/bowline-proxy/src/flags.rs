//! What went wrong with a request, in Envoy's letters, and in ours where Envoy has none.
//!
//! Whoever has read Envoy's access logs knows these; in metrics and trails they say at a glance whose
//! fault an answer is.

use std::fmt;

/// What went wrong with a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Flag {
    /// Nothing.
    #[default]
    None,
    /// No connection to the upstream.
    UpstreamFailed,
    /// The upstream closed the connection.
    UpstreamClosed,
    /// The upstream broke the protocol.
    UpstreamProtocol,
    /// The deadline or the per-try time ran out.
    UpstreamTimeout,
    /// A breaker or bulkhead refused.
    UpstreamOverflow,
    /// All tries were used.
    RetriesExhausted,
    /// There is no endpoint.
    NoHealthyUpstream,
    /// There is no route.
    NoRoute,
    /// The caller broke the protocol.
    DownstreamProtocol,
    /// The caller went away.
    DownstreamClosed,
    /// The answer was reset while it was passed on.
    LocalReset,
    /// A rate limit refused.
    RateLimited,
    /// A fault was injected.
    FaultInjected,
    /// A delay was injected.
    DelayInjected,
    /// TLS cannot be spoken to the upstream: a file that it needs cannot be used. Envoy has no letters for it.
    NoTls,
    /// The admission throttle rejected. Ours: Envoy's admission control sets no flag.
    AdmissionRejected,
    /// Too little time was left. Ours.
    Doomed,
    /// The caller may not, or its token is not believed. Envoy's letters for what its external authorization denies; its
    /// filters for tokens and roles set none.
    AccessDenied,
}

impl Flag {
    /// Every flag, in declaration order.
    pub const ALL: [Self; 19] = [
        Self::None,
        Self::UpstreamFailed,
        Self::UpstreamClosed,
        Self::UpstreamProtocol,
        Self::UpstreamTimeout,
        Self::UpstreamOverflow,
        Self::RetriesExhausted,
        Self::NoHealthyUpstream,
        Self::NoRoute,
        Self::DownstreamProtocol,
        Self::DownstreamClosed,
        Self::LocalReset,
        Self::RateLimited,
        Self::FaultInjected,
        Self::DelayInjected,
        Self::NoTls,
        Self::AdmissionRejected,
        Self::Doomed,
        Self::AccessDenied,
    ];

    /// Envoy's letters; `-` for nothing.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "-",
            Self::UpstreamFailed => "UF",
            Self::UpstreamClosed => "UC",
            Self::UpstreamProtocol => "UPE",
            Self::UpstreamTimeout => "UT",
            Self::UpstreamOverflow => "UO",
            Self::RetriesExhausted => "URX",
            Self::NoHealthyUpstream => "UH",
            Self::NoRoute => "NR",
            Self::DownstreamProtocol => "DPE",
            Self::DownstreamClosed => "DC",
            Self::LocalReset => "LR",
            Self::RateLimited => "RL",
            Self::FaultInjected => "FI",
            Self::DelayInjected => "DI",
            Self::NoTls => "TLS",
            Self::AdmissionRejected => "AR",
            Self::Doomed => "DM",
            Self::AccessDenied => "UAEX",
        }
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_indexes_its_own_place() {
        for (index, flag) in Flag::ALL.into_iter().enumerate() {
            assert_eq!(flag as usize, index, "{flag}");
        }
    }
}
