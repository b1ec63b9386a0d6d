//! A callee that fails half of the time is left alone, asked a few times, and taken back by degrees.

use crate::callee::{Callee, Do};
use crate::clock::{self, eventually, until};
use crate::designs::{policy, rules, service, small};
use crate::http::{self, Message};
use crate::world::{Ports, Up, port};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// How long the breaker stays open: the shop says 10 s, which the machine's own tests keep to.
const OPEN: Duration = Duration::from_secs(1);

/// How long it takes to let everything through again.
const RAMP: Duration = Duration::from_secs(2);

const HALF_FAILS: u8 = 0;
const HOLDS: u8 = 1;
const WELL: u8 = 2;

/// What the callee is told to do.
#[derive(Default)]
struct Told {
    mode: AtomicU8,
    turn: AtomicUsize,
    released: Mutex<bool>,
    release: Condvar,
}

impl Told {
    fn answer(&self) -> Do {
        match self.mode.load(Ordering::SeqCst) {
            HALF_FAILS if self.turn.fetch_add(1, Ordering::SeqCst) % 2 == 1 => {
                return Do::Answer(500, "no".into());
            }
            HOLDS => {
                let released = self.released.lock().unwrap();
                drop(
                    self.release
                        .wait_timeout_while(released, clock::PATIENCE, |released| !*released)
                        .unwrap(),
                );
            }
            _ => {}
        }
        Do::Answer(200, "yes".into())
    }

    fn release(&self) {
        *self.released.lock().unwrap() = true;
        self.release.notify_all();
    }
}

/// The state that `/metrics` shows; exactly one.
fn state(up: &Up) -> &'static str {
    let page = http::get(up.ports.api, "/metrics").text();
    let is = |state: &&str| {
        page.lines().any(|line| {
            line.starts_with("bowline_breaker_state{")
                && line.ends_with(" 1")
                && line.contains(&format!("state=\"{state}\""))
        })
    };
    let mut states = ["closed", "open", "half-open", "ramping"].into_iter().filter(is);
    let state = states.next().expect("a state");
    assert_eq!(states.next(), None, "two states at once");
    state
}

fn opens_probes_and_ramps(workers: &str) {
    let told: Arc<Told> = Arc::default();
    let callee = Callee::start({
        let told = Arc::clone(&told);
        move |_| told.answer()
    });
    let gateway = port();
    let breaker = "  breaker: { window: 10s, minCalls: 20, failureRatio: 0.5, open: 1s, probes: 3, ramp: 2s, jitter: 0 }\n";
    let design = rules(
        "  - name: stock
    route: [ { destination: { host: stock } } ]
    timeout: 30s
    retries: { attempts: 0 }
",
    ) + &service("stock", callee.port, "")
        + &policy("stock", breaker);
    let ports = Ports { gateway, ..Ports::new() };
    let folder = small(gateway, &design);
    let up = Up::ready(&folder, ports, &["--workers", workers]);
    // A new connection for each: the kernel gives them to all workers.
    let ask = || http::ask(gateway, "GET", "/stock", &[], "").unwrap();
    let is_refused = |answer: &Message| {
        answer.status() == 503 && answer.header("x-bowline-reason") == Some("breaker open")
    };

    // Half of the calls fail; the twentieth makes it a statement.
    assert_eq!(state(&up), "closed");
    let statuses: Vec<u16> = (0..19).map(|_| ask().status()).collect();
    assert!(
        statuses.chunks(2).all(|pair| pair[0] == 200 && pair.get(1).is_none_or(|second| *second == 500)),
        "{statuses:?}"
    );
    assert_eq!(state(&up), "closed", "19 calls prove nothing yet");
    let before_opening = clock::now();
    assert_eq!(ask().status(), 500);
    assert_eq!(state(&up), "open");
    let after_opening = clock::now();
    assert_eq!(callee.count(), 20);

    // Nothing passes for its open time, whoever asks.
    let asking = || {
        let mut refused = 0;
        while before_opening.elapsed() < OPEN.mul_f64(0.9) {
            let answer = ask();
            assert!(is_refused(&answer), "{answer:?}");
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
            refused += 1;
        }
        refused
    };
    let refused: usize = std::thread::scope(|scope| {
        let callers = [(); 4].map(|()| scope.spawn(asking));
        callers.into_iter().map(|caller| caller.join().unwrap()).sum()
    });
    assert_eq!(callee.count(), 20, "after {refused} more requests");
    assert!(refused >= 10, "only {refused} requests in {OPEN:?}");
    told.mode.store(HOLDS, Ordering::SeqCst);
    until("the open time is over", || state(&up) == "half-open");
    assert!(before_opening.elapsed() >= OPEN, "not before its time");
    println!("{workers} workers: open for {:?}, {refused} refused", after_opening.elapsed());

    // Then its probes, and no more than those at once.
    let callers: Vec<_> = (0..12)
        .map(|_| std::thread::spawn(move || http::ask(gateway, "GET", "/stock", &[], "").unwrap()))
        .collect();
    until("three probes and nine refusals", || {
        callee.count() == 23 && callers.iter().filter(|caller| caller.is_finished()).count() == 9
    });
    assert!(up.metric("bowline_breaker_moves_total", &["to=\"half-open\""]) > 0.5);
    told.mode.store(WELL, Ordering::SeqCst);
    told.release();
    let answers: Vec<Message> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
    assert_eq!(answers.iter().filter(|answer| answer.status() == 200).count(), 3);
    assert_eq!(answers.iter().filter(|answer| answer.status() == 503).count(), 9);

    // Then a growing share.
    let began = clock::now();
    assert_eq!(state(&up), "ramping");
    let (before, mut asked) = (callee.count(), 0);
    while began.elapsed() < RAMP / 4 {
        ask();
        asked += 1;
    }
    let passed = callee.count() - before;
    println!("{workers} workers: {passed} of {asked} in the ramp's first quarter");
    assert!(passed * 2 < asked, "{passed} of {asked} in the ramp's first quarter");
    eventually("everything passes", || (state(&up) == "closed").then_some(()));
    assert!(began.elapsed() >= RAMP.mul_f64(0.8), "closed after {:?}", began.elapsed());
    let before = callee.count();
    assert!((0..30).all(|_| ask().status() == 200));
    assert_eq!(callee.count(), before + 30);

    for (to, times) in [("open", 1.0), ("half-open", 1.0), ("ramping", 1.0)] {
        let moves = up.metric("bowline_breaker_moves_total", &[&format!("to=\"{to}\"")]);
        assert!((moves - times).abs() < 0.5, "{moves} moves to {to}");
    }
}

#[test]
fn at_half_errors_it_opens_probes_and_ramps_with_one_worker() {
    opens_probes_and_ramps("1");
}

#[test]
fn at_half_errors_it_opens_probes_and_ramps_with_two_workers() {
    opens_probes_and_ramps("2");
}
