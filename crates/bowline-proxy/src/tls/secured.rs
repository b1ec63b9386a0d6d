//! What a connection under TLS knows of its caller.

use bowline_call::tls::files::identity;
use bowline_model::Identity;
use http::header::HeaderValue;
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::pki_types::CertificateDer;
use std::fmt::Write;

/// What a connection under TLS knows of its caller.
#[derive(Debug)]
pub(crate) struct Secured {
    pub(crate) terms: Terms,
    proved: Option<Proved>,
}

/// In whose terms a handshake was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The name that was asked for.
    pub(crate) server_name: Option<Box<str>>,
    /// What had to be proved, as a digest.
    pub(crate) digest: u64,
}

#[derive(Debug)]
struct Proved {
    identity: Identity,
    /// As `x-forwarded-client-cert` has it.
    told: HeaderValue,
}

impl Secured {
    /// A caller that proved to be the owner of `certificate`, or nothing.
    pub(super) fn new(terms: Terms, certificate: Option<&CertificateDer<'_>>) -> Self {
        let proved = certificate.and_then(|certificate| {
            let identity = identity(certificate).ok()?;
            let told = HeaderValue::from_str(&told(&identity, certificate)).ok()?;
            Some(Proved { identity, told })
        });
        Self { terms, proved }
    }

    /// Who the caller proved to be.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.proved.as_ref().map(|proved| &proved.identity)
    }

    /// That, as `x-forwarded-client-cert` has it.
    pub(crate) fn told(&self) -> Option<&HeaderValue> {
        self.proved.as_ref().map(|proved| &proved.told)
    }
}

/// SHA-256, of the provider that TLS uses.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let suite = TLS13_AES_128_GCM_SHA256.tls13().map(|suite| suite.common.hash_provider.hash(bytes));
    let mut digest = [0; 32];
    if let Some(hash) = suite {
        digest.copy_from_slice(hash.as_ref());
    }
    digest
}

/// In hexadecimal.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// One element of `x-forwarded-client-cert`, in Envoy's form: the certificate's digest and names.
fn told(identity: &Identity, certificate: &CertificateDer<'_>) -> String {
    let mut text = format!("Hash={}", hexadecimal(&sha256(certificate)));
    let uris = identity.uris().map(|uri| ("URI", uri));
    for (key, name) in uris.chain(identity.dns().map(|name| ("DNS", name))) {
        // What separates elements and their parts stands in quotes.
        if name.contains([',', ';', '=', '"']) {
            let _ = write!(text, ";{key}=\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
        } else {
            let _ = write!(text, ";{key}={name}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_sha256() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hexadecimal(&sha256(b"abc")), expected);
    }

    #[test]
    fn a_name_cannot_pass_for_another_part() {
        let tricky = Identity::new(["spiffe://a;URI=spiffe://b\",x"], ["a.test"]);
        let told = told(&tricky, &CertificateDer::from(vec![1]));
        assert!(told.ends_with(";URI=\"spiffe://a;URI=spiffe://b\\\",x\";DNS=a.test"), "{told}");
    }
}
