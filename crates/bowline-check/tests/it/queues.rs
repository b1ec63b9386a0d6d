//! Q01 and its like: queues, under the loads of scenarios.

use crate::support::{check, check_texts, folder};
use bowline_design::resolved::scenario::Arrivals;

/// A window that asks stock, which does `takes` with `concurrency`, under a load of `rate`.
fn under(rate: &str, stock: &str, policy: &str, scenario: &str) -> String {
    format!(
        "
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: {{ name: window }}
spec:
  operations: [ {{ name: look, http: {{ method: GET, path: /items }}, does: [ {{ call: stock.read }} ] }} ]
---
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: {{ name: stock }}
spec:
  {stock}
---
apiVersion: bowline.dev/v1alpha1
kind: Policy
metadata: {{ name: stock }}
spec:
  targets: [ {{ operation: stock.read }} ]
  deadline: 250ms
  {policy}
---
apiVersion: bowline.dev/v1alpha1
kind: Scenario
metadata: {{ name: busy }}
spec:
  load: {{ operation: window.look, arrivals: poisson, rate: {rate}/s, for: 10m }}
  {scenario}
"
    )
}

/// Ten requests at once, of 10 ms at the median and 12 ms at the mean.
fn stock(more: &str) -> String {
    format!(
        "concurrency: 10{more}
  operations: [ {{ name: read, http: {{ method: GET, path: /stock }}, takes: {{ p50: 10ms, p99: 40ms }} }} ]"
    )
}

#[test]
fn q01_a_load_above_any_possible_capacity_is_an_error() {
    let found = check(
        &under("2500", &stock(""), "", ""),
        &[
            "Q01 error spec.concurrency: the queue of stock has no bound and grows: Scenario busy asks for 2500 a second, \
             and it can do 2000",
        ],
    );
    assert_eq!(found[0].formula, "10 at once / 5 ms = 2000/s < 2500/s (a mean of at least p50 / 2)");
    assert_eq!(found[0].advice, "bound what waits, with `queue: 104` for a start");
}

#[test]
fn q01_a_load_above_the_likely_capacity_is_a_warning() {
    let found = check(
        &under("1000", &stock(""), "", ""),
        &[
            "Q01 warning spec.concurrency: the queue of stock has no bound and grows: Scenario busy asks for 1000 a second, \
             and it can do 837.3",
        ],
    );
    assert_eq!(found[0].formula, "10 at once / 11.943 ms = 837.3/s < 1000/s");
}

#[test]
fn q01_a_bound_or_room_or_replicas_are_enough() {
    check(&under("1000", &stock("\n  queue: 40"), "", ""), &[]);
    check(&under("1000", &stock("\n  replicas: 2"), "", ""), &[]);
    check(&under("700", &stock(""), "", ""), &[]);
}

#[test]
fn q01_an_arm_with_an_overlay_is_another_design() {
    let overlay = "arms: [ { name: less, overlay: less } ]
---
apiVersion: bowline.dev/v1alpha1
kind: Overlay
metadata: { name: less }
spec: { patches: [ { kind: Service, name: stock, patch: { spec: { queue: 40 } } } ] }";
    check(&under("2500", &stock(""), "", overlay), &[]);
}

#[test]
fn q01_an_arm_that_takes_the_bound_away_is_a_warning() {
    let overlay = "arms: [ { name: more, overlay: more } ]
---
apiVersion: bowline.dev/v1alpha1
kind: Overlay
metadata: { name: more }
spec: { patches: [ { kind: Service, name: stock, patch: { spec: { queue: null } } } ] }";
    check(
        &under("2500", &stock("\n  queue: 40"), "", overlay),
        &[
            "Q01 warning spec.concurrency: the queue of stock has no bound and grows: Scenario busy with Overlay more asks for \
             2500 a second, and it can do 2000 (no edit)",
        ],
    );
}

#[test]
fn q01_bulkheads_of_all_callers_are_a_bound() {
    let bulkhead = |calls: u32| format!("bulkhead: {{ concurrent: {calls} }}");
    check(&under("2500", &stock(""), &bulkhead(100), ""), &[]);
    let found = check(
        &under("2500", &stock(""), &bulkhead(2_000), ""),
        &[
            "Q01 error spec.concurrency: the queue of stock has no bound and grows: Scenario busy asks for 2500 a second, \
             and it can do 2000",
        ],
    );
    assert_eq!(found[0].severity.as_str(), "error");
}

/// The window behind a gateway's route, under this load.
fn entered(load: &str) -> String {
    under("1", &stock(""), "", "").replace("operation: window.look, arrivals: poisson, rate: 1/s, for: 10m", load)
        + "---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: front }
spec: { servers: [ { port: { number: 8080, name: http, protocol: HTTP }, hosts: [ \"*\" ] } ] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: front }
spec:
  hosts: [ \"*\" ]
  gateways: [ front ]
  http: [ { name: look, route: [ { destination: { host: window } } ], timeout: 1s, retries: { attempts: 0 } } ]
"
}

const GROWS: &str = "Q01 error spec.concurrency: the queue of stock has no bound and grows: Scenario busy asks for 2500 a second, \
                     and it can do 2000";

#[test]
fn q01_a_load_by_a_route_and_a_ramp_at_its_peak_count() {
    check(&entered("route: look, arrivals: poisson, rate: 2500/s, for: 10m"), &[GROWS]);
    check(&entered("route: look, arrivals: poisson, rate: 500/s, for: 10m"), &[]);
    let ramp = |from: u32, to: u32, over: &str| {
        entered(&format!(
            "operation: window.look, arrivals: {{ ramp: {{ to: {to}/s, over: {over} }} }}, rate: {from}/s, for: 10m"
        ))
    };
    check(&ramp(0, 2_500, "10m"), &[GROWS]);
    check(&ramp(2_500, 0, "10m"), &[GROWS]);
    check(&ramp(0, 500, "10m"), &[]);
}

/// A trace in a file counts once whoever may read files has read it; here 2500 a second for a minute.
#[test]
fn q01_a_trace_in_a_file_counts_where_it_was_read() {
    let yaml = entered("operation: window.look, arrivals: { trace: friday.txt }, for: 10m");
    let reading = bowline_design::read(&[crate::support::design(&yaml)]);
    let mut design = bowline_design::resolve(&reading).unwrap();
    let found = |design: &bowline_design::Design| {
        let found = bowline_check::check(design, &reading.documents);
        found.iter().map(crate::support::line).collect::<Vec<_>>()
    };
    assert_eq!(found(&design), [""; 0]);
    let times: Vec<_> = (0..150_000).map(|at| std::time::Duration::from_micros(at * 400)).collect();
    design.scenarios[0].load.arrivals.value = Arrivals::Trace(times.into());
    assert_eq!(found(&design), [GROWS]);
}

#[test]
fn q01_a_connection_pool_without_a_bound_on_what_waits_grows() {
    let pool = |http: &str| {
        entered("route: look, arrivals: poisson, rate: 2500/s, for: 10m")
            .replace("call: stock.read", "work: 10ms")
            + &format!(
                "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{ name: window }}
spec: {{ host: window, trafficPolicy: {{ connectionPool: {{ http: {{ {http} }} }} }} }}
"
            )
    };
    let found = check(
        &pool("http2MaxRequests: 20"),
        &[
            "Q01 error spec.trafficPolicy.connectionPool.http.http2MaxRequests: any number of calls waits for the pool of window and \
             more come: Scenario busy brings 2500 a second, and 2000 can be made (no edit)",
        ],
    );
    assert_eq!(found[0].formula, "20 at once / 10 ms = 2000/s < 2500/s");
    check(&pool("http2MaxRequests: 30"), &[]);
    check(&pool("http2MaxRequests: 20, http1MaxPendingRequests: 100"), &[]);
}

#[test]
fn q01_what_readers_of_a_topic_ask_counts_as_far_as_they_can_take_it() {
    let read = |concurrency: u32| {
        topic("retention: 7d", SET_ASIDE)
            .replace("rate: 80/s", "rate: 500/s")
            .replace("does: [ { work: 10ms } ]", "does: [ { call: slow.run } ]")
            .replace("deadLetter: { after: 16 }", &format!("deadLetter: {{ after: 16 }}, concurrency: {concurrency}"))
            + "---
kind: Service
metadata: { name: slow }
spec: { concurrency: 2, operations: [ { name: run, http: { method: GET, path: /slow }, does: [ { work: 10ms } ] } ] }
"
    };
    let grows = |rate: &str| {
        format!(
            "Q01 error spec.concurrency: the queue of slow has no bound and grows: Scenario stuck asks for {rate} a second, and \
             it can do 200"
        )
    };
    check(&read(10), &[&grows("500")]);
    check(&read(3), &[&grows("300")]);
    check(&read(2), &[]);
}

#[test]
fn q01_a_topic_that_keeps_everything_and_grows_has_no_bound() {
    let found = check(
        &topic("key: /id", SET_ASIDE).replace("rate: 80/s", "rate: 130/s"),
        &[
            "Q01 error spec: what waits in mails has no bound and grows: Scenario stuck writes 130 a second, and mailer reads \
             100",
        ],
    );
    assert_eq!(found[0].formula, "130/s - 100/s = 30/s more each second");
}

#[test]
fn q04_a_backlog_that_is_never_read_up_gets_older_than_the_retention() {
    let never = |retention: &str| {
        topic(&format!("retention: {retention}"), SET_ASIDE).replace("rate: 80/s", "rate: 150/s")
    };
    let found = check(
        &never("3m"),
        &[
            "Q04 error spec.retention: mails keeps records for 3 min, and under Scenario stuck what waits for mailer is never \
             read up and gets 4 min old",
        ],
    );
    assert_eq!(found[0].formula, "10 min - 100/s x (10 min - 60 s) / 150/s = 4 min > 3 min");
    check(&never("5m"), &[]);
}

#[test]
fn q01_retries_that_keep_themselves_going_are_a_warning() {
    let one = "concurrency: 1
  operations: [ { name: read, http: { method: GET, path: /stock }, takes: { p50: 707us, p99: 4.9ms } } ]";
    let retries =
        |more: &str| format!("retry: {{ tries: 4, perTry: 40ms, backoff: {{ base: 5ms, max: 5ms }}{more} }}");
    let found = check(
        &under("800", one, &retries(""), ""),
        &[
            "Q01 warning spec.concurrency: the queue of stock has no bound, and once it is long, 4 tries keep it long \
             under Scenario busy",
        ],
    );
    assert_eq!(
        found[0].formula,
        "800/s + 170/s of retries the budget allows = 970/s of 1000.5/s: 30 % of tries wait longer than 40 ms, \
         286.9/s >= 170/s"
    );
    check(&under("800", one, &retries(", budget: { ratio: 0.1 }"), ""), &[]);
    check(&under("800", one, "", ""), &[]);
}

#[test]
fn q01_knows_the_retry_storm() {
    let texts = folder("../../examples/retry-storm/design");
    check_texts(
        &texts,
        &[
            "Q01 warning spec.concurrency: the queue of prices has no bound, and once it is long, 4 tries keep it long \
             under Scenario out-of-nothing",
        ],
    );
}

#[test]
fn q02_who_joins_a_full_queue_is_given_up_before_it_is_their_turn() {
    let found = check(
        &under("100", &stock("\n  queue: 300"), "", ""),
        &[
            "Q02 warning spec.queue: who joins the full queue of stock waits 358.287 ms, and callers of stock.read give up after \
             250 ms",
        ],
    );
    assert_eq!(found[0].formula, "300 x 11.943 ms / 10 at once = 358.287 ms > 250 ms");
    check(&under("100", &stock("\n  queue: 200"), "", ""), &[]);
}

/// A topic that mail reads, one record of 10 ms at a time; its reader sticks for a minute.
fn topic(retention: &str, dead_letter: &str) -> String {
    format!(
        "
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: {{ name: mail }}
spec: {{ operations: [ {{ name: send, http: {{ method: POST, path: /mails }}, does: [ {{ work: 10ms }} ] }}, {{ name: show, http: {{ method: GET, path: \"/mails/{{id}}\" }} }} ] }}
---
apiVersion: bowline.dev/v1alpha1
kind: Broker
metadata: {{ name: main }}
spec: {{ embedded: {{}} }}
---
apiVersion: bowline.dev/v1alpha1
kind: Topic
metadata: {{ name: mails }}
spec: {{ broker: main, {retention} }}
---
apiVersion: bowline.dev/v1alpha1
kind: Intake
metadata: {{ name: mail }}
spec: {{ match: {{ method: POST, path: /mails }}, start: {{ publish: {{ topic: mails }} }} }}
---
apiVersion: bowline.dev/v1alpha1
kind: Subscription
metadata: {{ name: mailer }}
spec: {{ topic: mails, group: mail, deliver: {{ operation: mail.send }}{dead_letter} }}
---
apiVersion: bowline.dev/v1alpha1
kind: Scenario
metadata: {{ name: stuck }}
spec:
  load: {{ intake: mail, arrivals: poisson, rate: 80/s, for: 10m }}
  faults: [ {{ at: 60s, for: 60s, subscription: mailer, consumerStuck: {{}} }} ]
"
    )
}

const SET_ASIDE: &str = ", deadLetter: { after: 16 }";

#[test]
fn q03_without_a_dead_letter_a_record_is_delivered_for_ever() {
    check(
        &topic("retention: 7d", ""),
        &["Q03 warning spec: a record that can never be processed is delivered to mailer for ever"],
    );
    check(&topic("retention: 7d", SET_ASIDE), &[]);
}

#[test]
fn q04_a_retention_shorter_than_the_outage_loses_records() {
    check(
        &topic("retention: 30s", SET_ASIDE),
        &[
            "Q04 error spec.retention: mails keeps records for 30 s, and under Scenario stuck it takes 5 min until mailer has \
             read what waits",
        ],
    );
}

#[test]
fn q04_a_retention_shorter_than_outage_and_drain_may() {
    let found = check(
        &topic("retention: 2m", SET_ASIDE),
        &[
            "Q04 warning spec.retention: mails keeps records for 2 min, and under Scenario stuck it takes 5 min until mailer \
             has read what waits",
        ],
    );
    assert_eq!(found[0].formula, "60 s + 80/s x 60 s / (100/s - 80/s) = 5 min > 2 min");
    check(&topic("retention: 6m", SET_ASIDE), &[]);
    check(&topic("key: /id", SET_ASIDE), &[]);
}

const NO_FALLBACK: &str = "B05 info spec.operations[0].does[0].call: while the breaker of stock.read is open, every window.look \
                           fails: nothing is done in its stead (no edit)";

#[test]
fn b01_a_minimum_that_the_busiest_scenario_never_brings_is_an_error() {
    let breaker = |calls: u32| format!("breaker: {{ failureRatio: 0.5, window: 10s, minCalls: {calls} }}");
    let found = check(
        &under("1", &stock(""), &breaker(100), ""),
        &[
            "B01 error spec.breaker: the breaker of stock.read never trips: it wants to see 100 calls in 10 s, and Scenario \
             busy, the busiest, brings 10",
            NO_FALLBACK,
        ],
    );
    assert_eq!(found[0].formula, "1/s x 10 s x 1 try at most = 10 < 100");
    check(&under("1", &stock(""), &breaker(30), ""), &[NO_FALLBACK]);
    check(&under("20", &stock(""), &breaker(100), ""), &[NO_FALLBACK]);
}
