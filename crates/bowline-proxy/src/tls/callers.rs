//! How callers prove who they are.

use super::secured::{hexadecimal, sha256};
use bowline_call::tls::files::identity;
use bowline_call::tls::{Reading, TlsError};
use bowline_design::resolved::caller_tls::{CallerProof, Proof};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use std::sync::Arc;

/// Who looks at what callers show; `None`: they are not asked.
pub(super) fn verifier(
    callers: &CallerProof,
    provider: &Arc<CryptoProvider>,
    reading: &mut Reading<'_>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let Some(proof) = callers.proof() else { return Ok(None) };
    let roots = Arc::new(reading.trusted(&proof.trusted)?);
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
    if let Some(file) = &proof.revoked {
        // As towards callees: who has no list is not asked for one.
        builder = builder.with_crls(reading.revoked(file)?).allow_unknown_revocation_status();
    }
    if matches!(callers, CallerProof::Optional(_)) {
        builder = builder.allow_unauthenticated();
    }
    let chain = builder.build().map_err(|error| TlsError::new(&proof.trusted, error))?;
    if proof.names.is_empty() && proof.keys.is_empty() && proof.hashes.is_empty() {
        return Ok(Some(chain));
    }
    let plain = |hash: &String| hash.replace(':', "").to_ascii_lowercase();
    let proof = Proof { hashes: proof.hashes.iter().map(plain).collect(), ..proof.clone() };
    Ok(Some(Arc::new(Chosen { chain, proof })))
}

/// Only some of those who are vouched for may come.
#[derive(Debug)]
struct Chosen {
    chain: Arc<dyn ClientCertVerifier>,
    proof: Proof,
}

impl Chosen {
    fn admits(&self, certificate: &CertificateDer<'_>) -> Result<bool, Error> {
        let Proof { names, keys, hashes, .. } = &self.proof;
        let peer = identity(certificate)?;
        let named = names.is_empty() || names.iter().any(|name| peer.is(name));
        let pinned = keys.is_empty() && hashes.is_empty();
        Ok(named
            && (pinned
                || hashes.contains(&hexadecimal(&sha256(certificate)))
                || self.has_key(certificate)?))
    }

    fn has_key(&self, certificate: &CertificateDer<'_>) -> Result<bool, Error> {
        let parsed = webpki::EndEntityCert::try_from(certificate)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let key = base64(&sha256(&parsed.subject_public_key_info()));
        Ok(self.proof.keys.contains(&key))
    }
}

/// In base64 (RFC 4648, 4), for 32 bytes.
fn base64(bytes: &[u8; 32]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(44);
    for three in bytes.chunks(3) {
        let group = three.iter().fold(0_usize, |group, byte| group << 8 | usize::from(*byte))
            << (8 * (3 - three.len()));
        for letter in 0..4 {
            let index = group >> (18 - 6 * letter) & 63;
            text.push(if letter <= three.len() { char::from(LETTERS[index]) } else { '=' });
        }
    }
    text
}

impl ClientCertVerifier for Chosen {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.chain.client_auth_mandatory()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(certificate, intermediates, now)?;
        if self.admits(certificate)? {
            return Ok(verified);
        }
        Err(Error::InvalidCertificate(CertificateError::NotValidForName))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_in_base64_is_what_openssl_prints() {
        // openssl dgst -sha256 -binary </dev/null | base64
        assert_eq!(base64(&sha256(b"")), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }
}
