//! Why a caller is not let through.

use std::fmt;

/// Why no rule lets a caller through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeniedWhy {
    /// No rule lets anybody through to this.
    NobodyMay,
    /// The caller proved nothing, and who it is matters.
    Anonymous,
    /// The caller proved something, and no rule asks for that.
    NotGranted,
}

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenFault {
    /// There are several, and who takes which is anybody's guess.
    Repeated,
    /// It is longer than anybody needs.
    TooLarge,
    /// It is no signed token (RFC 7515), or demands what nobody here understands.
    Malformed,
    /// It is signed in a way that its key is not for, or not at all.
    Algorithm,
    /// Whose it is, nobody here knows.
    UnknownIssuer,
    /// Its issuer has no such key.
    UnknownKey,
    /// The keys of its issuer are not known yet: it may be good.
    NoKeys,
    /// Its signature is somebody else's, or of something else.
    Signature,
    /// It has ended.
    Expired,
    /// It does not say when it ends.
    Endless,
    /// It has not begun.
    NotYet,
    /// It was made for somebody else.
    Audience,
}

impl DeniedWhy {
    /// All of them, in declaration order.
    pub const ALL: [Self; 3] = [Self::NobodyMay, Self::Anonymous, Self::NotGranted];

    /// The word used as metric label, trace attribute and in `explain`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NobodyMay => "nobody may",
            Self::Anonymous => "anonymous",
            Self::NotGranted => "not granted",
        }
    }
}

impl TokenFault {
    /// All of them, in declaration order.
    pub const ALL: [Self; 12] = [
        Self::Repeated,
        Self::TooLarge,
        Self::Malformed,
        Self::Algorithm,
        Self::UnknownIssuer,
        Self::UnknownKey,
        Self::NoKeys,
        Self::Signature,
        Self::Expired,
        Self::Endless,
        Self::NotYet,
        Self::Audience,
    ];

    /// The word used as metric label, trace attribute and in `explain`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Repeated => "several tokens",
            Self::TooLarge => "token too large",
            Self::Malformed => "token malformed",
            Self::Algorithm => "token algorithm",
            Self::UnknownIssuer => "token of unknown issuer",
            Self::UnknownKey => "token of unknown key",
            Self::NoKeys => "keys not known yet",
            Self::Signature => "token signature",
            Self::Expired => "token expired",
            Self::Endless => "token without end",
            Self::NotYet => "token not yet valid",
            Self::Audience => "token for another audience",
        }
    }
}

impl fmt::Display for DeniedWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_indexes_its_own_place() {
        assert!(DeniedWhy::ALL.into_iter().enumerate().all(|(index, why)| why as usize == index));
        assert!(TokenFault::ALL.into_iter().enumerate().all(|(index, fault)| fault as usize == index));
    }
}
