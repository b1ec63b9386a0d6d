//! The same calls by the client that production calls with: real connections, a clock that is told to move.
//!
//! Why the clock does not move by itself. tokio's paused clock jumps to the next timer as soon as no task can
//! go on, and does not know of bytes that are on their way between two sockets. So it is moved by hand, a
//! millisecond at a time, and only when the world is quiet: every try that was sent has arrived, and every
//! answer that somebody waits for has been heard. Nothing here waits for real time.

use crate::script::{Fate, RESOLUTION, Script, Simulated};
use bowline_call::{Alarm, Asker, Client, Clock, Endpoints, HeadWriter, PoolLimits, Replay};
use bowline_model::decision::{FaultKind, Observer};
use bowline_model::{Decision, Instant, Outcome};
use bowline_policy::{Edge, Try};
use http::{HeaderMap, Method};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local, yield_now};

/// What each call decided.
pub(crate) fn decisions(script: &Script, calls: &[Simulated]) -> Vec<Vec<(Instant, Decision)>> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, go(script, calls))
}

async fn go(script: &Script, calls: &[Simulated]) -> Vec<Vec<(Instant, Decision)>> {
    let clock = Clock::start();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoints = [Endpoints::default().at(&listener.local_addr().unwrap().to_string())];
    let world =
        Rc::new(World { clock, script: script.clone(), tries: Cell::default(), trail: RefCell::default() });
    spawn_local(serve(Rc::clone(&world), listener));
    let client = Rc::new(Client::new(PoolLimits::default(), clock, 1));
    let edge = Edge::new(script.policy.clone());
    let mut all = Vec::new();
    for call in calls {
        world.until(call.ask.now).await;
        let (client, edge, endpoints, watching) =
            (Rc::clone(&client), Arc::clone(&edge), endpoints.clone(), Watching(Rc::clone(&world)));
        let (ask, mut random) = (call.ask, call.random.clone());
        let under_way = spawn_local(async move {
            let (mut alarm, mut watching) = (Alarm::new(clock), watching);
            let body = Replay::empty();
            let ended = client
                .call(&edge, ask, &endpoints, &body, &mut Get, &mut alarm, &mut random, &mut watching)
                .await;
            drop(ended);
        });
        loop {
            world.quiet().await;
            if under_way.is_finished() {
                break;
            }
            tokio::time::advance(RESOLUTION).await;
        }
        under_way.await.unwrap();
        all.push(world.trail.take());
    }
    all
}

/// What both sides know of each other.
struct World {
    clock: Clock,
    script: Script,
    tries: Cell<Tries>,
    trail: RefCell<Vec<(Instant, Decision)>>,
}

/// Tries are numbered from one, over all calls.
#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    begun: u32,
    /// How long faults hold the coming one back.
    held_back: Duration,
    /// Whether one of them keeps it from being sent.
    is_caught: bool,
    /// When the last of them is on its way; `None` if it never is.
    sent_at: Option<Instant>,
    ended: u32,
    /// The last that reached the callee.
    arrived: u32,
    /// The last whose answer, or whose end, is on its way back.
    answered: u32,
}

impl World {
    fn now(&self, change: impl FnOnce(&mut Tries)) {
        let mut tries = self.tries.get();
        change(&mut tries);
        self.tries.set(tries);
    }

    /// Whether everything that was said has been heard.
    fn is_quiet(&self) -> bool {
        let tries = self.tries.get();
        let is_sent = tries.ended < tries.begun && tries.sent_at.is_some_and(|at| at <= self.clock.now());
        let arrived = !is_sent || tries.arrived == tries.begun;
        arrived && tries.answered <= tries.ended
    }

    /// Lets everybody go on until it is quiet.
    async fn quiet(&self) {
        // Far more than a loaded machine needs to hand a few bytes from one socket to another.
        for _ in 0..50_000_000 {
            // A timer wakes a task, which tells another, which writes.
            for _ in 0..4 {
                yield_now().await;
            }
            if self.is_quiet() {
                return;
            }
        }
        panic!("nobody hears: {:?}", self.tries.get());
    }

    /// Nobody has anything to do until then.
    async fn until(&self, at: Instant) {
        self.quiet().await;
        tokio::time::advance(at.since(self.clock.now())).await;
        self.quiet().await;
        assert_eq!(self.clock.now(), at);
    }
}

/// Keeps a call's decisions, and knows by them when a try is on its way.
struct Watching(Rc<World>);

impl Observer for Watching {
    fn decided(&mut self, at: Instant, decision: Decision) {
        self.0.trail.borrow_mut().push((at, decision));
        self.0.now(|tries| match decision {
            // Told before the try that they strike.
            Decision::FaultInjected { fault: FaultKind::Delay(delay), .. } => tries.held_back = delay,
            Decision::FaultInjected { .. } => tries.is_caught = true,
            Decision::TryStarted { .. } => {
                let Tries { begun, held_back, is_caught, .. } = *tries;
                tries.begun = begun + 1;
                tries.sent_at = (!is_caught).then_some(at + held_back);
                (tries.held_back, tries.is_caught) = (Duration::ZERO, false);
            }
            Decision::TryEnded { .. } => tries.ended += 1,
            _ => (),
        });
    }
}

// === the callee ===

async fn serve(world: Rc<World>, listener: TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        spawn_local(serve_one(Rc::clone(&world), stream));
    }
}

async fn serve_one(world: Rc<World>, mut stream: TcpStream) {
    let mut request = Vec::new();
    loop {
        request.clear();
        while !request.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let number = world.tries.get().begun;
        let (after, fate) = world.script.fate(world.clock.now());
        world.now(|tries| tries.arrived = number);
        if !after.is_zero() {
            tokio::time::sleep(after).await;
        }
        // Who does not wait any more has closed the connection.
        if number <= world.tries.get().ended {
            return;
        }
        match fate {
            Fate::Answered(status) => {
                world.now(|tries| tries.answered = number);
                let answer = format!("HTTP/1.1 {status} So\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            Fate::Broken => return world.now(|tries| tries.answered = number),
            Fate::Forgotten => (),
        }
    }
}

/// Asks for `/`.
struct Get;

impl Asker for Get {
    fn write_head(&mut self, _: &Try, _: Instant, out: &mut HeadWriter<'_>) {
        out.line(&Method::GET, "/");
    }

    fn is_head(&self) -> bool {
        false
    }

    fn pending_allowed(&self) -> bool {
        false
    }

    fn named_outcome(&self, _: &HeaderMap) -> Option<Outcome> {
        None
    }
}
