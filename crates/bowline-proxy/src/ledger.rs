//! What is noted about one request while it runs, and where it goes when it ends.
//!
//! A request that is dropped before its end (the caller went away) is noted as that, by `Drop`.

use crate::connection::Connection;
use crate::flags::Flag;
use crate::metrics::{CallTally, Tally};
use crate::protocol::Protocol;
use crate::scratch::Scratch;
use crate::snapshot::{Entrance, PlannedEdge, Target};
use crate::traced::Traced;
use crate::trails::{AccessTaken, Record, RouteTaken};
use crate::untold::Untold;
use bowline_design::resolved::access::{AccessRule, Token};
use bowline_design::routing::Route;
use bowline_model::decision::{Decision, GiveUp, Observer};
use bowline_model::{Instant, Trail};
use http::header::{self, HeaderValue};
use http::{Method, Uri, request};
use std::sync::Arc;
use std::time::Duration;

/// The status noted for a caller that went away before its answer: nginx's number for it.
pub(crate) const CLIENT_GONE: u16 = 499;

/// How much of a target and of an authority a record keeps: what people read. Strangers choose both, up to the
/// gate's limits, and a thousand records of those would weigh more than all the rest.
const SHOWN_BYTES_MAX: usize = 512;

/// One request's notes.
#[derive(Debug)]
pub(crate) struct Ledger<'r> {
    connection: &'r Connection,
    pub(crate) entrance: &'r Entrance,
    pub(crate) scratch: &'r mut Scratch,
    pub(crate) began: Instant,
    pub(crate) method: Method,
    target: Uri,
    authority: Option<HeaderValue>,
    pub(crate) traced: Traced,
    /// Whether the caller wants its trail's number.
    pub(crate) explain: bool,
    /// Whether it is a gRPC call, which wants answers of ours in its own form.
    pub(crate) grpc: bool,
    /// Whether something happened that is worth keeping even if all went well.
    pub(crate) notable: bool,
    pub(crate) route: Option<&'r Arc<Route>>,
    pub(crate) to: Option<(&'r Target, &'r PlannedEdge)>,
    /// The service whose process asks, at the mesh port.
    pub(crate) process: Option<Arc<str>>,
    /// The caller's token, once it was verified.
    pub(crate) token: Option<Arc<Token>>,
    /// The rule that let it through.
    pub(crate) granted: Option<&'r AccessRule>,
    /// Where it is counted.
    pub(crate) tally: &'r Arc<Tally>,
    /// What is told once the answer that has begun is through.
    pub(crate) untold: Option<Box<Untold>>,
    settled: bool,
}

impl<'r> Ledger<'r> {
    /// Begins the notes of a request.
    pub(crate) fn open(
        connection: &'r Connection,
        scratch: &'r mut Scratch,
        entrance: &'r Entrance,
        began: Instant,
        head: &request::Parts,
        traced: Traced,
    ) -> Self {
        scratch.trail.clear();
        Self {
            connection,
            entrance,
            scratch,
            began,
            method: head.method.clone(),
            target: head.uri.clone(),
            authority: head.headers.get(header::HOST).cloned(),
            traced,
            explain: false,
            grpc: false,
            notable: false,
            route: None,
            to: None,
            process: None,
            token: None,
            granted: None,
            tally: &entrance.unrouted,
            untold: None,
            settled: false,
        }
    }

    /// The connection it came by.
    pub(crate) const fn connection(&self) -> &'r Connection {
        self.connection
    }

    /// Notes the answer's status and what went wrong, and keeps the trail if somebody may ask about it:
    /// then its number. The request is counted now, unless its answer is still coming.
    pub(crate) fn settle(&mut self, status: u16, flag: Flag, count: bool, now: Instant) -> Option<u64> {
        self.settled = true;
        let worth_keeping = status >= 400 || self.notable || self.explain;
        if !count && !worth_keeping && !self.traced.recorded {
            return None;
        }
        let took = now.since(self.began);
        if count {
            self.tally.count(if status == CLIENT_GONE { 0 } else { status }, flag, took);
        }
        if !worth_keeping && !self.traced.recorded {
            return None;
        }
        let record = Record { through: count.then_some(took), ..self.record(status, flag, took) };
        self.tell(record, worth_keeping)
    }

    /// Tells whoever wants to know, now or when the answer is through; the number under which `explain` finds
    /// it.
    #[cold]
    fn tell(&mut self, record: Record, worth_keeping: bool) -> Option<u64> {
        let shared = self.connection.worker().shared();
        let through = record.through.is_some();
        let record = if worth_keeping { shared.trails.keep(record) } else { Arc::new(record) };
        let id = record.id;
        if !through {
            self.untold = Some(Untold::new(record, shared, self.traced.recorded));
        } else if let (Some(recorder), true) = (&shared.recorder, self.traced.recorded) {
            recorder.finished(record);
        }
        worth_keeping.then_some(id)
    }

    /// Who the caller has proved to be: by its certificate, by the token of its process, by one of an issuer.
    fn caller(&self) -> Option<Box<str>> {
        let identity = self.connection.identity().map(|identity| identity.to_string().into());
        let process = || self.process.as_deref().map(Box::from);
        let token =
            || self.token.as_ref().map(|token| token.subject.as_deref().unwrap_or("a token's bearer").into());
        identity.or_else(process).or_else(token)
    }

    #[cold]
    fn record(&self, status: u16, flag: Flag, took: Duration) -> Record {
        let shared = self.connection.worker().shared();
        let wall = shared.clock.wall().as_unix_nanos().saturating_sub(bowline_model::time::nanos(took));
        let authority = self.authority.as_ref().map(|value| String::from_utf8_lossy(value.as_bytes()));
        Record {
            id: 0,
            at: bowline_model::WallTime::from_unix_nanos(wall),
            began: self.began,
            method: self.method.clone(),
            target: shown(self.target.path_and_query().map_or("", |target| target.as_str())),
            authority: shown(&authority.unwrap_or_default()),
            status,
            took,
            through: None,
            flag,
            speaks: self.connection.speaks(),
            callee: self.to.map(|(target, _)| if target.http2 { Protocol::Http2 } else { Protocol::Http1 }),
            listener: Arc::clone(&self.entrance.name),
            caller: self.caller(),
            access: self
                .granted
                .map(|rule| AccessTaken { name: Arc::clone(&rule.name), place: rule.place.clone() }),
            route: self
                .route
                .map(|route| RouteTaken { name: Arc::clone(&route.name), place: route.place.clone() }),
            destination: self.to.map(|(_, planned)| planned.name.clone()),
            hosts: self
                .to
                .map_or_else(|| Arc::new([]) as Arc<[_]>, |(target, _)| Arc::clone(&target.addresses)),
            grpc: self.grpc,
            trace: self.traced.context.trace,
            span: self.traced.context.parent,
            parent: self.traced.parent,
            trail: self.scratch.trail.clone(),
        }
    }
}

/// What of `text` is kept.
fn shown(text: &str) -> Box<str> {
    text[..text.floor_char_boundary(SHOWN_BYTES_MAX)].into()
}

impl Drop for Ledger<'_> {
    fn drop(&mut self) {
        if !self.settled {
            let now = self.connection.worker().clock().now();
            let gone = Decision::GaveUp { reason: GiveUp::Cancelled, remaining: Duration::ZERO };
            self.scratch.trail.decided(now, gone);
            self.settle(CLIENT_GONE, Flag::DownstreamClosed, true, now);
        }
    }
}

/// Listens to a call's decisions: records them, counts what is counted.
pub(crate) struct Listening<'a> {
    pub(crate) trail: &'a mut Trail,
    pub(crate) tally: &'a CallTally,
    pub(crate) notable: &'a mut bool,
}

impl Observer for Listening<'_> {
    fn decided(&mut self, at: Instant, decision: Decision) {
        self.trail.decided(at, decision);
        match decision {
            Decision::FaultInjected { fault, .. } => {
                self.tally.fault(fault);
                *self.notable = true;
            }
            Decision::BreakerMoved { to, .. } => self.tally.moved(to),
            Decision::RetryScheduled { .. } | Decision::HedgeSent { .. } => *self.notable = true,
            _ => (),
        }
    }
}
