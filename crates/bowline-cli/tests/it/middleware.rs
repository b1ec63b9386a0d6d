//! A service in any language hands deadline and trace on with thirty lines: four of them in a row, called
//! through the mesh.

use crate::designs::{policy, repository, rules, service, small};
use crate::http;
use crate::world::{Folder, Ports, Up, port};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Each calls the next.
const CHAIN: [&str; 4] = ["python", "node", "java", "go"];

/// A trace that began elsewhere.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Four services behind a gateway, each in its own language.
struct Chain {
    up: Up,
    _folder: Folder,
}

impl Chain {
    /// `spec` are the lines of every service's policy.
    fn new(spec: &str) -> Self {
        let (gateway, ports) = (port(), Ports::new());
        let listens = CHAIN.map(|_| port());
        let built = Folder::new();
        let mut rest = rules("  - route: [ { destination: { host: python } } ]\n");
        for (at, name) in CHAIN.iter().enumerate() {
            let command = command(name, built.path(), listens[at], CHAIN.get(at + 1));
            let mesh = format!("http://127.0.0.1:{}", ports.mesh);
            // Python reads the small letters alone, the others the capitals.
            let run = format!(
                "  forwards: true\n  run: {{ command: {command}, env: {{ HTTP_PROXY: \"{mesh}\", http_proxy: \"{mesh}\" }} }}"
            );
            rest += &service(name, listens[at], &run);
            rest += "\n";
            if !spec.is_empty() {
                rest += &policy(name, spec);
                rest += "\n";
            }
        }
        let folder = small(gateway, &rest);
        let up = Up::ready(&folder, Ports { gateway, ..ports }, &[]);
        Self { up, _folder: built }
    }

    /// Asks the first service, through the mesh, whose callers may set a deadline.
    fn ask(&self, headers: &[&str]) -> http::Message {
        let headers = [&["host: python"], headers].concat();
        http::ask(self.up.ports.mesh, "GET", "/hop", &headers, "").unwrap()
    }

    /// Requests that were sent to a service.
    fn sent_to(&self, service: &str) -> f64 {
        self.up.metric("bowline_tries_total", &[&format!("service=\"{service}\"")])
    }
}

/// The command line, as a list of YAML's, of the example in `language`; what needs building is built.
fn command(language: &str, built: &Path, listen: u16, next: Option<&&str>) -> String {
    let source = repository().join("examples/middleware").join(language);
    let shown = |path: &Path| path.to_str().unwrap().to_owned();
    let mut command = match language {
        "python" => vec!["python3".to_owned(), shown(&source.join("hop.py"))],
        "node" => vec!["node".to_owned(), shown(&source.join("hop.mjs"))],
        "java" => {
            let sources = ["Forward.java", "Hop.java"].map(|file| source.join(file));
            build(Command::new("javac").arg("-d").arg(built).args(sources));
            vec!["java".to_owned(), "-cp".to_owned(), shown(built), "Hop".to_owned()]
        }
        "go" => {
            let program = built.join("hop");
            let mut go = Command::new("go");
            // What is here is enough: no other toolchain, no module from anywhere.
            go.env("GOTOOLCHAIN", "local").env("GOPROXY", "off").current_dir(source);
            build(go.arg("build").arg("-o").arg(&program).arg("./hop"));
            vec![shown(&program)]
        }
        other => panic!("no example in {other}"),
    };
    command.push(listen.to_string());
    command.extend(next.map(|next| (*next).to_owned()));
    format!("[ {} ]", command.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "))
}

#[track_caller]
fn build(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn deadline_and_trace_pass_through_four_languages_and_the_time_only_shrinks() {
    let chain = Chain::new("");
    let trace = format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01");
    let answer =
        chain.ask(&["x-envoy-expected-rq-timeout-ms: 20000", &trace, "tracestate: a=b", "baggage: c=d"]);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let hops = answer.json();
    let hops = hops.as_array().unwrap();
    let names: Vec<_> = hops.iter().map(|hop| hop["service"].as_str().unwrap()).collect();
    assert_eq!(names, CHAIN);

    let left: Vec<f64> = hops.iter().map(|hop| hop["remaining_ms"].as_f64().unwrap()).collect();
    assert!(left[0] < 20_000.0, "{left:?}");
    // A hop takes a millisecond in the mesh and one in the service, whatever the machine's speed.
    assert!(left.windows(2).all(|two| two[1] < two[0] - 2.0), "{left:?}");
    for (hop, left) in hops.iter().zip(&left).take(CHAIN.len() - 1) {
        let sent = |name: &str| -> String {
            let fields = hop["sent"].as_object().unwrap();
            let own = fields.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
            own.and_then(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("no {name}: {hop}")).to_owned()
        };
        assert!(sent("traceparent").starts_with(&format!("00-{TRACE}-")), "{hop}");
        assert_eq!(sent("tracestate"), "a=b");
        assert_eq!(sent("baggage"), "c=d");
        let ms: f64 = sent("x-envoy-expected-rq-timeout-ms").parse().unwrap();
        assert!(ms <= *left, "{ms} of {left} ms were handed on");
    }
    let ids: std::collections::BTreeSet<String> =
        hops[..3].iter().map(|hop| hop["sent"].to_string()).collect();
    assert_eq!(ids.len(), 3, "each hop is a span of its own: {ids:?}");
}

#[test]
fn without_a_deadline_none_is_made_up_on_the_way() {
    let chain = Chain::new("");
    let hops = chain.ask(&[]).json();
    for hop in hops.as_array().unwrap() {
        // Without a deadline the examples say nothing, or what nothing is in their language.
        assert!(matches!(&hop["remaining_ms"], Value::Null) || hop["remaining_ms"] == 0.0, "{hop}");
        assert!(!hop["sent"].to_string().to_lowercase().contains("expected"), "{hop}");
    }
}

#[test]
fn nobody_behind_the_one_whose_time_is_up_works_for_a_caller_who_has_left() {
    const ASKED: usize = 10;
    /// What each call of the chain takes before it is sent.
    const SLOW: Duration = Duration::from_millis(400);
    let chain = Chain::new(&format!("  faults: [ {{ delay: {}ms }} ]", SLOW.as_millis()));
    // The whole chain takes four times that: with all the time in the world everybody works.
    assert_eq!(chain.ask(&[]).status(), 200);
    let before = CHAIN.map(|service| chain.sent_to(service));

    // Time for two of four.
    let deadline = format!("x-envoy-expected-rq-timeout-ms: {}", SLOW.as_millis() * 5 / 2);
    std::thread::scope(|scope| {
        for _ in 0..ASKED {
            // The mesh's word at the deadline, or the first service's that the second one gave up.
            scope.spawn(|| assert!(matches!(chain.ask(&[&deadline]).status(), 502 | 504)));
        }
    });
    let worked = [0, 1, 2, 3].map(|at| (chain.sent_to(CHAIN[at]) - before[at]).round() as usize);
    println!("worked for {ASKED} callers that left half-way: {CHAIN:?} {worked:?}");
    assert_eq!(worked[0], ASKED);
    // The third's caller gave up before it was reached: without a deadline handed on, both the third and the
    // fourth would have worked for all of them.
    assert_eq!(worked[3], 0, "{worked:?}");
}
