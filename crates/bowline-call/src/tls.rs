//! TLS towards endpoints: what Istio's `DestinationRule` calls `tls`.
//!
//! What is asked for is read once, when a design is made ready, and becomes part of how an endpoint is reached.
//! A certificate that was renewed makes another endpoint of it: connections of the old one end with their
//! requests, and no call meets both.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
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

/// Where files are read.
pub trait Source: fmt::Debug {
    /// All of the file called `name`.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
}

/// The machine's files, by path.
#[derive(Clone, Copy, Debug, Default)]
pub struct Files;

impl Source for Files {
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        std::fs::read(name)
    }
}

/// How connections under TLS are made. Two are equal where the settings and what their files hold are.
#[derive(Clone, Debug)]
pub struct Tls {
    settings: TlsSettings,
    /// Of what the files hold.
    digest: u64,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

/// Why TLS cannot be spoken.
#[derive(Debug)]
pub struct TlsError {
    /// The file or the name that is at fault.
    pub about: String,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use {} for TLS", self.about)
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}

impl Tls {
    /// Reads what `settings` name. `http2`: what is agreed on with the endpoint.
    ///
    /// # Errors
    /// A file cannot be read or is not what it should be, or the name is none.
    pub fn load(settings: &TlsSettings, http2: bool, source: &dyn Source) -> Result<Self, TlsError> {
        let mut reading = Reading { source, digest: DefaultHasher::new() };
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
                let chain = reading.certificates(certificate)?;
                let bytes = reading.file(key)?;
                let own = PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| TlsError::new(key, error))?;
                builder
                    .with_client_auth_cert(chain, own)
                    .map_err(|error| TlsError::new(certificate, error))?
            }
        };
        config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        http2.hash(&mut reading.digest);
        Ok(Self {
            settings: settings.clone(),
            digest: reading.digest.finish(),
            name,
            config: Arc::new(config),
        })
    }

    /// Begins TLS over `stream`; both sides have proved what they must once this is through.
    pub(crate) async fn begin(&self, stream: TcpStream) -> io::Result<Box<TlsStream<TcpStream>>> {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        Ok(Box::new(connector.connect(self.name.clone(), stream).await?))
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest && self.settings == other.settings
    }
}

impl Eq for Tls {}

impl Hash for Tls {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl TlsError {
    fn new(about: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { about: about.to_owned(), source: source.into() }
    }
}

/// Files as they are read, and a digest of them.
struct Reading<'s> {
    source: &'s dyn Source,
    digest: DefaultHasher,
}

impl Reading<'_> {
    fn file(&mut self, name: &str) -> Result<Vec<u8>, TlsError> {
        let bytes = self.source.read(name).map_err(|error| TlsError::new(name, error))?;
        bytes.hash(&mut self.digest);
        Ok(bytes)
    }

    fn certificates(&mut self, name: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let bytes = self.file(name)?;
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        match all {
            Ok(certificates) if certificates.is_empty() => Err(TlsError::new(name, "no certificate in it")),
            Ok(certificates) => Ok(certificates),
            Err(error) => Err(TlsError::new(name, error)),
        }
    }
}

// === who the endpoint proves to be ===

fn verifier(
    settings: &TlsSettings,
    provider: &Arc<CryptoProvider>,
    reading: &mut Reading<'_>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    let about = match &settings.trust {
        Trust::Blind => return Ok(Arc::new(Blind(Arc::clone(provider)))),
        Trust::System => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            "the certificates of this machine"
        }
        Trust::File(name) => {
            roots.add_parsable_certificates(reading.certificates(name)?);
            name
        }
    };
    let mut revoked = Vec::new();
    if let Some(name) = &settings.revoked {
        let bytes = reading.file(name)?;
        for list in CertificateRevocationListDer::pem_slice_iter(&bytes) {
            revoked.push(list.map_err(|error| TlsError::new(name, error))?);
        }
    }
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
        let uris = webpki::EndEntityCert::try_from(certificate)
            .map_err(|_| rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
        Ok(self.names.iter().any(|name| {
            let dns = ServerName::try_from(name.as_str());
            dns.is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
                || uris.valid_uri_names().any(|uri| uri == name)
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
