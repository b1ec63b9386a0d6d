//! Constant load: callers that never stop asking, half of them on connections that stay, half on a new
//! one for each request. Every request that is not answered 200 is a failure, and says why.

use crate::clock::{self, pause};
use crate::http::Caller;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two requests of one caller: load enough to meet every moment of a change, not enough to
/// fill two cores.
const THINK: Duration = Duration::from_millis(1);

pub(crate) struct Load {
    shared: Arc<Shared>,
    callers: Vec<JoinHandle<Told>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    answered: AtomicU64,
}

/// What the callers saw.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Answers, by their bodies.
    pub(crate) bodies: BTreeMap<String, u64>,
    /// Requests without an answer, or with another one than 200.
    pub(crate) failures: Vec<String>,
}

impl Load {
    pub(crate) fn start(port: u16, path: &'static str) -> Self {
        let shared: Arc<Shared> = Arc::default();
        let caller = |stays: bool| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || call(port, path, stays, &shared))
        };
        let callers = [true, false, true, false].map(caller).into();
        Self { shared, callers }
    }

    /// Waits until this many more requests were answered.
    #[track_caller]
    pub(crate) fn goes_on(&self, more: u64) {
        let enough = self.shared.answered.load(Ordering::Relaxed) + more;
        clock::until("the load goes on", || self.shared.answered.load(Ordering::Relaxed) >= enough);
    }

    pub(crate) fn finish(self) -> Told {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut all = Told::default();
        for caller in self.callers {
            let told = caller.join().unwrap();
            for (body, count) in told.bodies {
                *all.bodies.entry(body).or_default() += count;
            }
            all.failures.extend(told.failures);
        }
        all
    }
}

impl Told {
    /// Fails if one request did.
    #[track_caller]
    pub(crate) fn is_well(&self, when: &str) {
        let answered: u64 = self.bodies.values().sum();
        println!("{answered} requests {when}");
        let failures = &self.failures;
        assert!(
            failures.is_empty(),
            "{} failed beside {answered} {when}, the first: {:?}",
            failures.len(),
            failures[0]
        );
    }
}

fn call(port: u16, path: &str, stays: bool, shared: &Shared) -> Told {
    let mut told = Told::default();
    let mut kept: Option<Caller> = None;
    while !shared.stop.load(Ordering::Relaxed) {
        let how = if kept.is_some() { "on a connection that stays" } else { "on a new connection" };
        let asked = kept.take().map_or_else(|| Caller::connect(port), Ok).and_then(|mut caller| {
            let answer = caller.ask("GET", path, &[], "")?;
            Ok((caller, answer))
        });
        match asked {
            Ok((caller, answer)) if answer.status() == 200 => {
                *told.bodies.entry(answer.text()).or_default() += 1;
                shared.answered.fetch_add(1, Ordering::Relaxed);
                kept = (stays && !answer.is_last()).then_some(caller);
            }
            Ok((_, answer)) => told.failures.push(format!("{how}: {} {}", answer.start, answer.text())),
            Err(error) => told.failures.push(format!("{how}: {error}")),
        }
        pause(THINK);
    }
    told
}
