//! TLS from callers: what a server of a `Gateway` asks of those who connect, and proves to them.

use crate::mistake::Place;
use crate::routing::host::HostPattern;

/// The folder, within the design's, that holds a folder of certificates for each `credentialName`.
pub const CREDENTIALS: &str = "credentials";

/// TLS from callers. Files are named as they are written; a name that is not absolute is looked for in the
/// design's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerTls {
    /// Names that callers ask for (SNI, RFC 6066) and are served here.
    pub names: Vec<HostPattern>,
    /// Files of a certificate and of its key; of several the first is shown that a caller can verify.
    pub certificates: Vec<(String, String)>,
    /// What callers prove.
    pub callers: CallerProof,
    /// The oldest and the newest version.
    pub versions: (TlsVersion, TlsVersion),
    /// What TLS 1.2 may be encrypted with; `None`: whatever is safe. That of TLS 1.3 is no matter of choice.
    pub ciphers: Option<Vec<Cipher>>,
    /// Over which curves keys are agreed on, the preferred first; `None`: whatever is safe.
    pub curves: Option<Vec<Curve>>,
    /// What may be agreed to be spoken, the preferred first; `None`: HTTP/2, then HTTP/1.1.
    pub speaks: Option<Vec<Speaks>>,
    /// Where it is written.
    pub place: Place,
}

/// What callers prove.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CallerProof {
    /// Nothing, and they are not asked: `SIMPLE`.
    None,
    /// Who they are, if they want to: `OPTIONAL_MUTUAL`.
    Optional(Proof),
    /// Who they are: `MUTUAL`.
    Required(Proof),
}

/// What counts as a caller's proof.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Proof {
    /// A file of those whose word is taken.
    pub trusted: String,
    /// A file of lists of certificates that are revoked.
    pub revoked: Option<String>,
    /// Names (DNS or URI) of which the certificate has one; empty: any.
    pub names: Vec<String>,
    /// SHA-256 of public keys, in base64, of which it has one; with `hashes`: or one of those.
    pub keys: Vec<String>,
    /// SHA-256 of certificates, in hexadecimal, of which it is one.
    pub hashes: Vec<String>,
}

/// Versions of TLS that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// 1.2
    V1_2,
    /// 1.3
    V1_3,
}

/// What TLS 1.2 can be encrypted with. Ciphers without forward secrecy or authenticated encryption are not spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// ECDHE-ECDSA-AES128-GCM-SHA256
    EcdsaAes128,
    /// ECDHE-ECDSA-AES256-GCM-SHA384
    EcdsaAes256,
    /// ECDHE-ECDSA-CHACHA20-POLY1305
    EcdsaChacha20,
    /// ECDHE-RSA-AES128-GCM-SHA256
    RsaAes128,
    /// ECDHE-RSA-AES256-GCM-SHA384
    RsaAes256,
    /// ECDHE-RSA-CHACHA20-POLY1305
    RsaChacha20,
}

/// What keys can be agreed on over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// X25519
    X25519,
    /// P-256
    P256,
    /// P-384
    P384,
}

/// What callers can agree to speak (ALPN, RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/1.1
    Http1,
    /// HTTP/2
    Http2,
}

impl CallerTls {
    /// Istio's word for what callers prove.
    #[must_use]
    pub const fn mode(&self) -> &'static str {
        match self.callers {
            CallerProof::None => "SIMPLE",
            CallerProof::Optional(_) => "OPTIONAL_MUTUAL",
            CallerProof::Required(_) => "MUTUAL",
        }
    }

    /// The narrowest of the names that means `server_name`; `None` where callers name nobody, whom only `*` means.
    #[must_use]
    pub fn serves(&self, server_name: Option<&str>) -> Option<&HostPattern> {
        let means = |pattern: &&HostPattern| match server_name {
            Some(name) => pattern.matches(name),
            None => **pattern == HostPattern::Any,
        };
        self.names.iter().filter(means).min_by(|a, b| HostPattern::by_specificity(a, b))
    }
}

impl CallerProof {
    /// What counts, where anything does.
    #[must_use]
    pub const fn proof(&self) -> Option<&Proof> {
        match self {
            Self::None => None,
            Self::Optional(proof) | Self::Required(proof) => Some(proof),
        }
    }
}

impl Cipher {
    /// The cipher that OpenSSL, and so Istio, calls `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "ECDHE-ECDSA-AES128-GCM-SHA256" => Self::EcdsaAes128,
            "ECDHE-ECDSA-AES256-GCM-SHA384" => Self::EcdsaAes256,
            "ECDHE-ECDSA-CHACHA20-POLY1305" => Self::EcdsaChacha20,
            "ECDHE-RSA-AES128-GCM-SHA256" => Self::RsaAes128,
            "ECDHE-RSA-AES256-GCM-SHA384" => Self::RsaAes256,
            "ECDHE-RSA-CHACHA20-POLY1305" => Self::RsaChacha20,
            _ => return None,
        })
    }
}

impl Curve {
    /// The curve that BoringSSL, and so Istio, calls `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "X25519" => Some(Self::X25519),
            "P-256" => Some(Self::P256),
            "P-384" => Some(Self::P384),
            _ => None,
        }
    }
}

impl Speaks {
    /// What ALPN calls `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Http1, Self::Http2].into_iter().find(|known| known.as_str() == name)
    }

    /// Its name in ALPN.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http/1.1",
            Self::Http2 => "h2",
        }
    }
}
