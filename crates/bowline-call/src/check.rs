//! Whether an endpoint is well: one question over a connection of its own.
//!
//! Why not over the pool's connections. What a check is to find out is whether the next caller gets through,
//! and the next caller may need a connection: an endpoint that has stopped accepting answers those that it has
//! for a long time. And a check must not be refused because calls have used up the endpoint's connections, or
//! load would make every endpoint ill.

use crate::alarm::Alarm;
use crate::ask::HeadWriter;
use crate::clock::Clock;
use crate::drive::{Answer, Asker, Client};
use crate::endpoint::Endpoints;
use crate::grpc;
use crate::pool::PoolLimits;
use crate::relay::{AnswerBody, Relay};
use crate::replay::{Allowance, Replay};
use crate::transport::Transport;
use bowline_model::decision::{DeadlineSource, TryEnd};
use bowline_model::{Deadline, Instant, Outcome, Random, SplitMix64};
use bowline_policy::{Ask, CallPolicy, Edge, Try};
use bytes::{BufMut, Bytes, BytesMut};
use http::header;
use http::{HeaderMap, HeaderValue, Method};
use http_body::{Body, Frame};
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::ops::RangeInclusive;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// What an endpoint is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// `GET path`, with this `Host`; the answer's status has to be one of these.
    Http {
        /// The path, with its query.
        path: String,
        /// The authority.
        host: String,
        /// Good statuses.
        good: Vec<RangeInclusive<u16>>,
    },
    /// `grpc.health.v1.Health/Check`; the answer has to be SERVING. Over HTTP/2 alone.
    Grpc {
        /// The authority.
        host: String,
        /// The gRPC service that is asked about; empty: the server.
        service: String,
    },
}

/// Why an endpoint failed a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symptom {
    /// It did not answer: the try ended like this.
    NoAnswer(TryEnd),
    /// It answered with this status.
    Status(u16),
    /// It answered with this gRPC code.
    GrpcCode(u8),
    /// It says that it is not serving; this is the number it says it with.
    NotServing(u8),
    /// What it says is no answer of gRPC's health protocol.
    Senseless,
}

impl Symptom {
    /// The word used as metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoAnswer(end) => end.as_str(),
            Self::Status(_) => "status",
            Self::GrpcCode(_) => "grpc status",
            Self::NotServing(_) => "not serving",
            Self::Senseless => "senseless",
        }
    }
}

impl fmt::Display for Symptom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(end) => f.write_str(end.as_str()),
            Self::Status(status) => write!(f, "status {status}"),
            Self::GrpcCode(code) => write!(f, "gRPC status {code}"),
            Self::NotServing(1) => f.write_str("serving"),
            Self::NotServing(2) => f.write_str("NOT_SERVING"),
            Self::NotServing(3) => f.write_str("SERVICE_UNKNOWN"),
            Self::NotServing(other) => write!(f, "serving status {other}"),
            Self::Senseless => f.write_str("no answer of gRPC's health protocol"),
        }
    }
}

/// How much of an answer is read: the health protocol's are ten bytes, and nobody looks at others.
const ANSWER_MAX: usize = 1_024;

/// `SERVING` of `grpc.health.v1.HealthCheckResponse.ServingStatus` (grpc/grpc-proto, health.proto).
const SERVING: u8 = 1;

/// Asks the endpoint at `address`, reached by `transport`, and waits `timeout` at most. Within a
/// [`tokio::task::LocalSet`] or a local runtime.
///
/// # Errors
/// What speaks against it.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub async fn ask(
    question: &Question,
    address: &str,
    transport: &Transport,
    timeout: Duration,
    clock: Clock,
    seed: u64,
) -> Result<(), Symptom> {
    let limits = PoolLimits { connect: timeout, ..PoolLimits::default() };
    let client = Client::new(limits, clock, seed);
    let endpoints = [Endpoints::default().reached(address, transport)];
    let mut rng = SplitMix64::new(seed);
    let now = clock.now();
    let ask = Ask {
        now,
        deadline: Deadline::after(now, timeout),
        deadline_by: DeadlineSource::Policy,
        repeatable: false,
        hosts: 1,
        hash: None,
        arrived_try: 0,
        priority: None,
        seed: rng.next_u64(),
    };
    let body = match question {
        Question::Http { .. } => Replay::empty(),
        Question::Grpc { service, .. } => {
            let message = Once(Some(message(service)));
            Replay::of(message, &Arc::new(Allowance::default()))
        }
    };
    let mut asker = Questioner { question };
    let mut alarm = Alarm::new(clock);
    let (edge, mut unseen) = (Edge::new(CallPolicy::default()), ());
    let calling = client.call(&edge, ask, &endpoints, &body, &mut asker, &mut alarm, &mut rng, &mut unseen);
    // On the heap: a check is rare, and its future would make whoever waits for many of them large.
    let ended = Box::pin(calling).await;
    let Some(Answer::Given { status, headers, body, .. }) = ended.answer else {
        return Err(Symptom::NoAnswer(ended.end.last.unwrap_or(TryEnd::ConnectFailed)));
    };
    match question {
        Question::Http { good, .. } => {
            let status = status.as_u16();
            let is_good = good.iter().any(|range| range.contains(&status));
            if is_good { Ok(()) } else { Err(Symptom::Status(status)) }
        }
        Question::Grpc { .. } => {
            if status.as_u16() != 200 {
                return Err(Symptom::Status(status.as_u16()));
            }
            let until = now + timeout;
            let reading = serving(&headers, body);
            alarm.or_until(until, pin!(reading)).await.unwrap_or(Err(Symptom::NoAnswer(TryEnd::TimedOut)))
        }
    }
}

/// Reads what an answer of the health protocol says.
async fn serving(headers: &HeaderMap, body: AnswerBody) -> Result<(), Symptom> {
    let (bytes, trailers) = match body {
        AnswerBody::Whole(bytes) => (bytes, None),
        AnswerBody::Coming(relay) => read(*relay).await?,
        AnswerBody::Switched(_) => return Err(Symptom::Senseless),
    };
    let code = trailers.as_ref().and_then(grpc::status).or_else(|| grpc::status(headers));
    match code {
        Some(0) => match parse(&bytes) {
            Some(SERVING) => Ok(()),
            Some(other) => Err(Symptom::NotServing(other)),
            None => Err(Symptom::Senseless),
        },
        Some(code) => Err(Symptom::GrpcCode(code)),
        None => Err(Symptom::Senseless),
    }
}

async fn read(mut relay: Relay) -> Result<(Bytes, Option<HeaderMap>), Symptom> {
    let (mut bytes, mut trailers) = (BytesMut::new(), None);
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut relay).poll_frame(cx)).await {
        let frame = frame.map_err(|_| Symptom::NoAnswer(TryEnd::Reset))?;
        match frame.into_data() {
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
        if ANSWER_MAX < bytes.len() {
            return Err(Symptom::Senseless);
        }
    }
    Ok((bytes.freeze(), trailers))
}

/// `HealthCheckRequest { service }` with the head that gRPC gives each message: whether it is compressed, and
/// its length. A name of 127 bytes at most, as the design's reader demands, has one byte of length.
fn message(service: &str) -> Bytes {
    let name = &service.as_bytes()[..service.len().min(NAME_MAX)];
    let length = if name.is_empty() { 0 } else { name.len() + 2 };
    let mut message = BytesMut::with_capacity(5 + length);
    message.put_u8(0);
    message.put_u32(length as u32);
    if !name.is_empty() {
        // Field 1, a string (protobuf's encoding: number << 3 | 2).
        message.put_slice(&[0x0a, name.len() as u8]);
        message.put_slice(name);
    }
    message.freeze()
}

/// How long the name of a gRPC service may be that is asked about.
pub const NAME_MAX: usize = 127;

/// The status of a `HealthCheckResponse`: field 1, a number. One that is absent is 0, UNKNOWN.
fn parse(bytes: &[u8]) -> Option<u8> {
    let (head, message) = bytes.split_at_checked(5)?;
    let length = u32::from_be_bytes(head[1..].try_into().ok()?) as usize;
    match (head[0], message) {
        (0, _) if length != message.len() => None,
        (0, []) => Some(0),
        (0, [0x08, status]) if *status < 0x80 => Some(*status),
        _ => None,
    }
}

/// A body of one piece.
struct Once(Option<Bytes>);

impl Body for Once {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

/// Writes the question's head.
struct Questioner<'q> {
    question: &'q Question,
}

static USER_AGENT: HeaderValue = HeaderValue::from_static("bowline-health-check");
impl Asker for Questioner<'_> {
    fn write_head(&mut self, _: &Try, _: Instant, out: &mut HeadWriter<'_>) {
        let (Question::Http { host, .. } | Question::Grpc { host, .. }) = self.question;
        let mut fields = HeaderMap::with_capacity(4);
        if let Ok(host) = HeaderValue::from_str(host) {
            fields.insert(header::HOST, host);
        }
        fields.insert(header::USER_AGENT, USER_AGENT.clone());
        match self.question {
            Question::Http { path, .. } => out.line(&Method::GET, path),
            Question::Grpc { .. } => {
                out.line(&Method::POST, "/grpc.health.v1.Health/Check");
                fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                fields.insert(header::TE, HeaderValue::from_static("trailers"));
            }
        }
        out.fields(&fields);
    }

    fn is_head(&self) -> bool {
        false
    }

    fn is_grpc(&self) -> bool {
        // The status is read here, with the message.
        false
    }

    fn pending_allowed(&self) -> bool {
        false
    }

    fn named_outcome(&self, _: &HeaderMap) -> Option<Outcome> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_a_message_of_the_health_protocol() {
        assert_eq!(&message("")[..], b"\0\0\0\0\0");
        assert_eq!(&message("a.B")[..], b"\0\0\0\0\x05\x0a\x03a.B");
    }

    #[test]
    fn an_answer_says_its_status_or_is_none() {
        assert_eq!(parse(b"\0\0\0\0\x02\x08\x01"), Some(1));
        assert_eq!(parse(b"\0\0\0\0\x02\x08\x02"), Some(2));
        assert_eq!(parse(b"\0\0\0\0\0"), Some(0), "UNKNOWN is not written");
        for senseless in [&b""[..], b"\0\0\0\0", b"\x01\0\0\0\x02\x08\x01", b"\0\0\0\0\x03\x08\x01", b"hello"]
        {
            assert_eq!(parse(senseless), None, "{senseless:?}");
        }
    }
}
