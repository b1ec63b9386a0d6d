//! What becomes of the services, told as it happens and each thing once.

use super::Event;
use crate::api::{Running, locked};
use crate::services::{State, Status};
use std::future::{pending, poll_fn};
use std::task::Poll;
use tokio::sync::watch;

/// The services' states as they were told last.
#[derive(Debug)]
pub(super) struct News {
    follows: Vec<watch::Receiver<Status>>,
    told: Vec<Status>,
}

impl News {
    /// Nothing is told yet.
    pub(super) fn begin(running: &Running) -> Self {
        Self { follows: locked(&running.services).clone(), told: Vec::new() }
    }

    /// What is true now counts as told.
    pub(super) fn go_on(running: &Running) -> Self {
        let mut news = Self::begin(running);
        news.told = news.look();
        news
    }

    /// Returns when a state is another than the one last looked at.
    ///
    /// # Cancel safety
    /// Nothing is lost: the next call returns at once.
    pub(super) async fn change(&mut self) {
        let mut changes: Vec<_> = self.follows.iter_mut().map(|status| Box::pin(changed(status))).collect();
        poll_fn(|cx| {
            let ready = changes.iter_mut().any(|change| change.as_mut().poll(cx).is_ready());
            if ready { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Tells what is new. That a process was started is no news; that it answers is, and that it died.
    pub(super) fn tell(&mut self, tell: &mut dyn FnMut(Event<'_>)) {
        let now = self.look();
        for status in now.iter().filter(|status| !self.told.contains(status)) {
            if !matches!(status.state, State::Starting | State::Stopped) {
                tell(Event::Service(status));
            }
        }
        self.told = now;
    }

    /// Those that do not answer, as of the last look.
    pub(super) fn unready(&self) -> Vec<Status> {
        self.told.iter().filter(|status| !status.state.is_ready()).cloned().collect()
    }

    fn look(&mut self) -> Vec<Status> {
        self.follows.iter_mut().map(|status| status.borrow_and_update().clone()).collect()
    }
}

async fn changed(status: &mut watch::Receiver<Status>) {
    // A service that nobody supervises any more does not change.
    if status.changed().await.is_err() {
        pending::<()>().await;
    }
}
