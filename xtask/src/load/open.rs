//! Open loop: requests are due at fixed instants, whatever came back before.
//!
//! A request that finds no free connection waits, and its waiting counts: latency runs from the
//! instant it was due. A generator that waits for answers before it goes on would leave out exactly
//! the requests that a stall delays.

use super::connection::{Connection, Progress};
use super::percentile;
use crate::clock;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long after the last request answers are waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// The timer's own event; connections are their index.
const TIMER: u64 = u64::MAX;

/// Sends `rate` requests a second for `warm_up` and then `seconds`; latencies are of the latter, and so are the
/// good answers that came `within` the time after they were due.
pub(super) fn run(
    target: &SocketAddr,
    connections: usize,
    rate: u32,
    seconds: f64,
    warm_up: f64,
    within: Duration,
) -> io::Result<Value> {
    let interval = Duration::from_secs(1) / rate;
    let due_in_all = count((seconds + warm_up) * f64::from(rate));
    let unmeasured = count(warm_up * f64::from(rate));

    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut all = Vec::with_capacity(connections);
    for index in 0..connections {
        let connection = Connection::open(target)?;
        epoll::add(&poll, &connection.stream, EventData::new_u64(index as u64), EventFlags::IN)?;
        all.push(connection);
    }
    // A timer of the kernel's own: the timeout of a wait is rounded up by the slack of the thread,
    // 50 us unless told otherwise, which is a third of what is measured here.
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
    epoll::add(&poll, &timer, EventData::new_u64(TIMER), EventFlags::IN)?;
    let tick = Timespec { tv_sec: 0, tv_nsec: interval.as_nanos().try_into().unwrap_or(i64::MAX) };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: tick, it_value: tick })?;

    let start = clock::now();
    let due_at = |n: u64| start + interval.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX));
    let mut free: Vec<usize> = (0..connections).collect();
    let mut in_flight: Vec<Option<u64>> = vec![None; connections];
    let mut waiting: VecDeque<u64> = VecDeque::new();
    let (mut due, mut answered, mut failed, mut in_time) = (0, 0, 0, 0_u64);
    let mut latencies: Vec<u64> = Vec::with_capacity(usize::try_from(due_in_all).unwrap_or_default());
    let mut events = Vec::with_capacity(256);

    while answered < due_in_all {
        events.clear();
        match epoll::wait(&poll, spare_capacity(&mut events), None) {
            Ok(_) => (),
            Err(rustix::io::Errno::INTR) => continue,
            Err(e) => return Err(e.into()),
        }
        for event in &events {
            let id = event.data.u64();
            if id == TIMER {
                // How often it ticked does not matter: the clock below says what is due.
                let _ = rustix::io::read(&timer, &mut [0_u8; 8]);
                continue;
            }
            let index = usize::try_from(id).unwrap_or_default();
            if let Progress::Whole { good } = all[index].read()?
                && let Some(number) = in_flight[index].take()
            {
                answered += 1;
                failed += u64::from(!good);
                free.push(index);
                if number >= unmeasured {
                    let now = clock::now();
                    let took = now.saturating_duration_since(due_at(number));
                    in_time += u64::from(good && took <= within);
                    latencies.push(micros(due_at(number), now));
                }
            }
        }
        let now = clock::now();
        while due < due_in_all && due_at(due) <= now {
            waiting.push_back(due);
            due += 1;
        }
        while !waiting.is_empty()
            && let Some(index) = free.pop()
        {
            in_flight[index] = waiting.pop_front();
            all[index].send()?;
        }
        if now > due_at(due_in_all) + PATIENCE {
            return Err(io::Error::other(format!("{} answers never came", due_in_all - answered)));
        }
    }

    latencies.sort_unstable();
    let at = |share| percentile(&latencies, share);
    Ok(json!({
        "requests": due_in_all, "failed": failed, "good": in_time,
        "p50_us": at(0.5), "p99_us": at(0.99), "p999_us": at(0.999), "max_us": at(1.0),
    }))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of requests")]
fn count(requests: f64) -> u64 {
    requests.round() as u64
}

fn micros(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_micros()).unwrap_or(u64::MAX)
}
