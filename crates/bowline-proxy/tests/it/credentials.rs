//! Certificates towards services, by the names of folders; and health checks over the same TLS.

use crate::certificates::{Authority, Folder};
use crate::support::{World, eventually, route};
use crate::tls::callee_under_tls;
use std::net::SocketAddr;
use std::sync::Arc;

/// Service `stock` at `callee`, which is spoken to like this; `more` of the service.
fn design(callee: SocketAddr, http2: bool, tls: &str, more: &str) -> String {
    let protocol = if http2 { "  protocol: http2\n" } else { "" };
    let service =
        route(&[callee], "").replace("spec:\n  endpoints", &format!("spec:\n{protocol}{more}  endpoints"));
    format!(
        "{service}---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{ name: stock }}\n\
         spec: {{ host: stock, trafficPolicy: {{ tls: {{ sni: stock.test, {tls} }} }} }}\n"
    )
}

fn world(yaml: &str, folder: &Folder) -> World {
    World::start_with(yaml, 1, |config| config.files = Arc::new(folder.clone()))
}

#[tokio::test]
async fn a_credential_is_what_we_show_and_whom_we_believe() {
    let (theirs, ours) = (Authority::new(), Authority::new());
    let callee = callee_under_tls(&theirs.issue(&["stock.test"]), false, Some(&ours)).await;
    let (us, folder) = (ours.issue(&["gate.test"]), Folder::default());
    folder.write("credentials/gate/tls.crt", us.certificate.pem());
    folder.write("credentials/gate/tls.key", us.key.serialize_pem());
    folder.write("credentials/gate/ca.crt", theirs.pem());
    folder.write("credentials/theirs/ca.crt", theirs.pem());
    folder.write("credentials/ours/ca.crt", ours.pem());
    folder.write("ca", theirs.pem());
    folder.keep("us", &us);
    for (tls, status) in [
        ("mode: MUTUAL, credentialName: gate", 204),
        ("mode: MUTUAL, credentialName: gate, caCertCredentialName: theirs", 204),
        ("mode: MUTUAL, clientCertificate: us.crt, privateKey: us.key, caCertCredentialName: theirs", 204),
        ("mode: MUTUAL, clientCertificate: us.crt, privateKey: us.key, caCertificates: ca", 204),
        // Whom we believe does not vouch for it; we show nothing; there is no such folder.
        ("mode: MUTUAL, credentialName: gate, caCertCredentialName: ours", 503),
        ("mode: SIMPLE, credentialName: gate", 503),
        ("mode: MUTUAL, credentialName: other", 503),
    ] {
        let world = world(&design(callee, false, tls, ""), &folder);
        assert_eq!(world.get("/stock").await.status(), status, "{tls}");
    }
}

#[tokio::test]
async fn a_host_is_asked_whether_it_is_well_over_the_tls_that_calls_speak_to_it() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let folder = Folder::default();
    folder.write("credentials/known/ca.crt", authority.pem());
    folder.write("credentials/other/ca.crt", stranger.pem());
    let check = "  healthCheck: { http: { path: /ready }, interval: 10ms, timeout: 10s }\n";
    for http2 in [false, true] {
        let callee = callee_under_tls(&authority.issue(&["stock.test"]), http2, None).await;
        let host = format!("host=\"{callee}\"");
        for (tls, state, result) in [
            ("mode: SIMPLE, credentialName: known", "state=\"well\"", "result=\"passed\""),
            ("mode: SIMPLE, credentialName: other", "state=\"ill\"", "result=\"connect failed\""),
            (
                "mode: SIMPLE, credentialName: known, subjectAltNames: [ other.test ]",
                "state=\"ill\"",
                "result=\"connect failed\"",
            ),
        ] {
            let world = world(&design(callee, http2, tls, check), &folder);
            eventually(tls, || world.metric("bowline_host_health", &[&host, state]) > 0.0).await;
            assert!(
                world.metric("bowline_host_checks_total", &[&host, result]) >= 1.0,
                "{tls}, HTTP/2: {http2}"
            );
        }
    }
}
