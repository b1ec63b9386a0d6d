//! When those whom orders owe something are asked for it again.
//!
//! What is wrong is wrong with the service and not with one order, so all debts to it wait together: after
//! no answer it is left alone, longer each time, and then asked for one order first. Once it answers, the
//! others follow.

use super::order::Debt;
use bowline::{Backoff, Error};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The least between two questions to a service that gives no answer.
const LEAST: Duration = Duration::from_secs(1);

/// How long a service is left alone after no answer: about a second at first, because most of what is
/// wrong is over by then, and half a minute at most, because somebody waits for the money.
const AGAIN: Backoff = Backoff::equal_jitter(LEAST, Duration::from_secs(30));

/// The orders settled at the same time. The rest waits its turn in the table.
const TOGETHER: u32 = 16;

/// Whom an order can owe something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creditor {
    /// Payment: a capture or a reversal.
    Payment,
    /// Inventory: a release.
    Inventory,
}

impl Creditor {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Payment, Self::Inventory];

    /// What it can be owed.
    #[must_use]
    pub const fn debts(self) -> &'static [Debt] {
        match self {
            Self::Payment => &[Debt::Capture, Debt::Reversal],
            Self::Inventory => &[Debt::Release],
        }
    }
}

/// That there was no answer to act on, and what was said about asking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Whether it was asked at all: an open breaker asks nobody.
    pub asked: bool,
    /// When asking again may help, if anybody said so: the breaker, or the service.
    pub retry_after: Option<Duration>,
}

impl From<&Error> for Silence {
    fn from(error: &Error) -> Self {
        Self { asked: error.tries() > 0, retry_after: error.retry_after() }
    }
}

/// How each creditor is treated now.
#[derive(Debug, Default)]
pub struct Rests(Mutex<[Rest; Creditor::ALL.len()]>);

impl Rests {
    /// For how many orders `whom` may be asked now.
    #[must_use]
    pub fn allows(&self, whom: Creditor) -> u32 {
        self.lock()[whom as usize].allows(Instant::now())
    }

    /// It was asked: some were answered, or none; the last silence of those that were not.
    pub fn asked(&self, whom: Creditor, some_answered: bool, silence: Option<Silence>) {
        self.lock()[whom as usize].asked(Instant::now(), some_answered, silence);
    }

    /// It answered something else: it may be well again.
    pub fn heard(&self, whom: Creditor) {
        self.lock()[whom as usize].heard();
    }

    /// Until the first of them may be asked again; `None` if all may.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        let now = Instant::now();
        self.lock().iter().filter_map(|rest| rest.left(now)).min()
    }

    fn lock(&self) -> MutexGuard<'_, [Rest; Creditor::ALL.len()]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How one creditor is treated.
#[derive(Debug, Default)]
struct Rest {
    /// Questions in a row that nobody answered.
    silences: u32,
    /// When the last of them was found unanswered, and until when it is left alone.
    since_until: Option<(Instant, Instant)>,
}

impl Rest {
    fn allows(&self, now: Instant) -> u32 {
        match (self.left(now), self.silences) {
            (Some(_), _) => 0,
            (None, 0) => TOGETHER,
            (None, _) => 1,
        }
    }

    fn asked(&mut self, now: Instant, some_answered: bool, silence: Option<Silence>) {
        if some_answered {
            *self = Self::default();
        }
        if let Some(Silence { asked, retry_after }) = silence {
            // An open breaker is no news of the service: its word counts, and the pauses do not grow.
            self.silences = self.silences.saturating_add(u32::from(asked)).max(1);
            let said = retry_after.map_or(Duration::ZERO, |after| after + AGAIN.delay(1));
            self.since_until = Some((now, now + said.max(AGAIN.delay(self.silences))));
        }
    }

    fn heard(&mut self) {
        if let Some((since, until)) = &mut self.since_until {
            *until = (*since + LEAST).min(*until);
        }
    }

    fn left(&self, now: Instant) -> Option<Duration> {
        self.since_until.map(|(_, until)| until - now).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_ANSWER: Silence = Silence { asked: true, retry_after: None };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn who_gives_no_answer_is_left_alone_longer_each_time_and_half_a_minute_at_most() {
        let mut rest = Rest::default();
        let mut now = Instant::now();
        assert_eq!(rest.allows(now), TOGETHER);
        for most in [1, 2, 4, 8, 16, 30, 30, 30] {
            rest.asked(now, false, Some(NO_ANSWER));
            let left = rest.left(now).unwrap();
            assert!((seconds(most) / 2..=seconds(most)).contains(&left), "{left:?} of {most} s");
            assert_eq!(rest.allows(now), 0);
            now += left;
            assert_eq!(rest.allows(now), 1, "one order first");
        }
        rest.asked(now, true, None);
        assert_eq!(rest.allows(now), TOGETHER);
    }

    #[test]
    fn an_open_breaker_says_when_and_the_pauses_do_not_grow_by_it() {
        let mut rest = Rest::default();
        let mut now = Instant::now();
        for _ in 0..5 {
            rest.asked(now, false, Some(Silence { asked: false, retry_after: Some(seconds(9)) }));
            let left = rest.left(now).unwrap();
            assert!((seconds(9)..=seconds(10)).contains(&left), "{left:?}");
            now += left;
        }
        rest.asked(now, false, Some(Silence { asked: false, retry_after: Some(seconds(50)) }));
        assert!(rest.left(now).unwrap() >= seconds(50), "what is said holds beyond our own longest pause");
    }

    #[test]
    fn an_answer_to_something_else_ends_a_rest_and_one_order_goes_first() {
        let mut rest = Rest::default();
        let now = Instant::now();
        for _ in 0..6 {
            rest.asked(now, false, Some(NO_ANSWER));
        }
        rest.heard();
        assert_eq!(rest.allows(now), 0, "not more than once a second");
        assert_eq!(rest.allows(now + LEAST), 1);
        rest.asked(now + LEAST, false, Some(NO_ANSWER));
        assert!(rest.left(now + LEAST).unwrap() >= seconds(15), "it answers others and not us");
    }

    #[test]
    fn who_answers_some_is_not_asked_for_the_others_at_once() {
        let mut rest = Rest::default();
        let now = Instant::now();
        for _ in 0..6 {
            rest.asked(now, false, Some(NO_ANSWER));
        }
        rest.asked(now, true, Some(NO_ANSWER));
        let left = rest.left(now).unwrap();
        assert!((seconds(1) / 2..=seconds(1)).contains(&left), "{left:?}");
    }
}
