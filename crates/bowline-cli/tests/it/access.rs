//! Access in the real program: what `bowline up` starts proves who it is, and `explain` says who was let through.

use crate::clock::until;
use crate::http;
use crate::world::{Folder, Ports, Up, bowline, port};

/// A service that writes down what it was given, and another that it calls.
fn design(folder: &Folder) {
    let (own, other) = (port(), port());
    let serve = |port: u16| format!("exec python3 -m http.server {port} --bind 127.0.0.1");
    let given = folder.path().join("given").display().to_string();
    let design = format!(
        r#"
kind: Service
metadata: {{ name: orders }}
spec:
  endpoints: [ {{ address: "127.0.0.1:{own}" }} ]
  run: {{ command: [ sh, -c, "echo $BOWLINE_MESH > {given}; {}" ] }}
---
kind: Service
metadata: {{ name: payment }}
spec:
  endpoints: [ {{ address: "127.0.0.1:{other}" }} ]
  run: {{ command: [ sh, -c, "{}" ] }}
  operations:
  - {{ name: look, http: {{ method: GET, path: / }} }}
  - {{ name: charge, http: {{ method: POST, path: /charges }} }}
---
kind: Access
metadata: {{ name: orders-may-look }}
spec: {{ from: [ {{ service: orders }} ], may: [ {{ call: payment.look }} ] }}
"#,
        serve(own),
        serve(other),
    );
    folder.write("design.yaml", &design);
}

#[test]
fn what_up_starts_is_given_what_proves_who_it_is_and_others_are_denied() {
    let folder = Folder::new();
    design(&folder);
    let up = Up::ready(&folder, Ports::new(), &[]);
    let given = || std::fs::read_to_string(folder.path().join("given")).unwrap_or_default();
    until("given", || given().ends_with('\n'));
    let given = given();
    let (token, mesh) = given.trim().strip_prefix("http://orders:").unwrap().split_once('@').unwrap();
    assert_eq!(mesh, format!("127.0.0.1:{}", up.ports.mesh));
    let ask = |method: &str, path: &str, proof: &str| {
        let answer = http::ask(up.ports.mesh, method, path, &["host: payment", proof], "").unwrap();
        (answer.status(), answer.header("x-bowline-reason").map(str::to_owned))
    };
    let proof = format!("proxy-authorization: Bearer {token}");
    assert_eq!(ask("GET", "/", &proof).0, 200);
    // The clients of two languages, that take it for their proxy.
    let client = "import sys, urllib.request as u\nprint(u.build_opener(u.ProxyHandler({'http': sys.argv[1]})).open('http://payment/').status)";
    for (program, arguments) in [
        ("python3", vec!["-c", client, given.trim()]),
        (
            "curl",
            vec!["-s", "-o", "/dev/null", "-w", "%{http_code}\n", "-x", given.trim(), "http://payment/"],
        ),
        (
            "curl",
            vec![
                "-s",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}\n",
                "-p",
                "-x",
                given.trim(),
                "http://payment/",
            ],
        ),
    ] {
        let output = std::process::Command::new(program).args(arguments).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "200\n", "{program} {output:?}");
    }
    let denied = (403, Some("access denied".to_owned()));
    assert_eq!(ask("GET", "/", "x-nothing: 1"), denied);
    let told = up.verb(&["explain", "last", "--status", "403"]).out;
    assert!(
        told.contains("not let through: no Access lets a caller who proved nothing call payment.look"),
        "{told}"
    );
    assert_eq!(ask("POST", "/charges", &proof), denied);
    let told = up.verb(&["explain", "last", "--status", "403"]).out;
    assert!(told.contains("no Access lets anybody call payment.charge"), "{told}");
    assert!(told.contains("by orders, which it has proved"), "{told}");
    ask("GET", "/", &format!("{proof}\r\nx-bowline-explain: 1"));
    let told = up.verb(&["explain", "last", "--status", "200"]).out;
    assert!(told.contains("let through to payment.look by Access default/orders-may-look"), "{told}");
}

#[test]
fn explain_says_offline_who_is_let_through() {
    let folder = Folder::new();
    design(&folder);
    let path = folder.path().display().to_string();
    let told = bowline(&["explain", &path, "GET", "http://payment/"]).out;
    assert!(told.contains("service orders") && told.contains("Access default/orders-may-look"), "{told}");
    let told = bowline(&["explain", &path, "POST", "http://payment/charges"]).out;
    assert!(told.contains("nobody: 403"), "{told}");
}
