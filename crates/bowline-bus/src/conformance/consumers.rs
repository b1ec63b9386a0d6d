//! What a consumer on a log is held to, with everything that it stands on: cursors, rebalancing, dead letters.

use super::{Broken, Broker, Case, PATIENCE, ensure, event, group, said};
use crate::consume::{Control, Subscription, Times};
use crate::error::Error;
use crate::handler::{Delivered, Verdict, handler};
use crate::log::{Slot, Start, TopicSettings};
use crate::name::Topic;
use bowline_lane::{AfterDead, Aside, Class, ConsumerSettings};
use bowline_policy::Backoff;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "a consumer works on keys side by side and on each in order",
        needs: |c| &c.order_key,
        run: |b, t| Box::pin(side_by_side(b, t)),
    },
    Case {
        name: "a consumer delivers again after a crash and loses nothing",
        needs: |c| &c.at_least_once,
        run: |b, t| Box::pin(crash(b, t)),
    },
    Case {
        name: "a consumer puts off one key and not the others",
        needs: |c| &c.delay,
        run: |b, t| Box::pin(put_off(b, t)),
    },
    Case {
        name: "a consumer that is joined by another shares without loss",
        needs: |c| &c.at_least_once,
        run: |b, t| Box::pin(joined(b, t)),
    },
    Case {
        name: "dead letters stay in the order of their key",
        needs: |c| &c.dead_letter_order,
        run: |b, t| Box::pin(dead_letters(b, t)),
    },
];

/// What handlers saw.
#[derive(Default)]
struct Seen {
    /// Each delivery: the id, how often it came in vain before, and whether its handler said that it is done.
    handled: Mutex<Vec<(String, u32, bool)>>,
    in_hands: Mutex<BTreeSet<String>>,
    /// Keys of which two were in hands at once.
    overtaken: Mutex<Vec<String>>,
    most: Mutex<usize>,
    news: Notify,
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seen {
    fn done(&self) -> Vec<String> {
        lock(&self.handled).iter().filter(|(_, _, done)| *done).map(|(id, ..)| id.clone()).collect()
    }

    /// Waits until so many different records are done.
    async fn wait_for(&self, count: usize) -> Result<(), Broken> {
        let all = async {
            loop {
                let news = self.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                if self.done().into_iter().collect::<BTreeSet<_>>().len() >= count {
                    return;
                }
                news.await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE * 3, all).await;
        waited.map_err(|_| {
            format!("{} of {count} records are done: {:?}", self.done().len(), lock(&self.handled))
        })
    }

    /// Of each key, in the order of its numbers, as often as they may have come.
    fn in_order(&self) -> Result<(), Broken> {
        let mut last: BTreeMap<String, u32> = BTreeMap::new();
        for id in self.done() {
            let Some((key, number)) = id.rsplit_once('-') else { continue };
            let number: u32 = number.parse().map_err(|_| format!("an id {id}"))?;
            let next = last.get(key).map_or(0, |last| last + 1);
            ensure(number <= next, || format!("{id} is done and {key}-{next} is not"))?;
            last.insert(key.to_owned(), number.max(next.saturating_sub(1)));
        }
        let overtaken = lock(&self.overtaken);
        ensure(overtaken.is_empty(), || format!("two of a key at once: {overtaken:?}"))
    }
}

struct Work {
    control: Control,
    task: JoinHandle<Result<(), Error>>,
}

impl Work {
    async fn stop(self) -> Result<(), Broken> {
        self.control.stop();
        super::in_time("a consumer that stops", self.task)
            .await?
            .map_err(|error| error.to_string())?
            .map_err(said)
    }
}

/// Starts a consumer whose handler takes a moment and then says what `say` says.
fn work(
    broker: &Broker,
    topic: &Topic,
    settings: ConsumerSettings,
    seen: &Arc<Seen>,
    say: fn(&Delivered) -> Verdict,
) -> Result<Work, Broken> {
    let (Some(log), Some(dead_letters)) = (broker.log.clone(), broker.dead_letters.clone()) else {
        return Err("no log with dead letters".to_owned());
    };
    let (control, controlled) = Control::new();
    let subscription = Subscription {
        log,
        dead_letters,
        topic: topic.clone(),
        group: group("group")?,
        from: Start::Earliest,
        settings,
        times: Times { stop: PATIENCE, ..Times::default() },
        filter: None,
        seed: 1,
    };
    let seen = Arc::clone(seen);
    let handler = handler(move |delivered: Delivered| {
        let seen = Arc::clone(&seen);
        async move {
            let key = delivered.event.key().map(|key| format!("{key:?}")).unwrap_or_default();
            if !lock(&seen.in_hands).insert(key.clone()) {
                lock(&seen.overtaken).push(key.clone());
            }
            let most = lock(&seen.in_hands).len().max(*lock(&seen.most));
            *lock(&seen.most) = most;
            let guard = InHands { seen: &seen, key };
            tokio::time::sleep(Duration::from_millis(5)).await;
            drop(guard);
            let verdict = say(&delivered);
            let done = verdict == Verdict::done();
            lock(&seen.handled).push((delivered.event.id().to_owned(), delivered.deliveries, done));
            seen.news.notify_waiters();
            verdict
        }
    });
    let task = tokio::spawn(async move { subscription.run(handler, controlled, &mut ()).await });
    Ok(Work { control, task })
}

/// A handler that is ended has its record no more.
struct InHands<'s> {
    seen: &'s Seen,
    key: String,
}

impl Drop for InHands<'_> {
    fn drop(&mut self) {
        lock(&self.seen.in_hands).remove(&self.key);
    }
}

async fn publish(
    broker: &Broker,
    topic: &Topic,
    partitions: u32,
    keys: u32,
    each: u32,
) -> Result<(), Broken> {
    let log = broker.log.clone().ok_or("no log")?;
    log.create(topic, TopicSettings { partitions, ..TopicSettings::default() }).await.map_err(said)?;
    for number in 0..each {
        let events =
            (0..keys).map(|key| event(&format!("key{key}"), number)).collect::<Result<Vec<_>, _>>()?;
        log.append(topic, events, PATIENCE).await.map_err(said)?;
    }
    Ok(())
}

fn settings() -> ConsumerSettings {
    let base = Duration::from_millis(20);
    ConsumerSettings { backoff: Backoff::Equal { base, max: base * 4 }, ..ConsumerSettings::default() }
}

async fn side_by_side(broker: &Broker, topic: Topic) -> Result<(), Broken> {
    publish(broker, &topic, 2, 8, 10).await?;
    let seen = Arc::new(Seen::default());
    let work = work(broker, &topic, settings(), &seen, |_| Verdict::done())?;
    seen.wait_for(80).await?;
    work.stop().await?;
    seen.in_order()?;
    let (most, handled) = (*lock(&seen.most), lock(&seen.handled).len());
    ensure(most > 1, || "never more than one key at once".to_owned())?;
    ensure(handled == 80, || format!("{handled} deliveries of 80 records"))
}

async fn crash(broker: &Broker, topic: Topic) -> Result<(), Broken> {
    publish(broker, &topic, 2, 4, 20).await?;
    let seen = Arc::new(Seen::default());
    for until in [10, 30] {
        let work = work(broker, &topic, settings(), &seen, |_| Verdict::done())?;
        seen.wait_for(until).await?;
        work.task.abort();
        // It is gone once its task has ended.
        let _ = work.task.await;
    }
    let work = work(broker, &topic, settings(), &seen, |_| Verdict::done())?;
    seen.wait_for(80).await?;
    work.stop().await?;
    seen.in_order()
}

async fn put_off(broker: &Broker, topic: Topic) -> Result<(), Broken> {
    publish(broker, &topic, 1, 3, 5).await?;
    let seen = Arc::new(Seen::default());
    let say = |delivered: &Delivered| {
        let first = delivered.event.id() == "key0-0" && delivered.deliveries < 2;
        if first { Verdict::unknown("not yet").after(Duration::from_millis(300)) } else { Verdict::done() }
    };
    let work = work(broker, &topic, settings(), &seen, say)?;
    seen.wait_for(15).await?;
    work.stop().await?;
    seen.in_order()?;
    let handled = lock(&seen.handled).clone();
    let counts: Vec<u32> =
        handled.iter().filter(|(id, ..)| id == "key0-0").map(|(_, count, _)| *count).collect();
    ensure(counts == [0, 1, 2], || format!("deliveries in vain before: {counts:?}"))?;
    let of_others =
        handled.iter().take_while(|(id, _, done)| !(id == "key0-0" && *done)).filter(|(.., done)| *done);
    let of_others = of_others.count();
    ensure(of_others == 10, || format!("{of_others} of 10 records of other keys before it"))
}

async fn joined(broker: &Broker, topic: Topic) -> Result<(), Broken> {
    publish(broker, &topic, 4, 8, 20).await?;
    let seen = Arc::new(Seen::default());
    let first = work(broker, &topic, settings(), &seen, |_| Verdict::done())?;
    seen.wait_for(20).await?;
    let second = work(broker, &topic, settings(), &seen, |_| Verdict::done())?;
    seen.wait_for(60).await?;
    first.stop().await?;
    seen.wait_for(160).await?;
    second.stop().await?;
    seen.in_order()?;
    let handled = lock(&seen.handled).len();
    ensure(handled == 160, || format!("{handled} deliveries of 160 records, although nobody died"))
}

async fn dead_letters(broker: &Broker, topic: Topic) -> Result<(), Broken> {
    publish(broker, &topic, 1, 2, 4).await?;
    let seen = Arc::new(Seen::default());
    let settings = ConsumerSettings { after_dead: AfterDead::Park, ..settings() };
    let say = |delivered: &Delivered| match delivered.event.id() {
        "key0-1" => Verdict::rejected("the sku is unknown"),
        _ => Verdict::done(),
    };
    // Twice: the second has to know from the first that the key is parked.
    let work_one = work(broker, &topic, settings.clone(), &seen, say)?;
    seen.wait_for(5).await?;
    work_one.stop().await?;
    let log = broker.log.clone().ok_or("no log")?;
    log.append(&topic, vec![event("key0", 4)?, event("key1", 4)?], PATIENCE).await.map_err(said)?;
    let work_two = work(broker, &topic, settings, &seen, say)?;
    seen.wait_for(6).await?;
    let kept = broker.dead_letters.clone().ok_or("no dead letters")?;
    let slot = Slot { topic, group: group("group")?, partition: 0 };
    let mut letters = Vec::new();
    for _ in 0..100 {
        letters = kept.list(&slot, 100).await.map_err(said)?;
        if letters.len() >= 4 {
            break;
        }
        tokio::time::sleep(PATIENCE / 100).await;
    }
    work_two.stop().await?;
    let found: Vec<(&str, Aside)> = letters.iter().map(|letter| (letter.event.id(), letter.aside)).collect();
    let expected = [
        ("key0-1", Aside::Dead(Class::Rejected)),
        ("key0-2", Aside::Parked),
        ("key0-3", Aside::Parked),
        ("key0-4", Aside::Parked),
    ];
    ensure(found == expected, || format!("set aside: {found:?}"))?;
    ensure(letters[0].reason == "the sku is unknown", || format!("the reason is `{}`", letters[0].reason))?;
    for letter in &letters {
        let parked = kept.parked(&slot).await.map_err(said)?;
        ensure(parked.len() == 1, || format!("parked while something is kept: {parked:?}"))?;
        let gone = kept.remove(&slot, letter.offset).await.map_err(said)?;
        ensure(gone, || format!("{} was not there to be taken away", letter.offset))?;
    }
    let parked = kept.parked(&slot).await.map_err(said)?;
    ensure(parked.is_empty(), || format!("parked although nothing is kept: {parked:?}"))
}
