//! Whether a try follows another.

use crate::backoff::Backoff;
use crate::classify;
use crate::conditions::Conditions;
use crate::report::{Pushback, Report};
use bowline_model::decision::{GiveUp, RetryWhy, TryEnd};
use bowline_model::{Outcome, Random};
use std::time::Duration;

/// How often a call is tried, and when again.
#[derive(Clone, Debug, PartialEq)]
pub struct RetrySettings {
    /// All tries, the first included; zero means one. (Istio's `attempts` counts the tries after the first.)
    pub tries: u32,
    /// How long one try may take.
    pub per_try: Option<Duration>,
    /// How long to wait before the next.
    pub backoff: Backoff,
    /// After what.
    pub rule: RetryRule,
}

/// After what a try is followed by another.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum RetryRule {
    /// Ours, by outcome: after a refusal; after an unknown outcome only what may be repeated.
    #[default]
    Outcome,
    /// Istio's, by name: exactly what `retryOn` says, whatever may be repeated by it.
    Named(Conditions),
}

/// A finished try and what matters of the call around it.
#[derive(Clone, Copy, Debug)]
pub struct Finished {
    /// Which try, from one.
    pub number: u32,
    /// How it ended.
    pub report: Report,
    /// Whether doing it twice is the same as doing it once.
    pub repeatable: bool,
    /// Whether the destination has an endpoint that this call has not tried yet.
    pub untried_host: bool,
    /// Why no try may follow, if the driver knows a reason.
    pub forbidden: Option<GiveUp>,
    /// Whether a layer before this one tries again too.
    pub retried_elsewhere: bool,
    /// What is left of the deadline.
    pub remaining: Duration,
    /// How long half of the tries take, where that is known and heeded; else nothing.
    pub median: Duration,
    /// The wait before this try.
    pub previous: Duration,
}

/// What follows a finished try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Another try.
    Again {
        /// After this long.
        after: Duration,
        /// Why it is allowed.
        why: RetryWhy,
    },
    /// None.
    Stop(GiveUp),
}

impl RetrySettings {
    /// One try.
    #[must_use]
    pub const fn none() -> Self {
        Self { tries: 1, per_try: None, backoff: Backoff::None, rule: RetryRule::Outcome }
    }

    /// Up to `tries` tries, by outcome, with Envoy's back-off.
    #[must_use]
    pub const fn tries(tries: u32) -> Self {
        Self { tries, per_try: None, backoff: Backoff::ENVOY, rule: RetryRule::Outcome }
    }

    /// Decides what follows. Asks `budget` last, and only for a try that would otherwise be made: what
    /// the budget gives is spent.
    pub fn decide(
        &self,
        finished: &Finished,
        budget: impl FnOnce() -> bool,
        rng: &mut impl Random,
    ) -> Verdict {
        self.judge(finished, budget, rng).unwrap_or_else(Verdict::Stop)
    }

    fn judge(
        &self,
        finished: &Finished,
        budget: impl FnOnce() -> bool,
        rng: &mut impl Random,
    ) -> Result<Verdict, GiveUp> {
        let why = match self.rule.allows(&finished.report, finished.repeatable) {
            // What is never done has one reason, whatever else would speak for it or against it.
            Ok(_) | Err(GiveUp::NotNamed) if self.tries <= 1 && matches!(self.rule, RetryRule::Named(_)) => {
                return Err(GiveUp::NoAttempts);
            }
            allowed => allowed?,
        };
        if finished.retried_elsewhere && finished.report.outcome != Outcome::Refused {
            return Err(GiveUp::RetriedElsewhere);
        }
        if finished.report.exhausted {
            return Err(GiveUp::ExhaustedElsewhere);
        }
        if let Some(reason) = finished.forbidden {
            return Err(reason);
        }
        if self.tries <= finished.number {
            return Err(GiveUp::TriesExhausted);
        }
        let after = self.wait(finished, rng)?;
        if finished.remaining <= after.saturating_add(finished.median) {
            return Err(GiveUp::DeadlineTooClose);
        }
        if !budget() {
            return Err(GiveUp::BudgetExhausted);
        }
        Ok(Verdict::Again { after, why })
    }

    /// How long to wait: what the callee named, or the back-off.
    fn wait(&self, finished: &Finished, rng: &mut impl Random) -> Result<Duration, GiveUp> {
        let backoff = |rng| self.backoff.delay(finished.number, finished.previous, rng);
        // Envoy knows none of this: with Istio's rule the back-off is all there is.
        if matches!(self.rule, RetryRule::Named(_)) {
            return Ok(backoff(rng));
        }
        let report = &finished.report;
        let elsewhere = classify::is_elsewhere_only(report.end, report.outcome);
        match report.pushback {
            Some(Pushback::Never) => Err(GiveUp::NotRetryable),
            // The host named a time for itself; another host knows nothing of it. A gRPC pushback is
            // the whole service's word (A6).
            Some(Pushback::After(_))
                if elsewhere
                    && finished.untried_host
                    && !matches!(report.end, TryEnd::AnsweredGrpc { .. }) =>
            {
                Ok(backoff(rng))
            }
            Some(Pushback::After(span)) if span <= Pushback::WAIT_MAX => Ok(span),
            Some(Pushback::After(_)) => Err(GiveUp::NotRetryable),
            None if elsewhere && !finished.untried_host => Err(GiveUp::NoHost),
            None => Ok(backoff(rng)),
        }
    }
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self::none()
    }
}

impl RetryRule {
    /// Why a try may follow one that ended this way.
    ///
    /// # Errors
    /// Why none may.
    pub fn allows(&self, report: &Report, repeatable: bool) -> Result<RetryWhy, GiveUp> {
        match report.end {
            TryEnd::Cancelled => return Err(GiveUp::Cancelled),
            TryEnd::DeadlineExceeded => return Err(GiveUp::DeadlineExceeded),
            _ => (),
        }
        match self {
            Self::Outcome => match report.outcome {
                Outcome::Succeeded | Outcome::Pending => Err(GiveUp::Done),
                Outcome::Failed => Err(GiveUp::NotRetryable),
                Outcome::Refused => Ok(RetryWhy::Refused),
                Outcome::Unknown if repeatable => Ok(RetryWhy::Idempotent),
                Outcome::Unknown => Err(GiveUp::NotSafe),
            },
            Self::Named(conditions) => match (conditions.matching(report), report.outcome) {
                (Some(condition), _) => Ok(RetryWhy::RetryOn(condition)),
                (None, Outcome::Succeeded | Outcome::Pending) => Err(GiveUp::Done),
                (None, _) => Err(GiveUp::NotNamed),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bowline_model::SplitMix64;
    use bowline_model::decision::RetryOn;

    const OFFERED_503: TryEnd = TryEnd::Answered { status: 503 };
    const OFFERED_429: TryEnd = TryEnd::Answered { status: 429 };

    /// Three tries, a second left, another host there.
    fn finished(end: TryEnd) -> Finished {
        Finished {
            number: 1,
            report: Report::new(end, classify::of(end, false)),
            repeatable: false,
            untried_host: true,
            forbidden: None,
            retried_elsewhere: false,
            remaining: Duration::from_secs(1),
            median: Duration::ZERO,
            previous: Duration::ZERO,
        }
    }

    fn three_tries() -> RetrySettings {
        RetrySettings { backoff: Backoff::None, ..RetrySettings::tries(3) }
    }

    fn named(retry_on: &str) -> RetrySettings {
        RetrySettings { rule: RetryRule::Named(Conditions::parse(retry_on).unwrap()), ..three_tries() }
    }

    fn decide(settings: &RetrySettings, finished: &Finished) -> Verdict {
        settings.decide(finished, || true, &mut SplitMix64::new(3))
    }

    fn again(why: RetryWhy) -> Verdict {
        Verdict::Again { after: Duration::ZERO, why }
    }

    fn waits(span: Duration) -> Verdict {
        Verdict::Again { after: span, why: RetryWhy::Refused }
    }

    #[test]
    fn a_refusal_is_tried_again_whatever_the_operation() {
        for end in [TryEnd::ConnectFailed, TryEnd::StreamRefused, TryEnd::ResetBeforeRequest] {
            assert_eq!(decide(&three_tries(), &finished(end)), again(RetryWhy::Refused), "{end}");
        }
    }

    #[test]
    fn an_unknown_outcome_is_tried_again_only_where_repeating_is_safe() {
        for end in [TryEnd::Reset, TryEnd::TimedOut, TryEnd::Malformed, OFFERED_503] {
            let once = finished(end);
            assert_eq!(decide(&three_tries(), &once), Verdict::Stop(GiveUp::NotSafe), "{end}");
            let repeatable = Finished { repeatable: true, ..once };
            assert_eq!(decide(&three_tries(), &repeatable), again(RetryWhy::Idempotent), "{end}");
        }
    }

    #[test]
    fn a_4xx_is_not_tried_again() {
        for status in [400, 404, 409, 422] {
            let answer = Finished { repeatable: true, ..finished(TryEnd::Answered { status }) };
            assert_eq!(decide(&three_tries(), &answer), Verdict::Stop(GiveUp::NotRetryable), "{status}");
        }
    }

    #[test]
    fn a_429_is_tried_again_on_another_host() {
        assert_eq!(decide(&three_tries(), &finished(OFFERED_429)), again(RetryWhy::Refused));
    }

    #[test]
    fn a_429_is_not_tried_again_on_the_same_host() {
        let alone = Finished { untried_host: false, ..finished(OFFERED_429) };
        assert_eq!(decide(&three_tries(), &alone), Verdict::Stop(GiveUp::NoHost));
    }

    #[test]
    fn a_429_is_tried_again_on_the_same_host_after_the_time_it_names() {
        let span = Duration::from_millis(400);
        let mut alone = Finished { untried_host: false, ..finished(OFFERED_429) };
        alone.report.pushback = Some(Pushback::After(span));
        assert_eq!(decide(&three_tries(), &alone), waits(span));
        let other = Finished { untried_host: true, ..alone };
        assert_eq!(decide(&three_tries(), &other), waits(Duration::ZERO), "another host need not wait");
    }

    #[test]
    fn a_pushback_is_waited_for_exactly() {
        let span = Duration::from_millis(123);
        let mut pushed = finished(TryEnd::AnsweredGrpc { code: 8, trailers_only: true });
        pushed.report.pushback = Some(Pushback::After(span));
        let settings = RetrySettings { backoff: Backoff::ENVOY, ..three_tries() };
        assert_eq!(decide(&settings, &pushed), waits(span));
    }

    #[test]
    fn a_pushback_of_never_stops() {
        let mut pushed = finished(TryEnd::ConnectFailed);
        pushed.report.pushback = Some(Pushback::Never);
        assert_eq!(decide(&three_tries(), &pushed), Verdict::Stop(GiveUp::NotRetryable));
    }

    #[test]
    fn a_pushback_of_more_than_five_minutes_is_not_waited_for() {
        let mut pushed = Finished { remaining: Duration::MAX, ..finished(TryEnd::ConnectFailed) };
        pushed.report.pushback = Some(Pushback::After(Pushback::WAIT_MAX));
        assert_eq!(decide(&three_tries(), &pushed), waits(Pushback::WAIT_MAX));
        pushed.report.pushback = Some(Pushback::After(Pushback::WAIT_MAX + Duration::from_nanos(1)));
        assert_eq!(decide(&three_tries(), &pushed), Verdict::Stop(GiveUp::NotRetryable));
    }

    #[test]
    fn nobody_sleeps_past_the_deadline() {
        let mut pushed = finished(TryEnd::ConnectFailed);
        pushed.report.pushback = Some(Pushback::After(pushed.remaining));
        assert_eq!(decide(&three_tries(), &pushed), Verdict::Stop(GiveUp::DeadlineTooClose));
        let over = Finished { remaining: Duration::ZERO, ..finished(TryEnd::ConnectFailed) };
        assert_eq!(decide(&three_tries(), &over), Verdict::Stop(GiveUp::DeadlineTooClose));
    }

    #[test]
    fn a_retry_that_would_be_doomed_is_not_made() {
        let millis = Duration::from_millis;
        let known = |median| Finished { remaining: millis(100), median, ..finished(TryEnd::ConnectFailed) };
        assert_eq!(decide(&three_tries(), &known(millis(99))), again(RetryWhy::Refused));
        assert_eq!(decide(&three_tries(), &known(millis(100))), Verdict::Stop(GiveUp::DeadlineTooClose));
    }

    #[test]
    fn where_attempts_are_0_that_is_the_reason_whatever_retry_on_says() {
        let never = |on| RetrySettings { tries: 1, ..named(on) };
        for end in [OFFERED_503, TryEnd::ConnectFailed, TryEnd::TimedOut, TryEnd::Answered { status: 404 }] {
            for on in ["5xx", "reset", "connect-failure"] {
                let verdict = decide(&never(on), &finished(end));
                assert_eq!(verdict, Verdict::Stop(GiveUp::NoAttempts), "{end} on {on}");
            }
        }
        for (end, reason) in [
            (TryEnd::Answered { status: 200 }, GiveUp::Done),
            (TryEnd::Cancelled, GiveUp::Cancelled),
            (TryEnd::DeadlineExceeded, GiveUp::DeadlineExceeded),
        ] {
            assert_eq!(decide(&never("5xx"), &finished(end)), Verdict::Stop(reason));
        }
        assert_eq!(decide(&named("reset"), &finished(OFFERED_503)), Verdict::Stop(GiveUp::NotNamed));
    }

    #[test]
    fn the_last_try_is_the_last() {
        let last = Finished { number: 3, ..finished(TryEnd::ConnectFailed) };
        assert_eq!(decide(&three_tries(), &last), Verdict::Stop(GiveUp::TriesExhausted));
        let only = finished(TryEnd::ConnectFailed);
        assert_eq!(
            decide(&RetrySettings { tries: 0, ..three_tries() }, &only),
            Verdict::Stop(GiveUp::TriesExhausted)
        );
    }

    #[test]
    fn an_empty_budget_is_asked_last_and_stops() {
        let mut asked = 0;
        let mut refuse = |finished: &Finished| {
            let budget = || {
                asked += 1;
                false
            };
            three_tries().decide(finished, budget, &mut SplitMix64::new(1))
        };
        assert_eq!(refuse(&finished(TryEnd::Reset)), Verdict::Stop(GiveUp::NotSafe));
        let last = Finished { number: 3, ..finished(TryEnd::ConnectFailed) };
        assert_eq!(refuse(&last), Verdict::Stop(GiveUp::TriesExhausted));
        assert_eq!(refuse(&finished(TryEnd::ConnectFailed)), Verdict::Stop(GiveUp::BudgetExhausted));
        assert_eq!(asked, 1, "what would not be tried again anyway must not cost anything");
    }

    #[test]
    fn what_another_layer_tries_again_is_tried_again_here_only_after_a_refusal() {
        let elsewhere = Finished { retried_elsewhere: true, repeatable: true, ..finished(TryEnd::Reset) };
        assert_eq!(decide(&three_tries(), &elsewhere), Verdict::Stop(GiveUp::RetriedElsewhere));
        assert_eq!(decide(&named("reset"), &elsewhere), Verdict::Stop(GiveUp::RetriedElsewhere));
        let refused = Finished { retried_elsewhere: true, ..finished(TryEnd::ConnectFailed) };
        assert_eq!(decide(&three_tries(), &refused), again(RetryWhy::Refused));
    }

    #[test]
    fn what_a_layer_behind_has_used_its_tries_up_for_is_not_tried_again_at_all() {
        for end in [TryEnd::ConnectFailed, OFFERED_503, OFFERED_429] {
            let mut exhausted = Finished { repeatable: true, ..finished(end) };
            exhausted.report.exhausted = true;
            assert_eq!(
                decide(&three_tries(), &exhausted),
                Verdict::Stop(GiveUp::ExhaustedElsewhere),
                "{end}"
            );
            assert_eq!(
                decide(&named("5xx,429,connect-failure"), &exhausted),
                Verdict::Stop(GiveUp::ExhaustedElsewhere)
            );
        }
    }

    #[test]
    fn what_the_driver_forbids_is_not_tried_again_and_keeps_its_reason() {
        for reason in [GiveUp::BodyTooLarge, GiveUp::Committed] {
            let forbidden = Finished { forbidden: Some(reason), ..finished(TryEnd::ConnectFailed) };
            assert_eq!(decide(&three_tries(), &forbidden), Verdict::Stop(reason));
        }
        let done =
            Finished { forbidden: Some(GiveUp::BodyTooLarge), ..finished(TryEnd::Answered { status: 200 }) };
        assert_eq!(
            decide(&three_tries(), &done),
            Verdict::Stop(GiveUp::Done),
            "a success needs no other reason"
        );
    }

    #[test]
    fn the_deadline_of_the_whole_call_is_never_tried_again() {
        let over = Finished { repeatable: true, ..finished(TryEnd::DeadlineExceeded) };
        assert_eq!(decide(&three_tries(), &over), Verdict::Stop(GiveUp::DeadlineExceeded));
        assert_eq!(decide(&named("5xx,504,reset"), &over), Verdict::Stop(GiveUp::DeadlineExceeded));
    }

    #[test]
    fn istio_repeats_what_its_words_name_safe_or_not() {
        let answer = finished(OFFERED_503);
        assert_eq!(decide(&named("5xx"), &answer), again(RetryWhy::RetryOn(RetryOn::FiveXx)));
        assert_eq!(decide(&named("connect-failure"), &answer), Verdict::Stop(GiveUp::NotNamed));
        let conflict = finished(TryEnd::Answered { status: 409 });
        assert_eq!(
            decide(&named("retriable-4xx"), &conflict),
            again(RetryWhy::RetryOn(RetryOn::Retriable4xx))
        );
    }

    #[test]
    fn istio_knows_no_pushback_and_repeats_a_429_on_the_same_host() {
        let mut alone = Finished { untried_host: false, ..finished(OFFERED_429) };
        alone.report.pushback = Some(Pushback::Never);
        assert_eq!(decide(&named("429"), &alone), again(RetryWhy::RetryOn(RetryOn::RetriableStatusCodes)));
    }
}
