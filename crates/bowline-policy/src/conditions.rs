//! Istio's `retryOn`, as Envoy understands it.
//!
//! The words look like a list of status codes and are not. A code matches only an answer that the callee
//! gave: a connection that broke is answered with 503 by the proxy, and `503` does not match it, `reset`
//! or `connect-failure` does. The gRPC words match only an answer that consists of trailers alone, because
//! only then does the code stand in the headers that the proxy looks at.
//!
//! The rules are those of Envoy's `source/common/router/retry_state_impl.cc` and of its router filter's
//! documentation.

use crate::report::Report;
use bowline_model::decision::{RetryOn, TryEnd};

/// The conditions and status codes that one `retryOn` names.
///
/// ```
/// use bowline_model::decision::{RetryOn, TryEnd};
/// use bowline_policy::{Conditions, Report};
/// use bowline_model::Outcome;
///
/// let conditions = Conditions::parse("connect-failure,503").unwrap();
/// let answered = Report::new(TryEnd::Answered { status: 503 }, Outcome::Unknown);
/// assert_eq!(conditions.matching(&answered), Some(RetryOn::RetriableStatusCodes));
/// let reset = Report::new(TryEnd::Reset, Outcome::Unknown);
/// assert_eq!(conditions.matching(&reset), None);
///
/// assert_eq!(Conditions::parse("connect-failure,5xxx"), Err("5xxx".to_owned()));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// One bit for each condition.
    named: u32,
    /// In the order they were named.
    codes: Vec<u16>,
    /// Whether a host may be asked again while another was not asked yet.
    previous_hosts: bool,
}

/// Every condition, in the order of Istio's list.
pub const ALL: [RetryOn; 16] = [
    RetryOn::FiveXx,
    RetryOn::GatewayError,
    RetryOn::Reset,
    RetryOn::ResetBeforeRequest,
    RetryOn::ConnectFailure,
    RetryOn::Retriable4xx,
    RetryOn::RefusedStream,
    RetryOn::RetriableStatusCodes,
    RetryOn::RetriableHeaders,
    RetryOn::EnvoyRatelimited,
    RetryOn::Http3PostConnectFailure,
    RetryOn::Cancelled,
    RetryOn::DeadlineExceeded,
    RetryOn::Internal,
    RetryOn::ResourceExhausted,
    RetryOn::Unavailable,
];

impl Conditions {
    /// Reads a `retryOn`: conditions and status codes, separated by commas. Empty text names nothing.
    ///
    /// # Errors
    /// The first word that is neither a condition nor a status code that HTTP knows: Istio refuses it too.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut conditions = Self::default();
        if text.is_empty() {
            return Ok(conditions);
        }
        for word in text.split(',').map(str::trim) {
            if let Some(condition) = ALL.into_iter().find(|condition| condition.as_str() == word) {
                conditions.name(condition);
            } else if let Some(code) = status_code(word) {
                conditions.name_code(code);
            } else {
                return Err(word.to_owned());
            }
        }
        Ok(conditions)
    }

    /// What Istio asks for where no `retries` block is written. The codes condition is part of it, with no
    /// code: 503 was one until Istio 1.24 took it out, because it repeated what had taken effect.
    #[must_use]
    pub fn istio_default() -> Self {
        let mut conditions = Self::default();
        for condition in [
            RetryOn::ConnectFailure,
            RetryOn::RefusedStream,
            RetryOn::Unavailable,
            RetryOn::Cancelled,
            RetryOn::RetriableStatusCodes,
        ] {
            conditions.name(condition);
        }
        conditions
    }

    /// The same, where a try may go to any host, those of the tries before it too: Istio's
    /// `retryIgnorePreviousHosts: false`.
    #[must_use]
    pub fn with_previous_hosts(self) -> Self {
        Self { previous_hosts: true, ..self }
    }

    /// Whether a host may be asked again while another was not asked yet.
    #[must_use]
    pub const fn may_ask_again(&self) -> bool {
        self.previous_hosts
    }

    /// Whether `condition` is named.
    #[must_use]
    pub const fn contains(&self, condition: RetryOn) -> bool {
        self.named & bit(condition) != 0
    }

    /// The conditions that are named.
    pub fn iter(&self) -> impl Iterator<Item = RetryOn> + '_ {
        ALL.into_iter().filter(|condition| self.contains(*condition))
    }

    /// The status codes that are named.
    #[must_use]
    pub fn codes(&self) -> &[u16] {
        &self.codes
    }

    /// Adds a condition.
    pub const fn name(&mut self, condition: RetryOn) {
        self.named |= bit(condition);
    }

    /// Adds a status code, and with it the condition that looks at codes.
    pub fn name_code(&mut self, code: u16) {
        self.name(RetryOn::RetriableStatusCodes);
        if !self.codes.contains(&code) {
            self.codes.push(code);
        }
    }

    /// The condition that names how a try ended; the narrowest, where several do.
    #[must_use]
    pub fn matching(&self, report: &Report) -> Option<RetryOn> {
        match report.end {
            TryEnd::Answered { status } => self.answer(report, status, None),
            // A gRPC answer has status 200; its code is in sight only without a message before it.
            TryEnd::AnsweredGrpc { code, trailers_only } => {
                self.answer(report, 200, trailers_only.then_some(code))
            }
            TryEnd::ConnectFailed => self.first(&[
                RetryOn::ConnectFailure,
                RetryOn::ResetBeforeRequest,
                RetryOn::Reset,
                RetryOn::GatewayError,
                RetryOn::FiveXx,
            ]),
            TryEnd::ResetBeforeRequest => self.first(&[
                RetryOn::ResetBeforeRequest,
                RetryOn::Reset,
                RetryOn::GatewayError,
                RetryOn::FiveXx,
            ]),
            TryEnd::StreamRefused => {
                self.first(&[RetryOn::RefusedStream, RetryOn::Reset, RetryOn::GatewayError, RetryOn::FiveXx])
            }
            // A per-try timeout resets the stream from this side; a protocol error does the same.
            TryEnd::Reset | TryEnd::Malformed | TryEnd::TimedOut | TryEnd::Raised => {
                self.first(&[RetryOn::Reset, RetryOn::GatewayError, RetryOn::FiveXx])
            }
            // The route's own timeout is never tried again; there is no time left to do so.
            _ => None,
        }
    }

    fn answer(&self, report: &Report, status: u16, grpc: Option<u8>) -> Option<RetryOn> {
        if report.rate_limited {
            return self.first(&[RetryOn::EnvoyRatelimited]);
        }
        let by_grpc = match grpc {
            Some(1) => self.first(&[RetryOn::Cancelled]),
            Some(4) => self.first(&[RetryOn::DeadlineExceeded]),
            Some(8) => self.first(&[RetryOn::ResourceExhausted]),
            Some(13) => self.first(&[RetryOn::Internal]),
            Some(14) => self.first(&[RetryOn::Unavailable]),
            _ => None,
        };
        let by_code = || {
            let named = self.contains(RetryOn::RetriableStatusCodes) && self.codes.contains(&status);
            named.then_some(RetryOn::RetriableStatusCodes)
        };
        let by_status = || match status {
            // The one code that the word stands for.
            409 => self.first(&[RetryOn::Retriable4xx]),
            502..=504 => self.first(&[RetryOn::GatewayError, RetryOn::FiveXx]),
            500..=599 => self.first(&[RetryOn::FiveXx]),
            _ => None,
        };
        let by_header =
            || report.retriable_header.then(|| self.first(&[RetryOn::RetriableHeaders])).flatten();
        by_grpc.or_else(by_code).or_else(by_status).or_else(by_header)
    }

    fn first(&self, candidates: &[RetryOn]) -> Option<RetryOn> {
        candidates.iter().copied().find(|condition| self.contains(*condition))
    }
}

const fn bit(condition: RetryOn) -> u32 {
    1 << condition as u32
}

/// A status code that HTTP knows: those of the IANA registry, which is also what Istio's validation asks
/// (`http.StatusText` of Go's library is not empty).
fn status_code(word: &str) -> Option<u16> {
    let code: u16 = word.parse().ok()?;
    matches!(
        code,
        100..=103 | 200..=208 | 226 | 300..=305 | 307 | 308 | 400..=418 | 421..=426 | 428 | 429 | 431 | 451
            | 500..=508 | 510 | 511
    )
    .then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bowline_model::Outcome;

    fn check(retry_on: &str, end: TryEnd, expected: Option<RetryOn>) {
        let report = Report::new(end, Outcome::Unknown);
        let found = Conditions::parse(retry_on).unwrap().matching(&report);
        assert_eq!(found, expected, "{retry_on} after {end:?}");
    }

    const ANSWERED_503: TryEnd = TryEnd::Answered { status: 503 };

    #[test]
    fn every_word_of_istio_is_read_and_written_alike() {
        for condition in ALL {
            let conditions = Conditions::parse(condition.as_str()).unwrap();
            assert!(conditions.iter().eq([condition]));
        }
    }

    #[test]
    fn a_word_that_istio_refuses_is_refused_by_name() {
        for bad in ["5xxx", "603", "099", "reset;5xx", "connect-failure,,reset", "RESET", "306"] {
            assert!(Conditions::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Conditions::parse("reset,gateway_error"), Err("gateway_error".to_owned()));
    }

    #[test]
    fn a_code_brings_its_condition_with_it() {
        let conditions = Conditions::parse("503,504,503").unwrap();
        assert!(conditions.contains(RetryOn::RetriableStatusCodes));
        assert_eq!(conditions.codes(), [503, 504]);
    }

    #[test]
    fn a_failure_the_proxy_made_does_not_match_a_status_code() {
        for end in [TryEnd::ConnectFailed, TryEnd::Reset, TryEnd::TimedOut, TryEnd::Malformed] {
            check("503,504", end, None);
        }
        check("503", ANSWERED_503, Some(RetryOn::RetriableStatusCodes));
        check("503,reset", TryEnd::Reset, Some(RetryOn::Reset));
        check("503,connect-failure", TryEnd::ConnectFailed, Some(RetryOn::ConnectFailure));
    }

    #[test]
    fn every_reset_matches_5xx_gateway_error_and_reset() {
        let resets = [
            TryEnd::ConnectFailed,
            TryEnd::ResetBeforeRequest,
            TryEnd::StreamRefused,
            TryEnd::Reset,
            TryEnd::Malformed,
            TryEnd::TimedOut,
        ];
        for end in resets {
            check("5xx", end, Some(RetryOn::FiveXx));
            check("gateway-error", end, Some(RetryOn::GatewayError));
            check("reset", end, Some(RetryOn::Reset));
        }
    }

    #[test]
    fn reset_before_request_matches_only_what_was_not_sent() {
        check("reset-before-request", TryEnd::ConnectFailed, Some(RetryOn::ResetBeforeRequest));
        check("reset-before-request", TryEnd::ResetBeforeRequest, Some(RetryOn::ResetBeforeRequest));
        for end in [TryEnd::Reset, TryEnd::StreamRefused, TryEnd::TimedOut] {
            check("reset-before-request", end, None);
        }
    }

    #[test]
    fn a_per_try_timeout_is_a_reset_from_this_side() {
        check("connect-failure,refused-stream,unavailable,504", TryEnd::TimedOut, None);
        check("reset", TryEnd::TimedOut, Some(RetryOn::Reset));
    }

    #[test]
    fn the_timeout_of_the_whole_route_is_never_tried_again() {
        check("5xx,gateway-error,reset,504,deadline-exceeded", TryEnd::DeadlineExceeded, None);
    }

    #[test]
    fn gateway_errors_are_502_503_and_504() {
        for (status, expected) in [(500, None), (501, None), (505, None)]
            .into_iter()
            .chain([502, 503, 504].map(|status| (status, Some(RetryOn::GatewayError))))
        {
            check("gateway-error", TryEnd::Answered { status }, expected);
        }
    }

    #[test]
    fn retriable_4xx_is_409_alone() {
        check("retriable-4xx", TryEnd::Answered { status: 409 }, Some(RetryOn::Retriable4xx));
        for status in [400, 404, 408, 425, 429] {
            check("retriable-4xx", TryEnd::Answered { status }, None);
        }
    }

    #[test]
    fn a_grpc_code_is_seen_only_in_trailers_without_a_message() {
        let unavailable = |trailers_only| TryEnd::AnsweredGrpc { code: 14, trailers_only };
        check("unavailable", unavailable(true), Some(RetryOn::Unavailable));
        check("unavailable", unavailable(false), None);
        check("5xx,gateway-error,reset", unavailable(true), None);
    }

    #[test]
    fn each_grpc_word_matches_its_code() {
        let pairs = [(1, "cancelled"), (4, "deadline-exceeded"), (8, "resource-exhausted"), (13, "internal")];
        for (code, word) in pairs {
            let conditions = Conditions::parse(word).unwrap();
            check(word, TryEnd::AnsweredGrpc { code, trailers_only: true }, conditions.iter().next());
            check(word, TryEnd::AnsweredGrpc { code: 2, trailers_only: true }, None);
        }
    }

    #[test]
    fn a_rate_limited_answer_is_tried_again_only_where_that_is_named() {
        let report = Report { rate_limited: true, ..Report::new(ANSWERED_503, Outcome::Unknown) };
        assert_eq!(Conditions::parse("5xx,503").unwrap().matching(&report), None);
        let named = Conditions::parse("envoy-ratelimited").unwrap().matching(&report);
        assert_eq!(named, Some(RetryOn::EnvoyRatelimited));
    }

    #[test]
    fn a_header_counts_where_headers_are_named() {
        let report = Report {
            retriable_header: true,
            ..Report::new(TryEnd::Answered { status: 200 }, Outcome::Succeeded)
        };
        assert_eq!(Conditions::parse("5xx").unwrap().matching(&report), None);
        let named = Conditions::parse("retriable-headers").unwrap().matching(&report);
        assert_eq!(named, Some(RetryOn::RetriableHeaders));
    }

    #[test]
    fn what_istio_does_by_default_leaves_a_503_alone() {
        let conditions = Conditions::istio_default();
        let matching = |end| conditions.matching(&Report::new(end, Outcome::Unknown));
        assert_eq!(matching(ANSWERED_503), None);
        assert_eq!(matching(TryEnd::ConnectFailed), Some(RetryOn::ConnectFailure));
        assert_eq!(matching(TryEnd::Reset), None);
    }
}
