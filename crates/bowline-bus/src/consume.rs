//! The runtime around [`bowline_lane::Consumer`]: it reads, hands out, writes and waits; the machine decides.
//!
//! Everything that is under way is a task of one set, which ends with the future of [`Subscription::run`]: dropping
//! that future is what a crash looks like. It works on a runtime of one thread as on one of many.

use crate::aside::{DeadLetter, DeadLetters};
use crate::clock::Clock;
use crate::error::{Error, Why};
use crate::event::Event;
use crate::handler::{Delivered, Handler, Verdict};
use crate::log::{Change, Log, Member, Position, Record, Slot, Start, Window};
use crate::name::{Group, Topic};
use bowline_lane::step::Decision;
use bowline_lane::{
    Aside, Class, Consumer, ConsumerSettings, DeliveryId, Effect, Fetched, Input, Key, Observer,
};
use bowline_model::SplitMix64;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

/// One consumer of a group: where it reads, and everything that governs it.
pub struct Subscription {
    /// The broker.
    pub log: Arc<dyn Log>,
    /// Where records go that are set aside.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// The topic.
    pub topic: Topic,
    /// The group.
    pub group: Group,
    /// Where the group begins, if it is new.
    pub from: Start,
    /// What governs the consumer.
    pub settings: ConsumerSettings,
    /// What governs the runtime around it.
    pub times: Times,
    /// Says which records no handler shall see: those that do not keep their contract.
    pub filter: Option<Arc<dyn Filter>>,
    /// What the back-off is drawn from.
    pub seed: u64,
}

/// Says which records no handler shall see.
pub trait Filter: Send + Sync + 'static {
    /// Why no handler shall see this one. Must not block.
    fn unfit(&self, event: &Event) -> Option<Class>;
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// One delivery; then the handler is ended, with outcome `Unknown`. 30 s, when nothing is said: longer than any
    /// call that it makes should take.
    pub per_delivery: Duration,
    /// A cursor or a dead letter on its way to the broker; then it is written again. 10 s, when nothing is said.
    pub write: Duration,
    /// A read that waits for records; then it is asked again. 30 s, when nothing is said: it costs a message, and finds
    /// out that a broker is gone.
    pub read: Duration,
    /// The pause after a read that failed. 1 s, when nothing is said.
    pub after_failed_read: Duration,
    /// How long handlers may take when the consumer stops. 30 s, when nothing is said: one delivery.
    pub stop: Duration,
}

impl Default for Times {
    fn default() -> Self {
        let thirty = Duration::from_secs(30);
        let after_failed_read = Duration::from_secs(1);
        Self { per_delivery: thirty, write: thirty / 3, read: thirty, after_failed_read, stop: thirty }
    }
}

/// What a running consumer can be told. Copies speak to the same one. What is said waits until it is heard, without a
/// limit of its own: it is a few words for each change of a breaker, and a word that were dropped could be the stop.
#[derive(Clone, Debug)]
pub struct Control {
    say: mpsc::UnboundedSender<Say>,
}

#[derive(Debug)]
enum Say {
    TargetOpen(Duration),
    TargetClosed,
    Reopened(u32, Key),
    Stop,
}

/// The other end of a [`Control`], for [`Subscription::run`].
#[derive(Debug)]
pub struct Controlled {
    said: mpsc::UnboundedReceiver<Say>,
}

impl Control {
    /// Both ends.
    #[must_use]
    pub fn new() -> (Self, Controlled) {
        let (say, said) = mpsc::unbounded_channel();
        (Self { say }, Controlled { said })
    }

    /// The breaker of the handler's target is open for this long: nothing is started and nothing set aside.
    pub fn target_open(&self, span: Duration) {
        self.tell(Say::TargetOpen(span));
    }

    /// The breaker is closed.
    pub fn target_closed(&self) {
        self.tell(Say::TargetClosed);
    }

    /// Nothing of a key is set aside any more: its records are worked on again.
    pub fn reopened(&self, partition: u32, key: Key) {
        self.tell(Say::Reopened(partition, key));
    }

    /// Stop in order: handlers may end, cursors are written, partitions let go of.
    pub fn stop(&self) {
        self.tell(Say::Stop);
    }

    fn tell(&self, what: Say) {
        // A consumer that is over does not listen.
        let _ = self.say.send(what);
    }
}

impl Subscription {
    /// Consumes until it is told to stop, or until the broker is closed.
    ///
    /// # Errors
    /// The broker does not let it in, or puts it out: the group goes on without it, and it may come again.
    ///
    /// # Cancel safety
    /// Dropping the future ends all handlers. Nothing is lost: what was in their hands is delivered again, one record
    /// at a time.
    pub async fn run(
        self,
        handler: Arc<dyn Handler>,
        mut controlled: Controlled,
        observer: &mut (impl Observer + Send),
    ) -> Result<(), Error> {
        let mut member = self.log.join(&self.topic, &self.group, self.from).await?;
        let mut running = Running {
            clock: Clock::start(),
            consumer: Consumer::new(self.settings.clone()),
            random: SplitMix64::new(self.seed),
            with: Arc::new(self),
            handler,
            tasks: JoinSet::new(),
            under_way: HashMap::new(),
            cancels: BTreeMap::new(),
            held: BTreeMap::new(),
            reasons: BTreeMap::new(),
            epochs: BTreeMap::new(),
            skipped: None,
        };
        let mut listens = true;
        loop {
            let wake = running.clock.tokio(running.consumer.wake_at());
            let input = tokio::select! {
                // What it is told comes before what would begin; time is looked at with every input in any case.
                biased;
                said = controlled.said.recv(), if listens => match said {
                    Some(said) => running.said(said, member.as_mut()),
                    None => {
                        listens = false;
                        continue;
                    }
                },
                change = member.changed() => match running.change(change?) {
                    Some(input) => input,
                    None => return Ok(()),
                },
                Some(done) = running.tasks.join_next_with_id() => match running.done(done) {
                    Some(input) => input,
                    None => continue,
                },
                () = tokio::time::sleep_until(wake) => Input::Woke,
            };
            running.tell(input, member.as_mut(), observer);
        }
    }
}

/// A consumer at work.
struct Running {
    clock: Clock,
    consumer: Consumer,
    random: SplitMix64,
    with: Arc<Subscription>,
    handler: Arc<dyn Handler>,
    tasks: JoinSet<Done>,
    /// Handlers that are at it, by task: one that panics says nothing itself.
    under_way: HashMap<Id, DeliveryId>,
    cancels: BTreeMap<DeliveryId, AbortHandle>,
    /// Records that are fetched and not settled.
    held: BTreeMap<Position, Record>,
    /// What was said of the last failure of a record.
    reasons: BTreeMap<Position, String>,
    epochs: BTreeMap<u32, u64>,
    /// A partition, where it goes on, and how many offsets were left out: retention took them before they were settled.
    skipped: Option<(u32, u64, u64)>,
}

/// What a task has done.
enum Done {
    Said(Input),
    Read { partition: u32, epoch: u64, fetch: u64, from: u64, next: u64, records: Vec<Record> },
    Handled { id: DeliveryId, verdict: Verdict },
}

impl Running {
    /// What becomes of the group is told to the machine. None: it is over.
    fn change(&mut self, change: Change) -> Option<Input> {
        let now = self.clock.now();
        let epoch = |running: &Self, partition| running.epochs.get(partition).copied().unwrap_or(0);
        Some(match change {
            Change::Assigned { partition, epoch, state } => {
                self.epochs.insert(partition, epoch);
                Input::Assigned { partition, epoch, state }
            }
            Change::Revoking { partition, within } => {
                // Handlers end a little before the partition is taken, so that the cursor can still be written.
                let until = now + within * 9 / 10;
                Input::Revoking { partition, epoch: epoch(self, &partition), until }
            }
            Change::Lost { partition } => Input::Lost { partition, epoch: epoch(self, &partition) },
            Change::Left => return None,
        })
    }

    fn said(&self, said: Say, member: &mut dyn Member) -> Input {
        let now = self.clock.now();
        match said {
            Say::TargetOpen(span) => Input::TargetOpen { until: now + span },
            Say::TargetClosed => Input::TargetClosed,
            Say::Reopened(partition, key) => Input::Reopened { partition, key },
            Say::Stop => {
                member.leave();
                Input::Stop { until: now + self.with.times.stop }
            }
        }
    }

    fn done(&mut self, done: Result<(Id, Done), JoinError>) -> Option<Input> {
        match done {
            Ok((_, Done::Said(input))) => Some(input),
            Ok((_, Done::Read { partition, epoch, fetch, from, next, records })) => {
                if self.epochs.get(&partition) != Some(&epoch) {
                    return None;
                }
                if records.is_empty() && from < next {
                    self.skipped = Some((partition, next, next - from));
                }
                let fetched = records.into_iter().map(|record| self.hold(partition, record)).collect();
                Some(Input::Fetched { partition, epoch, fetch, next, records: fetched })
            }
            Ok((task, Done::Handled { id, verdict })) => {
                self.under_way.remove(&task);
                Some(self.ended(id, verdict))
            }
            Err(error) => {
                let id = self.under_way.remove(&error.id())?;
                // One that was cancelled is waited for by nobody.
                error.is_panic().then(|| self.ended(id, Verdict::unknown("the handler panicked")))
            }
        }
    }

    fn ended(&mut self, id: DeliveryId, Verdict { ended, reason }: Verdict) -> Input {
        self.cancels.remove(&id);
        if !reason.is_empty() {
            self.reasons.insert(position(id), reason);
        }
        Input::Ended { id, ended }
    }

    /// Keeps a record for its handler, and says what the machine has to know of it.
    fn hold(&mut self, partition: u32, record: Record) -> Fetched {
        let Record { offset, ref event, .. } = record;
        let expires = event.expiry().map(|at| self.clock.instant_of(at));
        let unfit = self.with.filter.as_ref().and_then(|filter| filter.unfit(event));
        let fetched = Fetched { offset, key: event.key(), bytes: event.bytes(), expires, unfit };
        self.held.insert(Position { partition, offset }, record);
        fetched
    }

    fn tell(&mut self, input: Input, member: &mut dyn Member, observer: &mut impl Observer) {
        let (now, mut effects) = (self.clock.now(), Vec::new());
        if let Some((partition, next, records)) = self.skipped.take() {
            observer.decided(now, Some((partition, next)), Decision::Skipped { records });
        }
        self.consumer.apply(input, now, &mut self.random, &mut effects, observer);
        for effect in effects {
            self.follow(effect, member);
        }
    }

    fn follow(&mut self, effect: Effect, member: &mut dyn Member) {
        match effect {
            Effect::Fetch { partition, epoch, fetch, from, records, bytes } => {
                let with = Arc::clone(&self.with);
                let window = Window { records, bytes, wait: with.times.read };
                self.tasks.spawn(async move {
                    let (next, records) = read(&with, partition, from, window).await;
                    Done::Read { partition, epoch, fetch, from, next, records }
                });
            }
            Effect::Commit { partition, epoch, version, cursor } => {
                let with = Arc::clone(&self.with);
                let slot = self.slot(partition);
                self.tasks.spawn(async move {
                    let write = with.times.write;
                    let kept = with.log.commit(&slot, epoch, cursor, write);
                    let kept = tokio::time::timeout(write, kept).await;
                    Done::Said(match kept {
                        Ok(Err(error)) if error.is_fenced() => Input::Lost { partition, epoch },
                        kept => {
                            Input::Committed { partition, epoch, version, kept: matches!(kept, Ok(Ok(()))) }
                        }
                    })
                });
            }
            Effect::Handle { id, deliveries } => self.handle(id, deliveries),
            Effect::Cancel { id } => {
                if let Some(task) = self.cancels.remove(&id) {
                    task.abort();
                }
            }
            Effect::SetAside { id, aside, parks_key, deliveries } => {
                self.set_aside(id, aside, parks_key, deliveries);
            }
            Effect::Forget { partition, offset } => {
                self.held.remove(&Position { partition, offset });
                self.reasons.remove(&Position { partition, offset });
            }
            Effect::Release { partition, lost } => {
                self.held.retain(|at, _| at.partition != partition);
                self.reasons.retain(|at, _| at.partition != partition);
                self.epochs.remove(&partition);
                if !lost {
                    member.release(partition);
                }
            }
        }
    }

    fn handle(&mut self, id: DeliveryId, deliveries: u32) {
        let position = position(id);
        let Some(Record { at, event, .. }) = self.held.get(&position).cloned() else { return };
        let within = self.with.times.per_delivery;
        let handler = Arc::clone(&self.handler);
        let task = self.tasks.spawn(async move {
            let delivered = Delivered { position, at, deliveries, within, event };
            let verdict = tokio::time::timeout(within, handler.handle(delivered)).await;
            let late = |_| Verdict::unknown(format!("the handler took longer than {within:?}"));
            Done::Handled { id, verdict: verdict.unwrap_or_else(late) }
        });
        self.under_way.insert(task.id(), id);
        self.cancels.insert(id, task);
    }

    fn set_aside(&mut self, id: DeliveryId, aside: Aside, parks_key: bool, deliveries: u32) {
        let Some(record) = self.held.get(&position(id)) else { return };
        let letter = DeadLetter {
            slot: self.slot(id.partition),
            offset: id.offset,
            key: record.event.key(),
            aside,
            parks_key,
            deliveries,
            at: self.clock.wall(),
            reason: self.reasons.get(&position(id)).cloned().unwrap_or_default(),
            event: Arc::clone(&record.event),
        };
        let with = Arc::clone(&self.with);
        self.tasks.spawn(async move {
            let write = with.times.write;
            let kept = tokio::time::timeout(write, with.dead_letters.set_aside(letter, write)).await;
            Done::Said(Input::SetAside { id, kept: matches!(kept, Ok(Ok(()))) })
        });
    }

    fn slot(&self, partition: u32) -> Slot {
        Slot { topic: self.with.topic.clone(), group: self.with.group.clone(), partition }
    }
}

const fn position(id: DeliveryId) -> Position {
    Position { partition: id.partition, offset: id.offset }
}

/// Records, and where the next read begins. After a failure none, and a pause.
async fn read(with: &Subscription, partition: u32, from: u64, window: Window) -> (u64, Vec<Record>) {
    match with.log.read(&with.topic, partition, from, window).await {
        Ok(records) => (records.last().map_or(from, |last| last.offset + 1), records),
        Err(error) => match *error.why() {
            // Retention was faster than the group.
            Why::OffsetOutOfRange { first, .. } if from < first => (first, Vec::new()),
            _ => {
                tokio::time::sleep(with.times.after_failed_read).await;
                (from, Vec::new())
            }
        },
    }
}
