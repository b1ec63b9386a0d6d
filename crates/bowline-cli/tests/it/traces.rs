//! Traces as a collector sees them: one made of OpenTelemetry's own messages in Python (`tests/peers`), over both
//! ways of OTLP.

use crate::callee::{Callee, Do};
use crate::clock::{eventually, until};
use crate::designs::{Shop, policy, repository, rules, service, small};
use crate::world::{Ports, Up, is_free, port};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const GIVEN: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A collector that runs until the test ends.
struct Collector {
    child: Child,
    http: u16,
    grpc: u16,
    spans: Arc<Mutex<Vec<Value>>>,
}

impl Collector {
    fn start() -> Self {
        let (http, grpc) = (port(), port());
        let mut command = Command::new("python3");
        command.arg(repository().join("crates/bowline-cli/tests/peers/otlp_collector.py"));
        command.args([http.to_string(), grpc.to_string()]);
        let tools = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools");
        command.env("PYTHONPATH", tools.join("python")).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let spans: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (told, lines) = (Arc::clone(&spans), BufReader::new(child.stdout.take().unwrap()).lines());
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                told.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        let collector = Self { child, http, grpc, spans };
        until("the collector listens", || !is_free(http) && !is_free(grpc));
        collector
    }

    fn spans(&self) -> Vec<Value> {
        self.spans.lock().unwrap().clone()
    }

    /// The spans of one trace, once there are `count`.
    #[track_caller]
    fn trace(&self, trace: &str, count: usize) -> Vec<Value> {
        eventually(&format!("{count} spans of {trace}"), || {
            let spans: Vec<_> = self.spans().into_iter().filter(|span| span["trace"] == trace).collect();
            (count <= spans.len()).then_some(spans)
        })
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A callee that fails once, behind a gateway that asks twice; what it was sent as `traceparent`.
fn failing_once() -> (Callee, Arc<Mutex<Vec<String>>>) {
    let parents: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&parents);
    let callee = Callee::start(move |request| {
        let mut heard = heard.lock().unwrap();
        heard.push(request.header("traceparent").unwrap().to_owned());
        if heard.len() == 1 { Do::Close } else { Do::Answer(200, String::new()) }
    });
    (callee, parents)
}

#[test]
fn a_request_and_its_tries_reach_a_collector_over_both_ways() {
    for way in ["http", "grpc"] {
        let collector = Collector::start();
        let (callee, parents) = failing_once();
        let ports = Ports::new();
        let rest = rules("  - route: [ { destination: { host: stock } } ]\n")
            + &service("stock", callee.port, "")
            + &policy("stock", "  retry: { tries: 3, backoff: { base: 2ms, max: 4ms } }");
        let folder = small(ports.gateway, &rest);
        let up = match way {
            "http" => {
                Up::ready(&folder, ports, &["--trace", &format!("http://127.0.0.1:{}", collector.http)])
            }
            _ => {
                let endpoint = format!("http://127.0.0.1:{}", collector.grpc);
                let asked = [
                    ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
                    ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                    ("OTEL_SERVICE_NAME", "edge"),
                ];
                Up::ready_with(&folder, ports, &[], &asked)
            }
        };
        let parent = format!("traceparent: 00-{GIVEN}-00f067aa0ba902b7-01");
        assert_eq!(up.ask("GET", "/stock?sku=A47", &[&parent, "baggage: a=1"], "").status(), 200);
        let spans = collector.trace(GIVEN, 3);
        let [request, first, second] = &spans[..] else { panic!("{spans:#?}") };
        assert_eq!(
            (&request["kind"], &request["by"]),
            (&"SPAN_KIND_SERVER".into(), &way.into()),
            "{request:#}"
        );
        assert_eq!(request["parent"], "00f067aa0ba902b7");
        assert_eq!(request["attributes"]["url.path"], "/stock");
        assert_eq!(request["attributes"]["bowline.tries"], 2);
        assert_eq!(request["events"][0]["name"], "retry scheduled", "{request:#}");
        let service = if way == "http" { "bowline" } else { "edge" };
        assert_eq!(request["resource"]["service.name"], service);
        for (span, sent) in [first, second].into_iter().zip(&*parents.lock().unwrap()) {
            assert_eq!((&span["kind"], &span["parent"]), (&"SPAN_KIND_CLIENT".into(), &request["span"]));
            let expected = format!("00-{GIVEN}-{}-01", span["span"].as_str().unwrap());
            assert_eq!(*sent, expected, "the try is the parent of what it caused");
        }
        assert_eq!(first["attributes"]["error.type"], "reset");
        assert_eq!(first["status"], "STATUS_CODE_ERROR");
        assert_eq!(second["attributes"]["http.request.resend_count"], 1);
        assert_eq!(second["attributes"]["bowline.retry.why"], "idempotent");
        assert_eq!(second["attributes"]["http.response.status_code"], 200);
        assert_eq!(up.metric("bowline_traces_dropped_total", &[]), 0.0);
    }
}

#[test]
fn a_hedge_and_the_try_that_it_outran_are_two_spans_with_their_reasons() {
    let collector = Collector::start();
    let asked = AtomicUsize::new(0);
    let callee = Callee::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Do::Hang,
        _ => Do::Answer(200, String::new()),
    });
    let ports = Ports::new();
    let rest = rules("  - route: [ { destination: { host: stock } } ]\n")
        + &service("stock", callee.port, "")
        + &policy("stock", "  hedge: { after: 20ms, ratio: 1 }");
    let folder = small(ports.gateway, &rest);
    let up = Up::ready(&folder, ports, &["--trace", &format!("http://127.0.0.1:{}", collector.http)]);
    let parent = format!("traceparent: 00-{GIVEN}-00f067aa0ba902b7-01");
    assert_eq!(up.ask("GET", "/stock", &[&parent], "").status(), 200);

    let spans = collector.trace(GIVEN, 3);
    let [request, first, second] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!(request["attributes"]["bowline.tries"], 2);
    assert_eq!(request["events"][0]["name"], "hedge sent", "{request:#}");
    for (span, number) in [(first, 1), (second, 2)] {
        assert_eq!((&span["parent"], &span["attributes"]["bowline.try"]), (&request["span"], &number.into()));
    }
    assert_eq!(first["attributes"]["bowline.end"], "outrun", "{first:#}");
    assert_eq!(second["attributes"]["http.response.status_code"], 200, "{second:#}");
    assert!(second["attributes"]["bowline.hedge.waited.ms"].as_f64() >= Some(20.0), "{second:#}");
    until("the loser's connection is closed", || callee.closed() == 1);
}

#[test]
fn a_caller_that_does_not_record_is_followed_and_so_is_a_share_of_nothing() {
    let collector = Collector::start();
    let callee = Callee::saying("here");
    let ports = Ports::new();
    let rest =
        rules("  - route: [ { destination: { host: stock } } ]\n") + &service("stock", callee.port, "");
    let endpoint = format!("http://127.0.0.1:{}", collector.http);
    let folder = small(ports.gateway, &rest);
    let up = Up::ready(&folder, ports, &["--trace", &endpoint, "--trace-ratio", "0"]);
    up.ask("GET", "/", &[&format!("traceparent: 00-{GIVEN}-00f067aa0ba902b7-00")], "");
    up.ask("GET", "/", &[], "");
    let recorded = GIVEN.replace("4bf9", "5bf9");
    up.ask("GET", "/", &[&format!("traceparent: 00-{recorded}-00f067aa0ba902b7-01")], "");
    collector.trace(&recorded, 2);
    assert_eq!(collector.spans().len(), 2, "{:#?}", collector.spans());
}

#[test]
fn a_collector_that_is_not_there_costs_no_request_and_is_counted() {
    let callee = Callee::saying("here");
    let ports = Ports::new();
    let rest =
        rules("  - route: [ { destination: { host: stock } } ]\n") + &service("stock", callee.port, "");
    let folder = small(ports.gateway, &rest);
    let up = Up::ready(&folder, ports, &["--trace", &format!("http://127.0.0.1:{}", port())]);
    assert_eq!(up.ask("GET", "/", &[], "").status(), 200);
    until("the lost request is counted", || up.metric("bowline_traces_dropped_total", &[]) == 1.0);
    until("it is said once", || up.complaints().contains("spans are lost"));
}

#[test]
fn one_order_through_the_shop_is_one_trace() {
    let collector = Collector::start();
    let shop = Shop::new();
    let endpoint = format!("http://127.0.0.1:{}", collector.http);
    let up = Up::ready(&shop.folder, Ports::new(), &["--trace", &endpoint]);
    let parent = format!("traceparent: 00-{GIVEN}-00f067aa0ba902b7-01");
    let answer = up.order(&[&parent, "x-bowline-explain: 1"]);
    assert_eq!(answer.status(), 201, "{}", answer.text());
    // The gateway's request and its try; then orders' four calls, each with its one try.
    let spans = collector.trace(GIVEN, 10);
    let of_orders = |span: &&Value| span["resource"]["service.name"] == "orders";
    for call in ["payment.authorize", "inventory.allocate", "payment.capture", "notification.send"] {
        let own: Vec<_> = spans.iter().filter(|span| span["name"] == call).filter(of_orders).collect();
        let [own, sent] = &own[..] else { panic!("{call}: {own:#?}") };
        assert_eq!((&own["kind"], &sent["kind"]), (&"SPAN_KIND_INTERNAL".into(), &"SPAN_KIND_CLIENT".into()));
        assert_eq!(sent["parent"], own["span"]);
        assert_eq!(own["parent"], spans[1]["span"], "caused by the gateway's try: {own:#}");
        assert_eq!(own["attributes"]["bowline.outcome"], "succeeded");
        assert_eq!(sent["attributes"]["bowline.try"], 1);
        let grpc = sent["attributes"]["rpc.response.status_code"] == "OK";
        assert_eq!(grpc, call.starts_with("payment."), "{sent:#}");
    }
    let known: Vec<_> = spans.iter().map(|span| &span["span"]).collect();
    for span in &spans {
        let rooted = span["parent"] == "00f067aa0ba902b7";
        assert!(rooted || known.contains(&&span["parent"]), "nobody's child: {span:#}");
    }
    // What the guards inside the services did is joined by the same trace, which went on through all of them.
    let id = answer.header("x-bowline-explain-id").unwrap();
    eventually("the guards' side of it", || {
        let story = up.verb(&["explain", "last", "--id", id, "--output", "json"]).json();
        let names = story["linked"].to_string();
        (names.contains("inventory.allocate") && names.contains("payment.authorize")).then_some(())
    });
}

/// What is sent; then whether the trace goes on, its flags, and its state.
type Case<'a> = (&'a str, &'a [&'a str], bool, &'a str, Option<String>);

/// What whoever hands a trace on has to do (W3C Trace Context), through the mesh and through a service with the
/// library: orders, whose last call goes to a callee of the test.
#[test]
fn what_the_recommendation_asks_for_holds_through_the_mesh_and_a_service() {
    let heard: Arc<Mutex<Vec<[Option<String>; 3]>>> = Arc::default();
    let told = Arc::clone(&heard);
    let callee = Callee::start(move |request| {
        let header = |name| request.header(name).map(str::to_owned);
        told.lock().unwrap().push(["traceparent", "tracestate", "baggage"].map(header));
        Do::Answer(201, "{}".to_owned())
    });
    let shop = Shop::new();
    // What comes last among its arguments holds.
    shop.edit("services.yaml", "{notification.address}", &format!("127.0.0.1:{}", callee.port));
    // A message that does not arrive in time is never sent again, and here each one counts.
    shop.edit("policies.yaml", "deadline: 100ms", "deadline: 10s");
    let up = Up::ready(&shop.folder, Ports::new(), &[]);

    let given = format!("traceparent: 00-{GIVEN}-00f067aa0ba902b7-01");
    let parent = |flags: &str| format!("traceparent: 00-{GIVEN}-00f067aa0ba902b7-{flags}");
    let later = format!("traceparent: cc-{GIVEN}-00f067aa0ba902b7-01-more");
    let members = |count: usize| {
        (0..count).fold(String::from("tracestate: "), |mut state, n| {
            let _ = write!(state, "{}k{n}=v", if n == 0 { "" } else { "," });
            state
        })
    };
    let state = |line: &str| line.strip_prefix("tracestate: ").map(str::to_owned);
    let (most, more) = (members(32), members(33));
    let cases: [Case<'_>; 8] = [
        ("whole", &[&given, "tracestate: a=1", "tracestate: b=2"], true, "01", Some("a=1,b=2".to_owned())),
        ("not sampled", &[&parent("00")], true, "00", None),
        ("flags that nobody defined", &[&parent("ff")], true, "03", None),
        ("a later version", &[&later], true, "01", None),
        ("twice", &[&given, &given, "tracestate: a=1"], false, "01", None),
        ("malformed", &["traceparent: 00-no", "tracestate: a=1"], false, "01", None),
        ("as many members as there may be", &[&given, &most], true, "01", state(&most)),
        ("one member more", &[&given, &more], true, "01", None),
    ];
    for (number, (what, headers, goes_on, flags, state)) in cases.into_iter().enumerate() {
        let headers =
            [&["host: orders", "baggage: who=me", "content-type: application/json"], headers].concat();
        let order = r#"{"items":[{"sku":"A47","qty":2}]}"#;
        let answer = crate::http::ask(up.ports.mesh, "POST", "/orders", &headers, order).unwrap();
        assert_eq!(answer.status(), 201, "{what}: {}", answer.text());
        let [traceparent, tracestate, baggage] =
            eventually("the message", || heard.lock().unwrap().get(number).cloned());
        let traceparent = traceparent.unwrap();
        assert_eq!(traceparent.contains(GIVEN), goes_on, "{what}: {traceparent}");
        assert!(!traceparent.contains("00f067aa0ba902b7"), "{what}: a span of its own: {traceparent}");
        assert!(traceparent.starts_with("00-") && traceparent.len() == 55, "{what}: {traceparent}");
        assert!(traceparent.ends_with(flags), "{what}: {traceparent}");
        assert_eq!(tracestate, state, "{what}");
        assert_eq!(baggage.as_deref(), Some("who=me"), "{what}");
    }
}
