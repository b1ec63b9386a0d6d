//! Why a guarded call has no answer to act on.

use crate::headers::EXHAUSTED;
use bowline_model::Outcome;
use bowline_model::decision::{GiveUp, TryEnd};
use bowline_model::describe::{seen, span};
use bowline_policy::retry::used_up;
use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Any error, as it is passed on.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a guarded call has no answer to act on.
///
/// It answers what a caller must decide by: may it have had an effect ([`outcome`](Self::outcome)), is
/// the breaker open ([`is_open`](Self::is_open)), was it too slow ([`is_timeout`](Self::is_timeout)),
/// when may I ask again ([`retry_after`](Self::retry_after)).
///
/// Its message is one line, its own level only; the error of the last try is its
/// [`source`](StdError::source):
///
/// ```text
/// stock of A47: gave up after 2 tries: deadline too close (41 ms left); the last answered 503, outcome unknown
/// ```
pub struct Error {
    // Boxed: a `Result` is as large as its larger side, and this one is rare.
    inner: Box<Inner>,
}

struct Inner {
    /// What was wanted: the guard's name until somebody says it better.
    context: String,
    is_named: bool,
    end: Ended,
    source: Option<BoxError>,
    answer: Option<Mutex<Box<dyn Any + Send>>>,
}

/// How a call ended without an answer to act on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) reason: GiveUp,
    pub(crate) outcome: Outcome,
    pub(crate) last: Option<TryEnd>,
    pub(crate) tries: u32,
    pub(crate) remaining: Duration,
    pub(crate) retry_after: Option<Duration>,
    /// Whether the last try was ended by a fault put there on purpose.
    pub(crate) injected: bool,
}

impl Error {
    pub(crate) fn new(guard: &Arc<str>, end: Ended) -> Self {
        let context = guard.as_ref().to_owned();
        Self { inner: Box::new(Inner { context, is_named: false, end, source: None, answer: None }) }
    }

    pub(crate) fn with_source(mut self, source: Option<BoxError>) -> Self {
        self.inner.source = source;
        self
    }

    pub(crate) fn with_answer<T: Send + 'static>(mut self, answer: T) -> Self {
        self.inner.answer = Some(Mutex::new(Box::new(answer)));
        self
    }

    /// Says what was wanted, in the place of the guard's name; a second context goes before the first.
    #[must_use]
    pub fn context(mut self, wanted: impl fmt::Display) -> Self {
        let inner = &mut *self.inner;
        inner.context =
            if inner.is_named { format!("{wanted}: {}", inner.context) } else { wanted.to_string() };
        inner.is_named = true;
        self
    }

    /// Whether the breaker is open: nothing was sent. Fall back to what is known.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.inner.end.reason == GiveUp::BreakerOpen
    }

    /// Whether too many calls are under way, waiting or begun this second, or the callee accepts too few.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(
            self.inner.end.reason,
            GiveUp::BulkheadFull
                | GiveUp::QueueTimedOut
                | GiveUp::Displaced
                | GiveUp::RateLimited
                | GiveUp::Throttled
        )
    }

    /// Whether all tries are used up, here or in a layer behind, or what is allowed of them: the budget, the retry
    /// throttle. A server that fails its own caller because of it says so: [`Error::exhausted_header`].
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.exhausted_header().is_some()
    }

    /// The header, or metadata of gRPC, with which a server that fails its own caller because of this error says what
    /// is used up (`tries`, `budget`, `throttle`), so that no layer before it multiplies tries. `None`: nothing is.
    ///
    /// Guards, the gateway and the mesh read it. A guard's tower layer puts it on the answers that it hands through; an
    /// answer that a program makes itself is its own.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// use bowline::{Retry, guard};
    ///
    /// let stock = guard("stock").idempotent().retry(Retry::tries(2));
    /// let error = stock.call(|_| async { Err::<(), _>(std::io::Error::other("down")) }).await.unwrap_err();
    /// let mut answer = http::Response::builder().status(503);
    /// if let Some((name, value)) = error.exhausted_header() {
    ///     answer = answer.header(name, value);
    /// }
    /// assert_eq!(answer.body(()).unwrap().headers()["x-retry-exhausted"], "tries");
    /// # }
    /// ```
    #[must_use]
    pub fn exhausted_header(&self) -> Option<(&'static str, &'static str)> {
        let Ended { reason, tries, .. } = self.inner.end;
        // What a layer behind said is over is over: its tries are what there was.
        let elsewhere = (reason == GiveUp::ExhaustedElsewhere).then_some("tries");
        used_up(reason, tries).or(elsewhere).map(|what| (EXHAUSTED, what))
    }

    /// Whether time ran out: the deadline's, that of the last try, or the callee's own (gRPC's DEADLINE_EXCEEDED).
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        let out_of_time =
            matches!(self.inner.end.last, Some(TryEnd::TimedOut | TryEnd::AnsweredGrpc { code: 4, .. }));
        self.is_deadline() || out_of_time
    }

    /// Whether the call's deadline ended it: it ran out, another try would not have fitted, or so little was left
    /// that none was made.
    #[must_use]
    pub fn is_deadline(&self) -> bool {
        matches!(self.inner.end.reason, GiveUp::DeadlineExceeded | GiveUp::DeadlineTooClose | GiveUp::Doomed)
            || self.inner.end.last == Some(TryEnd::DeadlineExceeded)
    }

    /// Whether the last try was ended by a fault that somebody put there on purpose.
    #[must_use]
    pub fn is_injected(&self) -> bool {
        self.inner.end.injected
    }

    /// What the call, with all its tries, did to the world. After [`Outcome::Refused`] it is safe to ask
    /// again elsewhere or later; after [`Outcome::Unknown`] only what may be repeated.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.inner.end.outcome
    }

    /// Why no (further) try was made.
    #[must_use]
    pub fn gave_up_because(&self) -> GiveUp {
        self.inner.end.reason
    }

    /// Tries sent.
    #[must_use]
    pub fn tries(&self) -> u32 {
        self.inner.end.tries
    }

    /// What was left of the deadline.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.inner.end.remaining
    }

    /// When asking again may help, if anybody said so: the breaker, or the callee.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.end.retry_after
    }

    /// The status of the last answer, if the last try was answered over HTTP.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self.inner.end.last {
            Some(TryEnd::Answered { status }) => Some(status),
            _ => None,
        }
    }

    /// The answer of the last try, if there was one and it is a `T`: a 503 is no success, and still its
    /// body may tell why.
    ///
    /// # Errors
    /// The error itself, unchanged, if there is no such answer.
    pub fn into_answer<T: 'static>(mut self) -> Result<T, Self> {
        let Some(answer) = self.inner.answer.take() else { return Err(self) };
        match answer.into_inner().unwrap_or_else(PoisonError::into_inner).downcast() {
            Ok(answer) => Ok(*answer),
            Err(other) => {
                self.inner.answer = Some(Mutex::new(other));
                Err(self)
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { context, end, .. } = &*self.inner;
        write!(f, "{context}: ")?;
        match end.tries {
            0 => write!(f, "not tried: {}", end.reason)?,
            1 => write!(f, "gave up after 1 try: {}", end.reason)?,
            tries => write!(f, "gave up after {tries} tries: {}", end.reason)?,
        }
        match (end.reason, end.retry_after) {
            (GiveUp::DeadlineTooClose, _) => write!(f, " ({} left)", span(end.remaining))?,
            (_, Some(after)) => write!(f, " (ask again in {})", span(after))?,
            _ => (),
        }
        // Why no further try was made is not yet what is wrong: that the last try tells.
        match end.last {
            Some(last) if end.tries > 0 && !is_told_by(end.reason) => {
                write!(f, "; the last {}, outcome {}", seen(last), end.outcome)
            }
            _ => Ok(()),
        }
    }
}

/// Whether `reason` already says how the last try ended.
const fn is_told_by(reason: GiveUp) -> bool {
    matches!(reason, GiveUp::DeadlineExceeded | GiveUp::Cancelled)
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("message", &format_args!("{self}"))
            .field("outcome", &self.inner.end.outcome)
            .field("last", &self.inner.end.last)
            .field("source", &self.inner.source)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(reason: GiveUp, tries: u32) -> Error {
        let end = Ended {
            reason,
            outcome: Outcome::Unknown,
            last: None,
            tries,
            remaining: Duration::from_millis(41),
            retry_after: None,
            injected: false,
        };
        Error::new(&"inventory".into(), end)
    }

    #[test]
    fn the_message_says_what_why_and_how_much_was_left() {
        let error = error(GiveUp::DeadlineTooClose, 2);
        assert_eq!(error.to_string(), "inventory: gave up after 2 tries: deadline too close (41 ms left)");
        let error = error.context("stock of A47");
        assert_eq!(error.to_string(), "stock of A47: gave up after 2 tries: deadline too close (41 ms left)");
        let error = error.context("order 17");
        assert!(error.to_string().starts_with("order 17: stock of A47: gave up"), "{error}");
    }

    #[test]
    fn the_message_says_how_the_last_try_ended_unless_its_reason_does() {
        let mut error = error(GiveUp::TriesExhausted, 3);
        error.inner.end.last = Some(TryEnd::Answered { status: 503 });
        assert_eq!(
            error.to_string(),
            "inventory: gave up after 3 tries: tries exhausted; the last answered 503, outcome unknown"
        );
        error.inner.end.last = Some(TryEnd::DeadlineExceeded);
        error.inner.end.reason = GiveUp::DeadlineExceeded;
        assert_eq!(error.to_string(), "inventory: gave up after 3 tries: deadline exceeded");
    }

    #[test]
    fn a_call_that_was_not_tried_does_not_say_that_it_gave_up() {
        let mut error = error(GiveUp::BreakerOpen, 0);
        error.inner.end.retry_after = Some(Duration::from_millis(4_200));
        assert_eq!(error.to_string(), "inventory: not tried: breaker open (ask again in 4.2 s)");
        assert!(error.is_open() && !error.is_timeout());
    }

    #[test]
    fn the_last_answer_comes_back_only_as_what_it_is() {
        let error = error(GiveUp::TriesExhausted, 3).with_answer("ledger closed".to_owned());
        let error = error.into_answer::<u32>().unwrap_err();
        assert_eq!(error.into_answer::<String>().unwrap(), "ledger closed");
    }

    #[test]
    fn it_passes_where_any_error_does() {
        fn passes<E: Into<BoxError> + Send + Sync + 'static>() {}
        passes::<Error>();
    }
}
