//! TLS towards endpoints: what Istio's `DestinationRule` calls `tls`.
//!
//! What is asked for is read once, when a design is made ready, and becomes part of how an endpoint is reached.
//! A certificate that was renewed makes another endpoint of it: connections of the old one end with their
//! requests, and no call meets both.
//!
//! - [`files`]: what is read, for callees here and for callers in the proxy

pub mod files;

pub use files::{Files, Reading, Source, TlsError, Until};

use files::identity;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::hash::{Hash, Hasher};
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What is asked for of connections under TLS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsSettings {
    /// The name that the endpoint is asked for, and proves unless `names` are given.
    pub server_name: String,
    /// Names of which the endpoint proves one instead: of DNS, or URIs such as `spiffe://..`.
    pub names: Vec<String>,
    /// Whose word is taken for it.
    pub trust: Trust,
    /// A file of certificates that are revoked.
    pub revoked: Option<String>,
    /// Files of our own certificate and its key.
    pub own: Option<(String, String)>,
}

/// Whose word is taken for an endpoint's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// Those whom the machine trusts.
    System,
    /// Those in this file.
    File(String),
    /// Nobody's: the endpoint proves nothing.
    Blind,
}

/// How connections under TLS are made. Two are equal where the settings and what their files hold are.
#[derive(Clone, Debug)]
pub struct Tls {
    settings: TlsSettings,
    http2: bool,
    /// The certificates of ours that were read, and when each ends.
    until: Vec<Until>,
    /// Of what the files hold.
    digest: u64,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

impl Tls {
    /// Reads what `settings` name. `http2`: what is agreed on with the endpoint.
    ///
    /// # Errors
    /// A file cannot be read or is not what it should be, or the name is none.
    pub fn load(settings: &TlsSettings, http2: bool, source: &dyn Source) -> Result<Self, TlsError> {
        let mut reading = Reading::new(source);
        let name = ServerName::try_from(settings.server_name.clone())
            .map_err(|error| TlsError::new(&settings.server_name, error))?;
        let provider = Arc::new(ring::default_provider());
        let verifier = verifier(settings, &provider, &mut reading)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::new("the versions of TLS", error))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &settings.own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = reading.chain(certificate)?;
                let own = reading.key(key)?;
                builder
                    .with_client_auth_cert(chain, own)
                    .map_err(|error| TlsError::new(certificate, error))?
            }
        };
        config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        let until = reading.until();
        Ok(Self {
            settings: settings.clone(),
            http2,
            digest: reading.digest(),
            until,
            name,
            config: Arc::new(config),
        })
    }

    /// Our own certificates among what was read, and when each ends.
    #[must_use]
    pub fn own(&self) -> &[Until] {
        &self.until
    }

    /// Begins TLS over `stream`; both sides have proved what they must once this is through, and agreed on the
    /// version of HTTP.
    pub(crate) async fn begin(&self, stream: TcpStream) -> io::Result<Box<TlsStream<TcpStream>>> {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let stream = Box::new(connector.connect(self.name.clone(), stream).await?);
        // A peer that knows nothing of ALPN speaks HTTP/1.1; HTTP/2 is agreed on or not spoken (RFC 9113, 3.2).
        if self.http2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(io::Error::other("the endpoint does not agree to HTTP/2"));
        }
        Ok(stream)
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        (self.digest, self.http2) == (other.digest, other.http2) && self.settings == other.settings
    }
}

impl Eq for Tls {}

impl Hash for Tls {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

// === who the endpoint proves to be ===

fn verifier(
    settings: &TlsSettings,
    provider: &Arc<CryptoProvider>,
    reading: &mut Reading<'_>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let (roots, about) = match &settings.trust {
        Trust::Blind => return Ok(Arc::new(Blind(Arc::clone(provider)))),
        Trust::System => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            (roots, "the certificates of this machine")
        }
        Trust::File(name) => (reading.trusted(name)?, name.as_str()),
    };
    let revoked = match &settings.revoked {
        Some(name) => reading.revoked(name)?,
        None => Vec::new(),
    };
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .with_crls(revoked)
        // Envoy's way: who has no list is not asked for one.
        .allow_unknown_revocation_status()
        .build()
        .map_err(|error| TlsError::new(about, error))?;
    if settings.names.is_empty() {
        return Ok(chain);
    }
    Ok(Arc::new(Named { chain, names: settings.names.clone() }))
}

/// The endpoint proves one of these names, whatever name it is asked for.
#[derive(Debug)]
struct Named {
    chain: Arc<WebPkiServerVerifier>,
    names: Vec<String>,
}

impl Named {
    fn is_one_of(&self, certificate: &CertificateDer<'_>) -> Result<bool, rustls::Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let peer = identity(certificate)?;
        Ok(self.names.iter().any(|name| {
            let dns = ServerName::try_from(name.as_str());
            dns.is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
                || peer.uris().any(|uri| uri == name)
        }))
    }
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use CertificateError::{NotValidForName, NotValidForNameContext};
        let chain = self.chain.verify_server_cert(certificate, intermediates, name, ocsp, now);
        match chain {
            // The name is looked at last: a certificate that fails by it alone is good otherwise.
            Ok(_)
            | Err(rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => (),
            Err(error) => return Err(error),
        }
        if self.is_one_of(certificate)? {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::InvalidCertificate(NotValidForName))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// The endpoint proves that it has the key of its certificate, and nothing about who it is.
#[derive(Debug)]
struct Blind(Arc<CryptoProvider>);

impl ServerCertVerifier for Blind {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
