//! One run: what is asked for, and what came of it.

use crate::fault::FaultEvent;
use crate::histogram::Histogram;
use crate::model::{EdgeId, Model};
use crate::series::Series;
use bowline_model::decision::GiveUp;
use bowline_model::{Instant, SplitMix64, Trail};
use bowline_policy::Ask;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// What is to be run. The same specification gives the same run, to the last bit.
#[derive(Clone, Debug)]
pub struct RunSpec {
    pub(crate) model: Arc<Model>,
    pub(crate) seed: u64,
    pub(crate) warm_up: Duration,
    pub(crate) length: Duration,
    pub(crate) drain: Duration,
    pub(crate) timers: Duration,
    pub(crate) faults: Arc<[FaultEvent]>,
    pub(crate) limits: Limits,
}

/// What a run may use, so that every run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Events. The default, a thousand million, is five minutes of one core.
    pub events_max: u64,
    /// Requests that are not done with at one time, whatever waits for what. The default, two million, is
    /// about a gigabyte; a queue without an end in front of a service that cannot keep up reaches it.
    pub in_flight_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { events_max: 1_000_000_000, in_flight_max: 2_000_000 }
    }
}

/// A run that reached [`Limits::events_max`]: something in it makes work without an end, and every other run of the same
/// thing would take as long to say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endless {
    /// The run's seed.
    pub seed: u64,
    /// As many events were over.
    pub events: u64,
    /// How much time was simulated by then.
    pub simulated: Duration,
}

impl Endless {
    /// The first of these runs that is one.
    #[must_use]
    pub fn first<'r>(runs: impl IntoIterator<Item = Option<&'r Run>>) -> Option<(usize, Self)> {
        runs.into_iter().enumerate().find_map(|(index, run)| {
            let run = run.filter(|run| run.ending == Ending::EventsMax)?;
            Some((index, Self { seed: run.seed, events: run.events, simulated: run.ended_at }))
        })
    }
}

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, events, simulated } = self;
        write!(
            f,
            "seed {seed}: after {events} events, as many as a run may take, {} were simulated: something makes more and more \
             work (retries without a budget, a queue without an end); bound it, shorten the run or lower its rate",
            bowline_model::describe::span(*simulated)
        )
    }
}

/// Why a run cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpecError {
    /// It lasts no time.
    NoLength,
    /// Longer than [`RunSpec::LENGTH_MAX`].
    TooLong(Duration),
    /// A fault names what the model has not.
    Fault {
        /// Which of the faults.
        index: usize,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl RunSpec {
    /// The longest run: a hundred days. Beyond, nothing is learned that a shorter run would not show.
    pub const LENGTH_MAX: Duration = Duration::from_secs(100 * 24 * 3_600);

    /// How long requests may take to get done after the last has come, where nobody says.
    pub const DRAIN: Duration = Duration::from_secs(60);

    /// A run of `length` after `warm_up`, without faults, with the default limits.
    ///
    /// Requests that arrive in `warm_up` are simulated and not counted. After `length` no more arrive, and
    /// those that did have [`RunSpec::DRAIN`] to get done.
    ///
    /// # Errors
    /// It would last no time, or for ever.
    pub fn new(model: Arc<Model>, seed: u64, warm_up: Duration, length: Duration) -> Result<Self, SpecError> {
        if length.is_zero() {
            return Err(SpecError::NoLength);
        }
        let whole = warm_up.saturating_add(length);
        if Self::LENGTH_MAX < whole {
            return Err(SpecError::TooLong(whole));
        }
        let (drain, timers, limits) = (Self::DRAIN, Duration::ZERO, Limits::default());
        Ok(Self { model, seed, warm_up, length, drain, timers, faults: Arc::new([]), limits })
    }

    /// The same run with these faults.
    ///
    /// # Errors
    /// One of them names what the model has not, or a factor that is no number.
    pub fn with_faults(mut self, faults: Vec<FaultEvent>) -> Result<Self, SpecError> {
        for (index, fault) in faults.iter().enumerate() {
            fault.check(&self.model).map_err(|why| SpecError::Fault { index, why })?;
        }
        self.faults = faults.into();
        Ok(self)
    }

    /// The same run with another seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The same run with another time for what has arrived to get done.
    #[must_use]
    pub fn with_drain(mut self, drain: Duration) -> Self {
        self.drain = drain.min(Self::LENGTH_MAX);
        self
    }

    /// The same run with timers that ring on a grid: a wait of a caller ends at the first multiple of
    /// `resolution` that is not before its end. Zero where nobody says.
    ///
    /// tokio's is a millisecond. Whoever compares a run with one of the production driver wants the same.
    #[must_use]
    pub const fn with_timers(mut self, resolution: Duration) -> Self {
        self.timers = resolution;
        self
    }

    /// The same run within other limits.
    #[must_use]
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What is simulated.
    #[must_use]
    pub const fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// What all draws are derived from.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// What goes wrong.
    #[must_use]
    pub fn faults(&self) -> &[FaultEvent] {
        &self.faults
    }
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Simulated so far.
    pub simulated: Duration,
    /// Warm-up and length together.
    pub of: Duration,
    /// Events so far.
    pub events: u64,
    /// Requests that are not done with.
    pub in_flight: u32,
}

/// Runs it. `progress` is told about once for each simulated second, and may end it.
///
/// Every run ends: when all is done, when its time is over, or at one of its limits; [`Run::ending`] says
/// which.
pub fn run(spec: &RunSpec, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Run {
    crate::engine::run(spec, progress)
}

/// Runs it, and keeps every decision of the calls that request `number` (from zero) of the first way in makes
/// by `edge`: the trail that production would have kept.
#[must_use]
pub fn trail(spec: &RunSpec, edge: EdgeId, number: u64) -> Trail {
    watch(spec, edge, number).trail
}

/// The same, and what the first of those calls began with: whoever drives a call with these must come to these
/// decisions.
#[must_use]
pub fn watch(spec: &RunSpec, edge: EdgeId, number: u64) -> Watched {
    crate::engine::run_watched(spec, edge.0, number)
}

/// The calls of one request by one edge.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// What the first of them asked, and the random numbers it drew from; `None` if there was none.
    pub began: Option<(Ask, SplitMix64)>,
    /// Every decision, in order.
    pub trail: Trail,
}

/// What came of a run.
///
/// All numbers are integers, so two runs are equal or they are not. Everything about requests is over one
/// population: those that arrived between `from` and `to`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// The seed.
    pub seed: u64,
    /// How it ended.
    pub ending: Ending,
    /// The last moment that was simulated.
    pub ended_at: Duration,
    /// The measured window's beginning.
    pub from: Duration,
    /// The measured window's end.
    pub to: Duration,
    /// What happened, second by second, warm-up and drain included.
    pub series: Series,
    /// When requests were acknowledged, completed, visible.
    pub clocks: Clocks,
    /// What became of the requests.
    pub fates: Fates,
    /// Where the time of acknowledged requests went.
    pub attribution: Attribution,
    /// By service.
    pub services: Vec<ServiceRun>,
    /// By edge.
    pub edges: Vec<EdgeRun>,
    /// By topic.
    pub topics: Vec<TopicRun>,
    /// By subscription.
    pub subscriptions: Vec<SubscriptionRun>,
    /// Requests put to a service and worked on, or waiting to be, because of the population's requests.
    pub work: u64,
    /// Events that were simulated.
    pub events: u64,
    /// The most requests that were not done with at one time.
    pub in_flight_max: u32,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Nothing was left to do.
    Done,
    /// Its time was over, the drain included, with requests not done: they are counted as censored.
    TimeOver,
    /// [`Limits::events_max`] was reached.
    EventsMax,
    /// [`Limits::in_flight_max`] was reached: something grows without an end.
    InFlightMax,
    /// `progress` said so.
    Stopped,
}

impl Ending {
    /// One sentence.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "everything was done",
            Self::TimeOver => "its time was over before everything was done",
            Self::EventsMax => "the limit of events was reached",
            Self::InFlightMax => "the limit of requests in flight was reached",
            Self::Stopped => "it was stopped",
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When requests were acknowledged, completed, visible: nanoseconds since they arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Clocks {
    /// The asker has a final, good answer.
    pub answered: Histogram,
    /// The asker has a good answer, final or "accepted".
    pub acknowledged: Histogram,
    /// The asker has an answer that says it failed.
    pub refused: Histogram,
    /// What was asked for is done: of acknowledged requests.
    pub completed: Histogram,
    /// All that follows from it is done, too: of acknowledged requests.
    pub visible: Histogram,
    /// From the acknowledgement to the visibility; zero where the answer came last.
    pub staleness: Histogram,
}

/// What became of the requests that arrived in the measured window.
///
/// `arrived = acknowledged + failed + unanswered`, and
/// `acknowledged = completed + lost + stuck + unfinished`: see [`Fates::is_conserved`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fates {
    /// All.
    pub arrived: u64,
    /// Got a good answer, final or "accepted".
    pub acknowledged: u64,
    /// Of those: got "accepted" (202).
    pub accepted: u64,
    /// Got an answer that says it failed, or none before their deadline.
    pub failed: u64,
    /// Had no answer when the run ended: censored.
    pub unanswered: u64,
    /// Acknowledged, and everything done.
    pub completed: u64,
    /// Acknowledged, and part of it will never be done.
    pub lost: u64,
    /// Acknowledged, and part of it is set aside as a dead letter.
    pub stuck: u64,
    /// Acknowledged, and not done when the run ended: censored.
    pub unfinished: u64,
    /// Requests of which an effect that is not idempotent happened more than once, failed ones included.
    pub duplicated: u64,
    /// Requests of which a record was processed after a later one of its key.
    pub reordered: u64,
    /// Failed, and yet an effect of theirs happened.
    pub failed_with_effect: u64,
}

impl Fates {
    /// Whether every request is counted exactly once.
    #[must_use]
    pub const fn is_conserved(&self) -> bool {
        self.arrived == self.acknowledged + self.failed + self.unanswered
            && self.acknowledged == self.completed + self.lost + self.stuck + self.unfinished
    }

    /// Requests whose fate the run did not see.
    #[must_use]
    pub const fn censored(&self) -> u64 {
        self.unanswered + self.unfinished
    }
}

/// What a request's time is spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Being worked on.
    Work,
    /// Waiting in front of a service.
    Queue,
    /// Waiting for a place in a bulkhead.
    Bulkhead,
    /// Tries that were answered, and not well.
    Retry,
    /// Pauses between tries.
    Backoff,
    /// Tries that nobody answered in time; also the wait until a hedge was sent, which was quicker.
    TimeoutWait,
    /// Held back because a breaker was open.
    Breaker,
    /// Waiting for a broker: confirmation, delivery, turn.
    Broker,
    /// On the wire.
    Network,
}

impl Cause {
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::Work,
        Self::Queue,
        Self::Bulkhead,
        Self::Retry,
        Self::Backoff,
        Self::TimeoutWait,
        Self::Breaker,
        Self::Broker,
        Self::Network,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Queue => "queue",
            Self::Bulkhead => "bulkhead",
            Self::Retry => "retry",
            Self::Backoff => "back-off",
            Self::TimeoutWait => "timeout wait",
            Self::Breaker => "breaker",
            Self::Broker => "broker",
            Self::Network => "network",
        }
    }
}

/// Where the time of acknowledged requests went, for a typical one and for a slow one: the mean over the
/// requests around the median, and over the slowest hundredth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attribution {
    /// Mean nanoseconds of each [`Cause`], in its order, around the median (45 % to 55 %).
    pub p50: [u64; Cause::ALL.len()],
    /// The same of the slowest hundredth.
    pub p99: [u64; Cause::ALL.len()],
}

/// What a service did, over the whole run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ServiceRun {
    /// Requests that reached it.
    pub arrived: u64,
    /// Requests it finished, well or not.
    pub finished: u64,
    /// Of those: nobody waited for the answer any more.
    pub in_vain: u64,
    /// Requests it left alone when their turn came, because their deadline had passed.
    pub skipped: u64,
    /// Requests that found the queue full.
    pub overflowed: u64,
    /// Requests that a crash took away.
    pub crashed: u64,
    /// Nanoseconds in which it had requests under way, over all replicas and places.
    pub busy: u64,
    /// The most that waited in front of one replica.
    pub queue_max: u32,
    /// How long requests waited in front of it.
    pub queued: Histogram,
    /// From the arrival to the answer, of those it finished.
    pub response: Histogram,
}

/// What an edge's calls did, over the whole run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EdgeRun {
    /// Calls that ended.
    pub calls: u64,
    /// Of those: succeeded, or accepted.
    pub succeeded: u64,
    /// Tries sent. Over `calls` it is the edge's amplification.
    pub tries: u64,
    /// Why calls ended, with how many, in the order of [`GiveUp`]'s words; those that never happened are
    /// left out.
    pub ends: Vec<(GiveUp, u64)>,
    /// How long calls took, from beginning to end.
    pub took: Histogram,
    /// How often a breaker of the edge opened.
    pub opened: u64,
}

/// What a topic did, over the whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TopicRun {
    /// Records that the broker confirmed.
    pub published: u64,
    /// Records that it did not.
    pub refused: u64,
}

/// What a subscription did, over the whole run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SubscriptionRun {
    /// Records handed to a consumer, each time it happened.
    pub delivered: u64,
    /// Of those: not for the first time.
    pub redelivered: u64,
    /// Records processed.
    pub processed: u64,
    /// Records set aside.
    pub dead: u64,
    /// Records whose time was over before they were processed.
    pub expired: u64,
    /// The most records that were not yet processed.
    pub backlog_max: u64,
    /// From the publication to the end of processing.
    pub lag: Histogram,
}

impl Run {
    /// The run as one number: equal runs have the same on every machine and in every version of Rust.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut digest = Digest::default();
        self.hash(&mut digest);
        digest.finish()
    }

    /// Work per request of the population, in thousandths; zero if none arrived.
    #[must_use]
    pub fn work_per_request_milli(&self) -> u64 {
        (self.work * 1_000).checked_div(self.fates.arrived).unwrap_or(0)
    }
}

/// FNV-1a (Fowler, Noll, Vo), fed in little-endian order whatever the machine's own is.
#[derive(Clone, Debug)]
struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Digest {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn write_u16(&mut self, value: u16) {
        self.write(&value.to_le_bytes());
    }

    fn write_u32(&mut self, value: u32) {
        self.write(&value.to_le_bytes());
    }

    fn write_u64(&mut self, value: u64) {
        self.write(&value.to_le_bytes());
    }

    fn write_u128(&mut self, value: u128) {
        self.write(&value.to_le_bytes());
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn write_isize(&mut self, value: isize) {
        self.write_u64(value as u64);
    }
}

impl From<Duration> for Progress {
    fn from(of: Duration) -> Self {
        Self { simulated: Duration::ZERO, of, events: 0, in_flight: 0 }
    }
}

/// The moment `span` after the run's beginning.
#[must_use]
pub fn at(span: Duration) -> Instant {
    Instant::ZERO + span
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLength => f.write_str("a run must last some time"),
            Self::TooLong(length) => {
                write!(
                    f,
                    "a run may last {} days, not {}",
                    RunSpec::LENGTH_MAX.as_secs() / 86_400,
                    length.as_secs() / 86_400
                )
            }
            Self::Fault { index, why } => write!(f, "fault {}: {why}", index + 1),
        }
    }
}

impl std::error::Error for SpecError {}
