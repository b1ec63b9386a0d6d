//! Several tries of one call at once.
//!
//! Only a try that may be hedged comes here, so that all others pay nothing for it. Each try is a future of its own
//! and one loop polls them all, with one alarm for what is due first: a try's end or the next hedge. The first
//! answer that ends the call drops the others, which is how they are cancelled: over HTTP/2 a dropped stream is
//! reset, over HTTP/1.1 a dropped connection is closed.
//!
//! What that costs. A call that may be hedged allocates three times, whether it is hedged or not: for the list of tries,
//! for each try's future, and for its end; a hedge allocates twice more, and once for what it holds in the machine. Kept
//! inside the call's own future they would be memory that every call carries and moves, hedged or not. Calls to which no
//! policy applies a hedge allocate nothing.

use crate::alarm::Alarm;
use crate::ask::HeadWriter;
use crate::drive::{Answer, Asker, Client, Sent, is_still_coming};
use crate::endpoint::Endpoint;
use crate::replay::Replay;
use bowline_model::decision::{GiveUp, Observer, TryEnd};
use bowline_model::{Instant, Outcome, Random};
use bowline_policy::{Call, HedgeSettings, Step, Try};
use http::HeaderMap;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A call that is under way, and what its driver has for it.
pub(crate) struct Course<'c, A, R, O> {
    pub(crate) call: &'c mut Call,
    pub(crate) now: Instant,
    pub(crate) body: &'c Replay,
    pub(crate) asker: &'c mut A,
    pub(crate) alarm: &'c mut Alarm,
    pub(crate) rng: &'c mut R,
    pub(crate) seen: &'c mut O,
}

/// One try under way.
struct Running<'r> {
    what: Try,
    sending: Pin<Box<dyn Future<Output = Sent> + 'r>>,
}

/// What happens next.
enum News {
    /// The try with this index has ended.
    Ended(usize, Box<Sent>),
    /// The time of the try with this index is over.
    OutOfTime(usize),
    /// The last try is late.
    Late,
}

impl Client {
    /// Sends `first`, and others beside it when the machine says so, until none is under way or the call is over:
    /// the next step, the answer of the try that ended last, and when that was.
    pub(crate) async fn hedged<A: Asker, R: Random, O: Observer>(
        &self,
        first: Try,
        endpoints: &[Arc<Endpoint>],
        course: Course<'_, A, R, O>,
    ) -> (Step, Option<Answer>, Instant) {
        let Course { call, mut now, body, asker, alarm, rng, seen } = course;
        let kept = !asker.switches();
        let lent = RefCell::new(asker as &mut dyn Asker);
        let connecting = [const { Cell::new(false) }; HedgeSettings::TRIES_MAX as usize];
        let begin = |what: Try, now| {
            let endpoint = endpoints.get(usize::from(what.host));
            let connecting = connecting_of(&connecting, &what);
            Running {
                what,
                sending: Box::pin(self.attempt(what, now, endpoint, body, Lent(&lent), connecting)),
            }
        };
        let mut hedge_at = first.hedge_at;
        let mut running = vec![begin(first, now)];
        loop {
            let news = poll_fn(|cx| poll_news(&mut running, hedge_at, alarm, cx)).await;
            let (index, sent) = match news {
                News::Late => {
                    now = self.clock().now();
                    let step = call.overdue(now, kept && body.is_kept_whole(), rng, seen);
                    hedge_at = match step {
                        Step::Send(what) => {
                            running.push(begin(what, now));
                            what.hedge_at
                        }
                        Step::Watch { until } => until,
                        // A machine whose tries are under way has no other.
                        _ => Instant::FAR,
                    };
                    continue;
                }
                News::Ended(index, sent) => (index, *sent),
                News::OutOfTime(index) => {
                    let what = running[index].what;
                    let while_connecting = connecting_of(&connecting, &what).get();
                    (index, Sent::out_of_time(&what, while_connecting, body, self.clock().now()))
                }
            };
            let ended = running.swap_remove(index);
            now = sent.at;
            if body.is_too_large() {
                call.forbid_retry(GiveUp::BodyTooLarge);
            }
            let step = call.ended_try(ended.what.number, now, sent.report, rng, seen);
            match step {
                // An answer that others may better would hold its connection until they have.
                Step::Watch { until } => hedge_at = until,
                step => {
                    let answer = sent
                        .answer
                        .filter(|answer| matches!(step, Step::End(_)) || !is_still_coming(Some(answer)));
                    return (step, answer, now);
                }
            }
        }
    }

    /// One try, faults included. Its time is seen to by whoever polls it.
    async fn attempt(
        &self,
        this: Try,
        mut now: Instant,
        endpoint: Option<&Arc<Endpoint>>,
        body: &Replay,
        mut asker: Lent<'_>,
        connecting: &Cell<bool>,
    ) -> Sent {
        let Some(endpoint) = endpoint else { return Sent::ended(TryEnd::ConnectFailed, now) };
        if let Some(delay) = this.injection.delay {
            let over = now + delay;
            if over >= this.until {
                return std::future::pending().await;
            }
            Alarm::new(self.clock()).wait(over).await;
            now = self.clock().now();
        }
        if let Some(broken) = Sent::on_purpose(this.injection.then, now) {
            return broken;
        }
        let spares = self.pool().spares(endpoint);
        let exchanged = self.exchange(&this, now, &spares, body, &mut asker, connecting).await;
        now = self.clock().now();
        match exchanged {
            Ok((head, from)) => self.answered(&this, head, from, &spares, now, &asker),
            Err(end) => Sent::ended(end, now),
        }
    }
}

/// Whether try `what` waits for a connection. A try that may be hedged is one of the first few of its call.
fn connecting_of<'c>(all: &'c [Cell<bool>], what: &Try) -> &'c Cell<bool> {
    &all[(what.number as usize - 1).min(all.len() - 1)]
}

fn poll_news(
    running: &mut [Running<'_>],
    hedge_at: Instant,
    alarm: &mut Alarm,
    cx: &mut Context<'_>,
) -> Poll<News> {
    for (index, each) in running.iter_mut().enumerate() {
        if let Poll::Ready(sent) = each.sending.as_mut().poll(cx) {
            return Poll::Ready(News::Ended(index, Box::new(sent)));
        }
    }
    let first_over = running.iter().enumerate().min_by_key(|(_, each)| each.what.until);
    let (index, until) = first_over.map_or((0, Instant::FAR), |(index, each)| (index, each.what.until));
    ready!(alarm.poll(until.min(hedge_at), cx));
    Poll::Ready(if until <= hedge_at { News::OutOfTime(index) } else { News::Late })
}

/// The asker, lent to several tries: each has it only while it writes a head or reads one.
struct Lent<'l>(&'l RefCell<&'l mut dyn Asker>);

impl Asker for Lent<'_> {
    fn write_head(&mut self, this: &Try, now: Instant, out: &mut HeadWriter<'_>) {
        self.0.borrow_mut().write_head(this, now, out);
    }

    fn is_head(&self) -> bool {
        self.0.borrow().is_head()
    }

    fn spare_map(&mut self) -> HeaderMap {
        self.0.borrow_mut().spare_map()
    }

    fn switches(&self) -> bool {
        self.0.borrow().switches()
    }

    fn is_grpc(&self) -> bool {
        self.0.borrow().is_grpc()
    }

    fn pending_allowed(&self) -> bool {
        self.0.borrow().pending_allowed()
    }

    fn named_outcome(&self, headers: &HeaderMap) -> Option<Outcome> {
        self.0.borrow().named_outcome(headers)
    }
}
