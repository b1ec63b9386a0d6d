//! The link, against a small local API that does what the real one does.

use crate::support::{Callee, Reply};
use bowline::link::format::{Guard as Said, Guards, Report, StateKeys, TrailReport};
use bowline::outcome::OfHttp;
use bowline::{BreakerState, GiveUp, Guard, Link, Retry, Spans, guard, outcome};
use bowline_fault::{Fault, Kind, Percent, Plan};
use bowline_policy::{BreakerSettings, RetrySettings};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// A local API: long polls, bearer token, reports.
struct Api {
    address: std::net::SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    said: Guards,
    reports: Vec<Report>,
    asked: Vec<String>,
    is_over: bool,
}

impl Api {
    fn start(address: &str, said: Guards) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new((Mutex::new(State { said, ..State::default() }), Condvar::new()));
        let accepting = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.0.lock().unwrap().is_over {
                    return;
                }
                let state = Arc::clone(&accepting);
                std::thread::spawn(move || answer(&stream.unwrap(), &state));
            }
        });
        Self { address, state }
    }

    fn url(&self) -> String {
        format!("http://s3cret@{}/orders", self.address)
    }

    fn say(&self, said: Guards) {
        self.state.0.lock().unwrap().said = said;
        self.state.1.notify_all();
    }

    fn stop(self) -> String {
        self.state.0.lock().unwrap().is_over = true;
        self.state.1.notify_all();
        // Wakes the thread that accepts, which then drops its listener.
        drop(TcpStream::connect(self.address));
        self.address.to_string()
    }

    fn trails(&self) -> Vec<TrailReport> {
        self.state.0.lock().unwrap().reports.iter().flat_map(|report| report.trails.clone()).collect()
    }

    fn last_report(&self) -> Option<Report> {
        self.state.0.lock().unwrap().reports.last().cloned()
    }

    fn asked(&self) -> Vec<String> {
        self.state.0.lock().unwrap().asked.clone()
    }
}

/// One request on one connection.
fn answer(mut stream: &TcpStream, state: &(Mutex<State>, Condvar)) {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if line == "\r\n" {
            break;
        }
        head.push(line.trim().to_owned());
    }
    let header =
        |name: &str| head.iter().find_map(|line| line.to_lowercase().strip_prefix(name).map(str::to_owned));
    assert_eq!(header("authorization: ").as_deref(), Some("bearer s3cret"));
    let length = header("content-length: ").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();

    let (lock, changed) = state;
    let mut state = lock.lock().unwrap();
    let body = if head[0].starts_with("GET /v1/link/guards?") {
        state.asked.push(head[0].clone());
        assert!(head[0].contains("service=orders") && head[0].contains("wait=30s"), "{}", head[0]);
        let since =
            head[0].split("since=").nth(1).map(|rest| rest.split([' ', '&']).next().unwrap_or("").to_owned());
        while since.as_ref() == Some(&state.said.revision) && !state.is_over {
            state = changed.wait(state).unwrap();
        }
        if state.is_over {
            return;
        }
        state.said.to_json()
    } else {
        assert!(head[0].starts_with("POST /v1/link/report "), "{}", head[0]);
        state.reports.push(Report::parse(&body).unwrap());
        "{}".to_owned()
    };
    drop(state);
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

/// Waits until it is so, ten seconds at most.
async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to be: {what}");
}

fn said(revision: &str, inventory: Said) -> Guards {
    Guards { revision: revision.into(), guards: vec![inventory] }
}

fn stock(link: &Link) -> Guard<OfHttp> {
    let retry = Retry::tries(3).backoff(bowline::Backoff::none());
    guard("inventory").classify(outcome::of_http).deadline(1.s()).retry(retry).link(link)
}

async fn call(guard: &Guard<OfHttp>, callee: &Callee) -> Result<u16, bowline::Error> {
    guard.call(|try_| callee.answer(try_)).await.map(|answer| answer.status().as_u16())
}

fn fault(kind: Kind) -> Plan {
    Plan::new(vec![Fault { kind, percent: Percent::ALWAYS }])
}

#[tokio::test]
async fn values_of_the_design_take_the_place_of_the_codes_while_it_runs() {
    let api = Api::start("127.0.0.1:0", said("1", Said::named("payment")));
    let link = Link::connect(&api.url()).unwrap();
    let stock = stock(&link);
    assert_eq!(stock.settings().deadline, Some(1.s()), "the design says nothing of it");

    api.say(said(
        "2",
        Said { deadline: Some(300.ms()), retry: Some(RetrySettings::tries(5)), ..Said::named("inventory") },
    ));
    eventually("the design's values", || stock.settings().deadline == Some(300.ms())).await;
    assert_eq!(stock.settings().policy.retry.tries, 5);
    assert!(stock.settings().policy.budget.is_some(), "of which the design says nothing");

    api.say(said("3", Said::named("payment")));
    eventually("the code's values again", || stock.settings().deadline == Some(1.s())).await;
    assert!(api.asked().iter().any(|head| head.contains("since=2")), "{:?}", api.asked());
}

#[tokio::test]
async fn a_guard_made_later_gets_what_is_known_already() {
    let api =
        Api::start("127.0.0.1:0", said("1", Said { deadline: Some(300.ms()), ..Said::named("inventory") }));
    let link = Link::connect(&api.url()).unwrap();
    let first = stock(&link);
    eventually("the design's values", || first.settings().deadline == Some(300.ms())).await;
    assert_eq!(stock(&link).settings().deadline, Some(300.ms()), "at once");
}

#[tokio::test]
async fn faults_of_the_design_happen_inside_the_try_and_explain_names_them() {
    let inventory = Said {
        place: Some("design/policies.yaml:8".into()),
        faults: fault(Kind::DropFirst(2)),
        ..Said::named("inventory")
    };
    let api = Api::start("127.0.0.1:0", said("1", inventory));
    let link = Link::connect(&api.url()).unwrap();
    let stock = stock(&link);
    eventually("the fault", || !stock.settings().policy.faults.faults().is_empty()).await;

    let callee = Callee::new([Reply::Status(201, 0)]);
    assert_eq!(call(&stock, &callee).await.unwrap(), 201);
    assert_eq!((callee.asked(), stock.stats().tries()), (1, 3));

    eventually("the trail", || !api.trails().is_empty()).await;
    let trail = api.trails().remove(0);
    assert_eq!((trail.name.as_str(), trail.end.as_str(), trail.tries), ("inventory", "done", 3));
    assert_eq!(trail.values, "design/policies.yaml:8");
    assert_eq!(trail.trace.len(), 32);
    let words: Vec<_> = trail.lines.iter().map(|line| line.word.as_str()).collect();
    let refused = ["fault-injected", "try-started", "try-ended", "retry-scheduled"];
    let expected = [&["deadline-set"][..], &refused, &refused, &["try-started", "try-ended"]].concat();
    assert_eq!(words, expected, "{trail}");
    let texts: Vec<_> = trail.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts[0], "deadline 1 s (policy)");
    assert_eq!(texts[1], "fault put into try 1: drop");
    assert_eq!(texts[4], "try 2 follows in 0 ms: nothing happened yet");
    assert!(texts.last().unwrap().starts_with("try 3 answered 201 after "), "{trail}");

    eventually("the counters", || api.last_report().is_some_and(|report| !report.guards.is_empty())).await;
    let report = api.last_report().unwrap();
    assert_eq!(report.service.as_deref(), Some("orders"));
    let counted = &report.guards[0];
    assert_eq!((counted.calls, counted.tries), (1, 3));
    assert_eq!(counted.revision.as_deref(), Some("1"));
    assert_eq!(counted.ends, [("done".to_owned(), 1)]);
}

#[tokio::test]
async fn an_injected_answer_is_an_error_that_says_so() {
    let api = Api::start(
        "127.0.0.1:0",
        said("1", Said { faults: fault(Kind::Abort { status: 503 }), ..Said::named("inventory") }),
    );
    let link = Link::connect(&api.url()).unwrap();
    let stock = stock(&link);
    eventually("the fault", || !stock.settings().policy.faults.faults().is_empty()).await;
    let callee = Callee::new([Reply::Status(200, 0)]);
    let error = call(&stock, &callee).await.unwrap_err();
    assert!(error.is_injected());
    assert_eq!((error.status(), error.gave_up_because()), (Some(503), GiveUp::NotSafe));
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "answered 503, by a fault put there on purpose");
    assert_eq!(callee.asked(), 0);
}

#[tokio::test]
async fn the_link_survives_the_api_going_away_and_coming_back() {
    let inventory = Said { deadline: Some(300.ms()), faults: fault(Kind::Drop), ..Said::named("inventory") };
    let api = Api::start("127.0.0.1:0", said("1", inventory.clone()));
    let link = Link::connect(&api.url()).unwrap();
    let stock = stock(&link);
    let has_faults = || !stock.settings().policy.faults.faults().is_empty();
    eventually("the fault", has_faults).await;

    let address = api.stop();
    eventually("faults to end, which nobody could take away any more", || !has_faults()).await;
    assert_eq!(stock.settings().deadline, Some(300.ms()), "values stay");
    let callee = Callee::new([Reply::Status(200, 0)]);
    assert_eq!(call(&stock, &callee).await.unwrap(), 200, "calls go on");

    // Another process answers at the same address, and its revisions begin anew.
    let api = Api::start(&address, said("1", inventory));
    eventually("the fault again", has_faults).await;
    call(&stock, &callee).await.unwrap_err();
    eventually("the trail", || api.trails().iter().any(|trail| trail.end == "tries exhausted")).await;
}

#[tokio::test]
async fn what_could_not_be_told_is_counted_and_the_count_told() {
    let api = Api::start("127.0.0.1:0", said("1", Said::named("inventory")));
    let link = Link::connect(&api.url()).unwrap();
    let stock = stock(&link);
    let callee = Callee::new([Reply::Status(200, 0)]);
    let address = api.stop();
    for _ in 0..2_000 {
        call(&stock, &callee).await.unwrap();
    }
    let api = Api::start(&address, said("1", Said::named("inventory")));
    let heard = || {
        let dropped = api.last_report().map_or(0, |report| report.trails_dropped);
        dropped + api.trails().len() as u64
    };
    eventually("2000 trails, told or counted", || {
        // A report comes with the next change of the counters at the latest.
        let _ = &stock;
        heard() >= 2_000
    })
    .await;
}

#[tokio::test]
async fn a_call_that_was_given_up_by_its_caller_is_told_as_cancelled() {
    let api = Api::start("127.0.0.1:0", said("1", Said::named("inventory")));
    let link = Link::connect(&api.url()).unwrap();
    let stock = stock(&link);
    let callee = Callee::new([Reply::Hang]);
    tokio::time::timeout(10.ms(), call(&stock, &callee)).await.unwrap_err();
    eventually("the trail", || !api.trails().is_empty()).await;
    let trail = api.trails().remove(0);
    assert_eq!((trail.end.as_str(), trail.outcome.as_str(), trail.tries), ("cancelled", "unknown", 1));
    assert!(trail.to_string().ends_with("given up: cancelled"), "{trail}");
}

/// One policy's breaker for two operations, each under the key that is given.
fn breakers(revision: &str, keys: [Option<&str>; 2]) -> Guards {
    let settings = BreakerSettings { consecutive: Some(3), ..BreakerSettings::default() };
    let said = |name: &str, key: Option<&str>| Said {
        breaker: Some(settings),
        state: StateKeys { breaker: key.map(str::to_owned), ..StateKeys::default() },
        ..Said::named(name)
    };
    let guards = vec![said("inventory.allocate", keys[0]), said("inventory.release", keys[1])];
    Guards { revision: revision.into(), guards }
}

#[tokio::test]
async fn guards_that_are_told_one_key_share_the_breaker_and_each_counts_for_itself() {
    let key = Some("stock/inventory/");
    let api = Api::start("127.0.0.1:0", breakers("1", [key, key]));
    let link = Link::connect(&api.url()).unwrap();
    let [allocate, release] = ["inventory.allocate", "inventory.release"]
        .map(|name| guard(name).classify(outcome::of_http).link(&link));
    let callee = Callee::new([Reply::Status(503, 0)]);
    let has_breakers = || allocate.stats().breaker().is_some() && release.stats().breaker().is_some();
    // The first call enrols a guard.
    let _ = (allocate.settings(), release.settings());
    eventually("the breakers", has_breakers).await;

    for _ in 0..3 {
        call(&allocate, &callee).await.unwrap_err();
    }
    assert_eq!(release.stats().breaker(), Some(BreakerState::Open), "it is the same");
    let error = call(&release, &callee).await.unwrap_err();
    assert!(error.is_open() && error.retry_after().is_some(), "{error}");
    assert_eq!((allocate.stats().tries(), release.stats().tries()), (3, 0));
    eventually("one trail of each call", || api.trails().len() == 4).await;
    let trails = api.trails();
    assert_eq!(trails[3].name, "inventory.release");
    assert_eq!(trails[3].end, "breaker open", "{}", trails[3]);

    let still_open = |guard: &Guard<OfHttp>| guard.stats().breaker() == Some(BreakerState::Open);
    let mut other = breakers("2", [key, key]);
    other.guards[1].deadline = Some(300.ms());
    api.say(other);
    eventually("the deadline", || release.settings().deadline == Some(300.ms())).await;
    assert!(still_open(&allocate) && still_open(&release), "what says nothing of the breaker leaves it open");

    api.say(breakers("3", [key, Some("releases/inventory/")]));
    eventually("a breaker of its own", || !still_open(&release)).await;
    assert!(still_open(&allocate), "who stays keeps what was");

    api.say(breakers("4", [key, key]));
    eventually("the other's breaker again", || still_open(&release)).await;

    api.say(breakers("5", [None, None]));
    eventually("breakers of their own", || !still_open(&allocate) && !still_open(&release)).await;
    callee.now([Reply::Status(503, 0)]);
    for _ in 0..3 {
        call(&release, &callee).await.unwrap_err();
    }
    assert!(still_open(&release) && !still_open(&allocate));
}

#[tokio::test]
async fn a_202_is_pending_where_the_operation_or_the_code_says_so() {
    let api = Api::start("127.0.0.1:0", said("1", Said { pending: Some(true), ..Said::named("inventory") }));
    let link = Link::connect(&api.url()).unwrap();
    let said = stock(&link);
    eventually("the design's word", || said.settings().pending).await;
    let of = |name: &str| guard(name).classify(outcome::of_http).link(&link);
    let (unsaid, own) = (of("unsaid"), of("own").accepts());
    let callee = Callee::new([Reply::Status(202, 0)]);
    for guard in [&said, &unsaid, &own] {
        assert_eq!(call(guard, &callee).await.unwrap(), 202, "it is an answer all the same");
    }
    callee.now([Reply::Status(201, 0)]);
    call(&own, &callee).await.unwrap();
    eventually("the trails", || api.trails().len() == 4).await;
    let outcomes: Vec<_> = api.trails().into_iter().map(|trail| (trail.name, trail.outcome)).collect();
    let expected =
        [("inventory", "pending"), ("unsaid", "succeeded"), ("own", "pending"), ("own", "succeeded")];
    assert_eq!(outcomes, expected.map(|(name, outcome)| (name.to_owned(), outcome.to_owned())));
}

#[tokio::test]
async fn a_link_ends_with_its_last_guard() {
    let api = Api::start("127.0.0.1:0", said("1", Said::named("inventory")));
    let link = Link::connect(&api.url()).unwrap();
    let stock = stock(&link);
    let callee = Callee::new([Reply::Status(200, 0)]);
    call(&stock, &callee).await.unwrap();
    drop((link, stock));
    eventually("what was left to be told", || api.trails().len() == 1).await;
}
