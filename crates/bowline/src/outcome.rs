//! How the result of a future becomes an outcome: classifiers, ready and of one's own.
//!
//! A guard without a classifier takes `Ok` for [`Outcome::Succeeded`] and `Err` for
//! [`Outcome::Unknown`]: true of any future, and blind to a 500. A classifier sees more:
//!
//! ```
//! use bowline::{Outcome, guard};
//!
//! // A closure that knows its own types:
//! let stock = guard("inventory").classify(|result: &Result<u32, std::io::Error>| match result {
//!     Ok(_) => Outcome::Succeeded,
//!     Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => Outcome::Refused,
//!     Err(_) => Outcome::Unknown,
//! });
//! ```

use bowline_model::decision::TryEnd;
use bowline_policy::{Pushback, Report, classify};
use std::error::Error as StdError;
use std::time::Duration;

pub use bowline_model::Outcome;

/// Concludes the outcome of a try from its result.
///
/// Closures from `&Result<T, E>` to [`Outcome`] or [`Seen`] are classifiers.
pub trait Classify<T, E> {
    /// Whether somebody chose this classifier. A layer that knows the protocol does better than one that
    /// nobody chose.
    #[doc(hidden)]
    const CHOSEN: bool = true;

    /// What `result` says about the world.
    fn classify(&self, result: &Result<T, E>) -> Seen;
}

impl<T, E, F, S> Classify<T, E> for F
where
    F: Fn(&Result<T, E>) -> S,
    S: Into<Seen>,
{
    fn classify(&self, result: &Result<T, E>) -> Seen {
        self(result).into()
    }
}

/// What a classifier saw: the outcome, and what else the answer said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    outcome: Outcome,
    end: Option<TryEnd>,
    pushback: Option<Pushback>,
    exhausted: bool,
}

impl Seen {
    /// An outcome, and nothing more to say.
    #[must_use]
    pub const fn new(outcome: Outcome) -> Self {
        Self { outcome, end: None, pushback: None, exhausted: false }
    }

    /// An HTTP answer of this status, with the outcome that goes with it.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self::ended(TryEnd::Answered { status })
    }

    /// A gRPC answer of this code, with the outcome that goes with it.
    #[must_use]
    pub const fn grpc(code: u8) -> Self {
        Self::ended(TryEnd::AnsweredGrpc { code, trailers_only: false })
    }

    /// No connection was made: nothing was sent.
    #[must_use]
    pub const fn connect_failed() -> Self {
        Self::ended(TryEnd::ConnectFailed)
    }

    /// A layer behind has used up its tries for this call, or the budget for them (`x-retry-exhausted`): trying it
    /// again would multiply them.
    #[must_use]
    pub const fn exhausted(mut self) -> Self {
        self.exhausted = true;
        self
    }

    /// The callee asks to be left alone this long.
    #[must_use]
    pub const fn retry_after(mut self, after: Duration) -> Self {
        self.pushback = Some(Pushback::After(after));
        self
    }

    /// The callee asks not to be asked again.
    #[must_use]
    pub const fn never_again(mut self) -> Self {
        self.pushback = Some(Pushback::Never);
        self
    }

    /// The outcome.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        self.outcome
    }

    /// What was seen, with the outcome that goes with it.
    pub(crate) const fn ended(end: TryEnd) -> Self {
        Self { outcome: classify::of(end, false), end: Some(end), pushback: None, exhausted: false }
    }

    /// What the call's machine is told.
    pub(crate) fn report(self, is_ok: bool) -> Report {
        let end = self.end.unwrap_or(if is_ok { TryEnd::Returned } else { TryEnd::Raised });
        Report { pushback: self.pushback, exhausted: self.exhausted, ..Report::new(end, self.outcome) }
    }
}

impl From<Outcome> for Seen {
    fn from(outcome: Outcome) -> Self {
        Self::new(outcome)
    }
}

/// What a guard does until it is told better: `Ok` is succeeded, `Err` is unknown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl<T, E> Classify<T, E> for Plain {
    const CHOSEN: bool = false;

    fn classify(&self, result: &Result<T, E>) -> Seen {
        Seen::new(if result.is_ok() { Outcome::Succeeded } else { Outcome::Unknown })
    }
}

/// Classifies HTTP answers by their status; see [`of_http`].
#[cfg(feature = "http")]
#[derive(Clone, Copy, Debug, Default)]
pub struct OfHttp {
    believes: bool,
}

#[cfg(feature = "http")]
impl OfHttp {
    /// Believes `x-bowline-outcome` where an answer has it. For calls through the mesh or a gateway, which
    /// know better than their 503 can say: that a breaker is open, and nothing was sent.
    #[must_use]
    pub const fn through_bowline(mut self) -> Self {
        self.believes = true;
        self
    }
}

/// Classifies HTTP answers by their status, and errors by what is known of them.
///
/// 2xx and 3xx are succeeded; 429 is refused; other 4xx are failed; 5xx are unknown, because a server
/// that broke may have broken after the effect. A 202 is pending for a guard whose destination
/// [accepts](crate::Guard::accepts) work before it is done. An error is refused where surely nothing was sent (the
/// connection was refused), else unknown. `Retry-After` is honoured.
///
/// Works with `http::Response<B>` and, with the feature `reqwest`, `reqwest::Response`.
#[cfg(feature = "http")]
#[expect(non_upper_case_globals, reason = "it is handed over where a function could be, and reads like one")]
pub const of_http: OfHttp = OfHttp { believes: false };

#[cfg(feature = "http")]
impl<R: HttpAnswer, E: StdError + 'static> Classify<R, E> for OfHttp {
    fn classify(&self, result: &Result<R, E>) -> Seen {
        match result {
            Ok(answer) => {
                let seen = of_head(answer.status_code(), answer.header_map());
                let said = answer.header_map().get(OUTCOME).filter(|_| self.believes);
                match said.and_then(|value| Outcome::from_word(value.to_str().ok()?)) {
                    Some(outcome) => Seen { outcome, ..seen },
                    None => seen,
                }
            }
            Err(error) => of_error(error),
        }
    }
}

/// What a trusted hop says a call did to the world.
#[cfg(feature = "http")]
const OUTCOME: &str = "x-bowline-outcome";

/// An answer that has a status and headers.
#[cfg(feature = "http")]
pub trait HttpAnswer {
    /// The status.
    fn status_code(&self) -> u16;
    /// The headers.
    fn header_map(&self) -> &http::HeaderMap;
}

#[cfg(feature = "http")]
impl<B> HttpAnswer for http::Response<B> {
    fn status_code(&self) -> u16 {
        self.status().as_u16()
    }

    fn header_map(&self) -> &http::HeaderMap {
        self.headers()
    }
}

#[cfg(feature = "reqwest")]
impl HttpAnswer for reqwest::Response {
    fn status_code(&self) -> u16 {
        self.status().as_u16()
    }

    fn header_map(&self) -> &http::HeaderMap {
        self.headers()
    }
}

/// What the head of an HTTP answer says.
#[cfg(feature = "http")]
pub(crate) fn of_head(status: u16, headers: &http::HeaderMap) -> Seen {
    let seen = exhausted_by(headers, Seen::status(status));
    match headers.get(http::header::RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?)) {
        Some(after) => seen.retry_after(after),
        None => seen,
    }
}

/// `seen`, and whether the answer says that tries are used up. A success needs no other try.
#[cfg(feature = "http")]
pub(crate) fn exhausted_by(headers: &http::HeaderMap, seen: Seen) -> Seen {
    if headers.contains_key(crate::headers::EXHAUSTED) { seen.exhausted() } else { seen }
}

/// `Retry-After` as RFC 9110 section 10.2.3 has it: seconds, or a date.
#[cfg(feature = "http")]
fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(value).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let now = Duration::from_nanos(crate::clock::wall().as_unix_nanos());
    Some(at.saturating_sub(now))
}

/// Classifies gRPC statuses; see [`of_grpc`].
#[cfg(feature = "tonic")]
#[derive(Clone, Copy, Debug, Default)]
pub struct OfGrpc;

/// Classifies what a tonic client's methods return.
///
/// OK is succeeded; RESOURCE_EXHAUSTED is refused; codes that say no (INVALID_ARGUMENT, NOT_FOUND,
/// ABORTED and their like) are failed; everything else, UNAVAILABLE included, is unknown, unless the
/// status comes from a connection that was never made or a stream that was refused.
/// `grpc-retry-pushback-ms` is honoured.
#[cfg(feature = "tonic")]
#[expect(non_upper_case_globals, reason = "it is handed over where a function could be, and reads like one")]
pub const of_grpc: OfGrpc = OfGrpc;

#[cfg(feature = "tonic")]
impl<T> Classify<tonic::Response<T>, tonic::Status> for OfGrpc {
    fn classify(&self, result: &Result<tonic::Response<T>, tonic::Status>) -> Seen {
        let Err(status) = result else { return Seen::grpc(0) };
        if let Some(seen) = crate::cause::surely_not_sent(status) {
            return seen;
        }
        if crate::cause::ran_out_of_time(status) {
            return Seen::ended(TryEnd::TimedOut);
        }
        let seen = Seen::grpc(status.code() as u8);
        let exhausted = status.metadata().contains_key(crate::headers::EXHAUSTED);
        let seen = if exhausted { seen.exhausted() } else { seen };
        let pushback = status.metadata().get(GRPC_PUSHBACK_MS).and_then(|value| value.to_str().ok());
        pushback.map_or(seen, |value| grpc_pushback(seen, value))
    }
}

/// What a gRPC server says about being asked again (gRFC A6).
#[cfg(any(feature = "tonic", feature = "tower"))]
pub(crate) const GRPC_PUSHBACK_MS: &str = "grpc-retry-pushback-ms";

/// gRFC A6: milliseconds; a value that is negative or no number means not at all.
#[cfg(any(feature = "tonic", feature = "tower"))]
pub(crate) fn grpc_pushback(seen: Seen, value: &str) -> Seen {
    match value.parse() {
        Ok(millis) => seen.retry_after(Duration::from_millis(millis)),
        Err(_) => seen.never_again(),
    }
}

/// What an error says, looking through all its causes: refused where one of them proves that nothing was
/// sent, else unknown.
///
/// ```
/// use bowline::{Outcome, outcome};
///
/// let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
/// assert_eq!(outcome::of_error(&refused).outcome(), Outcome::Refused);
/// ```
#[must_use]
pub fn of_error(error: &(dyn StdError + 'static)) -> Seen {
    crate::cause::surely_not_sent(error).unwrap_or_else(|| Seen::ended(crate::cause::end_of(error)))
}

#[cfg(all(test, feature = "tower"))]
mod tests {
    use super::*;

    fn check(status: u16, expected: Outcome) {
        let result: Result<_, std::io::Error> =
            Ok(http::Response::builder().status(status).body(()).unwrap());
        assert_eq!(of_http.classify(&result).outcome(), expected, "{status}");
    }

    #[test]
    fn a_500_is_no_success_and_a_404_is_an_answer() {
        check(201, Outcome::Succeeded);
        check(304, Outcome::Succeeded);
        check(404, Outcome::Failed);
        check(429, Outcome::Refused);
        check(500, Outcome::Unknown);
        check(503, Outcome::Unknown);
    }

    #[test]
    fn a_hop_is_believed_only_where_somebody_said_so() {
        let answer = http::Response::builder().status(503).header("x-bowline-outcome", "refused");
        let result: Result<_, std::io::Error> = Ok(answer.body(()).unwrap());
        assert_eq!(of_http.classify(&result).outcome(), Outcome::Unknown);
        assert_eq!(of_http.through_bowline().classify(&result).outcome(), Outcome::Refused);
    }

    #[test]
    fn a_refused_connection_is_refused_and_a_broken_one_unknown() {
        let of = |kind: std::io::ErrorKind| {
            let result: Result<http::Response<()>, _> = Err(std::io::Error::from(kind));
            of_http.classify(&result).outcome()
        };
        assert_eq!(of(std::io::ErrorKind::ConnectionRefused), Outcome::Refused);
        assert_eq!(of(std::io::ErrorKind::ConnectionReset), Outcome::Unknown);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("3"), Some(Duration::from_secs(3)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO), "long ago");
        assert!(retry_after("Fri, 31 Dec 9999 23:59:59 GMT").unwrap() > Duration::from_secs(1));
        assert_eq!(retry_after("soon"), None);
    }

    #[test]
    fn a_pushback_that_is_no_number_means_never() {
        let seen = Seen::grpc(14);
        assert_eq!(grpc_pushback(seen, "250"), seen.retry_after(Duration::from_millis(250)));
        assert_eq!(grpc_pushback(seen, "-1"), seen.never_again());
    }
}
