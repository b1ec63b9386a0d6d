//! X02 to X04: what an answer waits for, and what it never tells.

use crate::support::check;

/// A service called `name`, with one GET that does this.
fn service(name: &str, does: &str) -> String {
    format!(
        "---
kind: Service
metadata: {{ name: {name} }}
spec: {{ operations: [ {{ name: run, http: {{ method: GET, path: /{name} }}, does: [ {does} ] }} ] }}
"
    )
}

fn chain(length: usize) -> String {
    let next =
        |index: usize| if index < length { format!("{{ call: s{}.run }}", index + 1) } else { String::new() };
    (0..=length).map(|index| service(&format!("s{index}"), &next(index))).collect()
}

#[test]
fn x02_five_calls_behind_each_other_are_too_many() {
    let found = check(
        &chain(5),
        &[
            "X02 warning spec.operations[0].does[0].call: an answer of s0.run waits for 5 calls one behind the other (no edit)",
        ],
    );
    assert_eq!(found[0].path, ["s0.run", "s1.run", "s2.run", "s3.run", "s4.run", "s5.run"]);
    assert_eq!(found[0].place.resource.as_ref(), "Service default/s4");
    check(&chain(4), &[]);
}

/// A page of `count` services, of which no more than `failed` may fail.
fn page(count: usize, failed: &str, share: &str) -> String {
    let names: Vec<String> = (1..count).map(|index| format!("s{index}")).collect();
    let calls: Vec<String> = names.iter().map(|name| format!("{{ call: {name}.run }}")).collect();
    let parts: String = names.iter().map(|name| service(name, "")).collect();
    let does = format!("{{ parallel: [ {} ] }}{share}", calls.join(", "));
    service("page", &does)
        + &parts
        + &format!(
            "---
kind: Scenario
metadata: {{ name: usual }}
spec: {{ load: {{ operation: page.run, arrivals: poisson, rate: 10/s, for: 1m }}, objectives: {{ failed: {failed} }} }}
"
        )
}

#[test]
fn x02_services_multiply_their_availability() {
    let found = check(
        &page(6, "0.5%", ""),
        &[
            "X02 warning spec.objectives.failed: every page.run needs 6 services at once, and Scenario usual lets no more than 0.5 % fail (no edit)",
        ],
    );
    assert_eq!(found[0].formula, "99.9 %^6 = 99.401 % < 99.5 % (with each service there 99.9 % of the time)");
    check(&page(5, "0.5%", ""), &[]);
    check(&page(6, "5", ""), &[]);
    // Asked twice, a service is still one.
    check(&page(5, "0.5%", ", { call: s1.run }"), &[]);
}

/// Orders, which ask for a message to be sent.
fn told(needs: &str, more: &str) -> String {
    format!(
        "
kind: Service
metadata: {{ name: mail }}
spec: {{ operations: [ {{ name: send, http: {{ method: POST, path: /mails }}, takes: {{ p50: 5ms, p99: 25ms }}, needs: {needs} }} ] }}
---
kind: Service
metadata: {{ name: orders }}
spec:
  operations:
  - {{ name: place, http: {{ method: POST, path: /orders }}, does: [ {{ work: 1ms }}, {{ call: mail.send }} ] }}
---
kind: Policy
metadata: {{ name: mail }}
spec: {{ targets: [ {{ service: mail }} ], deadline: 100ms }}
{more}"
    )
}

const TOPIC: &str = "---
kind: Broker
metadata: { name: main }
spec: { embedded: {} }
---
kind: Topic
metadata: { name: m }
spec: { broker: main, retention: 7d }
---
kind: Subscription
metadata: { name: mailer }
spec: { topic: m, group: mail, deliver: { operation: mail.send }, deadLetter: { after: 16 } }
";

#[test]
fn x03_what_may_be_lost_need_not_be_waited_for() {
    let expected =
        ["X03 info spec.operations[0].does[1].call: orders.place waits for mail.send, which may be lost"];
    let found = check(&told("{ loss: tolerated }", ""), &expected);
    assert_eq!(found[0].formula, "in each answer of orders.place: 5 ms at the median, 100 ms while it hangs");
    let texts = [crate::support::design(&told("{ loss: tolerated }", TOPIC))];
    let found = crate::support::check_texts(&texts, &expected);
    assert!(found[0].mended(&texts).unwrap()[0].text.contains("{ publish: m }"));
}

#[test]
fn x03_a_write_that_is_seen_in_the_end_need_not_be_waited_for() {
    check(
        &told("{ consistency: eventual }", ""),
        &[
            "X03 info spec.operations[0].does[1].call: orders.place waits for mail.send, which is a write to be seen in the \
             end",
        ],
    );
}

#[test]
fn x03_what_is_needed_or_does_not_say_is_no_finding() {
    check(&told("{ loss: none, consistency: strong }", ""), &[]);
    check(&told("{ answerWithin: 1s }", ""), &[]);
}

/// A door to work that is done later.
fn accepted(intake: &str, operations: &str) -> String {
    format!(
        "
kind: Service
metadata: {{ name: mail }}
spec: {{ operations: [ {operations} ] }}
{TOPIC}---
kind: Intake
metadata: {{ name: mail }}
spec: {{ match: {{ method: POST, path: /mails }}, {intake} }}
"
    )
}

const SEND: &str = "{ name: send, http: { method: POST, path: /mails }, idempotent: by-key }";
const PUBLISH: &str = "start: { publish: { topic: m } }";

#[test]
fn x04_an_asker_who_cannot_learn_the_end_is_a_warning() {
    let expected = ["X04 warning spec: who asks POST /mails gets 202 and cannot learn the end"];
    check(&accepted(PUBLISH, SEND), &expected);
    let hybrid = "start: { call: { operation: mail.send } }, otherwise: { publish: { topic: m } }";
    check(&accepted(hybrid, SEND), &expected);
    check(
        "
kind: Service
metadata: { name: mail }
spec: { operations: [ { name: send, http: { method: POST, path: /mails }, accepts: true } ] }
",
        &["X04 warning spec.operations[0]: who asks POST /mails gets 202 and cannot learn the end (no edit)"],
    );
}

#[test]
fn x04_a_wait_a_status_a_record_or_work_that_may_be_lost_is_enough() {
    check(&accepted(&format!("{PUBLISH}, wait: 1s"), SEND), &[]);
    let show = "{ name: show, http: { method: GET, path: \"/mails/{id}\" } }";
    check(&accepted(PUBLISH, &format!("{SEND}, {show}")), &[]);
    let sent = "{ name: send, http: { method: POST, path: /mails }, does: [ { publish: sent } ] }";
    check(&accepted(PUBLISH, sent), &[]);
    let lost = "{ name: send, http: { method: POST, path: /mails }, needs: { loss: tolerated } }";
    check(&accepted(PUBLISH, lost), &[]);
    check(&accepted("start: { call: { operation: mail.send } }", SEND), &[]);
}
