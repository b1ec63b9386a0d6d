//! What a record becomes: a server span for the request, a client span for each try.
//!
//! Decisions about one try are attributes of its span; those about the request are attributes or events of the
//! request's. Their words are those of `explain`.

use crate::guards::{self, GuardCall};
use crate::names::{self, events};
use bowline_model::decision::{Decision, TryEnd};
use bowline_model::{Instant, TraceContext};
use bowline_proxy::{Protocol, Record};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The status a record has where the caller went away before its answer; nobody ever saw it.
const CLIENT_GONE: u16 = 499;

/// What spans are made of.
#[derive(Clone, Debug)]
pub enum Told {
    /// A request that the proxy answered.
    Request(Arc<Record>),
    /// A call of a linked library's guard.
    Guard(Box<GuardCall>),
}

/// The spans of what was told as one request to a collector: those of requests as `service`'s, a guard's as its own
/// service's.
#[must_use]
pub fn batch(service: &str, told: &[Told]) -> ExportTraceServiceRequest {
    let mut by_service: Vec<(&str, Vec<Span>)> = Vec::new();
    for told in told {
        let (whose, spans) = match told {
            Told::Request(record) => (service, spans(record)),
            Told::Guard(call) => (&*call.service, guards::spans(call)),
        };
        match by_service.iter_mut().find(|(known, _)| *known == whose) {
            Some((_, known)) => known.extend(spans),
            None => by_service.push((whose, spans)),
        }
    }
    let resource_spans = by_service.into_iter().map(|(service, spans)| of_service(service, spans)).collect();
    ExportTraceServiceRequest { resource_spans }
}

fn of_service(service: &str, spans: Vec<Span>) -> ResourceSpans {
    let attributes = vec![
        text(names::SERVICE_NAME, service),
        text(names::SDK_NAME, "bowline"),
        text(names::SDK_LANGUAGE, "rust"),
        text(names::SDK_VERSION, env!("CARGO_PKG_VERSION")),
    ];
    let scope = InstrumentationScope {
        name: "bowline".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    ResourceSpans {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }
}

/// The spans of one record: its own, then its tries' in order.
#[must_use]
pub fn spans(record: &Record) -> Vec<Span> {
    let mut story = Story::new(record);
    for (at, decision) in record.trail.decisions() {
        story.tell(*at, *decision);
    }
    story.end()
}

/// The spans of a record, while its decisions are read.
struct Story<'r> {
    record: &'r Record,
    request: Span,
    tries: Vec<TrySpan>,
    /// What was decided about a try that has not begun yet.
    coming: Vec<KeyValue>,
    grpc: Option<u8>,
}

struct TrySpan {
    number: u32,
    begun: bool,
    span: Span,
}

impl<'r> Story<'r> {
    fn new(record: &'r Record) -> Self {
        let mut request = span(record, record.span, record.parent);
        request.kind = SpanKind::Server.into();
        request.name = named(record, record.route.as_ref().map(|route| &*route.name));
        request.start_time_unix_nano = record.at.as_unix_nanos();
        request.end_time_unix_nano = record.at.as_unix_nanos() + nanos(record.through.unwrap_or(record.took));
        let to = &mut request.attributes;
        asked(record, to);
        let (path, query) = split_target(&record.target);
        to.push(text(names::PATH, path));
        to.extend(query.map(|query| text(names::QUERY, query)));
        to.push(text(names::SCHEME, "http"));
        to.push(text(names::PROTOCOL_VERSION, version(record.speaks)));
        server(&record.authority, to);
        to.push(text(names::LISTENER, &record.listener));
        if let Some(route) = &record.route {
            to.push(text(names::ROUTE, &route.name));
            to.push(text(names::ROUTE_PLACE, &format!("{}:{}", route.place.file, route.place.line)));
        }
        to.extend(record.destination.as_deref().map(|name| text(names::DESTINATION, name)));
        Self { record, request, tries: Vec::new(), coming: Vec::new(), grpc: None }
    }

    /// Takes one decision in.
    fn tell(&mut self, at: Instant, decision: Decision) {
        match decision {
            Decision::DeadlineSet { remaining, by } => {
                self.request.attributes.push(millis(names::DEADLINE, remaining));
                self.request.attributes.push(text(names::DEADLINE_BY, by.as_str()));
            }
            Decision::Queued { ahead, wait, priority } => {
                let told = vec![
                    number(names::AHEAD, ahead),
                    millis(names::REMAINING, wait),
                    text(names::PRIORITY, priority.as_str()),
                ];
                self.happened(at, events::QUEUED, told);
            }
            Decision::Admitted { running } => {
                self.happened(at, events::ADMITTED, vec![number(names::RUNNING, running)]);
            }
            Decision::Doomed { remaining, median } => {
                let told = vec![millis(names::REMAINING, remaining), millis(names::MEDIAN, median)];
                self.happened(at, events::DOOMED, told);
            }
            Decision::Throttled { requests, accepts } => {
                let told = vec![
                    number(names::ADMISSION_REQUESTS, requests),
                    number(names::ADMISSION_ACCEPTS, accepts),
                ];
                self.happened(at, events::THROTTLED, told);
            }
            Decision::BreakerPassed { state, failures, calls } => self.coming.extend([
                text(names::BREAKER_STATE, state.as_str()),
                number(names::BREAKER_FAILURES, failures),
                number(names::BREAKER_CALLS, calls),
            ]),
            Decision::BreakerRefused { state, retry_after } => {
                let told =
                    vec![text(names::BREAKER_STATE, state.as_str()), millis(names::RETRY_AFTER, retry_after)];
                self.happened(at, events::BREAKER_REFUSED, told);
            }
            Decision::BreakerMoved { from, to, why } => {
                let told = vec![
                    text(names::BREAKER_FROM, from.as_str()),
                    text(names::BREAKER_STATE, to.as_str()),
                    text(names::BREAKER_WHY, why.as_str()),
                ];
                self.happened(at, events::BREAKER_MOVED, told);
            }
            Decision::FaultInjected { number: of, fault } => {
                let told = vec![text(names::FAULT, fault.as_str()), number(names::TRY, of)];
                self.happened(at, events::FAULT, told);
            }
            Decision::HostPicked { number: of, why, pending, .. } => self
                .of_try(of)
                .attributes
                .extend([text(names::HOST_WHY, why.as_str()), number(names::HOST_PENDING, pending)]),
            Decision::HostEjected { host, why, span } => {
                let mut told = vec![text(names::HOST_WHY, why.as_str()), millis(names::HOST_OUT, span)];
                told.extend(self.host(host).map(|host| text(names::HOST, host)));
                self.happened(at, events::HOST_EJECTED, told);
            }
            Decision::HostSpared { host, why, because } => {
                let mut told =
                    vec![text(names::HOST_WHY, why.as_str()), text(names::HOST_SPARED, because.as_str())];
                told.extend(self.host(host).map(|host| text(names::HOST, host)));
                self.happened(at, events::HOST_SPARED, told);
            }
            Decision::TryStarted { number, host, within } => self.begin_try(at, number, host, within),
            Decision::TryEnded { number, outcome, end, .. } => {
                let at = self.wall(at);
                let span = self.of_try(number);
                // A gRPC answer ends twice: with its head, and with the trailers, which know better.
                span.attributes.retain(|attribute| !ENDING.contains(&&*attribute.key));
                span.status = None;
                span.end_time_unix_nano = at;
                span.attributes.push(text(names::OUTCOME, outcome.as_str()));
                span.attributes.push(text(names::END, end.as_str()));
                ended(end, span);
                if let TryEnd::AnsweredGrpc { code, .. } = end {
                    self.grpc = Some(code);
                }
            }
            Decision::RetryScheduled { number: of, after, why } => {
                let told = [text(names::RETRY_WHY, why.as_str()), millis(names::RETRY_AFTER, after)];
                self.of_try(of).attributes.extend(told.clone());
                let mut told = told.to_vec();
                told.push(number(names::TRY, of));
                self.happened(at, events::RETRY, told);
            }
            Decision::HedgeSent { number: of, waited } => {
                let told = [millis(names::HEDGE_WAITED, waited)];
                self.of_try(of).attributes.extend(told.clone());
                let mut told = told.to_vec();
                told.push(number(names::TRY, of));
                self.happened(at, events::HEDGE, told);
            }
            Decision::HedgeWithheld { why } => {
                self.happened(at, events::HEDGE_WITHHELD, vec![text(names::HEDGE_WHY, why.as_str())]);
            }
            Decision::GaveUp { reason, remaining } => {
                let told = vec![text(names::GIVE_UP, reason.as_str()), millis(names::REMAINING, remaining)];
                self.request.attributes.push(told[0].clone());
                self.happened(at, events::GAVE_UP, told);
            }
            // A decision that is newer than this crate is still in `explain`.
            _ => (),
        }
    }

    fn begin_try(&mut self, at: Instant, number: u32, host: u16, within: Duration) {
        let (at, host) = (self.wall(at), self.host(host));
        let coming = std::mem::take(&mut self.coming);
        let span = self.of_try(number);
        span.start_time_unix_nano = at;
        span.attributes.extend(coming);
        if within < FOREVER {
            span.attributes.push(millis(names::TRY_WITHIN, within));
        }
        if let Some(host) = host {
            server(host, &mut span.attributes);
            if let Ok(address) = host.parse::<SocketAddr>() {
                span.attributes.push(text(names::PEER_ADDRESS, &address.ip().to_string()));
                span.attributes.push(count(names::PEER_PORT, u64::from(address.port())));
            }
        }
        if let Some(of) = self.tries.iter_mut().find(|of| of.number == number) {
            of.begun = true;
        }
    }

    /// The span of try `number`, which may be about to begin.
    fn of_try(&mut self, number: u32) -> &mut Span {
        let index = self.tries.iter().position(|of| of.number == number).unwrap_or_else(|| {
            let record = self.record;
            let own = TraceContext { trace: record.trace, parent: record.span, flags: 1 };
            let mut span = span(record, own.of_try(number).parent, Some(record.span));
            span.kind = SpanKind::Client.into();
            span.name = named(record, record.destination.as_deref());
            asked(record, &mut span.attributes);
            span.attributes.extend(record.destination.as_deref().map(|name| text(names::DESTINATION, name)));
            span.attributes
                .extend(record.callee.map(|callee| text(names::PROTOCOL_VERSION, version(callee))));
            span.attributes.push(count(names::TRY, u64::from(number)));
            if 1 < number && !record.grpc {
                span.attributes.push(count(names::RESEND_COUNT, u64::from(number - 1)));
            }
            self.tries.push(TrySpan { number, begun: false, span });
            self.tries.len() - 1
        });
        &mut self.tries[index].span
    }

    fn happened(&mut self, at: Instant, name: &str, attributes: Vec<KeyValue>) {
        let event = Event {
            time_unix_nano: self.wall(at),
            name: name.to_owned(),
            attributes,
            dropped_attributes_count: 0,
        };
        self.request.events.push(event);
    }

    fn host(&self, index: u16) -> Option<&'r str> {
        self.record.hosts.get(usize::from(index)).map(|host| &**host)
    }

    fn wall(&self, at: Instant) -> u64 {
        self.record.at.as_unix_nanos() + nanos(at.since(self.record.began))
    }

    fn end(mut self) -> Vec<Span> {
        let record = self.record;
        let end = self.request.end_time_unix_nano;
        // A try that was scheduled and never began is an event of the request and no span.
        self.tries.retain(|of| of.begun);
        let to = &mut self.request.attributes;
        to.push(count(names::TRIES, self.tries.len() as u64));
        if record.flag != bowline_proxy::Flag::None {
            to.push(text(names::FLAG, record.flag.as_str()));
        }
        if record.id > 0 {
            to.push(count(names::EXPLAIN_ID, record.id));
        }
        if record.trail.dropped() > 0 {
            to.push(number(names::UNTOLD, record.trail.dropped()));
        }
        match (record.status, self.grpc) {
            (CLIENT_GONE, _) => to.push(text(names::ERROR_TYPE, "cancelled")),
            (200, Some(code)) => answered_grpc(code, &mut self.request, is_grpc_server_error(code)),
            (status, _) => answered(status, &mut self.request, 500 <= status),
        }
        let mut spans = vec![self.request];
        for TrySpan { mut span, .. } in self.tries {
            if span.end_time_unix_nano == 0 {
                span.end_time_unix_nano = end.max(span.start_time_unix_nano);
            }
            spans.push(span);
        }
        spans
    }
}

/// What is said of a try's end.
const ENDING: [&str; 5] = [names::OUTCOME, names::END, names::STATUS, names::RPC_STATUS, names::ERROR_TYPE];

/// A protocol as the conventions write it.
const fn version(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http1 => "1.1",
        Protocol::Http2 => "2",
    }
}

/// Longer than this is no limit.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// A span of the record's trace.
fn span(record: &Record, id: u64, parent: Option<u64>) -> Span {
    Span {
        trace_id: record.trace.to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id: parent.map_or_else(Vec::new, |parent| parent.to_be_bytes().to_vec()),
        // Sampled, as its `traceparent` said.
        flags: 1,
        ..Span::default()
    }
}

/// What a span is called: few names for many requests, so never a path.
fn named(record: &Record, target: Option<&str>) -> String {
    if record.grpc {
        return rpc_method(record).to_owned();
    }
    let method = known_method(record).unwrap_or("HTTP");
    target.map_or_else(|| method.to_owned(), |target| format!("{method} {target}"))
}

fn known_method(record: &Record) -> Option<&str> {
    names::METHODS.into_iter().find(|known| *known == record.method.as_str())
}

fn rpc_method(record: &Record) -> &str {
    split_target(&record.target).0.trim_start_matches('/')
}

/// What was asked for.
fn asked(record: &Record, to: &mut Vec<KeyValue>) {
    if record.grpc {
        to.push(text(names::RPC_SYSTEM, names::GRPC));
        to.push(text(names::RPC_METHOD, rpc_method(record)));
        return;
    }
    let known = known_method(record);
    to.push(text(names::METHOD, known.unwrap_or(names::OTHER)));
    if known.is_none() {
        to.push(text(names::METHOD_ORIGINAL, record.method.as_str()));
    }
}

/// Host and port of an authority.
fn server(authority: &str, to: &mut Vec<KeyValue>) {
    if authority.is_empty() {
        return;
    }
    let port = authority.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    match port {
        Some((host, port)) => {
            to.push(text(names::SERVER_ADDRESS, host));
            to.push(count(names::SERVER_PORT, u64::from(port)));
        }
        None => to.push(text(names::SERVER_ADDRESS, authority)),
    }
}

/// How a try ended.
fn ended(end: TryEnd, span: &mut Span) {
    match end {
        TryEnd::Answered { status } => answered(status, span, 400 <= status),
        TryEnd::AnsweredGrpc { code, .. } => answered_grpc(code, span, code != 0),
        // One that was outrun is no error: its call was answered.
        TryEnd::Returned | TryEnd::Outrun => (),
        _ => failed(end.as_str(), span),
    }
}

fn answered(status: u16, span: &mut Span, is_error: bool) {
    span.attributes.push(count(names::STATUS, u64::from(status)));
    if is_error {
        failed(&status.to_string(), span);
    }
}

fn answered_grpc(code: u8, span: &mut Span, is_error: bool) {
    let name = names::GRPC_STATUSES.get(usize::from(code)).copied().unwrap_or("UNKNOWN");
    span.attributes.push(text(names::RPC_STATUS, name));
    if is_error {
        failed(name, span);
    }
}

/// Whether a gRPC status is the server's fault (conventions for gRPC, "Server"): UNKNOWN, DEADLINE_EXCEEDED,
/// UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS.
const fn is_grpc_server_error(code: u8) -> bool {
    matches!(code, 2 | 4 | 12 | 13 | 14 | 15)
}

fn failed(what: &str, span: &mut Span) {
    span.attributes.push(text(names::ERROR_TYPE, what));
    span.status = Some(Status { message: String::new(), code: StatusCode::Error.into() });
}

fn split_target(target: &str) -> (&str, Option<&str>) {
    target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)))
}

fn nanos(span: Duration) -> u64 {
    bowline_model::time::nanos(span)
}

pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.to_owned()))
}

pub(crate) fn count(key: &str, value: u64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn number(key: &str, value: u32) -> KeyValue {
    count(key, u64::from(value))
}

/// Milliseconds, with their fraction: a back-off of 400 us is not none.
pub(crate) fn millis(key: &str, value: Duration) -> KeyValue {
    attribute(key, any_value::Value::DoubleValue(value.as_secs_f64() * 1e3))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// What a span says under `key`, as text.
#[cfg(test)]
pub(crate) fn attribute_of(span: &Span, key: &str) -> Option<String> {
    let attribute = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match attribute.value.clone()?.value? {
        any_value::Value::StringValue(text) => Some(text),
        any_value::Value::IntValue(number) => Some(number.to_string()),
        any_value::Value::DoubleValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bowline_model::decision::{BreakerState, GiveUp, Observer, RetryWhy};
    use bowline_model::{Outcome, Trail, WallTime};

    /// A GET that went to inventory.
    pub(crate) fn record() -> Record {
        Record {
            id: 0,
            at: WallTime::from_unix_nanos(1_000_000_000),
            began: Instant::from_millis(5),
            method: http::Method::GET,
            target: "/orders/7?full=1".into(),
            authority: "shop.test:8080".into(),
            status: 200,
            took: Duration::from_millis(40),
            through: Some(Duration::from_millis(40)),
            speaks: Protocol::Http1,
            callee: Some(Protocol::Http2),
            flag: bowline_proxy::Flag::None,
            caller: None,
            access: None,
            listener: "shop/gate".into(),
            route: None,
            destination: Some("inventory.stock".into()),
            hosts: Arc::new([Arc::from("127.0.0.1:7001"), Arc::from("127.0.0.2:7001")]),
            grpc: false,
            trace: 0xaa,
            span: 0xbb,
            parent: Some(0xcc),
            trail: Trail::default(),
        }
    }

    fn value(span: &Span, key: &str) -> String {
        attribute_of(span, key).unwrap_or_else(|| "None".to_owned())
    }

    fn tried_twice() -> Record {
        let mut record = record();
        let started = |number| Decision::TryStarted {
            number,
            host: number as u16 - 1,
            within: Duration::from_millis(9),
        };
        let ended = |number, outcome, end| Decision::TryEnded {
            number,
            outcome,
            end,
            took: Duration::from_millis(2),
        };
        for (at, decision) in [
            (5, Decision::BreakerPassed { state: BreakerState::HalfOpen, failures: 3, calls: 9 }),
            (6, started(1)),
            (8, ended(1, Outcome::Refused, TryEnd::ConnectFailed)),
            (
                8,
                Decision::RetryScheduled {
                    number: 2,
                    after: Duration::from_millis(20),
                    why: RetryWhy::Refused,
                },
            ),
            (28, started(2)),
            (30, ended(2, Outcome::Succeeded, TryEnd::Answered { status: 200 })),
            (30, Decision::GaveUp { reason: GiveUp::Done, remaining: Duration::from_millis(100) }),
        ] {
            record.trail.decided(Instant::from_millis(at), decision);
        }
        record
    }

    #[test]
    fn a_request_is_a_server_span_and_each_try_a_client_span_below_it() {
        let spans = spans(&tried_twice());
        let [request, first, second] = &spans[..] else { panic!("{spans:#?}") };
        assert_eq!(request.kind(), SpanKind::Server);
        assert_eq!(request.parent_span_id, 0xcc_u64.to_be_bytes());
        assert_eq!(
            (value(request, names::PATH), value(request, names::QUERY)),
            ("/orders/7".into(), "full=1".into())
        );
        assert_eq!(
            (value(request, names::SERVER_ADDRESS), value(request, names::SERVER_PORT)),
            ("shop.test".into(), "8080".into())
        );
        assert_eq!(value(request, names::TRIES), "2");
        assert_eq!(value(request, names::GIVE_UP), "done");
        for (index, span) in [first, second].into_iter().enumerate() {
            assert_eq!(span.kind(), SpanKind::Client);
            assert_eq!(span.name, "GET inventory.stock");
            assert_eq!(span.parent_span_id, request.span_id);
            assert_eq!(span.trace_id, 0xaa_u128.to_be_bytes());
            let sent = TraceContext { trace: 0xaa, parent: 0xbb, flags: 1 }.of_try(index as u32 + 1).parent;
            assert_eq!(span.span_id, sent.to_be_bytes(), "what was sent as the parent of try {}", index + 1);
        }
    }

    #[test]
    fn a_try_says_when_where_and_why() {
        let spans = spans(&tried_twice());
        let (first, second) = (&spans[1], &spans[2]);
        assert_eq!(first.start_time_unix_nano, 1_001_000_000);
        assert_eq!(first.end_time_unix_nano, 1_003_000_000);
        assert_eq!(value(first, names::BREAKER_STATE), "half-open");
        assert_eq!(value(first, names::ERROR_TYPE), "connect failed");
        assert_eq!(first.status.as_ref().unwrap().code(), StatusCode::Error);
        assert_eq!(value(second, names::PEER_ADDRESS), "127.0.0.2");
        assert_eq!(value(second, names::RESEND_COUNT), "1");
        assert_eq!(value(second, names::RETRY_WHY), "refused");
        assert_eq!(value(second, names::RETRY_AFTER), "20");
        assert_eq!(value(second, names::STATUS), "200");
        assert_eq!(second.status, None);
    }

    #[test]
    fn a_retry_that_never_began_is_told_and_is_no_span() {
        let mut record = record();
        let scheduled = Decision::RetryScheduled { number: 2, after: Duration::ZERO, why: RetryWhy::Refused };
        record.trail.decided(Instant::from_millis(6), scheduled);
        let spans = spans(&record);
        assert_eq!(spans.len(), 1);
        assert_eq!(spans[0].events[0].name, events::RETRY);
    }

    #[test]
    fn a_fault_of_the_server_is_an_error_and_one_of_the_caller_is_not() {
        for (status, is_error) in [(200, false), (404, false), (503, true), (499, false)] {
            let span = spans(&Record { status, ..record() }).remove(0);
            assert_eq!(span.status.is_some(), is_error, "{status}");
        }
        let gone = spans(&Record { status: 499, ..record() }).remove(0);
        assert_eq!(
            (value(&gone, names::ERROR_TYPE), value(&gone, names::STATUS)),
            ("cancelled".into(), "None".into())
        );
    }

    #[test]
    fn a_grpc_call_speaks_the_words_of_rpc() {
        let mut record = Record { grpc: true, target: "/pay.Payments/Charge".into(), ..record() };
        let started = Decision::TryStarted { number: 1, host: 0, within: Duration::MAX };
        let end = TryEnd::AnsweredGrpc { code: 14, trailers_only: true };
        let ended = Decision::TryEnded { number: 1, outcome: Outcome::Unknown, end, took: Duration::ZERO };
        record.trail.decided(record.began, started);
        record.trail.decided(record.began, ended);
        for span in spans(&record) {
            assert_eq!(span.name, "pay.Payments/Charge");
            assert_eq!(value(&span, names::RPC_SYSTEM), "grpc");
            assert_eq!(value(&span, names::RPC_STATUS), "UNAVAILABLE");
            assert_eq!(value(&span, names::METHOD), "None");
            assert_eq!(value(&span, names::TRY_WITHIN), "None");
        }
    }

    #[test]
    fn a_status_in_the_trailers_is_the_spans_and_ends_it() {
        let mut record = Record { grpc: true, through: Some(Duration::from_millis(900)), ..record() };
        let ended = |end, outcome| Decision::TryEnded { number: 1, outcome, end, took: Duration::ZERO };
        let late = TryEnd::AnsweredGrpc { code: 14, trailers_only: false };
        for (at, decision) in [
            (6, Decision::TryStarted { number: 1, host: 0, within: Duration::MAX }),
            (8, ended(TryEnd::Answered { status: 200 }, Outcome::Succeeded)),
            (8, Decision::GaveUp { reason: GiveUp::Done, remaining: Duration::ZERO }),
            (905, ended(late, Outcome::Unknown)),
        ] {
            record.trail.decided(Instant::from_millis(at), decision);
        }
        let spans = spans(&record);
        for span in &spans {
            assert_eq!(value(span, names::RPC_STATUS), "UNAVAILABLE");
            assert_eq!(span.status.as_ref().unwrap().code(), StatusCode::Error);
            assert_eq!(span.end_time_unix_nano, 1_900_000_000);
        }
        let of_outcome = spans[1].attributes.iter().filter(|attribute| attribute.key == names::OUTCOME);
        assert_eq!((of_outcome.count(), value(&spans[1], names::OUTCOME)), (1, "unknown".into()));
        assert_eq!(value(&spans[1], names::STATUS), "None", "the head's 200 says nothing of a gRPC call");
    }

    #[test]
    fn each_side_says_its_own_version_of_http() {
        let spans = spans(&tried_twice());
        let versions: Vec<_> = spans.iter().map(|span| value(span, names::PROTOCOL_VERSION)).collect();
        assert_eq!(versions, ["1.1", "2", "2"]);
    }

    #[test]
    fn a_method_that_nobody_knows_is_not_a_name() {
        let method = http::Method::from_bytes(b"BREW").unwrap();
        let span = spans(&Record { method, ..record() }).remove(0);
        assert_eq!(span.name, "HTTP");
        assert_eq!(
            (value(&span, names::METHOD), value(&span, names::METHOD_ORIGINAL)),
            ("_OTHER".into(), "BREW".into())
        );
    }
}
