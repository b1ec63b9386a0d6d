//! One server made ready: what it shows callers, and what they have to show it.

use super::callers;
use bowline_call::tls::{Reading, Source, TlsError, Until};
use bowline_design::resolved::CallerTls;
use bowline_design::resolved::caller_tls::{Cipher, Curve, Speaks, TlsVersion};
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::ring::{Ticketer, cipher_suite, default_provider, kx_group};
use rustls::server::{ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedCipherSuite, version};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// What is agreed on, the better first, where nobody says otherwise.
const SPEAKS: [Speaks; 2] = [Speaks::Http2, Speaks::Http1];

/// One server made ready.
#[derive(Debug)]
pub(crate) struct Server {
    asked: CallerTls,
    config: Arc<ServerConfig>,
    /// Of everything that its files hold.
    digest: u64,
    /// Of what callers prove: connections made in other terms come to their end.
    terms: u64,
    until: Vec<Until>,
    /// With what callers resume: kept where certificates change and terms stay.
    tickets: Option<Arc<dyn ProducesTickets>>,
}

impl Server {
    /// Reads what `asked` names. `before`: the server that was there, from which goes on what can.
    ///
    /// # Errors
    /// A file cannot be read or is not what it should be.
    pub(crate) fn load(
        asked: &CallerTls,
        before: Option<&Arc<Self>>,
        files: &dyn Source,
    ) -> Result<Arc<Self>, TlsError> {
        let mut provider = default_provider();
        if let Some(ciphers) = &asked.ciphers {
            let chosen = |suite: &SupportedCipherSuite| {
                suite.tls13().is_some() || ciphers.iter().any(|own| suite_of(*own) == *suite)
            };
            provider.cipher_suites.retain(chosen);
        }
        if let Some(curves) = &asked.curves {
            provider.kx_groups = curves.iter().copied().map(group_of).collect();
        }
        let provider = Arc::new(provider);

        let mut proving = Reading::new(files);
        let verifier = callers::verifier(&asked.callers, &provider, &mut proving)?;
        let mut terms = DefaultHasher::new();
        (&asked.callers, proving.digest()).hash(&mut terms);
        let terms = terms.finish();

        let mut own = Reading::new(files);
        let mut keys = Vec::with_capacity(asked.certificates.len());
        for (certificate, key) in &asked.certificates {
            let (chain, key) = (own.chain(certificate)?, own.key(key)?);
            let certified = CertifiedKey::from_der(chain, key, &provider);
            keys.push(Arc::new(certified.map_err(|error| TlsError::new(certificate, error))?));
        }
        let digest = own.digest() ^ proving.digest().rotate_left(1);
        if let Some(before) = before.filter(|before| before.asked == *asked && before.digest == digest) {
            return Ok(Arc::clone(before));
        }

        let versions = match asked.versions {
            (TlsVersion::V1_2, TlsVersion::V1_3) => &[&version::TLS13, &version::TLS12][..],
            (TlsVersion::V1_3, _) => &[&version::TLS13],
            (_, TlsVersion::V1_2) => &[&version::TLS12],
        };
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|error| TlsError::new("the versions and ciphers", error))?;
        let proves = verifier.is_some();
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(Certificates(keys)));
        let speaks = asked.speaks.as_deref().unwrap_or(&SPEAKS);
        config.alpn_protocols = speaks.iter().map(|speaks| speaks.as_str().as_bytes().to_vec()).collect();
        // A ticket is as good as what it was given for (RFC 8446, 4.6.1): a caller who proved something proves it again
        // each time, so that one whose certificate has ended or was revoked opens no connection.
        let tickets =
            match before.filter(|before| before.terms == terms).and_then(|before| before.tickets.clone()) {
                _ if proves => None,
                Some(tickets) => Some(tickets),
                None => Some(Ticketer::new().map_err(|error| TlsError::new("tickets", error))?),
            };
        config.session_storage = Arc::new(NoServerSessionStorage {});
        match &tickets {
            Some(tickets) => config.ticketer = Arc::clone(tickets),
            None => config.send_tls13_tickets = 0,
        }
        let (asked, until) = (asked.clone(), own.until());
        Ok(Arc::new(Self { asked, config: Arc::new(config), digest, terms, until, tickets }))
    }

    /// Whether it serves the same names.
    pub(crate) fn is_in_the_place_of(&self, asked: &CallerTls) -> bool {
        self.asked.names == asked.names
    }

    /// Whether it demands just what `asked` does, whichever certificates it shows.
    pub(crate) fn asks_the_same_as(&self, asked: &CallerTls) -> bool {
        let CallerTls { names, callers, versions, ciphers, curves, speaks, certificates: _, place: _ } =
            asked;
        let own = &self.asked;
        (names, callers, versions) == (&own.names, &own.callers, &own.versions)
            && (ciphers, curves, speaks) == (&own.ciphers, &own.curves, &own.speaks)
    }

    pub(crate) const fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// What callers prove, as a digest.
    pub(crate) const fn terms(&self) -> u64 {
        self.terms
    }

    /// Its certificates, and when each ends.
    pub(crate) fn until(&self) -> &[Until] {
        &self.until
    }
}

/// Certificates, of which a caller is shown the first that it can verify.
#[derive(Debug)]
struct Certificates(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        self.0.iter().find(fits).or(self.0.first()).cloned()
    }
}

fn suite_of(cipher: Cipher) -> SupportedCipherSuite {
    match cipher {
        Cipher::EcdsaAes128 => cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        Cipher::EcdsaAes256 => cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        Cipher::EcdsaChacha20 => cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        Cipher::RsaAes128 => cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        Cipher::RsaAes256 => cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        Cipher::RsaChacha20 => cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    }
}

fn group_of(curve: Curve) -> &'static dyn SupportedKxGroup {
    match curve {
        Curve::X25519 => kx_group::X25519,
        Curve::P256 => kx_group::SECP256R1,
        Curve::P384 => kx_group::SECP384R1,
    }
}
