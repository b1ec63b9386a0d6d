//! The guard: everything that stands between a caller and one destination.

use crate::admission::Admission;
use crate::attempt::Try;
use crate::breaker::Breaker;
use crate::bulkhead::{Bulkhead, Rate};
use crate::clock;
use crate::drive::{Asked, Drive, Turn};
use crate::error::{BoxError, Error};
use crate::latency::Latency;
use crate::link::format::{Guards, StateKeys};
use crate::link::{Link, Recorded, SharedParts};
use crate::outcome::{Classify, Outcome, Plain};
use crate::retry::Retry;
use crate::settings::{Idempotency, Settings};
use crate::stats::Stats;
use arc_swap::ArcSwap;
use bowline_model::{Priority, Random, SplitMix64};
use bowline_policy::{DoomedSettings, Edge};
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A guard for calls to `name`: a service, or `service.operation`, the name that a design would use.
///
/// It does nothing yet but watch: one try, no deadline, no breaker. What it shall do is added to it.
///
/// ```
/// use bowline::{Breaker, Retry, Spans, guard};
///
/// let stock = guard("inventory")
///     .deadline(300.ms())
///     .idempotent()
///     .breaker(Breaker::ratio(0.5).over(10.s()).at_least(20).reset(10.s()))
///     .retry(Retry::tries(3));
/// ```
pub fn guard(name: impl Into<Arc<str>>) -> Guard {
    let shared = Shared::new(name.into(), Settings::default(), Link::from_environment(), clock::seed());
    Guard { shared: Arc::new(shared), classify: Plain }
}

/// Stands between a caller and one destination: deadline, retries, breaker, bulkhead, rate limit.
///
/// Make one for each destination and keep it: breaker, budget and counters live in it. Under `bowline up`,
/// guards that one policy of the design speaks to share its breaker, budget, bulkhead and rate limit; each
/// counts for itself. A clone is the same guard. What the methods that take `self` return is a **new** guard that has seen nothing; use
/// them before the first call.
pub struct Guard<C = Plain> {
    shared: Arc<Shared>,
    classify: C,
}

impl<C: Clone> Clone for Guard<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), classify: self.classify.clone() }
    }
}

impl<C> fmt::Debug for Guard<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("name", &self.name()).field("settings", &self.settings()).finish()
    }
}

// === what it shall do ===

impl<C> Guard<C> {
    /// How long a call may take, all tries and back-off included. Of several that speak, the earliest
    /// counts: this, and the [deadline](crate::deadline) of what is being served.
    #[must_use]
    pub fn deadline(self, within: Duration) -> Self {
        self.with(|settings| settings.deadline = Some(within))
    }

    /// Tells how a result becomes an outcome: a ready [classifier](crate::outcome) or a closure.
    ///
    /// It also decides what [`call`](Self::call) returns: an answer whose outcome is unknown or refused
    /// is no answer to act on, and comes as an [`Error`].
    #[must_use]
    pub fn classify<D>(self, classify: D) -> Guard<D> {
        Guard { shared: self.shared, classify }
    }

    /// Doing it twice is the same as doing it once: it may be asked again after an unknown outcome.
    #[must_use]
    pub fn idempotent(self) -> Self {
        self.with(|settings| settings.idempotent = Idempotency::Yes)
    }

    /// The same, for calls that carry an idempotency key, which the callee is known to honour: see
    /// [`call_by_key`](Self::call_by_key). Other calls are repeated only after a refusal.
    #[must_use]
    pub fn idempotent_by_key(self) -> Self {
        self.with(|settings| settings.idempotent = Idempotency::ByKey)
    }

    /// Doing it twice does harm, even where a layer sees a method such as PUT: it is repeated only after
    /// a refusal.
    #[must_use]
    pub fn not_idempotent(self) -> Self {
        self.with(|settings| settings.idempotent = Idempotency::No)
    }

    /// It may answer 202 for work that it has accepted and not finished: the outcome of such an answer is
    /// [`Outcome::Pending`], where the classifier sees a status. The answer comes back all the same.
    #[must_use]
    pub fn accepts(self) -> Self {
        self.with(|settings| settings.pending = true)
    }

    /// When the destination is left alone.
    #[must_use]
    pub fn breaker(self, breaker: Breaker) -> Self {
        self.with(|settings| settings.policy.breaker = Some(breaker.settings))
    }

    /// How often a call is tried.
    #[must_use]
    pub fn retry(self, retry: Retry) -> Self {
        self.with(|settings| {
            settings.policy.retry = retry.settings;
            settings.policy.budget = retry.budget;
        })
    }

    /// How many calls may be under way at once.
    #[must_use]
    pub fn bulkhead(self, bulkhead: Bulkhead) -> Self {
        self.with(|settings| settings.policy.bulkhead = Some(bulkhead.settings))
    }

    /// How many calls may begin a second.
    #[must_use]
    pub fn rate(self, rate: Rate) -> Self {
        self.with(|settings| settings.policy.rate = Some(rate.settings))
    }

    /// When calls are rejected here because the callee accepts too few of them.
    #[must_use]
    pub fn admission(self, admission: Admission) -> Self {
        self.with(|settings| settings.policy.admission = Some(admission.settings))
    }

    /// What its calls matter when not all can be answered; what is being served says it better, if it says it.
    #[must_use]
    pub fn priority(self, priority: Priority) -> Self {
        self.with(|settings| settings.policy.priority = priority)
    }

    /// Sheds calls that have less time left than half of the tries take, all but one in twenty: they would be
    /// worked on for nobody. Fewer than fifty tries prove nothing.
    #[must_use]
    pub fn shed_doomed(self) -> Self {
        self.with(|settings| settings.policy.doomed = Some(DoomedSettings::default()))
    }

    /// Draws its jitter and its faults from this seed: the same calls in the same order meet the same.
    /// For tests.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        let Self { shared, classify } = self;
        let shared = Shared::new(shared.name(), shared.code.clone(), shared.link.clone(), seed);
        Self { shared: Arc::new(shared), classify }
    }

    /// Takes its values and faults from this link and reports to it, rather than to the one that the
    /// environment names.
    #[must_use]
    pub fn link(self, link: &Link) -> Self {
        let Self { shared, classify } = self;
        let shared = Shared::new(shared.name(), shared.code.clone(), Some(link.clone()), shared.seed);
        Self { shared: Arc::new(shared), classify }
    }

    fn with(self, change: impl FnOnce(&mut Settings)) -> Self {
        let Self { shared, classify } = self;
        let mut code = shared.code.clone();
        change(&mut code);
        let shared = Shared::new(shared.name(), code, shared.link.clone(), shared.seed);
        Self { shared: Arc::new(shared), classify }
    }
}

// === what it does ===

impl<C> Guard<C> {
    /// Makes a call: `work` makes one try each time it is asked.
    ///
    /// A try is dropped when its time is over, so `work` must stand being dropped at any await. It gets
    /// the [`Try`], which knows the time left and the headers to send. Deadlines and back-off want a tokio
    /// runtime with its timers on.
    ///
    /// What comes back:
    ///
    /// | the last try | comes back as |
    /// |---|---|
    /// | `Ok`, outcome succeeded, pending or failed (a 404 is an answer) | that `Ok` |
    /// | `Ok`, outcome unknown or refused (a 503 is none) | [`Error`], with the answer [in it](Error::into_answer) |
    /// | `Err` | [`Error`], with that as its source |
    /// | none: refused, or out of time | [`Error`] |
    ///
    /// # Errors
    /// As the table says.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call: the try under way is dropped, and breaker lease, bulkhead
    /// place, queue place and budget are given back at once. The outcome of a try that was under way is
    /// unknown.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use bowline::{Retry, guard};
    ///
    /// let stock = guard("inventory").idempotent().retry(Retry::tries(3));
    /// let answer = stock
    ///     .call(|try_| async move {
    ///         if try_.number() < 3 { Err(std::io::Error::other("not yet")) } else { Ok("17 in stock") }
    ///     })
    ///     .await;
    /// assert_eq!(answer.unwrap(), "17 in stock");
    /// # }
    /// ```
    pub async fn call<T, E, F, Fut>(&self, work: F) -> Result<T, Error>
    where
        C: Classify<T, E>,
        F: FnMut(Try) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        T: Send + 'static,
        E: Into<BoxError>,
    {
        self.run(Asked::default(), work).await
    }

    /// Makes a call that carries an idempotency key: its tries all send the same `idempotency-key`, and
    /// a guard that is [`idempotent_by_key`](Self::idempotent_by_key) may repeat it.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    /// As [`call`](Self::call). A caller that asks again should use the same key.
    pub async fn call_by_key<T, E, F, Fut>(&self, key: impl Into<Arc<str>>, work: F) -> Result<T, Error>
    where
        C: Classify<T, E>,
        F: FnMut(Try) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        T: Send + 'static,
        E: Into<BoxError>,
    {
        self.run(Asked { key: Some(key.into()), ..Asked::default() }, work).await
    }

    async fn run<T, E, F, Fut>(&self, asked: Asked, mut work: F) -> Result<T, Error>
    where
        C: Classify<T, E>,
        F: FnMut(Try) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        T: Send + 'static,
        E: Into<BoxError>,
    {
        let mut drive = Drive::begin(&self.shared, asked);
        let mut answer = None;
        let mut raised = None;
        loop {
            let try_ = match drive.next().await {
                Turn::Try(try_) => try_,
                Turn::End(end) => {
                    drive.finish(&end);
                    return match (answer, drive.last_outcome()) {
                        (Some(answer), Outcome::Succeeded | Outcome::Pending | Outcome::Failed) => Ok(answer),
                        (Some(answer), Outcome::Refused | Outcome::Unknown) => {
                            Err(drive.error(&end, None).with_answer(answer))
                        }
                        (None, _) => Err(drive.error(&end, raised.map(Into::into))),
                    };
                }
            };
            match Drive::within(&try_, work(try_.clone())).await {
                None => drive.timed_out(),
                Some(result) => {
                    drive.ended(self.classify.classify(&result).report(result.is_ok()));
                    match result {
                        // An answer that is of no more use is dropped before the back-off: it may hold
                        // a connection.
                        Ok(value) => answer = (!drive.goes_on()).then_some(value),
                        Err(error) => raised = Some(error),
                    }
                }
            }
        }
    }

    /// What it has done so far, and how it stands now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// What governs its calls now: its code's values, or the design's in their place.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.shared.live().settings.clone()
    }

    #[cfg(feature = "tower")]
    pub(crate) fn parts(&self) -> (&Arc<Shared>, &C) {
        (&self.shared, &self.classify)
    }
}

// === what all clones share ===

/// What all clones of a guard share.
pub(crate) struct Shared {
    name: Arc<str>,
    code: Settings,
    link: Option<Link>,
    seed: u64,
    calls: AtomicU64,
    enrolled: AtomicBool,
    latency: Latency,
    live: ArcSwap<Live>,
}

/// What governs the calls from here on.
pub(crate) struct Live {
    pub(crate) settings: Settings,
    pub(crate) edge: Arc<Edge>,
    /// Whose state the edge's parts are.
    state: StateKeys,
    /// Where the values come from, for `explain`.
    pub(crate) values: Arc<str>,
    /// The design's revision; none where the code's values govern.
    pub(crate) revision: Option<Arc<str>>,
}

impl Shared {
    fn new(name: Arc<str>, code: Settings, link: Option<Link>, seed: u64) -> Self {
        let live = Live {
            settings: code.clone(),
            edge: Edge::new(code.policy.clone()),
            state: StateKeys::default(),
            values: "code".into(),
            revision: None,
        };
        let live = ArcSwap::from_pointee(live);
        let (calls, enrolled) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { name, code, link, seed, calls, enrolled, latency: Latency::default(), live }
    }

    /// What governs a call that begins now. The first asks the link for the design's values.
    pub(crate) fn live(self: &Arc<Self>) -> Arc<Live> {
        // Read first: a write, even of the same, would take the line from every other core.
        if let Some(link) = &self.link
            && !self.enrolled.load(Ordering::Relaxed)
            && !self.enrolled.swap(true, Ordering::Relaxed)
        {
            link.enrol(self);
        }
        self.live.load_full()
    }

    pub(crate) fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    pub(crate) fn revision(&self) -> Option<Arc<str>> {
        self.live.load().revision.clone()
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats::of(&self.live.load().edge, self.latency.look(), clock::now())
    }

    /// A call is over.
    pub(crate) fn took(&self, took: Duration) {
        self.latency.add(took);
    }

    /// A seed that no other call of this guard has.
    pub(crate) fn next_seed(&self) -> u64 {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        SplitMix64::new(self.seed.wrapping_add(number)).next_u64()
    }

    pub(crate) const fn is_recorded(&self) -> bool {
        self.link.is_some()
    }

    pub(crate) fn record(&self, recorded: Recorded) {
        if let Some(link) = &self.link {
            link.record(recorded);
        }
    }

    /// Puts the design's values in the place of the code's, or the code's back where the design says
    /// nothing. Breaker, budget and counters go on where their settings and keys are the same.
    pub(crate) fn apply(&self, guards: &Guards, shared: &mut SharedParts) {
        let said = guards.named(&self.name);
        let settings = said.map_or_else(|| self.code.clone(), |said| said.over(&self.code));
        let values = match said {
            None => "code".into(),
            Some(said) => said.place.as_deref().unwrap_or("design").into(),
        };
        let revision = said.map(|_| guards.revision.as_str().into());
        let state = said.map(|said| said.state.clone()).unwrap_or_default();
        let before = self.live.load();
        let edge = if before.settings.policy == settings.policy && before.state == state {
            Arc::clone(&before.edge)
        } else {
            let parts = shared.parts(&settings.policy, &state, &before.state, before.edge.parts());
            Edge::with(settings.policy.clone(), parts)
        };
        if before.settings != settings {
            tracing::info!(guard = %self.name, values = %values, "values replaced");
        }
        self.live.store(Arc::new(Live { settings, edge, state, values, revision }));
    }

    pub(crate) fn weak(self: &Arc<Self>) -> Weak<Self> {
        Arc::downgrade(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_has_a_seed_of_its_own_and_a_seeded_guard_repeats_them() {
        let seeds = |guard: Guard| (0..3).map(|_| guard.shared.next_seed()).collect::<Vec<_>>();
        let first = seeds(guard("inventory").seed(7));
        assert_eq!(first, seeds(guard("inventory").seed(7)));
        assert_ne!(first[0], first[1]);
    }
}
