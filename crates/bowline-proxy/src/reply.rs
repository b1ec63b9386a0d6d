//! Answers that the proxy makes itself.
//!
//! Each says in `x-bowline-reason` what happened, in a word that metrics and `explain` use too, and in
//! a short body, as text or JSON as the caller likes it. `x-bowline-outcome` says what it did to the
//! world, so that a caller that understands it need not guess from the status.

use crate::flags::Flag;
use crate::headers::{OUTCOME, REASON};
use bowline_model::Outcome;
use bowline_model::decision::{GiveUp, TryEnd};
use bowline_policy::End;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use std::time::Duration;

/// An answer to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) flag: Flag,
    /// A word that metrics and `explain` use too.
    pub(crate) reason: &'static str,
    pub(crate) outcome: Outcome,
    /// When asking again may help.
    pub(crate) retry_after: Option<Duration>,
}

impl Reply {
    /// No rule for the host or the path.
    pub(crate) const fn no_route(reason: &'static str) -> Self {
        Self { status: 404, flag: Flag::NoRoute, reason, outcome: Outcome::Failed, retry_after: None }
    }

    /// The caller left no time at all.
    pub(crate) const DOOMED: Self = Self {
        status: 504,
        flag: Flag::UpstreamTimeout,
        reason: GiveUp::DeadlineExceeded.as_str(),
        outcome: Outcome::Refused,
        retry_after: None,
    };

    /// The caller did not wait for its tunnel.
    pub(crate) const TOO_EARLY: Self = Self {
        status: 400,
        flag: Flag::DownstreamProtocol,
        reason: "tunnel too early",
        outcome: Outcome::Unknown,
        retry_after: None,
    };

    /// The callee switched to something that nobody asked for.
    pub(crate) const SWITCHED_ELSEWHERE: Self = Self {
        status: 502,
        flag: Flag::UpstreamProtocol,
        reason: "malformed",
        outcome: Outcome::Unknown,
        retry_after: None,
    };

    /// HTTP/2 has no `Upgrade`.
    pub(crate) const NO_UPGRADE: Self = Self {
        status: 501,
        flag: Flag::UpstreamProtocol,
        reason: "no upgrade over HTTP/2",
        outcome: Outcome::Refused,
        retry_after: None,
    };

    /// The destination has no endpoint.
    pub(crate) const NO_HOST: Self = Self {
        status: 503,
        flag: Flag::NoHealthyUpstream,
        reason: GiveUp::NoHost.as_str(),
        outcome: Outcome::Refused,
        retry_after: None,
    };

    /// What is to be protected does not go out in plain text, and a file that TLS needs cannot be used. Which, the log
    /// and the readiness say: it is nothing for callers.
    pub(crate) const NO_TLS: Self = Self {
        status: 503,
        flag: Flag::NoTls,
        reason: "no tls",
        outcome: Outcome::Refused,
        retry_after: None,
    };

    /// The connection's handshake was made with another server than the one of this host (RFC 9110, 15.5.20).
    pub(crate) const MISDIRECTED: Self = Self {
        status: 421,
        flag: Flag::NoRoute,
        reason: "misdirected",
        outcome: Outcome::Refused,
        retry_after: None,
    };

    /// gRPC is carried by HTTP/2, and nobody said that the destination speaks it.
    pub(crate) const NO_HTTP2: Self = Self {
        status: 502,
        flag: Flag::UpstreamProtocol,
        reason: "no http2",
        outcome: Outcome::Failed,
        retry_after: None,
    };

    /// What a call that ended without an answer is answered with; `violation`: the status that the gate
    /// gives to what the caller did.
    pub(crate) fn of(end: &End, violation: Option<u16>) -> Self {
        let (status, flag, reason) = match end.reason {
            GiveUp::BreakerOpen | GiveUp::BulkheadFull | GiveUp::QueueTimedOut | GiveUp::Displaced => {
                (503, Flag::UpstreamOverflow, end.reason.as_str())
            }
            GiveUp::Doomed => (504, Flag::Doomed, end.reason.as_str()),
            GiveUp::Throttled => (503, Flag::AdmissionRejected, end.reason.as_str()),
            GiveUp::RateLimited => (429, Flag::RateLimited, end.reason.as_str()),
            GiveUp::NoHost if end.tries == 0 => (503, Flag::NoHealthyUpstream, end.reason.as_str()),
            GiveUp::DeadlineExceeded => (504, Flag::UpstreamTimeout, end.reason.as_str()),
            GiveUp::Done
            | GiveUp::NotRetryable
            | GiveUp::NotSafe
            | GiveUp::NotNamed
            | GiveUp::NoAttempts
            | GiveUp::TriesExhausted
            | GiveUp::BudgetExhausted
            | GiveUp::DeadlineTooClose
            | GiveUp::NoHost
            | GiveUp::BodyTooLarge
            | GiveUp::Committed
            | GiveUp::RetriedElsewhere
            | GiveUp::Cancelled => Self::of_try(end, violation),
            // A reason of a later version: say what the last try saw.
            _ => Self::of_try(end, violation),
        };
        Self { status, flag, reason, outcome: end.outcome, retry_after: end.retry_after }
    }

    /// What of a call's tries is used up, so that layers before must not try it again: they would multiply.
    pub(crate) const fn exhausted(end: &End) -> Option<&'static str> {
        match end.reason {
            GiveUp::TriesExhausted if 1 < end.tries => Some("tries"),
            GiveUp::BudgetExhausted => Some("budget"),
            _ => None,
        }
    }

    fn of_try(end: &End, violation: Option<u16>) -> (u16, Flag, &'static str) {
        let Some(last) = end.last else { return (503, Flag::UpstreamFailed, end.reason.as_str()) };
        let (status, flag) = match last {
            TryEnd::TimedOut | TryEnd::DeadlineExceeded => (504, Flag::UpstreamTimeout),
            TryEnd::Reset | TryEnd::ResetBeforeRequest => (503, Flag::UpstreamClosed),
            TryEnd::Malformed => (502, Flag::UpstreamProtocol),
            TryEnd::Cancelled => (violation.unwrap_or(400), Flag::DownstreamProtocol),
            TryEnd::ConnectFailed | TryEnd::StreamRefused => (503, Flag::UpstreamFailed),
            _ => (503, Flag::UpstreamFailed),
        };
        let exhausted = end.reason == GiveUp::TriesExhausted && end.tries > 1;
        (status, if exhausted { Flag::RetriesExhausted } else { flag }, last.as_str())
    }

    /// The answer, about `whom`.
    pub(crate) fn response(&self, whom: &str, json: bool) -> Response<Bytes> {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A wait without an end is none that could be named.
        let finite = self.retry_after.filter(|span| *span < Duration::MAX);
        let seconds = finite.map(|span| span.as_secs() + u64::from(span.subsec_nanos() > 0));
        let body = if json { self.json(whom) } else { self.text(whom, seconds) };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        let kind = if json { "application/json" } else { "text/plain; charset=utf-8" };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(&REASON, HeaderValue::from_static(self.reason));
        headers.insert(&OUTCOME, HeaderValue::from_static(self.outcome.as_str()));
        if let Some(seconds) = seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    fn text(&self, whom: &str, seconds: Option<u64>) -> String {
        let after = seconds.map(|seconds| format!("; try again in {seconds} s")).unwrap_or_default();
        match whom {
            "" => format!("{}{after}\n", self.reason),
            whom => format!("{whom}: {}{after}\n", self.reason),
        }
    }

    fn json(&self, whom: &str) -> String {
        let mut whole = String::from("{\"status\":");
        whole.push_str(&self.status.to_string());
        for (key, value) in
            [("destination", whom), ("reason", self.reason), ("outcome", self.outcome.as_str())]
        {
            whole.push_str(",\"");
            whole.push_str(key);
            whole.push_str("\":\"");
            // Names of services and our own words: nothing but quotes and backslashes could need escaping.
            whole.extend(value.chars().flat_map(|character| {
                let escape = matches!(character, '"' | '\\').then_some('\\');
                escape.into_iter().chain((!character.is_control()).then_some(character))
            }));
            whole.push('"');
        }
        whole.push_str("}\n");
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(reason: GiveUp, tries: u32, last: Option<TryEnd>) -> End {
        End { reason, outcome: Outcome::Refused, tries, last, retry_after: None }
    }

    #[test]
    fn statuses_and_flags_say_whose_fault_it_is() {
        let check = |reason, tries, last, status, flag| {
            let reply = Reply::of(&end(reason, tries, last), None);
            assert_eq!((reply.status, reply.flag), (status, flag), "{reason} {last:?}");
        };
        check(GiveUp::BreakerOpen, 0, None, 503, Flag::UpstreamOverflow);
        check(GiveUp::Displaced, 0, None, 503, Flag::UpstreamOverflow);
        check(GiveUp::Doomed, 0, None, 504, Flag::Doomed);
        check(GiveUp::Throttled, 0, None, 503, Flag::AdmissionRejected);
        check(GiveUp::RateLimited, 0, None, 429, Flag::RateLimited);
        check(GiveUp::NoHost, 0, None, 503, Flag::NoHealthyUpstream);
        check(GiveUp::DeadlineExceeded, 1, Some(TryEnd::DeadlineExceeded), 504, Flag::UpstreamTimeout);
        check(GiveUp::NotSafe, 1, Some(TryEnd::TimedOut), 504, Flag::UpstreamTimeout);
        check(GiveUp::NotSafe, 1, Some(TryEnd::Reset), 503, Flag::UpstreamClosed);
        check(GiveUp::TriesExhausted, 3, Some(TryEnd::ConnectFailed), 503, Flag::RetriesExhausted);
        check(GiveUp::TriesExhausted, 1, Some(TryEnd::ConnectFailed), 503, Flag::UpstreamFailed);
        check(GiveUp::NotSafe, 1, Some(TryEnd::Malformed), 502, Flag::UpstreamProtocol);
    }

    #[test]
    fn the_body_says_it_in_a_sentence_or_in_json() {
        let open =
            End { retry_after: Some(Duration::from_millis(6_300)), ..end(GiveUp::BreakerOpen, 0, None) };
        let reply = Reply::of(&open, None);
        let response = reply.response("inventory", false);
        assert_eq!(response.body(), "inventory: breaker open; try again in 7 s\n");
        assert_eq!(response.headers()["retry-after"], "7");
        assert_eq!(response.headers()["x-bowline-reason"], "breaker open");
        let json = reply.response("inven\"tory", true);
        let expected = "{\"status\":503,\"destination\":\"inven\\\"tory\",\"reason\":\"breaker open\",\"outcome\":\"refused\"}\n";
        assert_eq!(json.body(), expected);
    }

    #[test]
    fn a_wait_without_an_end_is_not_named() {
        let limited = End { retry_after: Some(Duration::MAX), ..end(GiveUp::RateLimited, 0, None) };
        let response = Reply::of(&limited, None).response("inventory", false);
        assert_eq!(response.headers().get("retry-after"), None);
        assert_eq!(response.body(), "inventory: rate limited\n");
    }
}
