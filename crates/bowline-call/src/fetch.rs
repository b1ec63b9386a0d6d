//! A document that somebody publishes: one GET over a connection of its own.
//!
//! It is for what the data path needs now and then, such as the keys of an issuer: small, read whole, and never followed
//! to another place, because whoever is named in the design is whose word is taken.

use crate::alarm::Alarm;
use crate::ask::HeadWriter;
use crate::clock::Clock;
use crate::drive::{Answer, Asker, Client};
use crate::endpoint::Endpoints;
use crate::pool::PoolLimits;
use crate::relay::{AnswerBody, Relay};
use crate::replay::Replay;
use crate::transport::Transport;
use bowline_model::decision::{DeadlineSource, TryEnd};
use bowline_model::{Deadline, Instant, Outcome, Random, SplitMix64};
use bowline_policy::{Ask, CallPolicy, Edge, Try};
use bytes::{Bytes, BytesMut};
use http::header;
use http::{HeaderMap, HeaderValue, Method};
use http_body::Body;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::time::Duration;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The path, with its query.
    pub path: String,
    /// The `Host`.
    pub host: String,
    /// How large it may be, in bytes.
    pub bytes_max: usize,
    /// How long all of it may take.
    pub within: Duration,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// All of it.
    pub bytes: Bytes,
    /// How long it holds, where its publisher says so (`Cache-Control: max-age`, less its `Age`); zero: it is not to be
    /// kept.
    pub holds: Option<Duration>,
}

/// Why nothing came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfetched {
    /// Nobody answered: the try ended like this.
    NoAnswer(TryEnd),
    /// The answer was no 200.
    Status(u16),
    /// It is larger than it may be.
    TooLarge,
}

impl fmt::Display for Unfetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(end) => f.write_str(end.as_str()),
            Self::Status(status) => write!(f, "status {status}"),
            Self::TooLarge => f.write_str("too large"),
        }
    }
}

/// Asks the endpoint at `address`, reached by `transport`, for a document. Within a [`tokio::task::LocalSet`] or a local
/// runtime.
///
/// # Errors
/// Why nothing came.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub async fn fetch(
    document: &Document,
    address: &str,
    transport: &Transport,
    clock: Clock,
    seed: u64,
) -> Result<Fetched, Unfetched> {
    let limits = PoolLimits { connect: document.within, ..PoolLimits::default() };
    let client = Client::new(limits, clock, seed);
    let endpoints = [Endpoints::default().reached(address, transport)];
    let mut rng = SplitMix64::new(seed);
    let now = clock.now();
    let deadline = Deadline::after(now, document.within);
    let ask = Ask {
        now,
        deadline,
        deadline_by: DeadlineSource::Policy,
        repeatable: false,
        hosts: 1,
        hash: None,
        arrived_try: 0,
        priority: None,
        seed: rng.next_u64(),
    };
    let (body, mut asker, mut alarm) = (Replay::empty(), Reader { document }, Alarm::new(clock));
    let (edge, mut unseen) = (Edge::new(CallPolicy::default()), ());
    let calling = client.call(&edge, ask, &endpoints, &body, &mut asker, &mut alarm, &mut rng, &mut unseen);
    // On the heap: it is rare, and its future would make whoever waits for it large.
    let ended = Box::pin(calling).await;
    let Some(Answer::Given { status, headers, body, .. }) = ended.answer else {
        return Err(Unfetched::NoAnswer(ended.end.last.unwrap_or(TryEnd::ConnectFailed)));
    };
    if status.as_u16() != 200 {
        return Err(Unfetched::Status(status.as_u16()));
    }
    let bytes = match body {
        AnswerBody::Whole(bytes) if document.bytes_max < bytes.len() => return Err(Unfetched::TooLarge),
        AnswerBody::Whole(bytes) => bytes,
        AnswerBody::Coming(relay) => {
            let reading = read(*relay, document.bytes_max);
            let read = alarm.or_until(deadline.instant(), pin!(reading)).await;
            read.unwrap_or(Err(Unfetched::NoAnswer(TryEnd::TimedOut)))?
        }
        AnswerBody::Switched(_) => return Err(Unfetched::NoAnswer(TryEnd::Malformed)),
    };
    Ok(Fetched { bytes, holds: holds(&headers) })
}

async fn read(mut relay: Relay, bytes_max: usize) -> Result<Bytes, Unfetched> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut relay).poll_frame(cx)).await {
        let frame = frame.map_err(|_| Unfetched::NoAnswer(TryEnd::Reset))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes_max < bytes.len() + data.len() {
            return Err(Unfetched::TooLarge);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// How long an answer holds (RFC 9111, 4.2.1).
fn holds(headers: &HeaderMap) -> Option<Duration> {
    let all = headers.get_all(header::CACHE_CONTROL);
    let said = all.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut shortest: Option<u64> = None;
    for directive in said.map(str::trim) {
        let seconds = match directive.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("max-age") => {
                value.trim_matches('"').parse().ok()
            }
            None if ["no-store", "no-cache"].iter().any(|word| directive.eq_ignore_ascii_case(word)) => {
                Some(0)
            }
            _ => None,
        };
        shortest = shortest.into_iter().chain(seconds).min();
    }
    let age = headers.get(header::AGE).and_then(|age| age.to_str().ok()?.parse().ok()).unwrap_or(0);
    shortest.map(|seconds| Duration::from_secs(seconds.saturating_sub(age)))
}

/// Writes the request's head.
struct Reader<'d> {
    document: &'d Document,
}

static USER_AGENT: HeaderValue = HeaderValue::from_static("bowline");
static ACCEPT: HeaderValue = HeaderValue::from_static("application/json");

impl Asker for Reader<'_> {
    fn write_head(&mut self, _: &Try, _: Instant, out: &mut HeadWriter<'_>) {
        let mut fields = HeaderMap::with_capacity(4);
        if let Ok(host) = HeaderValue::from_str(&self.document.host) {
            fields.insert(header::HOST, host);
        }
        fields.insert(header::USER_AGENT, USER_AGENT.clone());
        fields.insert(header::ACCEPT, ACCEPT.clone());
        out.line(&Method::GET, &self.document.path);
        out.fields(&fields);
    }

    fn is_head(&self) -> bool {
        false
    }

    fn is_grpc(&self) -> bool {
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
    fn the_shortest_time_that_is_said_holds() {
        let check = |fields: &[(header::HeaderName, &'static str)], expected: Option<u64>| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(name.clone(), HeaderValue::from_static(value));
            }
            assert_eq!(holds(&headers), expected.map(Duration::from_secs), "{fields:?}");
        };
        let cache = header::CACHE_CONTROL;
        check(&[], None);
        check(&[(cache.clone(), "public, max-age=3600, must-revalidate")], Some(3_600));
        check(&[(cache.clone(), "MAX-AGE=\"60\""), (header::AGE, "20")], Some(40));
        check(&[(cache.clone(), "max-age=600"), (cache.clone(), "no-store")], Some(0));
        check(&[(cache.clone(), "max-age=60"), (header::AGE, "90")], Some(0));
        check(&[(cache, "max-age=soon, private")], None);
    }
}
