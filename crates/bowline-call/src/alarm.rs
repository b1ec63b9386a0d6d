//! Why a connection keeps one timer instead of making one for each request.
//!
//! Registering and cancelling a tokio timer costs a lock and a walk of the wheel, twice a request, for
//! deadlines that almost never come. Deadlines of consecutive requests grow, so one timer that is
//! already set for an earlier instant serves the later one too: it fires early once, sees that nothing
//! is due, and is set anew. A connection under load pays for one registration per deadline's length,
//! not per request, and a deadline is still met to the millisecond.

use crate::clock::Clock;
use bowline_model::Instant;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::time::Sleep;

/// A timer for whatever its owner waits for next.
#[derive(Debug)]
pub struct Alarm {
    clock: Clock,
    /// Boxed so that the owner may move; made at the first wait.
    sleep: Option<Pin<Box<Sleep>>>,
    set_for: Instant,
}

impl Alarm {
    /// An alarm that is not set.
    #[must_use]
    pub const fn new(clock: Clock) -> Self {
        Self { clock, sleep: None, set_for: Instant::FAR }
    }

    /// The clock it goes by.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// Ready once `at` has come; registers `cx` otherwise. `at` may differ from one poll to the next.
    pub fn poll(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if at == Instant::FAR {
            return Poll::Pending;
        }
        if self.sleep.is_none() || at < self.set_for {
            self.set(at);
        }
        loop {
            let Some(sleep) = &mut self.sleep else { return Poll::Pending };
            // What its owner did in this turn of the runtime does not count: work that never pauses would
            // use up what a task may do in one, and never be told that its time is over.
            if pin!(tokio::task::unconstrained(sleep.as_mut())).poll(cx).is_pending() {
                return Poll::Pending;
            }
            if self.clock.now() >= at {
                return Poll::Ready(());
            }
            self.set(at);
        }
    }

    /// Waits until `at`.
    pub async fn wait(&mut self, at: Instant) {
        poll_fn(|cx| self.poll(at, cx)).await;
    }

    /// Waits for `work`, but not beyond `at`: then `None`. It stays where it is pinned: an argument by value would
    /// have its room twice in every call.
    pub async fn or_until<F: Future>(&mut self, at: Instant, mut work: Pin<&mut F>) -> Option<F::Output> {
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            self.poll(at, cx).map(|()| None)
        })
        .await
    }

    fn set(&mut self, at: Instant) {
        let when = self.clock.tokio(at);
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(when),
            None => self.sleep = Some(Box::pin(tokio::time::sleep_until(when))),
        }
        self.set_for = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_later_wait_on_an_alarm_set_earlier_still_ends_on_time() {
        let clock = Clock::start();
        let mut alarm = Alarm::new(clock);
        let first = clock.now() + Duration::from_millis(100);
        assert!(alarm.or_until(first, pin!(std::future::ready(()))).await.is_some());
        // Registers the timer for the first instant, then waits for a later one.
        let _ = alarm.or_until(first, pin!(tokio::task::yield_now())).await;
        let later = clock.now() + Duration::from_millis(250);
        alarm.wait(later).await;
        assert!(clock.now() >= later && clock.now().since(later) < Duration::from_millis(3));
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_wait_on_an_alarm_set_later_is_not_late() {
        let clock = Clock::start();
        let mut alarm = Alarm::new(clock);
        let _ = alarm.or_until(clock.now() + Duration::from_secs(10), pin!(tokio::task::yield_now())).await;
        let soon = clock.now() + Duration::from_millis(5);
        alarm.wait(soon).await;
        assert!(clock.now().since(soon) < Duration::from_millis(3));
    }

    #[tokio::test]
    async fn work_that_never_pauses_does_not_hold_off_the_end() {
        let clock = Clock::start();
        let mut alarm = Alarm::new(clock);
        let busy = async {
            loop {
                tokio::task::consume_budget().await;
            }
        };
        let busy = pin!(busy);
        let waiting = alarm.or_until(clock.now() + Duration::from_millis(20), busy);
        let ended = tokio::time::timeout(Duration::from_secs(2), waiting).await;
        assert!(matches!(ended, Ok(None::<()>)), "{ended:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn for_ever_needs_no_timer() {
        let mut alarm = Alarm::new(Clock::start());
        assert!(alarm.or_until(Instant::FAR, pin!(tokio::task::yield_now())).await.is_some());
        assert!(alarm.sleep.is_none());
    }
}
