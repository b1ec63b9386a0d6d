//! One request, in order: the specification in code.
//!
//! The gate has let it through -> first matching route -> deadline -> cross-origin rules, direct response, redirect ->
//! rewrite, headers -> permits and tries, which the call's machine decides and [`bowline_call`] drives ->
//! first byte passed on: committed -> header operations of the answer, flags, trail.

use crate::access;
use crate::affinity;
use crate::body::{Body, Coming, Finish, Settling};
use crate::connection::{Connection, Next};
use crate::cross_origin;
use crate::flags::Flag;
use crate::gate::Answering;
use crate::grpc;
use crate::headers::{self, Introduction, Steering};
use crate::incoming::Incoming;
use crate::ledger::{Ledger, Listening};
use crate::mirror;
use crate::protocol::Protocol;
use crate::rate_fields;
use crate::reply::Reply;
use crate::snapshot::{Door, Entrance, PlannedEdge, Snapshot, Target, Way};
use crate::traced::Traced;
use crate::tunnel::Tunnel;
use bowline_call::{Answer, AnswerBody, Asker, Ended, HeadWriter, Http, Replay};
use bowline_design::Design;
use bowline_design::routing::{Action, Asked, Found, HeaderSide, Rewrite, Table, Weighted};
use bowline_fault::Then;
use bowline_model::decision::{DeadlineSource, Decision, FaultKind, Observer, TokenFault};
use bowline_model::{Deadline, Instant, Outcome, Priority, Random, SplitMix64, TraceContext};
use bowline_policy::{Ask, Try};
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, request};
use std::sync::Arc;

/// Answers one request of `connection`.
pub(crate) async fn answer(
    connection: &Connection,
    answering: Answering,
    request: Request<Incoming>,
) -> Response<Body> {
    let worker = connection.worker();
    let mut lent = worker.lend();
    let began = worker.clock().now();
    let snapshot = worker.snapshot();
    let (mut parts, incoming) = request.into_parts();
    let Some(entrance) = snapshot.entrance(connection.door(), connection.secured()) else {
        return own(Reply::no_route("listener gone").response("", false), answering, true);
    };
    entrance.tally.asked(connection.speaks());
    if parts.method == Method::CONNECT {
        let who = access::matters(&snapshot, connection.door())
            .then(|| access::process(worker.shared(), &parts.headers))
            .flatten();
        return proxied(connection, snapshot.table(entrance), &parts.uri, who, answering);
    }
    // It is for this hop, and is gone with what else is.
    let process = access::matters(&snapshot, connection.door())
        .then(|| connection.process().cloned().or_else(|| access::process(worker.shared(), &parts.headers)))
        .flatten();
    let switches = answering.may_switch() && headers::asks_for_websocket(&parts.headers);
    let steering = headers::receive(&mut parts.headers, entrance.trusted, connection.is_local());
    let scratch = lent.get();
    let recorder = worker.shared().recorder.as_deref();
    let traced = Traced::begin(&mut parts.headers, &steering, recorder, &mut scratch.random);
    let mut ledger = Ledger::open(connection, scratch, entrance, began, &parts, traced);
    ledger.explain = steering.explain;
    ledger.grpc = steering.grpc;
    ledger.process = process;
    ledger.notable = snapshot.is_faulty();

    // What a CONNECT named is where its tunnel leads, whatever is said in it.
    let aimed =
        connection.destination().unwrap_or_else(|| authority_of(&parts.uri, parts.headers.get(header::HOST)));
    let asked = Asked {
        method: &parts.method,
        path: parts.uri.path(),
        query: parts.uri.query(),
        scheme: connection.scheme(),
        authority: aimed,
        headers: &parts.headers,
        port: port_of(connection, aimed),
    };
    let table = snapshot.table(entrance);
    let found = table.find(&asked).and_then(|found| Some((found, entrance.way(&found)?)));
    let Some((found, way)) = found else {
        let missing = match table.host_of(asked.authority) {
            Some(_) => Reply::no_route("no route"),
            None if is_anothers(connection, &snapshot, entrance, asked.authority) => Reply::MISDIRECTED,
            None => Reply::no_route("unknown host"),
        };
        return reply(&mut ledger, &missing, "", &steering, answering);
    };
    ledger.route = Some(found.route);
    ledger.tally = &way.tally;

    let origin = found.route.cors.as_ref().and_then(|cors| cross_origin::allowed(cors, &parts.headers));
    if let Some(cors) = &found.route.cors
        && let Some(response) = cross_origin::preflight(cors, &parts.method, &parts.headers, origin.as_ref())
    {
        return made(&mut ledger, response, &HeaderSide::default(), Flag::None, answering);
    }
    let refused = match snapshot.tokens() {
        Some(tokens) if connection.door() != Door::Mesh => {
            match access::token(&mut ledger, tokens, &parts.headers).await {
                Ok(token) => {
                    ledger.token = token;
                    None
                }
                Err(fault) => Some(fault),
            }
        }
        _ => None,
    };
    let mut response = match (&found.route.action, refused) {
        (_, Some(fault)) => disbelieved(&mut ledger, fault, &steering, answering),
        (Action::Respond { status, body }, None) => {
            let response = plain(*status, body.clone());
            made(&mut ledger, response, &found.route.headers.response, Flag::None, answering)
        }
        (Action::Redirect(redirect), None) => {
            let mut response = plain(redirect.status, Bytes::new());
            if let Ok(location) = HeaderValue::from_str(&redirect.location(&asked, found.condition)) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            made(&mut ledger, response, &found.route.headers.response, Flag::None, answering)
        }
        (Action::Forward { rewrite, .. }, None) => {
            let design = snapshot.design();
            let forward = Forward { design, found, way, rewrite: rewrite.as_ref(), steering, switches };
            forward.run(&mut ledger, &mut parts, incoming, answering).await
        }
    };
    if let (Some(cors), Some(origin)) = (&found.route.cors, origin) {
        cross_origin::permit(cors, origin, response.headers_mut());
    }
    // HTTP/2 says it once for the connection.
    if worker.is_draining() && connection.speaks() == Protocol::Http1 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A request on its way to a destination.
struct Forward<'s> {
    design: &'s Design,
    found: Found<'s>,
    way: &'s Way,
    rewrite: Option<&'s Rewrite>,
    steering: Steering,
    /// Whether the caller asks for a WebSocket.
    switches: bool,
}

impl<'s> Forward<'s> {
    /// `parts` by reference: an async function keeps what it is given beside what it makes of it.
    async fn run<'l>(
        &self,
        ledger: &mut Ledger<'l>,
        parts: &mut request::Parts,
        incoming: Incoming,
        answering: Answering,
    ) -> Response<Body>
    where
        's: 'l,
    {
        let Some((weighted, target)) = self.pick(ledger.scratch.random.next_u64()) else {
            return reply(ledger, &Reply::NO_HOST, "", &self.steering, answering);
        };
        ledger.tally = &target.tally;

        if let Some(authority) = self.aim(weighted, parts) {
            parts.headers.insert(header::HOST, authority);
        }
        let planned = self.plan(weighted, target, &parts.method, parts.uri.path());
        ledger.to = Some((target, planned));
        if let Some(grants) = &planned.access
            && let Err(denied) = access::admit(ledger, self.design, planned, grants)
        {
            return self.reply(ledger, &denied, weighted, answering);
        }
        let Some((deadline, by)) = self.deadline(ledger, planned) else {
            return self.reply(ledger, &Reply::DOOMED, weighted, answering);
        };

        let trace = ledger.traced.context;
        let introduction = Introduction::new(
            &mut parts.headers,
            &self.steering,
            ledger.connection(),
            ledger.entrance.forward_client_cert,
            trace,
            &mut ledger.scratch.random,
        );
        let ops = &weighted.headers.request;
        let introduction = if ops.is_empty() && self.way.mirrors.is_empty() {
            Some(introduction)
        } else {
            // A rule may change what is said about the caller, too.
            introduction.insert(&mut parts.headers);
            ops.apply(&mut parts.headers);
            None
        };

        let mut now = ledger.began;
        if let Some(fault) = &self.found.route.fault {
            let scratch = &mut *ledger.scratch;
            let bits = (scratch.random.next_u64(), scratch.random.next_u64());
            let mut note =
                |at, fault| scratch.trail.decided(at, Decision::FaultInjected { number: 1, fault });
            let clock = scratch.alarm.clock();
            if let Some((_, delay)) = fault.delay.filter(|(percent, _)| percent.includes(bits.0)) {
                note(clock.now(), FaultKind::Delay(delay));
                planned.tally.fault(FaultKind::Delay(delay));
                ledger.notable = true;
                scratch.alarm.wait((clock.now() + delay).min(deadline.instant())).await;
                now = clock.now();
            }
            if let Some((_, then)) = fault.abort.filter(|(percent, _)| percent.includes(bits.1)) {
                let (status, grpc) = aborted(then);
                note(clock.now(), FaultKind::Abort(status));
                planned.tally.fault(FaultKind::Abort(status));
                ledger.notable = true;
                let response = injected(status, grpc);
                return made(ledger, response, &weighted.headers.response, Flag::FaultInjected, answering);
            }
        }
        if self.switches && target.endpoints.iter().any(|endpoint| endpoint.transport().http == Http::Two) {
            return self.reply(ledger, &Reply::NO_UPGRADE, weighted, answering);
        }
        if target.endpoints.is_empty() {
            let missing = if target.no_tls { &Reply::NO_TLS } else { &Reply::NO_HOST };
            return self.reply(ledger, missing, weighted, answering);
        }
        if self.steering.grpc && !target.http2 {
            return self.reply(ledger, &Reply::NO_HTTP2, weighted, answering);
        }

        let connection = ledger.connection();
        let worker = connection.worker();
        let scratch = &mut *ledger.scratch;
        let body = Replay::of(incoming, &worker.shared().allowance);
        let ask = Ask {
            now,
            deadline,
            deadline_by: by,
            repeatable: planned.idempotent.repeatable(&parts.method, self.steering.keyed),
            hosts: target.endpoints.len().min(usize::from(u16::MAX)) as u16,
            hash: planned
                .hash
                .as_ref()
                .and_then(|by| affinity::of(by, &parts.headers, &parts.uri, connection.caller())),
            arrived_try: self.steering.arrived_try,
            priority: self.steering.priority,
            seed: scratch.random.next_u64(),
        };
        let mirrored = mirror::prepare(&self.way.mirrors, parts, scratch.random.next_u64()).map(Box::new);
        let tries = planned.edge.policy().retry.tries;
        let mut outgoing = Outgoing {
            method: std::mem::take(&mut parts.method),
            target: std::mem::take(&mut parts.uri),
            headers: std::mem::take(&mut parts.headers),
            introduction,
            trace,
            grpc: self.steering.grpc.then(|| grpc::PerTry {
                until: self.steering.grpc_timeout.map_or(Instant::FAR, |span| ledger.began + span),
                previous: self.steering.grpc_previous,
            }),
            spare: std::mem::take(&mut scratch.spare),
            tries,
            arrived_try: self.steering.arrived_try,
            priority: self.steering.priority.or_else(|| planned.edge.policy().unusual_priority()),
            pending: planned.pending,
            believed: target.believed,
            switches: self.switches,
        };
        let rated = planned.edge.rate();
        let mut listening =
            Listening { trail: &mut scratch.trail, tally: &planned.tally, notable: &mut ledger.notable };
        let ended = worker
            .client()
            .call(
                &planned.edge,
                ask,
                &target.endpoints,
                &body,
                &mut outgoing,
                &mut scratch.alarm,
                &mut scratch.random,
                &mut listening,
            )
            .await;
        // The maps change places: the caller's is emptied for the next answer, the answer's
        // holds the next request once it is written.
        outgoing.headers.clear();
        scratch.spare = outgoing.headers;
        if let Some(mirrored) = mirrored {
            mirror::send(worker, *mirrored, body);
        }
        // The edge's stamp bounds the wait for an answer; an answer that has begun may take its time.
        let whole_by = if by == DeadlineSource::Edge { Instant::FAR } else { deadline.instant() };
        let mut response = self.pass_on(ledger, weighted, target.believed, ended, whole_by, answering);
        if let Some(rate) = rated {
            let now = ledger.connection().worker().clock().now();
            rate_fields::tell(&rate.standing(now), response.headers_mut());
        }
        response
    }

    fn pick(&self, random: u64) -> Option<(&'s Weighted, &'s Target)> {
        let destinations = self.found.route.destinations();
        let picked = self.found.route.pick(random)?;
        let index = destinations.iter().position(|weighted| std::ptr::eq(weighted, picked))?;
        Some((picked, self.way.targets.get(index)?))
    }

    /// Rewrites the target; the authority it goes out with, where that changes.
    fn aim(&self, weighted: &Weighted, parts: &mut request::Parts) -> Option<HeaderValue> {
        let own = parts.uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
        if let Some(origin) = headers::origin_form(&parts.uri) {
            parts.uri = origin;
        }
        if let Some(uri) = self.rewrite.and_then(|rewrite| rewrite.uri.as_ref()) {
            let path = uri.apply(parts.uri.path(), self.found.condition);
            let whole = match parts.uri.query() {
                Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
                None => PathAndQuery::try_from(&*path),
            };
            if let Ok(whole) = whole {
                parts.uri = Uri::from(whole);
            }
        }
        let written = self.rewrite.and_then(|rewrite| rewrite.authority.as_ref());
        let aimed = written.or(weighted.headers.authority.as_ref()).cloned().or(own);
        if aimed.is_some() || parts.headers.contains_key(header::HOST) {
            return aimed;
        }
        // Only HTTP/1.0 may come without; to the callee we speak 1.1.
        HeaderValue::from_str(self.design.service(weighted.destination.service).host()).ok()
    }

    fn plan(&self, weighted: &Weighted, target: &'s Target, method: &Method, path: &str) -> &'s PlannedEdge {
        let operation = self.design.service(weighted.destination.service).operation_for(method, path);
        let last = target.calls.len() - 1;
        &target.calls[operation.unwrap_or(last).min(last)]
    }

    /// The smallest deadline of all who speak; `None` where nothing is left of it.
    fn deadline(&self, ledger: &Ledger<'_>, planned: &PlannedEdge) -> Option<(Deadline, DeadlineSource)> {
        let allowance = ledger.connection().worker().shared().limits.hop_allowance;
        let incoming = match self.steering.remaining {
            Some(remaining) => Some((DeadlineSource::Incoming, remaining.checked_sub(allowance)?)),
            None => None,
        };
        let smallest = match (incoming, planned.deadline) {
            (Some(incoming), Some(planned)) if planned.1 < incoming.1 => Some(planned),
            (incoming, planned) => incoming.or(planned),
        };
        let stamp = || planned.stamp.map(|span| (DeadlineSource::Edge, span));
        Some(match smallest.or_else(stamp) {
            Some((by, span)) => (Deadline::after(ledger.began, span), by),
            None => (Deadline::NEVER, DeadlineSource::Nobody),
        })
    }

    /// Answers by ourselves, where the rule has picked its destination: its operations on answers hold for
    /// this one, too, as they do in Envoy.
    fn reply(
        &self,
        ledger: &mut Ledger<'_>,
        reply: &Reply,
        weighted: &Weighted,
        answering: Answering,
    ) -> Response<Body> {
        let whom = ledger.to.map_or("", |(_, planned)| &*planned.name);
        let response = reply.response(whom, self.steering.json);
        made(ledger, response, &weighted.headers.response, reply.flag, answering)
    }

    /// Who is told how a gRPC answer ended that has only begun.
    fn settling(&self, ledger: &mut Ledger<'_>) -> Option<Settling> {
        let (_, planned) = ledger.to.filter(|_| self.steering.grpc)?;
        let random = SplitMix64::new(ledger.scratch.random.next_u64());
        Some(Settling { tally: Arc::clone(&planned.tally), random })
    }

    /// The callee has granted what the caller asked for: from here on bytes go both ways.
    fn switch(
        &self,
        ledger: &mut Ledger<'_>,
        weighted: &Weighted,
        mut headers: HeaderMap,
        tunnel: Tunnel,
        at: Instant,
        answering: Answering,
    ) -> Response<Body> {
        // Something else than was asked for is no answer to it.
        if !headers::is_websocket(&headers) {
            return self.reply(ledger, &Reply::SWITCHED_ELSEWHERE, weighted, answering);
        }
        if !answering.grant_tunnel() {
            return self.reply(ledger, &Reply::TOO_EARLY, weighted, answering);
        }
        headers::return_answer(&mut headers, ledger.entrance.trusted, true);
        headers::apply_to_answer(&weighted.headers.response, &mut headers);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        explained(&mut headers, ledger.settle(101, Flag::None, true, at), ledger.explain);
        ledger.connection().follow(Next::Tunnel(tunnel));
        let mut response = Response::new(Body::whole(Bytes::new(), answering));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = headers;
        response
    }

    fn pass_on(
        &self,
        ledger: &mut Ledger<'_>,
        weighted: &Weighted,
        believed: bool,
        ended: Ended,
        whole_by: Instant,
        answering: Answering,
    ) -> Response<Body> {
        let Ended { end, at, answer, permit } = ended;
        let side = &weighted.headers.response;
        let exhausted = Reply::exhausted(&end);
        match answer {
            None => {
                let violation = answering.violation_status();
                let mut response = self.reply(ledger, &Reply::of(&end, violation), weighted, answering);
                say_exhausted(response.headers_mut(), exhausted);
                response
            }
            Some(Answer::Injected { status, grpc }) => {
                drop(permit);
                made(ledger, injected(status, grpc), side, Flag::FaultInjected, answering)
            }
            Some(Answer::Given { headers, body: AnswerBody::Switched(callee), .. }) => {
                let tunnel = Tunnel { callee, permit };
                self.switch(ledger, weighted, headers, tunnel, at, answering)
            }
            Some(Answer::Given { status, mut headers, body, .. }) => {
                headers::return_answer(&mut headers, ledger.entrance.trusted, believed);
                headers::apply_to_answer(side, &mut headers);
                say_exhausted(&mut headers, exhausted);
                let code = status.as_u16();
                let exhausted =
                    end.reason == bowline_model::decision::GiveUp::TriesExhausted && end.tries > 1;
                let flag = if exhausted { Flag::RetriesExhausted } else { Flag::None };
                let body = match body.passed_on() {
                    AnswerBody::Whole(bytes) => {
                        drop(permit);
                        explained(&mut headers, ledger.settle(code, flag, true, at), ledger.explain);
                        Body::whole(bytes, answering)
                    }
                    AnswerBody::Coming(relay) => {
                        explained(&mut headers, ledger.settle(code, flag, false, at), ledger.explain);
                        let worker = ledger.connection().worker();
                        let clock = worker.clock();
                        let finish = Finish {
                            tally: Arc::clone(ledger.tally),
                            status: code,
                            flag: Flag::DownstreamClosed,
                            began: ledger.began,
                            clock,
                            permit,
                            settling: self.settling(ledger),
                            untold: ledger.untold.take(),
                        };
                        let coming = Coming {
                            relay,
                            deadline: whole_by,
                            pause: worker.shared().limits.answer_pause,
                            paused_since: at,
                            alarm: bowline_call::Alarm::new(clock),
                            finish,
                        };
                        Body::coming(coming, answering)
                    }
                    AnswerBody::Switched(_) => Body::whole(Bytes::new(), answering),
                };
                let mut response = Response::new(body);
                *response.status_mut() = status;
                *response.headers_mut() = headers;
                response
            }
        }
    }
}

/// Answers a CONNECT: what follows is served here, as asked of the authority it names.
fn proxied(
    connection: &Connection,
    table: &Table,
    target: &Uri,
    who: Option<Arc<str>>,
    answering: Answering,
) -> Response<Body> {
    let authority = target.authority().map_or("", |authority| authority.as_str());
    let reply = if table.host_of(authority).is_none() {
        Reply::no_route("unknown host").response(authority, false)
    } else if answering.grant_tunnel() {
        connection.follow(Next::Proxied(authority.into(), who));
        Response::new(Bytes::new())
    } else {
        Reply::TOO_EARLY.response("", false)
    };
    own(reply, answering, false)
}

/// What goes out for each try.
struct Outgoing {
    method: Method,
    target: Uri,
    headers: HeaderMap,
    /// `None` where it is among the headers.
    introduction: Option<Introduction>,
    trace: TraceContext,
    /// Of a gRPC call.
    grpc: Option<grpc::PerTry>,
    /// For the answer's headers.
    spare: HeaderMap,
    tries: u32,
    arrived_try: u32,
    /// What the callee is told that it matters.
    priority: Option<Priority>,
    pending: bool,
    believed: bool,
    switches: bool,
}

impl Asker for Outgoing {
    fn write_head(&mut self, this: &Try, now: Instant, out: &mut HeadWriter<'_>) {
        let target = self.target.path_and_query().map_or("/", |target| target.as_str());
        if self.introduction.is_none() && 1 < this.number {
            headers::retrace(&mut self.headers, self.trace, this.number);
        }
        out.line(&self.method, target);
        out.fields(&self.headers);
        if self.switches {
            out.field(&header::CONNECTION, b"upgrade");
            out.field(&header::UPGRADE, b"websocket");
        }
        if let Some(introduction) = &self.introduction {
            introduction.write(this.number, out);
        }
        if let Some(grpc) = self.grpc {
            grpc.write(this, now, out);
        }
        if this.until != Instant::FAR {
            let left = bowline_policy::deadline::format_expected_ms(this.until.since(now));
            out.number(&headers::EXPECTED_MS, left);
        }
        // A hedge is a further try, also where nothing is retried.
        if 1 < self.tries.max(this.number) {
            out.number(&headers::TRY, u64::from(this.number));
        } else if 0 < self.arrived_try {
            out.number(&headers::TRY, u64::from(self.arrived_try));
        }
        if let Some(priority) = self.priority {
            out.field(&headers::PRIORITY, priority.as_str().as_bytes());
        }
    }

    fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    fn is_grpc(&self) -> bool {
        self.grpc.is_some()
    }

    fn switches(&self) -> bool {
        self.switches
    }

    fn spare_map(&mut self) -> HeaderMap {
        std::mem::take(&mut self.spare)
    }

    fn pending_allowed(&self) -> bool {
        self.pending
    }

    fn exhausted(&self, headers: &HeaderMap) -> bool {
        self.believed && headers.contains_key(&headers::EXHAUSTED)
    }

    fn named_outcome(&self, headers: &HeaderMap) -> Option<Outcome> {
        if !self.believed {
            return None;
        }
        Outcome::from_word(headers.get(&headers::OUTCOME)?.to_str().ok()?)
    }
}

/// Whether another server of this door has the host: browsers send its requests over this connection if our certificate
/// names it, too, and come again when they are told.
#[cold]
fn is_anothers(connection: &Connection, snapshot: &Snapshot, own: &Entrance, authority: &str) -> bool {
    let name = bowline_design::routing::host::without_port(authority);
    let other = connection.secured().and_then(|_| snapshot.named(connection.door(), Some(name)));
    other.is_some_and(|other| !std::ptr::eq(other, own))
}

/// The authority that a request names: in its target, or in `Host`.
fn authority_of<'a>(target: &'a Uri, host: Option<&'a HeaderValue>) -> &'a str {
    match target.authority() {
        Some(authority) => authority.as_str(),
        None => host.and_then(|host| host.to_str().ok()).unwrap_or_default(),
    }
}

/// The port that rules compare: a gateway's own; in the mesh the one that the authority names, or 80.
fn port_of(connection: &Connection, authority: &str) -> u16 {
    match connection.door() {
        Door::Gateway(bind) => bind.port(),
        Door::Mesh => bowline_design::routing::host::port_of(authority).unwrap_or(80),
    }
}

/// A response that a rule makes.
fn plain(status: u16, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

fn aborted(then: Then) -> (u16, Option<u8>) {
    match then {
        Then::Send => (200, None),
        Then::Abort { status } => (status, None),
        Then::AbortGrpc { code } => (200, Some(code)),
        Then::Drop => (503, None),
    }
}

/// The answer of a fault.
fn injected(status: u16, grpc: Option<u8>) -> Response<Bytes> {
    let mut response = plain(status, Bytes::from_static(b"fault injected\n"));
    let headers = response.headers_mut();
    headers.insert(&headers::REASON, HeaderValue::from_static("fault injected"));
    if let Some(code) = grpc {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", headers::number(u64::from(code)));
        *response.body_mut() = Bytes::new();
    }
    response
}

/// Answers by ourselves, with a reason.
fn reply(
    ledger: &mut Ledger<'_>,
    reply: &Reply,
    whom: &str,
    steering: &Steering,
    answering: Answering,
) -> Response<Body> {
    let response = reply.response(whom, steering.json);
    made(ledger, response, &HeaderSide::default(), reply.flag, answering)
}

/// Answers a caller whose token is not believed.
#[cold]
fn disbelieved(
    ledger: &mut Ledger<'_>,
    fault: TokenFault,
    steering: &Steering,
    answering: Answering,
) -> Response<Body> {
    let reply = access::refusal(fault);
    let mut response = reply.response("", steering.json);
    if let Some(challenge) = access::challenge(fault) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    made(ledger, response, &HeaderSide::default(), reply.flag, answering)
}

/// Settles an answer whose body is here.
fn made(
    ledger: &mut Ledger<'_>,
    mut response: Response<Bytes>,
    side: &HeaderSide,
    flag: Flag,
    answering: Answering,
) -> Response<Body> {
    headers::apply_to_answer(side, response.headers_mut());
    let now = ledger.connection().worker().clock().now();
    let id = ledger.settle(response.status().as_u16(), flag, true, now);
    explained(response.headers_mut(), id, ledger.explain);
    if ledger.grpc {
        grpc::shape(&mut response);
    }
    own(response, answering, false)
}

fn own(response: Response<Bytes>, answering: Answering, close: bool) -> Response<Body> {
    let mut response = response.map(|bytes| Body::whole(bytes, answering));
    if close {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Says to the layers before that the tries for this call, or the budget for them, are used up.
fn say_exhausted(headers: &mut HeaderMap, which: Option<&'static str>) {
    if let Some(which) = which {
        headers.insert(&headers::EXHAUSTED, HeaderValue::from_static(which));
    }
}

fn explained(headers: &mut HeaderMap, id: Option<u64>, asked: bool) {
    if let (Some(id), true) = (id, asked) {
        headers.insert(&headers::EXPLAIN_ID, headers::number(id));
    }
}
