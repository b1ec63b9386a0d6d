//! The link's format against its golden files: what version 1 meant stays what it means.

use bowline::Spans;
use bowline::link::format::{Guard, GuardReport, Guards, Line, Report, StateKeys, TrailReport};
use bowline::settings::{Idempotency, Settings};
use bowline_fault::{Fault, Kind, Percent, Plan};
use bowline_model::Instant;
use bowline_model::decision::{DeadlineSource, Decision, GiveUp, TryEnd};
use bowline_model::{Deadline, Outcome, Priority};
use bowline_policy::{
    AdmissionSettings, Backoff, BreakerSettings, BudgetSettings, BulkheadSettings, CallPolicy, Codes,
    Conditions, CrossHop, DoomedSettings, RateSettings, Ratio, RetryRule, RetrySettings,
    RetryThrottleSettings, Slow,
};
use serde_json::Value;
use std::time::Duration;

const GUARDS: &str = include_str!("../golden/guards.v1.json");
const REPORT: &str = include_str!("../golden/report.v1.json");

fn guards() -> Guards {
    let fault = |kind, percent| Fault { kind, percent: Percent::from_percent(percent).unwrap() };
    let key = |policy: &str| Some(format!("{policy}/inventory.default.svc.cluster.local/"));
    let inventory = Guard {
        name: "inventory".into(),
        place: Some("design/policies.yaml:8".into()),
        deadline: Some(300.ms()),
        idempotent: Some(Idempotency::ByKey),
        pending: Some(true),
        retry: Some(RetrySettings {
            tries: 3,
            per_try: Some(120.ms()),
            backoff: Backoff::Full { base: 25.ms(), max: 250.ms() },
            rule: RetryRule::Outcome,
        }),
        budget: Some(BudgetSettings::default()),
        retry_throttle: None,
        breaker: Some(BreakerSettings {
            slow: Some(Slow { over: 1_500.ms(), ratio: Ratio::percent(80) }),
            open: 10.s(),
            ..BreakerSettings::default()
        }),
        bulkhead: Some(BulkheadSettings { concurrent: 64, queue: 32, wait: 20.ms() }),
        rate: Some(RateSettings { per_second: 100, burst: 10 }),
        admission: Some(AdmissionSettings::default()),
        priority: Some(Priority::Low),
        doomed: Some(DoomedSettings::default()),
        cross_hop: Some(CrossHop::SecondTries),
        state: StateKeys {
            breaker: key("stock"),
            budget: key("allocations"),
            retry_throttle: None,
            bulkhead: key("stock"),
            rate: key("stock"),
            admission: key("stock"),
        },
        faults: Plan::new(vec![
            fault(Kind::Delay(Duration::from_micros(500)), 12.5),
            fault(Kind::Abort { status: 503 }, 100.0),
            fault(Kind::AbortGrpc { code: 14 }, 50.0),
            fault(Kind::DropFirst(2), 100.0),
            fault(Kind::Drop, 0.01),
        ]),
    };
    let authorize = Guard {
        retry: Some(RetrySettings {
            rule: RetryRule::Named(Conditions::parse("connect-failure,reset,503").unwrap()),
            ..RetrySettings::tries(2)
        }),
        ..Guard::named("payment.authorize")
    };
    let reverse = Guard {
        retry: Some(RetrySettings {
            tries: 4,
            per_try: None,
            backoff: Backoff::Grpc { base: 100.ms(), max: 1.s(), multiplier: 1_600_000 },
            rule: RetryRule::Codes(Codes::NONE.with(8).with(14)),
        }),
        retry_throttle: Some(RetryThrottleSettings { tokens_max: 10_000, ratio: 100 }),
        state: StateKeys {
            retry_throttle: Some(
                "GrpcServiceConfig default/payment/payment.default.svc.cluster.local".into(),
            ),
            ..StateKeys::default()
        },
        ..Guard::named("payment.reverse")
    };
    Guards { revision: "2f1c-7".into(), guards: vec![inventory, authorize, reverse] }
}

fn report() -> Report {
    let began = Instant::from_millis(5);
    let line = |at_us, decision: &Decision| {
        Line::of(began + Duration::from_micros(at_us), began, "inventory", decision)
    };
    let deadline = Deadline::after(began, 300.ms());
    let lines = vec![
        line(0, &Decision::DeadlineSet { remaining: deadline.remaining(began), by: DeadlineSource::Policy }),
        line(300, &Decision::TryStarted { number: 1, host: 0, within: 80.ms() }),
        line(
            80_400,
            &Decision::TryEnded {
                number: 1,
                outcome: Outcome::Unknown,
                end: TryEnd::TimedOut,
                took: Duration::from_micros(80_100),
            },
        ),
        line(
            80_400,
            &Decision::GaveUp { reason: GiveUp::NotSafe, remaining: Duration::from_micros(219_600) },
        ),
    ];
    // The order of an object's names is no part of the format; these are sorted, as they come back.
    let sorted = |mut line: Line| {
        line.numbers.sort();
        line
    };
    Report {
        service: Some("orders".into()),
        process: 4711,
        trails_dropped: 3,
        guards: vec![GuardReport {
            name: "inventory".into(),
            revision: Some("2f1c-7".into()),
            calls: 5,
            tries: 7,
            retries: vec![("refused".into(), 2)],
            ends: vec![("done".into(), 4), ("not safe to repeat".into(), 1)],
            breaker: Some("closed".into()),
            running: Some(1),
            took: vec![("100000".into(), 4), ("250".into(), 1), ("longer".into(), 0)],
            took_us: 241_100,
        }],
        trails: vec![TrailReport {
            trace: "4bf92f3577b34da6a3ce929d0e0e4736".into(),
            span: "53995c3f42cd8ad8".into(),
            parent: Some("00f067aa0ba902b7".into()),
            sampled: true,
            name: "inventory".into(),
            at_unix_ms: 1_735_689_600_000,
            at_unix_us: 1_735_689_600_000_123,
            took_us: 80_400,
            end: "not safe to repeat".into(),
            outcome: "unknown".into(),
            tries: 1,
            values: "design/policies.yaml:8".into(),
            dropped: 0,
            lines: lines.into_iter().map(sorted).collect(),
        }],
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn guards_are_read_as_version_1_wrote_them() {
    assert_eq!(Guards::parse(GUARDS.as_bytes()).unwrap(), guards());
}

#[test]
fn guards_are_written_as_version_1_did() {
    assert_eq!(json(&guards().to_json()), json(GUARDS));
}

#[test]
fn a_report_is_read_as_version_1_wrote_it() {
    assert_eq!(Report::parse(REPORT.as_bytes()).unwrap(), report());
}

#[test]
fn a_report_is_written_as_version_1_did() {
    assert_eq!(json(&report().to_json()), json(REPORT));
}

#[test]
fn what_a_later_writer_adds_is_ignored() {
    let later = r#"{"version":1,"revision":"9","mood":"fine","guards":[{"name":"inventory","hedge":{"after_ms":5}}]}"#;
    assert_eq!(Guards::parse(later.as_bytes()).unwrap().guards, [Guard::named("inventory")]);
}

#[test]
fn a_policy_goes_over_the_link_and_comes_back_whole() {
    let policy = guards().guards[0].over(&Settings::default()).policy;
    assert_eq!(Guard::of("inventory", &policy).over(&Settings::default()).policy, policy);
    let bare = CallPolicy::default();
    assert_eq!(Guard::of("inventory", &bare).over(&Settings::default()).policy, bare);
}

#[test]
fn what_the_design_does_not_say_the_code_says() {
    let code = Settings {
        deadline: Some(1.s()),
        idempotent: Idempotency::Yes,
        pending: true,
        ..Settings::default()
    };
    let said = Guard { deadline: Some(300.ms()), ..Guard::named("inventory") };
    let both = said.over(&code);
    assert_eq!((both.deadline, both.idempotent, both.pending), (Some(300.ms()), Idempotency::Yes, true));
}

#[test]
fn a_mistake_names_its_place() {
    let check = |text: &str, expected: &str| {
        assert_eq!(Guards::parse(text.as_bytes()).unwrap_err().to_string(), expected);
    };
    check(r#"{"version":2}"#, "`version`: expected 1, the only version known here");
    check(
        r#"{"version":1,"revision":"1","guards":[{"name":"a","breaker":{"window_ms":-1}}]}"#,
        "`guards[0].breaker.window_ms`: expected milliseconds, not negative",
    );
    check(
        r#"{"version":1,"revision":"1","guards":[{"name":"a","pending":"yes"}]}"#,
        "`guards[0].pending`: expected true or false",
    );
    check(
        r#"{"version":1,"revision":"1","guards":[{"name":"a","state":{"rate":7}}]}"#,
        "`guards[0].state.rate`: expected a text",
    );
    check(
        r#"{"version":1,"revision":"1","guards":[{"name":"a","faults":[{"kind":"abort","status":99}]}]}"#,
        "`guards[0].faults[0].status`: expected a status, 200 to 599",
    );
}
