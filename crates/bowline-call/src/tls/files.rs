//! Certificates, keys and lists out of files.
//!
//! What was read is remembered by a digest, so that a file that was written anew can be told from one that says the
//! same; and of our own certificates it is remembered when they end.

use bowline_model::Identity;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::{CertificateError, RootCertStore};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::PathBuf;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Where files are read.
pub trait Source: fmt::Debug {
    /// All of the file called `name`.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
}

/// The machine's files, by path.
#[derive(Clone, Debug, Default)]
pub struct Files {
    folder: PathBuf,
}

/// The most bytes of one file: a bundle of every authority that browsers know has a quarter of a million, and a list
/// of revoked certificates may be ten times that.
pub const BYTES_MAX: u64 = 16 << 20;

impl Files {
    /// Files whose names, where they are not absolute, are looked for in `folder`.
    #[must_use]
    pub fn within(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }
}

impl Source for Files {
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(self.folder.join(name))?;
        if file.take(BYTES_MAX + 1).read_to_end(&mut bytes)? as u64 > BYTES_MAX {
            return Err(io::Error::other(format!("it has more than {BYTES_MAX} bytes")));
        }
        Ok(bytes)
    }
}

/// Why TLS cannot be spoken.
#[derive(Debug)]
pub struct TlsError {
    /// The file or the name that is at fault.
    pub about: String,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl TlsError {
    /// `about` is at fault, because of `source`.
    #[must_use]
    pub fn new(about: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { about: about.to_owned(), source: source.into() }
    }
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

/// When a certificate of ours ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Until {
    /// Its file.
    pub file: String,
    /// The last second in which it holds (`notAfter`), since 1970.
    pub second: i64,
}

/// Files as they are read, and a digest of them.
#[derive(Debug)]
pub struct Reading<'s> {
    source: &'s dyn Source,
    digest: DefaultHasher,
    until: Vec<Until>,
}

impl<'s> Reading<'s> {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(source: &'s dyn Source) -> Self {
        Self { source, digest: DefaultHasher::new(), until: Vec::new() }
    }

    /// A digest of what was read so far.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest.finish()
    }

    /// The certificates of ours that were read so far, and when each ends: of a chain the part that ends first.
    #[must_use]
    pub fn until(&self) -> Vec<Until> {
        self.until.clone()
    }

    /// The certificates in a file, at least one.
    ///
    /// # Errors
    /// It cannot be read, or holds none.
    pub fn certificates(&mut self, name: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let bytes = self.file(name)?;
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        match all {
            Ok(certificates) if certificates.is_empty() => Err(TlsError::new(name, "no certificate in it")),
            Ok(certificates) => Ok(certificates),
            Err(error) => Err(TlsError::new(name, error)),
        }
    }

    /// A chain of certificates that is ours, the first of them our own.
    ///
    /// # Errors
    /// The file cannot be read, or holds none.
    pub fn chain(&mut self, name: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let chain = self.certificates(name)?;
        let ends = chain.iter().filter_map(|certificate| {
            Some(X509Certificate::from_der(certificate).ok()?.1.validity().not_after.timestamp())
        });
        if let Some(second) = ends.min() {
            self.until.push(Until { file: name.to_owned(), second });
        }
        Ok(chain)
    }

    /// The key in a file.
    ///
    /// # Errors
    /// It cannot be read, or holds none.
    pub fn key(&mut self, name: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
        let bytes = self.file(name)?;
        PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| TlsError::new(name, error))
    }

    /// Those in a file whose word is taken.
    ///
    /// # Errors
    /// It cannot be read, or nobody in it can be trusted.
    pub fn trusted(&mut self, name: &str) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        if let (0, _) = roots.add_parsable_certificates(self.certificates(name)?) {
            return Err(TlsError::new(name, "no certificate in it that can be read"));
        }
        Ok(roots)
    }

    /// Lists of certificates that are revoked, at least one.
    ///
    /// # Errors
    /// The file cannot be read, or holds none: to go on without would be to trust those whom it was to stop.
    pub fn revoked(&mut self, name: &str) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
        let bytes = self.file(name)?;
        let all: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&bytes).collect();
        match all {
            Ok(lists) if lists.is_empty() => {
                Err(TlsError::new(name, "no list of revoked certificates in it"))
            }
            Ok(lists) => Ok(lists),
            Err(error) => Err(TlsError::new(name, error)),
        }
    }

    fn file(&mut self, name: &str) -> Result<Vec<u8>, TlsError> {
        let bytes = self.source.read(name).map_err(|error| TlsError::new(name, error))?;
        bytes.hash(&mut self.digest);
        Ok(bytes)
    }
}

/// The names in a certificate. Whether somebody vouches for them is for the handshake to find out.
///
/// # Errors
/// It cannot be read.
pub fn identity(certificate: &CertificateDer<'_>) -> Result<Identity, rustls::Error> {
    let parsed = webpki::EndEntityCert::try_from(certificate)
        .map_err(|_| rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
    Ok(Identity::new(parsed.valid_uri_names(), parsed.valid_dns_names()))
}
