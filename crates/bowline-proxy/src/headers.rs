//! What a proxy owes the headers that pass through it.
//!
//! Hop-by-hop fields end here (RFC 9110, 7.6.1), and so do fields that steer Bowline when they come from
//! somebody who may not. What goes on is changed in place: the caller's header map becomes the
//! callee's, and the callee's becomes the answer's.
//!
//! Each direction looks at every field once and remembers what it met; removing what is not there would
//! cost a hash for each name.

use crate::connection::Connection;
use crate::grpc::{PREVIOUS, TIMEOUT};
use crate::tls::Secured;
use crate::traced::TRACEPARENT;
use bowline_call::{HeadWriter, grpc};
use bowline_design::routing::HeaderSide;
use bowline_model::random::Random;
use bowline_model::{Priority, TraceContext};
use bowline_policy::deadline::{parse_expected_ms, parse_grpc_timeout};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Uri};
use std::time::Duration;

/// The rest of the time in milliseconds, in Envoy's spelling.
pub(crate) static EXPECTED_MS: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");
/// Which try of its sender's this is: who sends it, tries again itself.
pub(crate) static TRY: HeaderName = HeaderName::from_static("x-bowline-try");
/// Which try of its sender's this is, in Envoy's spelling. Istio's Envoys write 1 on requests that nobody tries
/// again, so that only a later one says something.
static ATTEMPT: HeaderName = HeaderName::from_static("x-envoy-attempt-count");
/// The tries for this call are used up, or the budget for them (`tries`, `budget`): layers before do not try it
/// again.
pub(crate) static EXHAUSTED: HeaderName = HeaderName::from_static("x-retry-exhausted");
/// What a call matters: `low`, `normal`, `high`.
pub(crate) static PRIORITY: HeaderName = HeaderName::from_static("x-bowline-priority");
/// Asks for the number of the request's decision trail.
pub(crate) static EXPLAIN: HeaderName = HeaderName::from_static("x-bowline-explain");
/// The number of the request's decision trail.
pub(crate) static EXPLAIN_ID: HeaderName = HeaderName::from_static("x-bowline-explain-id");
/// What an answer means, from a hop that knows.
pub(crate) static OUTCOME: HeaderName = HeaderName::from_static("x-bowline-outcome");
/// Why the proxy answered by itself.
pub(crate) static REASON: HeaderName = HeaderName::from_static("x-bowline-reason");
/// A number for people to find a request by.
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Who the callers before proved to be, in Envoy's form.
static FORWARDED_CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
static PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
static HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// What a caller asked of the proxy itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Steering {
    /// The time the caller leaves.
    pub(crate) remaining: Option<Duration>,
    /// The time that a gRPC call names, whoever makes it.
    pub(crate) grpc_timeout: Option<Duration>,
    /// How often a gRPC call was tried before.
    pub(crate) grpc_previous: u32,
    /// Which try of the caller's this is; zero: it did not say.
    pub(crate) arrived_try: u32,
    /// What it matters, if the caller says.
    pub(crate) priority: Option<Priority>,
    /// Whether it wants the number of its trail.
    pub(crate) explain: bool,
    /// Whether an `Idempotency-Key` is there.
    pub(crate) keyed: bool,
    /// Whether a `traceparent` is there.
    pub(crate) traced: bool,
    /// Whether a `tracestate` is there.
    pub(crate) stated: bool,
    /// Whether it wants JSON.
    pub(crate) json: bool,
    /// Whether it is a gRPC call.
    pub(crate) grpc: bool,
    forwarded: bool,
    forwarded_proto: bool,
    strange_proto: bool,
    strange_client_cert: bool,
    strange_words: bool,
    numbered: bool,
    expected: bool,
    tried: bool,
    prioritised: bool,
    strange_attempt: bool,
    explains: bool,
    hop: HopByHop,
}

/// Which hop-by-hop fields were met.
#[derive(Clone, Copy, Debug, Default)]
struct HopByHop {
    connection: bool,
    others: bool,
    trailers_accepted: bool,
}

impl HopByHop {
    fn note(&mut self, name: &str, value: &HeaderValue) {
        match name {
            "connection" => self.connection = true,
            "keep-alive"
            | "proxy-connection"
            | "upgrade"
            | "transfer-encoding"
            | "http2-settings"
            | "proxy-authorization"
            | "proxy-authenticate"
            | "expect" => self.others = true,
            "te" => {
                self.others = true;
                self.trailers_accepted |= value.as_bytes().eq_ignore_ascii_case(b"trailers");
            }
            _ => (),
        }
    }

    fn remove(self, headers: &mut HeaderMap) {
        if self.connection {
            remove_named(headers);
        }
        if self.others {
            for name in [
                &KEEP_ALIVE,
                &PROXY_CONNECTION,
                &header::UPGRADE,
                &header::TRANSFER_ENCODING,
                &HTTP2_SETTINGS,
                &header::PROXY_AUTHORIZATION,
                &header::PROXY_AUTHENTICATE,
                &header::EXPECT,
                &header::TE,
            ] {
                headers.remove(name);
            }
        }
        if self.trailers_accepted {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
    }
}

/// Removes `Connection` and what it names; whether any of that was there.
fn remove_named(headers: &mut HeaderMap) -> bool {
    let mut named: Vec<HeaderName> = Vec::new();
    for value in headers.get_all(header::CONNECTION) {
        let names = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        // `TE` is named as a rule, and has a rule of its own.
        let names = names.filter(|name| {
            ![&b"close"[..], b"keep-alive", b"te"].iter().any(|own| name.eq_ignore_ascii_case(own))
        });
        named.extend(names.filter_map(|name| HeaderName::from_bytes(name).ok()));
    }
    headers.remove(header::CONNECTION);
    let before = headers.keys_len();
    for name in named {
        headers.remove(name);
    }
    headers.keys_len() < before
}

/// Whether a request of HTTP/1 asks this hop for a WebSocket (RFC 6455, 4.1).
pub(crate) fn asks_for_websocket(headers: &HeaderMap) -> bool {
    let named = headers.get_all(header::CONNECTION).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
    });
    named && is_websocket(headers)
}

/// Whether `Upgrade` says so.
pub(crate) fn is_websocket(headers: &HeaderMap) -> bool {
    headers.get_all(header::UPGRADE).iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Reads what steers the proxy and takes away what must not go on. `trusted`: the caller may steer;
/// `local`: it may ask for its trail.
pub(crate) fn receive(headers: &mut HeaderMap, trusted: bool, local: bool) -> Steering {
    let mut steering = read(headers, trusted, local);
    if std::mem::take(&mut steering.hop.connection) && remove_named(headers) {
        // What the caller takes back at this hop says nothing to those behind it, a key least of all.
        steering = read(headers, trusted, local);
    }
    steering.hop.remove(headers);
    if steering.grpc {
        steering.take_grpc(headers);
    }
    if steering.expected {
        headers.remove(&EXPECTED_MS);
    }
    if steering.tried {
        headers.remove(&TRY);
    }
    if steering.prioritised {
        headers.remove(&PRIORITY);
    }
    if steering.strange_attempt {
        headers.remove(&ATTEMPT);
    }
    if steering.explains {
        headers.remove(&EXPLAIN);
    }
    if steering.strange_proto {
        headers.remove(&FORWARDED_PROTO);
    }
    if steering.strange_client_cert {
        headers.remove(&FORWARDED_CLIENT_CERT);
    }
    if steering.strange_words {
        remove_our_words(headers);
    }
    steering
}

/// What every field of our own begins with.
const OUR_WORDS: &str = "x-bowline-";

/// Takes away what a stranger says in words of ours: nobody behind this hop should take them for Bowline's.
#[cold]
fn remove_our_words(headers: &mut HeaderMap) {
    let ours = |name: &&HeaderName| name.as_str().starts_with(OUR_WORDS) || **name == EXHAUSTED;
    let names: Vec<HeaderName> = headers.keys().filter(ours).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

fn read(headers: &HeaderMap, trusted: bool, local: bool) -> Steering {
    let mut steering = Steering::default();
    for (name, value) in headers.iter() {
        let name = name.as_str();
        // Most fields are none of these, and their first letters tell.
        match name.as_bytes()[0] {
            b'x' => steering.note(name, value, trusted, local),
            b't' if name == "traceparent" => steering.traced = true,
            b't' if name == "tracestate" => steering.stated = true,
            b'c' if name == "content-type" => steering.grpc = grpc::is_kind(value.as_bytes()),
            b'c' | b'k' | b'p' | b'u' | b't' | b'h' | b'e' => {
                steering.hop.note(name, value);
            }
            b'i' => steering.keyed |= name == "idempotency-key" && !value.is_empty(),
            b'g' if trusted && name == "grpc-timeout" => {
                let span = value.to_str().ok().and_then(parse_grpc_timeout);
                steering.remaining = steering.remaining.into_iter().chain(span).min();
            }
            b'a' if name == "accept" => {
                steering.json = value.as_bytes().windows(4).any(|word| word == b"json");
            }
            _ => (),
        }
    }
    steering
}

impl Steering {
    /// Takes away of a gRPC call what each of its tries says anew.
    #[cold]
    fn take_grpc(&mut self, headers: &mut HeaderMap) {
        let timeout = headers.remove(&TIMEOUT);
        self.grpc_timeout = timeout.and_then(|value| parse_grpc_timeout(value.to_str().ok()?));
        let previous = headers.remove(&PREVIOUS);
        self.grpc_previous = previous.and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0);
    }

    fn note(&mut self, name: &str, value: &HeaderValue, trusted: bool, local: bool) {
        match name {
            "x-envoy-expected-rq-timeout-ms" => {
                self.expected = true;
                if trusted {
                    let span = value.to_str().ok().and_then(parse_expected_ms);
                    self.remaining = self.remaining.into_iter().chain(span).min();
                }
            }
            "x-bowline-try" => {
                self.tried = true;
                if trusted {
                    let number = value.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(1);
                    self.arrived_try = self.arrived_try.max(number);
                }
            }
            "x-envoy-attempt-count" if trusted => {
                let number = value.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(1);
                if 1 < number {
                    self.arrived_try = self.arrived_try.max(number);
                }
            }
            "x-envoy-attempt-count" => self.strange_attempt = true,
            "x-bowline-priority" => {
                self.prioritised = true;
                if trusted {
                    self.priority = value.to_str().ok().and_then(Priority::from_word);
                }
            }
            "x-bowline-explain" => {
                self.explains = true;
                self.explain |= (trusted || local) && value.as_bytes() == b"1";
            }
            "x-forwarded-for" => self.forwarded = true,
            // How a stranger came here is what we see.
            "x-forwarded-proto" if trusted => self.forwarded_proto = true,
            "x-forwarded-proto" => self.strange_proto = true,
            // Who a stranger is, it proves or it has no name.
            "x-forwarded-client-cert" => self.strange_client_cert = !trusted,
            "x-request-id" => self.numbered = true,
            // Answers have these, and so may whatever comes later.
            "x-retry-exhausted" => self.strange_words |= !trusted,
            _ => self.strange_words |= !trusted && name.starts_with(OUR_WORDS),
        }
    }
}

/// What the callee should know: whose request it is, its number, and its trace.
///
/// Kept as bytes, because it goes out as bytes; it becomes fields only where a rule may want to change
/// them.
#[derive(Debug)]
pub(crate) struct Introduction {
    trace: TraceContext,
    request_id: Option<[u8; 36]>,
    /// `None`: the fields say it already.
    forwarded_for: Option<HeaderValue>,
    /// `None`: the fields say it already.
    proto: Option<&'static str>,
    /// Who the caller proved to be, where its callee is to know.
    client_cert: Option<HeaderValue>,
}

impl Introduction {
    /// Introduces a request of `connection`, with what its caller proved where `forward_client_cert`; what its fields say is taken into account and, where it is to be
    /// replaced, taken away.
    pub(crate) fn new(
        headers: &mut HeaderMap,
        steering: &Steering,
        connection: &Connection,
        forward_client_cert: bool,
        trace: TraceContext,
        random: &mut impl Random,
    ) -> Self {
        let told = connection.secured().filter(|_| forward_client_cert).and_then(Secured::told);
        Self::of(headers, steering, (connection.caller(), connection.scheme(), told), trace, random)
    }

    fn of(
        headers: &mut HeaderMap,
        steering: &Steering,
        (caller, scheme, told): (&HeaderValue, &'static str, Option<&HeaderValue>),
        trace: TraceContext,
        random: &mut impl Random,
    ) -> Self {
        if steering.forwarded {
            let mut all = Vec::with_capacity(64);
            for value in headers.get_all(&FORWARDED_FOR) {
                all.extend_from_slice(value.as_bytes());
                all.extend_from_slice(b", ");
            }
            all.extend_from_slice(caller.as_bytes());
            headers.insert(&FORWARDED_FOR, HeaderValue::from_bytes(&all).unwrap_or_else(|_| caller.clone()));
        }
        Self {
            trace,
            request_id: (!steering.numbered).then(|| request_id(random)),
            forwarded_for: (!steering.forwarded).then(|| caller.clone()),
            proto: (!steering.forwarded_proto).then_some(scheme),
            client_cert: told.cloned(),
        }
    }

    /// Writes it behind the other fields, for the try of this number.
    pub(crate) fn write(&self, number: u32, out: &mut HeadWriter<'_>) {
        self.each(number, |name, value| out.field(name, value));
    }

    /// Makes fields of it, for the first try. It is not to be written then; later tries
    /// [`retrace`] those fields.
    pub(crate) fn insert(&self, headers: &mut HeaderMap) {
        self.each(1, |name, value| {
            let Ok(value) = HeaderValue::from_bytes(value) else { return };
            // Those whom a trusted hop has introduced stay before it.
            if *name == FORWARDED_CLIENT_CERT {
                headers.append(name, value);
            } else {
                headers.insert(name, value);
            }
        });
    }

    fn each(&self, number: u32, mut tell: impl FnMut(&HeaderName, &[u8])) {
        if let Some(caller) = &self.forwarded_for {
            tell(&FORWARDED_FOR, caller.as_bytes());
        }
        if let Some(proto) = self.proto {
            tell(&FORWARDED_PROTO, proto.as_bytes());
        }
        if let Some(told) = &self.client_cert {
            tell(&FORWARDED_CLIENT_CERT, told.as_bytes());
        }
        tell(&TRACEPARENT, &traceparent(self.trace.of_try(number)));
        if let Some(id) = &self.request_id {
            tell(&REQUEST_ID, id);
        }
    }
}

/// Makes the try of this number the parent of what comes next, unless a rule has put something else there.
pub(crate) fn retrace(headers: &mut HeaderMap, trace: TraceContext, number: u32) {
    let Some(value) = headers.get_mut(&TRACEPARENT) else { return };
    let ours = value.as_bytes().starts_with(&traceparent(trace)[..36]);
    if let (true, Ok(next)) = (ours, HeaderValue::from_bytes(&traceparent(trace.of_try(number)))) {
        *value = next;
    }
}

/// The `traceparent` of `trace`, without the formatting machinery: it is written for every request.
fn traceparent(trace: TraceContext) -> [u8; 55] {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    hex(&mut text[3..19], (trace.trace >> 64) as u64);
    hex(&mut text[19..35], trace.trace as u64);
    hex(&mut text[36..52], trace.parent);
    hex(&mut text[53..55], u64::from(trace.flags));
    text
}

/// A number in the form of a random UUID (RFC 9562, version 4), which is what tools expect there.
fn request_id(random: &mut impl Random) -> [u8; 36] {
    let (high, low) = (random.next_u64(), random.next_u64());
    let mut text = *b"00000000-0000-4000-8000-000000000000";
    hex(&mut text[0..8], high >> 32);
    hex(&mut text[9..13], high >> 16);
    hex(&mut text[15..18], high);
    hex(&mut text[20..23], low >> 48);
    hex(&mut text[24..36], low);
    text
}

/// Fills `into` with the last digits of `number`.
fn hex(into: &mut [u8], mut number: u64) {
    for digit in into.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

/// Takes away of an answer what ends at this hop. `trusted`: the caller understands our outcomes; `believed`: the
/// callee may speak to the layers before.
pub(crate) fn return_answer(headers: &mut HeaderMap, trusted: bool, believed: bool) {
    let mut hop = HopByHop::default();
    let (mut outcome, mut exhausted) = (false, false);
    for (name, value) in headers.iter() {
        let name = name.as_str();
        match name.as_bytes()[0] {
            b'c' | b'k' | b'p' | b'u' | b't' => hop.note(name, value),
            b'x' => {
                outcome |= name == "x-bowline-outcome";
                exhausted |= name == "x-retry-exhausted";
            }
            _ => (),
        }
    }
    hop.trailers_accepted = false;
    hop.remove(headers);
    if outcome && !trusted {
        headers.remove(&OUTCOME);
    }
    if exhausted && !believed {
        headers.remove(&EXHAUSTED);
    }
}

/// Takes away of an answer's trailers what ends at this hop or frames it. Everything else is between callee and
/// caller.
pub(crate) fn return_trailers(trailers: &mut HeaderMap) {
    for name in [
        &header::CONNECTION,
        &KEEP_ALIVE,
        &PROXY_CONNECTION,
        &header::TE,
        &header::TRAILER,
        &header::TRANSFER_ENCODING,
        &header::UPGRADE,
        &header::CONTENT_LENGTH,
        &header::HOST,
    ] {
        trailers.remove(name);
    }
}

/// Does what a rule says to an answer's fields, except to those that frame it: its length is what it is.
pub(crate) fn apply_to_answer(side: &HeaderSide, headers: &mut HeaderMap) {
    if side.is_empty() {
        return;
    }
    let length = headers.remove(header::CONTENT_LENGTH);
    side.apply(headers);
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::CONTENT_LENGTH);
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, length);
    }
}

/// A field with a number in it.
pub(crate) fn number(number: u64) -> HeaderValue {
    HeaderValue::from(number)
}

/// The target as the callee gets it: path and query alone. `None` where it is that already.
pub(crate) fn origin_form(target: &Uri) -> Option<Uri> {
    target.authority()?;
    let path = target.path_and_query().cloned().unwrap_or_else(|| http::uri::PathAndQuery::from_static("/"));
    Some(Uri::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bowline_model::SplitMix64;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let fields = fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, value);
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_belongs_to_one_hop_ends_here() {
        let mut headers = map(&[
            ("host", "shop"),
            ("connection", "close, X-Secret, TE"),
            ("x-secret", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABk"),
            ("proxy-authorization", "Basic x"),
            ("expect", "100-continue"),
            ("cookie", "a=1"),
        ]);
        receive(&mut headers, false, false);
        assert_eq!(names(&headers), ["cookie", "host", "te"]);
        assert_eq!(headers["te"], "trailers");
    }

    #[test]
    fn strangers_do_not_steer() {
        let fields = [
            ("x-envoy-expected-rq-timeout-ms", "50"),
            ("grpc-timeout", "20m"),
            ("x-bowline-try", "2"),
            ("x-bowline-priority", "high"),
            ("x-envoy-attempt-count", "3"),
            ("x-bowline-explain", "1"),
        ];
        let mut headers = map(&fields);
        let stranger = receive(&mut headers, false, false);
        assert_eq!((stranger.remaining, stranger.arrived_try, stranger.explain), (None, 0, false));
        assert_eq!(stranger.priority, None);
        assert_eq!(names(&headers), ["grpc-timeout"]);

        let trusted = receive(&mut map(&fields), true, false);
        assert_eq!(trusted.remaining, Some(Duration::from_millis(20)));
        assert_eq!((trusted.arrived_try, trusted.explain), (3, true));
        assert_eq!(trusted.priority, Some(Priority::High));
        assert!(receive(&mut map(&fields), false, true).explain, "loopback may look, not steer");
    }

    #[test]
    fn who_a_stranger_says_it_is_goes_no_further() {
        let claim = [("x-forwarded-client-cert", "Hash=00;URI=spiffe://shop/admin")];
        for (trusted, kept) in [(false, vec![]), (true, vec!["x-forwarded-client-cert"])] {
            let mut headers = map(&claim);
            receive(&mut headers, trusted, true);
            assert_eq!(names(&headers), kept);
        }
        let mut headers = map(&claim);
        let steering = receive(&mut headers, true, false);
        let (caller, own) = (HeaderValue::from_static("192.0.2.7"), HeaderValue::from_static("Hash=01"));
        let random = &mut SplitMix64::new(1);
        let trace = TraceContext::start(random);
        let caller = (&caller, "https", Some(&own));
        Introduction::of(&mut headers, &steering, caller, trace, random).insert(&mut headers);
        let all: Vec<_> = headers.get_all("x-forwarded-client-cert").iter().collect();
        assert_eq!(all, [claim[0].1, "Hash=01"]);
        assert_eq!(headers["x-forwarded-proto"], "https");
    }

    #[test]
    fn the_caller_is_added_behind_those_before_it() {
        let introduce = |fields: &[(&'static str, &'static str)]| {
            let mut headers = map(fields);
            let steering = receive(&mut headers, false, false);
            let caller = HeaderValue::from_static("192.0.2.7");
            let random = &mut SplitMix64::new(1);
            let trace = TraceContext::start(random);
            let caller = (&caller, "http", None);
            Introduction::of(&mut headers, &steering, caller, trace, random).insert(&mut headers);
            headers
        };
        assert_eq!(introduce(&[])["x-forwarded-for"], "192.0.2.7");
        let headers = introduce(&[("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.9")]);
        assert_eq!(headers["x-forwarded-for"], "198.51.100.1, 203.0.113.9, 192.0.2.7");
        assert_eq!(introduce(&[("x-request-id", "mine")])["x-request-id"], "mine");
        let id = introduce(&[])["x-request-id"].clone();
        assert_eq!((id.len(), id.as_bytes()[14], id.as_bytes()[19]), (36, b'4', b'8'));
    }

    #[test]
    fn every_try_is_the_parent_of_what_it_causes() {
        let random = &mut SplitMix64::new(1);
        let trace = TraceContext::start(random);
        let mut headers = HeaderMap::new();
        let caller = HeaderValue::from_static("192.0.2.7");
        let caller = (&caller, "http", None);
        Introduction::of(&mut headers, &Steering::default(), caller, trace, random).insert(&mut headers);
        assert_eq!(headers["traceparent"].to_str().unwrap(), trace.of_try(1).to_string());
        retrace(&mut headers, trace, 2);
        assert_eq!(headers["traceparent"].to_str().unwrap(), trace.of_try(2).to_string());

        headers.insert("traceparent", HeaderValue::from_static("a rule's own"));
        retrace(&mut headers, trace, 3);
        assert_eq!(headers["traceparent"], "a rule's own");
    }

    #[test]
    fn an_absolute_target_becomes_a_path() {
        let origin = |target: &str| origin_form(&target.parse().unwrap()).map(|uri| uri.to_string());
        assert_eq!(origin("http://shop/a?b=1").as_deref(), Some("/a?b=1"));
        assert_eq!(origin("http://shop").as_deref(), Some("/"));
        assert_eq!(origin("/a?b=1"), None);
    }
}
