//! How handshakes end, each with a word.

use rustls::{AlertDescription, CertificateError, Error};
use std::io;

/// How a handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Well, and from the beginning.
    Full,
    /// Well, and shorter: the caller was here before.
    Resumed,
    /// The caller went away.
    Closed,
    /// It took too long.
    TooSlow,
    /// The caller spoke plain HTTP.
    PlainHttp,
    /// The caller spoke something else that is not TLS.
    NotTls,
    /// The caller asked for a name that no server has, or for none where one is needed.
    UnknownName,
    /// The server's own files cannot be used.
    NotReady,
    /// The caller proved nothing, and has to.
    NoCertificate,
    /// Nobody vouches for the caller whose word is taken.
    Untrusted,
    /// The caller's certificate holds no more, or not yet.
    Expired,
    /// The caller's certificate was revoked.
    Revoked,
    /// The caller is somebody else than those who may come.
    NotAmongNames,
    /// The caller's certificate or its proof is bad in another way.
    BadCertificate,
    /// The caller does not trust our certificate, or broke off for another reason of its own.
    RefusedByCaller,
    /// The two have no version or cipher in common.
    Incompatible,
    /// The caller speaks neither HTTP/2 nor HTTP/1.1 (ALPN).
    NoProtocol,
    /// The caller broke the protocol.
    Malformed,
}

impl Ending {
    /// Every end, in declaration order.
    pub(crate) const ALL: [Self; 18] = [
        Self::Full,
        Self::Resumed,
        Self::Closed,
        Self::TooSlow,
        Self::PlainHttp,
        Self::NotTls,
        Self::UnknownName,
        Self::NotReady,
        Self::NoCertificate,
        Self::Untrusted,
        Self::Expired,
        Self::Revoked,
        Self::NotAmongNames,
        Self::BadCertificate,
        Self::RefusedByCaller,
        Self::Incompatible,
        Self::NoProtocol,
        Self::Malformed,
    ];

    /// The word used in metrics and logs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Resumed => "resumed",
            Self::Closed => "closed",
            Self::TooSlow => "too-slow",
            Self::PlainHttp => "plain-http",
            Self::NotTls => "not-tls",
            Self::UnknownName => "unknown-name",
            Self::NotReady => "not-ready",
            Self::NoCertificate => "no-certificate",
            Self::Untrusted => "untrusted",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::NotAmongNames => "not-among-names",
            Self::BadCertificate => "bad-certificate",
            Self::RefusedByCaller => "refused-by-caller",
            Self::Incompatible => "incompatible",
            Self::NoProtocol => "no-protocol",
            Self::Malformed => "malformed",
        }
    }

    /// What a handshake's error means. `begun`: the caller has said which TLS it speaks.
    pub(super) fn of(error: &io::Error, begun: bool) -> Self {
        let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
            return Self::Closed;
        };
        match error {
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::InvalidCertificate(why) => match why {
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::Expired,
                CertificateError::Revoked => Self::Revoked,
                CertificateError::UnknownIssuer => Self::Untrusted,
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    Self::NotAmongNames
                }
                _ => Self::BadCertificate,
            },
            // It has nothing to show and says so in the way of before TLS 1.3.
            Error::AlertReceived(AlertDescription::NoCertificate) => Self::NoCertificate,
            Error::AlertReceived(_) => Self::RefusedByCaller,
            Error::PeerIncompatible(_) => Self::Incompatible,
            Error::NoApplicationProtocol => Self::NoProtocol,
            Error::InvalidMessage(_) if !begun => Self::NotTls,
            _ => Self::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_end_has_a_word_and_a_place_of_its_own() {
        let words: BTreeSet<_> = Ending::ALL.iter().map(|ending| ending.as_str()).collect();
        assert_eq!(words.len(), Ending::ALL.len());
        for (index, ending) in Ending::ALL.into_iter().enumerate() {
            assert_eq!(ending as usize, index, "{}", ending.as_str());
        }
    }

    #[test]
    fn an_error_becomes_the_word_that_says_whose_it_is() {
        let check = |error: Error, ending| assert_eq!(Ending::of(&io::Error::other(error), true), ending);
        check(Error::NoCertificatesPresented, Ending::NoCertificate);
        check(Error::InvalidCertificate(CertificateError::Expired), Ending::Expired);
        check(Error::InvalidCertificate(CertificateError::Revoked), Ending::Revoked);
        check(Error::InvalidCertificate(CertificateError::UnknownIssuer), Ending::Untrusted);
        check(Error::InvalidCertificate(CertificateError::BadSignature), Ending::BadCertificate);
        check(Error::AlertReceived(AlertDescription::UnknownCA), Ending::RefusedByCaller);
        check(Error::NoApplicationProtocol, Ending::NoProtocol);
        assert_eq!(Ending::of(&io::ErrorKind::UnexpectedEof.into(), true), Ending::Closed);
    }
}
