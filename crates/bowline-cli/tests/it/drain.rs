//! Stopping lets what is under way finish, and takes nothing new.

use crate::callee::{Callee, Do};
use crate::clock::{PATIENCE, until};
use crate::designs::{rules, service, small};
use crate::http::{self, Caller};
use crate::world::{Ports, Up, port};
use rustix::process::Signal;
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex};

/// A callee that answers once it is told to.
struct Held {
    callee: Callee,
    told: Arc<(Mutex<bool>, Condvar)>,
}

impl Held {
    fn start() -> Self {
        let told: Arc<(Mutex<bool>, Condvar)> = Arc::default();
        let own = Arc::clone(&told);
        let callee = Callee::start(move |_| {
            let (released, release) = &*own;
            drop(
                release
                    .wait_timeout_while(released.lock().unwrap(), PATIENCE, |released| !*released)
                    .unwrap(),
            );
            Do::Answer(200, "at last".into())
        });
        Self { callee, told }
    }

    fn release(&self) {
        *self.told.0.lock().unwrap() = true;
        self.told.1.notify_all();
    }
}

fn slow_route(held: &Held) -> String {
    rules(
        "  - name: slow\n    route: [ { destination: { host: slow } } ]\n    timeout: 60s\n    retries: { attempts: 0 }\n",
    ) + &service("slow", held.callee.port, "")
}

#[test]
fn sigterm_lets_a_request_in_flight_finish_and_refuses_new_connections() {
    let held = Held::start();
    let gateway = port();
    let folder = small(gateway, &slow_route(&held));
    let up = Up::ready(&folder, Ports { gateway, ..Ports::new() }, &[]);
    let asked = std::thread::spawn(move || http::ask(gateway, "GET", "/", &[], ""));
    until("the request arrives", || held.callee.count() == 1);

    up.signal(Signal::TERM);
    up.event("the drain", |event| event["event"] == "draining");
    until("new connections are refused", || TcpStream::connect(("127.0.0.1", gateway)).is_err());
    let ready = http::get(up.ports.api, "/readyz");
    assert_eq!(ready.status(), 503);
    assert!(ready.text().contains("draining"), "{}", ready.text());
    assert!(up.runs(), "it waits for the request in flight");

    held.release();
    let answer = asked.join().unwrap().unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "at last"));
    assert!(answer.is_last(), "the connection ends with it: {answer:?}");
    assert_eq!(up.ended().code(), Some(0));
    assert_eq!(up.event("its end", |event| event["event"] == "stopped")["cut"], 0);
    assert_eq!(held.callee.count(), 1);
}

#[test]
fn a_connection_that_waits_idle_is_closed_and_holds_nothing_up() {
    let held = Held::start();
    held.release();
    let gateway = port();
    let folder = small(gateway, &slow_route(&held));
    let up = Up::ready(&folder, Ports { gateway, ..Ports::new() }, &[]);
    let mut idle = Caller::connect(gateway).unwrap();
    assert_eq!(idle.ask("GET", "/", &[], "").unwrap().status(), 200);
    up.signal(Signal::TERM);
    assert_eq!(up.ended().code(), Some(0));
    assert_eq!(up.event("its end", |event| event["event"] == "stopped")["cut"], 0);
    assert!(idle.receive().is_err());
}

#[test]
fn what_is_not_done_when_the_drains_time_is_over_is_cut_and_counted() {
    let held = Held::start();
    let gateway = port();
    let folder = small(gateway, &slow_route(&held));
    let up = Up::ready(&folder, Ports { gateway, ..Ports::new() }, &["--drain", "300ms"]);
    let asked = std::thread::spawn(move || http::ask(gateway, "GET", "/", &[], ""));
    until("the request arrives", || held.callee.count() == 1);
    up.signal(Signal::TERM);
    assert_eq!(up.ended().code(), Some(0));
    assert_eq!(up.event("its end", |event| event["event"] == "stopped")["cut"], 1);
    assert!(asked.join().unwrap().is_err());
}

#[test]
fn ctrl_c_twice_does_not_wait() {
    let held = Held::start();
    let gateway = port();
    let folder = small(gateway, &slow_route(&held));
    let up = Up::ready(&folder, Ports { gateway, ..Ports::new() }, &[]);
    let asked = std::thread::spawn(move || http::ask(gateway, "GET", "/", &[], ""));
    until("the request arrives", || held.callee.count() == 1);
    up.signal(Signal::INT);
    up.event("the drain", |event| event["event"] == "draining");
    up.signal(Signal::INT);
    assert_eq!(up.ended().code(), Some(0));
    assert!(asked.join().unwrap().is_err());
}
