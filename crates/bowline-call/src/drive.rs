//! The driver of a [`Call`]: does what the machine says and reports what it saw.
//!
//! Nothing is decided here. On [`Step::Send`] the driver breaks what is to be broken, finds a
//! connection, sends, and says how it ended; on [`Step::Sleep`] and [`Step::Wait`] it waits. Dropping
//! the future cancels: the connection of the try under way is closed, and the call gives back what it
//! holds.

use crate::alarm::Alarm;
use crate::ask::HeadWriter;
use crate::clock::Clock;
use crate::endpoint::Endpoint;
use crate::framing::{Framing, Head};
use crate::grpc;
use crate::hedging::Course;
use crate::http2;
use crate::pool::{Pool, PoolLimits, Spares};
use crate::pushback;
use crate::relay::{AnswerBody, From};
use crate::replay::Replay;
use crate::transport::Http;
use bowline_fault::Then;
use bowline_model::decision::{GiveUp, Observer, TryEnd};
use bowline_model::{Instant, Outcome, Random};
use bowline_policy::{Ask, Call, Edge, End, Permit, Report, Step, Try, classify};
use http::{HeaderMap, HeaderName, StatusCode};
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

/// One worker's client.
#[derive(Debug)]
pub struct Client {
    pool: Pool,
    clock: Clock,
}

/// Who asks: makes the request of each try, and may know better what an answer means.
pub trait Asker {
    /// Writes the head of `this` try, which is sent `now`: the request line and its fields. May be
    /// asked for more than once a try.
    fn write_head(&mut self, this: &Try, now: Instant, out: &mut HeadWriter<'_>);

    /// Whether the method is HEAD, whose answer has no body whatever it says.
    fn is_head(&self) -> bool;

    /// An empty map for the answer's fields: one that is at hand saves making one.
    fn spare_map(&mut self) -> HeaderMap {
        HeaderMap::new()
    }

    /// Whether the head asks for another protocol, so that 101 is an answer: then the connection is handed out.
    fn switches(&self) -> bool {
        false
    }

    /// Whether this is a gRPC call, whose status is told by its trailers.
    fn is_grpc(&self) -> bool {
        false
    }

    /// What a 202 means: accepted and not finished (`true`), or done.
    fn pending_allowed(&self) -> bool;

    /// Whether the answer says, and may be believed, that a layer behind has used up its tries for this call.
    fn exhausted(&self, _: &HeaderMap) -> bool {
        false
    }

    /// The outcome that the answer itself names, where it comes from somebody trusted.
    fn named_outcome(&self, headers: &HeaderMap) -> Option<Outcome>;
}

/// What came back.
#[derive(Debug)]
pub enum Answer {
    /// An endpoint answered.
    Given {
        /// The status.
        status: StatusCode,
        /// The headers.
        headers: HeaderMap,
        /// The body.
        body: AnswerBody,
        /// Index of the endpoint.
        host: u16,
    },
    /// A fault answered in its place.
    Injected {
        /// The HTTP status.
        status: u16,
        /// The gRPC code, where the fault is one of gRPC.
        grpc: Option<u8>,
    },
}

/// A call's end.
#[derive(Debug)]
#[must_use = "the permit must be held until the answer's body is through"]
pub struct Ended {
    /// How it ended.
    pub end: End,
    /// When.
    pub at: Instant,
    /// The last answer, if any try had one.
    pub answer: Option<Answer>,
    /// The place in the bulkhead.
    pub permit: Permit,
}

impl Client {
    /// A client without connections.
    #[must_use]
    pub fn new(limits: PoolLimits, clock: Clock, seed: u64) -> Self {
        Self { pool: Pool::new(limits, clock, seed), clock }
    }

    /// Its connections.
    #[must_use]
    pub const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Makes one call over `edge` to one of `endpoints`.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection of the try under way; whether that try had an effect
    /// is then unknown.
    #[expect(
        clippy::too_many_arguments,
        reason = "a call is made in one place, and each of these is its own thing"
    )]
    pub async fn call(
        &self,
        edge: &Arc<Edge>,
        ask: Ask,
        endpoints: &[Arc<Endpoint>],
        body: &Replay,
        asker: &mut impl Asker,
        alarm: &mut Alarm,
        rng: &mut impl Random,
        seen: &mut impl Observer,
    ) -> Ended {
        let (mut call, mut step) = Call::begin(edge, ask, rng, seen);
        let mut answer = None;
        // The clock is read when something was waited for, not before each step.
        let mut now = ask.now;
        loop {
            step = match step {
                Step::Wait { until } => {
                    let step = poll_fn(|cx| match call.poll_place(self.clock.now(), cx, rng, seen) {
                        Poll::Ready(step) => Poll::Ready(step),
                        Poll::Pending => {
                            alarm.poll(until, cx).map(|()| call.woke(self.clock.now(), rng, seen))
                        }
                    })
                    .await;
                    now = self.clock.now();
                    step
                }
                Step::Sleep { until } => {
                    if now < until {
                        alarm.wait(until).await;
                        now = self.clock.now();
                    }
                    call.woke(now, rng, seen)
                }
                Step::Send(this) if this.hedge_at < Instant::FAR => {
                    drop(answer.take());
                    let course = Course { call: &mut call, now, body, asker, alarm, rng, seen };
                    (step, answer, now) = self.hedged(this, endpoints, course).await;
                    step
                }
                Step::Send(this) => {
                    drop(answer.take());
                    let sent = match endpoints.get(usize::from(this.host)) {
                        Some(endpoint) => self.send(&this, now, endpoint, body, asker, alarm).await,
                        None => Sent::ended(TryEnd::ConnectFailed, now),
                    };
                    if body.is_too_large() {
                        call.forbid_retry(GiveUp::BodyTooLarge);
                    }
                    now = sent.at;
                    answer = sent.answer;
                    call.ended(now, sent.report, rng, seen)
                }
                // Only `hedged` has several under way, and it sees to all of them: here nobody would.
                Step::Watch { .. } => {
                    call.ended(now, Report::new(TryEnd::Cancelled, Outcome::Unknown), rng, seen)
                }
                Step::End(end) => return Ended { end, at: now, answer, permit: call.into_permit() },
            };
            // An answer that is followed by another try is not passed on; one whose body still comes
            // would hold its connection through the back-off.
            if is_still_coming(answer.as_ref()) && !matches!(step, Step::End(_)) {
                answer = None;
            }
        }
    }

    /// Sends one try, faults included.
    async fn send(
        &self,
        this: &Try,
        mut now: Instant,
        endpoint: &Arc<Endpoint>,
        body: &Replay,
        asker: &mut impl Asker,
        alarm: &mut Alarm,
    ) -> Sent {
        if let Some(delay) = this.injection.delay {
            let over = now + delay;
            alarm.wait(over.min(this.until)).await;
            now = self.clock.now();
            if over >= this.until {
                let deadline = this.until_is_deadline;
                let end = if deadline { TryEnd::DeadlineExceeded } else { TryEnd::TimedOut };
                return Sent::ended(end, now);
            }
        }
        if let Some(broken) = Sent::on_purpose(this.injection.then, now) {
            return broken;
        }
        let spares = self.pool.spares(endpoint);
        let connecting = Cell::new(false);
        let exchanged = {
            let exchanging = pin!(self.exchange(this, now, &spares, body, asker, &connecting));
            alarm.or_until(this.until, exchanging).await
        };
        now = self.clock.now();
        match exchanged {
            Some(Ok((head, from))) => self.answered(this, head, from, &spares, now, asker),
            Some(Err(end)) => Sent::ended(end, now),
            None => Sent::out_of_time(this, connecting.get(), body, now),
        }
    }

    /// The head of an answer is here.
    #[inline]
    pub(crate) fn answered(
        &self,
        this: &Try,
        head: Head,
        from: From,
        spares: &Rc<Spares>,
        now: Instant,
        asker: &impl Asker,
    ) -> Sent {
        let length = match head.framing {
            Framing::Nothing => Some(0),
            Framing::Length(length) => Some(length),
            Framing::Chunked | Framing::UntilClose => None,
        };
        let body = match head.status {
            StatusCode::SWITCHING_PROTOCOLS => AnswerBody::switched(from),
            _ => AnswerBody::new(from, length, spares, now),
        };
        let report = self.report(&head, &body, asker);
        let Head { status, headers, .. } = head;
        Sent { report, answer: Some(Answer::Given { status, headers, body, host: this.host }), at: now }
    }

    /// Its clock.
    pub(crate) const fn clock(&self) -> Clock {
        self.clock
    }

    /// Finds a connection and asks.
    pub(crate) async fn exchange(
        &self,
        this: &Try,
        now: Instant,
        spares: &Rc<Spares>,
        body: &Replay,
        asker: &mut impl Asker,
        connecting: &Cell<bool>,
    ) -> Result<(Head, From), TryEnd> {
        match spares.transport().http {
            Http::One => self.ask_alone(this, now, spares, body, asker, connecting).await,
            // Boxed, because every call carries the memory of both: unboxed, HTTP/1.1 would pay for moving it.
            Http::Two => Box::pin(self.ask_among_others(this, spares, body, asker, connecting)).await,
        }
    }

    /// Asks over HTTP/1.1. A spare connection that turns out dead before anything was sent on it is no try:
    /// the next one is taken, a fresh one at last.
    async fn ask_alone(
        &self,
        this: &Try,
        mut now: Instant,
        spares: &Spares,
        body: &Replay,
        asker: &mut impl Asker,
        connecting: &Cell<bool>,
    ) -> Result<(Head, From), TryEnd> {
        loop {
            let spare = spares.take(now);
            let fresh = spare.is_none();
            let mut connection = match spare {
                Some(connection) => connection,
                None => {
                    connecting.set(true);
                    // Boxed like HTTP/2: most calls find a connection.
                    let made = Box::pin(spares.connect(self.pool.expiry(spares, now))).await;
                    connecting.set(false);
                    now = self.clock.now();
                    made.map_err(|_| TryEnd::ConnectFailed)?
                }
            };
            let (to_head, switches, map) = (asker.is_head(), asker.switches(), asker.spare_map());
            let write = |out: &mut HeadWriter<'_>| asker.write_head(this, now, out);
            match connection.ask(write, body, to_head, switches, map).await {
                Ok(head) => return Ok((head, From::One(connection))),
                Err(TryEnd::ResetBeforeRequest) if !fresh && !body.is_too_large() => (),
                Err(end) => return Err(end),
            }
        }
    }

    /// Asks over HTTP/2. What surely never reached a callee is no try: a connection that had ended before
    /// anything of the request was sent, as often as that happens to one that was there before; a stream that
    /// the peer refused, once.
    async fn ask_among_others(
        &self,
        this: &Try,
        spares: &Rc<Spares>,
        body: &Replay,
        asker: &mut impl Asker,
        connecting: &Cell<bool>,
    ) -> Result<(Head, From), TryEnd> {
        let mut refused = false;
        let secure = spares.transport().tls.is_some();
        loop {
            connecting.set(true);
            let slot = spares.slot(|| self.pool.expiry(spares, self.clock.now())).await;
            connecting.set(false);
            let (slot, fresh) = slot.ok_or(TryEnd::ConnectFailed)?;
            let mut request = http2::Request::default();
            let mut writer = HeadWriter::http2(&mut request);
            asker.write_head(this, self.clock.now(), &mut writer);
            writer.end(body);
            match http2::ask(slot, request, body, secure).await {
                Ok((head, incoming)) => return Ok((head, From::Two(incoming))),
                Err(TryEnd::ResetBeforeRequest) if !fresh && !body.is_too_large() => (),
                Err(TryEnd::StreamRefused) if !refused && !body.is_too_large() => refused = true,
                Err(end) => return Err(end),
            }
        }
    }

    fn report(&self, head: &Head, body: &AnswerBody, asker: &impl Asker) -> Report {
        let named = asker.named_outcome(&head.headers);
        if asker.is_grpc() && head.status == StatusCode::OK {
            let mut report = report_grpc(head, body, named);
            report.exhausted = !report.begun && asker.exhausted(&head.headers);
            return report;
        }
        let end = TryEnd::Answered { status: head.status.as_u16() };
        let outcome = named.unwrap_or_else(|| classify::of(end, asker.pending_allowed()));
        let mut report = Report::new(end, outcome);
        if head.status.as_u16() >= 400 {
            report.pushback = pushback::of(&head.headers, || self.clock.wall());
            report.rate_limited = head.headers.contains_key(&RATE_LIMITED);
            report.exhausted = asker.exhausted(&head.headers);
        }
        report
    }
}

/// What an answer to a gRPC call says: its status, where that is here already, or that it is to come.
fn report_grpc(head: &Head, body: &AnswerBody, named: Option<Outcome>) -> Report {
    let trailers_only = head.framing == Framing::Nothing;
    let last = if trailers_only { Some(&head.headers) } else { body.trailers() };
    if last.is_none() && matches!(body, AnswerBody::Coming(_)) {
        let end = TryEnd::Answered { status: head.status.as_u16() };
        return Report { begun: true, ..Report::new(end, named.unwrap_or(Outcome::Pending)) };
    }
    let end = TryEnd::AnsweredGrpc { code: grpc::final_status(last), trailers_only };
    let mut report = Report::new(end, named.unwrap_or_else(|| classify::of(end, false)));
    report.pushback = last.and_then(grpc::pushback);
    report.rate_limited = head.headers.contains_key(&RATE_LIMITED);
    report
}

/// Envoy's mark on an answer of its rate limiter.
static RATE_LIMITED: HeaderName = HeaderName::from_static("x-envoy-ratelimited");

/// Whether the rest of an answer is still to come.
pub(crate) const fn is_still_coming(answer: Option<&Answer>) -> bool {
    matches!(answer, Some(Answer::Given { body: AnswerBody::Coming(_), .. }))
}

/// How one try went.
pub(crate) struct Sent {
    pub(crate) report: Report,
    pub(crate) answer: Option<Answer>,
    /// When it was over.
    pub(crate) at: Instant,
}

impl Sent {
    /// How a try ends that a fault answers, or drops.
    #[inline]
    pub(crate) fn on_purpose(then: Then, now: Instant) -> Option<Self> {
        match then {
            Then::Send => None,
            Then::Drop => Some(Self::ended(TryEnd::ConnectFailed, now)),
            Then::Abort { status } => Some(Self::injected(TryEnd::Answered { status }, status, None, now)),
            Then::AbortGrpc { code } => {
                let end = TryEnd::AnsweredGrpc { code, trailers_only: true };
                Some(Self::injected(end, 200, Some(code), now))
            }
        }
    }

    /// Its time is over.
    pub(crate) fn out_of_time(this: &Try, connecting: bool, body: &Replay, now: Instant) -> Self {
        // Time that ran out over connecting had no effect on anybody; the deadline stays a deadline.
        if connecting && !this.until_is_deadline {
            return Self::ended(TryEnd::ConnectFailed, now);
        }
        let end = if this.until_is_deadline { TryEnd::DeadlineExceeded } else { TryEnd::TimedOut };
        let mut sent = Self::ended(end, now);
        sent.report.callers_turn = body.is_callers_turn();
        sent
    }

    pub(crate) fn ended(end: TryEnd, at: Instant) -> Self {
        Self { report: Report::new(end, classify::of(end, false)), answer: None, at }
    }

    fn injected(end: TryEnd, status: u16, grpc: Option<u8>, at: Instant) -> Self {
        Self { answer: Some(Answer::Injected { status, grpc }), ..Self::ended(end, at) }
    }
}
