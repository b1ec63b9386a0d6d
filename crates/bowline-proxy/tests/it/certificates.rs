//! Authorities, the certificates they issue, and files that hold them.

use bowline_call::tls::Source;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams, SanType, SerialNumber,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// Somebody whose word is taken, or not.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub(crate) struct Identity {
    pub(crate) certificate: rcgen::Certificate,
    pub(crate) key: KeyPair,
}

/// The serial number of whoever is to be revoked.
const REVOKED: u64 = 7;

impl Authority {
    pub(crate) fn new() -> Self {
        static EVER: AtomicU32 = AtomicU32::new(0);
        let mut params = CertificateParams::default();
        // Two of one name would be told apart by their signatures alone.
        let name = format!("authority {}", EVER.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// Somebody with these names of DNS.
    pub(crate) fn issue(&self, dns: &[&str]) -> Identity {
        self.issue_with(dns, |_| ())
    }

    /// Somebody called `uri`.
    pub(crate) fn issue_uri(&self, uri: &str) -> Identity {
        self.issue_with(&["caller.test"], |params| {
            params.subject_alt_names.push(SanType::URI(Ia5String::try_from(uri).unwrap()));
        })
    }

    pub(crate) fn issue_with(&self, dns: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params =
            CertificateParams::new(dns.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity { certificate, key }
    }

    /// Somebody whose certificate ended long ago.
    pub(crate) fn issue_expired(&self) -> Identity {
        self.issue_with(&["caller.test"], |params| {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2001, 1, 1);
        })
    }

    /// Somebody who is on the list of [`Authority::revoke`].
    pub(crate) fn issue_revoked(&self) -> Identity {
        self.issue_with(&["caller.test"], |params| params.serial_number = Some(SerialNumber::from(REVOKED)))
    }

    /// A list of the certificates that are revoked.
    pub(crate) fn revoke(&self) -> String {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(REVOKED),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2200, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

impl Identity {
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()))
    }
}

/// Files by name, which a test writes while a proxy reads them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Folder(Arc<Mutex<HashMap<String, String>>>);

impl Folder {
    pub(crate) fn write(&self, name: &str, text: impl Into<String>) {
        self.0.lock().unwrap().insert(name.to_owned(), text.into());
    }

    pub(crate) fn remove(&self, name: &str) {
        self.0.lock().unwrap().remove(name);
    }

    /// Writes `NAME.crt` and `NAME.key`.
    pub(crate) fn keep(&self, name: &str, identity: &Identity) {
        self.write(&format!("{name}.crt"), identity.certificate.pem());
        self.write(&format!("{name}.key"), identity.key.serialize_pem());
    }
}

impl Source for Folder {
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let files = self.0.lock().unwrap();
        Ok(files.get(name).ok_or(io::ErrorKind::NotFound)?.clone().into_bytes())
    }
}
