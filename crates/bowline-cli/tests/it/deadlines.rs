//! A callee that hangs costs its callers the deadline and not a moment more, and is left alone after it.

use crate::callee::{Callee, Do};
use crate::clock::{eventually, pause, until};
use crate::designs::{Shop, policy, rules, service, small};
use crate::http;
use crate::world::{Ports, Up, port, timed};
use std::time::Duration;

/// What the answer may be late by.
const LATE_MAX: Duration = Duration::from_millis(20);

/// A machine that does other things, too, is given this many chances to show that it can be in time.
const ROUNDS: usize = 6;

/// Five measurements a round; the median of one round must be in time, and no measurement early.
#[track_caller]
fn in_time(deadline: Duration, mut measure: impl FnMut() -> Duration) {
    let mut medians = Vec::new();
    for _ in 0..ROUNDS {
        let mut late: Vec<Duration> = (0..5)
            .map(|_| {
                let took = measure();
                took.checked_sub(deadline)
                    .unwrap_or_else(|| panic!("answered {took:?} before {deadline:?} were over"))
            })
            .collect();
        late.sort();
        println!("after a deadline of {deadline:?}: {late:?} late");
        if late[2] < LATE_MAX {
            return;
        }
        medians.push(late[2]);
    }
    panic!("later than {LATE_MAX:?} in every round: {medians:?}");
}

#[test]
fn a_route_to_a_callee_that_hangs_answers_504_at_its_deadline_and_tries_no_more() {
    const DEADLINE: Duration = Duration::from_millis(150);
    let callee = Callee::start(|_| Do::Hang);
    let gateway = port();
    let design = rules(
        "  - name: stock
    route: [ { destination: { host: stock } } ]
    timeout: 150ms
    retries: { attempts: 3, retryOn: \"5xx,reset,connect-failure\" }
",
    ) + &service("stock", callee.port, "");
    let ports = Ports { gateway, ..Ports::new() };
    let folder = small(gateway, &design);
    let up = Up::ready(&folder, ports, &[]);

    let mut asked = 0;
    in_time(DEADLINE, || {
        let (answer, took) = timed(|| up.ask("GET", "/stock", &[], ""));
        assert_eq!(answer.status(), 504, "{}", answer.text());
        assert_eq!(answer.header("x-bowline-reason"), Some("deadline exceeded"), "{answer:?}");
        assert_eq!(answer.header("x-bowline-outcome"), Some("unknown"));
        asked += 1;
        // The try under way is cut off at the callee, at once.
        eventually("the callee's connection closes", || (callee.closed() == asked).then_some(()));
        assert_eq!(callee.count(), asked, "one try a request");
        took
    });
    // Nothing comes after it.
    pause(DEADLINE);
    assert_eq!(callee.count(), asked);
    let tries = up.metric("bowline_tries_total", &["service=\"stock\""]);
    assert!((tries - asked as f64).abs() < 0.5, "{tries} tries of {asked} calls");
    let exhausted = up.metric("bowline_deadline_exhausted_total", &["service=\"stock\""]);
    assert!((exhausted - asked as f64).abs() < 0.5, "{exhausted} of {asked}");
}

#[test]
fn a_guard_whose_callee_hangs_gives_up_at_the_designs_deadline() {
    const DEADLINE: Duration = Duration::from_millis(300);
    let shop = Shop::new();
    let release = "operation: inventory.release } ]\n  deadline: ";
    shop.edit("policies.yaml", &format!("{release}3s"), &format!("{release}300ms"));
    // Without a time for each try the first one has all of the call's.
    shop.edit("policies.yaml", "tries: 3, perTry: 800ms,", "tries: 3,");
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    until("an order is placed", || up.order(&[]).status() == 201);
    let allocated = || http::get(shop.port_of("inventory"), "/effects").json()["allocated"].clone();
    let before = allocated();
    assert_eq!(up.verb(&["fault", "add", "inventory.allocate", "--delay", "30s"]).code, 0);

    in_time(DEADLINE, || {
        let answer = up.order(&["x-bowline-explain: 1"]);
        assert_eq!(answer.status(), 504, "{}", answer.text());
        let id = answer.header("x-bowline-explain-id").unwrap();
        let trail = eventually("the story of the allocation", || {
            let story = up.verb(&["explain", "last", "--id", id, "--output", "json"]).json();
            let linked = story["linked"].as_array().unwrap();
            linked.iter().find(|trail| trail["name"] == "inventory.allocate").cloned()
        });
        assert_eq!(trail["tries"], 1, "{trail:#}");
        assert_eq!(trail["end"], "deadline exceeded", "{trail:#}");
        Duration::from_micros(trail["took_us"].as_u64().unwrap())
    });

    assert_eq!(allocated(), before, "no try reached inventory");
}

#[test]
fn tries_with_a_time_of_their_own_are_cut_off_one_by_one() {
    let callee = Callee::start(|_| Do::Hang);
    let gateway = port();
    let design = rules("  - name: stock\n    route: [ { destination: { host: stock } } ]\n    timeout: 2s\n")
        + &service("stock", callee.port, "")
        + &policy("stock", "  retry: { tries: 3, perTry: 50ms, backoff: { base: 1ms, max: 2ms } }\n");
    let ports = Ports { gateway, ..Ports::new() };
    let folder = small(gateway, &design);
    let up = Up::ready(&folder, ports, &[]);

    let answer = up.ask("GET", "/stock", &[], "");
    assert_eq!(answer.status(), 504, "{}", answer.text());
    assert_eq!(answer.header("x-bowline-reason"), Some("timed out"), "{answer:?}");
    eventually("all three tries are cut off", || (callee.closed() == 3).then_some(()));
    assert_eq!(callee.count(), 3);
}
