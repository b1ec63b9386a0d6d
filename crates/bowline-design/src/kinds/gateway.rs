//! Istio's Gateway: where requests come in from outside.

use crate::mistake::Spot;
use crate::read::record::{record, words};
use std::collections::BTreeMap;

record! {
    /// Where requests come in from outside.
    pub struct Gateway {
        /// Its listeners.
        pub servers: Vec<Spot<Server>>,
        /// The workloads that listen.
        pub selector: BTreeMap<String, String>,
    }
}

record! {
    /// One listener.
    pub struct Server {
        /// Its port.
        pub port: Option<Spot<Port>>,
        /// The address it listens on; all of them when absent.
        pub bind: Option<Spot<String>>,
        /// The hosts it serves, `*` or `namespace/host` allowed.
        pub hosts: Vec<Spot<String>>,
        /// TLS from callers.
        pub tls: Option<Spot<ServerTls>>,
        /// Read by no version of Istio.
        pub default_endpoint: Option<Spot<String>>,
        /// Its name.
        pub name: Option<Spot<String>>,
    }
}

record! {
    /// A listener's port.
    pub struct Port {
        /// The number.
        pub number: Option<Spot<u32>>,
        /// What is spoken there.
        pub protocol: Option<Spot<String>>,
        /// Its name.
        pub name: Option<Spot<String>>,
        /// Read by no version of Istio.
        pub target_port: Option<Spot<u32>>,
    }
}

record! {
    /// TLS from callers.
    pub struct ServerTls {
        /// Whether plain requests are redirected.
        pub https_redirect: Option<Spot<bool>>,
        /// How.
        pub mode: Option<Spot<ServerTlsMode>>,
        /// Our certificate.
        pub server_certificate: Option<Spot<String>>,
        /// Its key.
        pub private_key: Option<Spot<String>>,
        /// Whom we trust.
        pub ca_certificates: Option<Spot<String>>,
        /// Certificates no longer trusted.
        pub ca_crl: Option<Spot<String>>,
        /// The secret that holds all of them.
        pub credential_name: Option<Spot<String>>,
        /// The secrets, where there are two.
        pub credential_names: Vec<Spot<String>>,
        /// Where the trusted certificates are, where they are apart.
        pub ca_cert_credential_name: Option<Spot<String>>,
        /// Certificates, where there are two.
        pub tls_certificates: Vec<Spot<TlsCertificate>>,
        /// Names a caller may prove.
        pub subject_alt_names: Vec<Spot<String>>,
        /// Public keys a caller may prove, by SPKI.
        pub verify_certificate_spki: Vec<Spot<String>>,
        /// Certificates a caller may prove, by hash.
        pub verify_certificate_hash: Vec<Spot<String>>,
        /// The oldest version allowed.
        pub min_protocol_version: Option<Spot<TlsVersion>>,
        /// The newest version allowed.
        pub max_protocol_version: Option<Spot<TlsVersion>>,
        /// Ciphers allowed.
        pub cipher_suites: Vec<Spot<String>>,
    }
}

record! {
    /// A certificate.
    pub struct TlsCertificate {
        /// The certificate.
        pub server_certificate: Option<Spot<String>>,
        /// Its key.
        pub private_key: Option<Spot<String>>,
        /// Whom we trust.
        pub ca_certificates: Option<Spot<String>>,
    }
}

words! {
    /// TLS from callers.
    pub enum ServerTlsMode {
        /// Passed through, routed by server name.
        Passthrough = "PASSTHROUGH",
        /// We prove who we are.
        Simple = "SIMPLE",
        /// Both do.
        Mutual = "MUTUAL",
        /// Passed through to the destination that the server name encodes.
        AutoPassthrough = "AUTO_PASSTHROUGH",
        /// Both do, with Istio's certificates.
        IstioMutual = "ISTIO_MUTUAL",
        /// We do; a caller may.
        OptionalMutual = "OPTIONAL_MUTUAL",
    }
}

words! {
    /// Versions of TLS.
    pub enum TlsVersion {
        /// Istio picks.
        Auto = "TLS_AUTO",
        /// 1.0
        V1_0 = "TLSV1_0",
        /// 1.1
        V1_1 = "TLSV1_1",
        /// 1.2
        V1_2 = "TLSV1_2",
        /// 1.3
        V1_3 = "TLSV1_3",
    }
}
