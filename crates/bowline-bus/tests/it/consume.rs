//! A consumer on the memory broker, where the suite does not look.

use crate::support::{SECOND, broker, event, group};
use bowline_bus::{
    Control, Controlled, DeadLetters, Delivered, Event, Filter, Handler, Log, Memory, Slot, Start,
    Subscription, Times, Topic, Verdict, handler,
};
use bowline_lane::step::Decision;
use bowline_lane::{Aside, Class, ConsumerSettings, Observer};
use bowline_model::Instant;
use bowline_policy::Backoff;
use std::sync::{Arc, Mutex};

/// Words of decisions about records, in order.
#[derive(Default)]
struct Words(Vec<(u64, &'static str)>);

impl Observer for Words {
    fn decided(&mut self, _: Instant, record: Option<(u32, u64)>, decision: Decision) {
        self.0.push((record.map_or(u64::MAX, |(_, offset)| offset), decision.as_str()));
    }
}

fn subscription(broker: &Memory, topic: &Topic) -> Subscription {
    Subscription {
        log: Arc::new(broker.clone()),
        dead_letters: Arc::new(broker.clone()),
        topic: topic.clone(),
        group: group("g"),
        from: Start::Earliest,
        settings: ConsumerSettings {
            backoff: Backoff::Decorrelated { base: SECOND, max: SECOND },
            deliveries_max: Some(2),
            ..ConsumerSettings::default()
        },
        times: Times::default(),
        filter: None,
        seed: 1,
    }
}

async fn asides(broker: &Memory, topic: &Topic) -> Vec<(String, Aside, String)> {
    let slot = Slot { topic: topic.clone(), group: group("g"), partition: 0 };
    let letters = broker.list(&slot, 100).await.unwrap();
    letters.into_iter().map(|letter| (letter.event.id().to_owned(), letter.aside, letter.reason)).collect()
}

/// Runs until the record `stop` has been handled.
async fn run(subscription: Subscription, say: fn(&Delivered) -> Option<Verdict>) -> Words {
    let (control, controlled) = Control::new();
    let handler = handler(move |delivered: Delivered| {
        let control = control.clone();
        async move {
            match say(&delivered) {
                Some(verdict) => verdict,
                None if delivered.event.id() == "stop" => {
                    control.stop();
                    Verdict::done()
                }
                None => std::future::pending().await,
            }
        }
    });
    run_with(subscription, handler, controlled).await
}

async fn run_with(subscription: Subscription, handler: Arc<dyn Handler>, controlled: Controlled) -> Words {
    let mut words = Words::default();
    tokio::time::timeout(SECOND * 600, subscription.run(handler, controlled, &mut words))
        .await
        .unwrap()
        .unwrap();
    words
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_ended_and_counted() {
    let (broker, topic) = broker("t", 1).await;
    broker.append(&topic, vec![event("a", "hangs"), event("a", "stop")], SECOND).await.unwrap();
    let words = run(subscription(&broker, &topic), |_| None).await;
    assert_eq!(
        words.0,
        [
            (0, "handled"),
            (0, "put off: unknown"),
            (0, "handled"),
            (0, "exhausted"),
            (1, "handled"),
            (1, "acknowledged"),
        ]
    );
    let reason = "the handler took longer than 30s".to_owned();
    assert_eq!(asides(&broker, &topic).await, [("hangs".to_owned(), Aside::Dead(Class::Exhausted), reason)]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_ends_itself_and_nobody_else() {
    let (broker, topic) = broker("t", 1).await;
    broker.append(&topic, vec![event("a", "panics"), event("a", "stop")], SECOND).await.unwrap();
    let say = |delivered: &Delivered| {
        assert_ne!(delivered.event.id(), "panics", "on purpose");
        None
    };
    run(subscription(&broker, &topic), say).await;
    let reason = "the handler panicked".to_owned();
    assert_eq!(asides(&broker, &topic).await, [("panics".to_owned(), Aside::Dead(Class::Exhausted), reason)]);
}

struct NoJunk;

impl Filter for NoJunk {
    fn unfit(&self, event: &Event) -> Option<Class> {
        (event.id() == "junk").then_some(Class::OffContract)
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_filter_refuses_no_handler_sees() {
    let (broker, topic) = broker("t", 1).await;
    broker.append(&topic, vec![event("a", "junk"), event("a", "stop")], SECOND).await.unwrap();
    let subscription = Subscription { filter: Some(Arc::new(NoJunk)), ..subscription(&broker, &topic) };
    run(subscription, |delivered| {
        assert_ne!(delivered.event.id(), "junk");
        None
    })
    .await;
    assert_eq!(asides(&broker, &topic).await[0].1, Aside::Dead(Class::OffContract));
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_time_is_over_is_set_aside_unseen() {
    let (broker, topic) = broker("t", 1).await;
    let old = Event::builder("old", "/test", "test")
        .partition_key("a")
        .expiry(bowline_model::WallTime::from_unix_nanos(1));
    broker.append(&topic, vec![old.build().unwrap(), event("a", "stop")], SECOND).await.unwrap();
    run(subscription(&broker, &topic), |_| None).await;
    assert_eq!(asides(&broker, &topic).await[0].1, Aside::Dead(Class::Expired));
}

#[tokio::test(start_paused = true)]
async fn while_the_breaker_is_open_records_wait() {
    let (broker, topic) = broker("t", 1).await;
    broker.append(&topic, vec![event("a", "1")], SECOND).await.unwrap();
    let (control, controlled) = Control::new();
    control.target_open(SECOND * 40);
    let handled = Arc::new(Mutex::new(None));
    let began = tokio::time::Instant::now();
    let handler = {
        let (handled, control) = (Arc::clone(&handled), control.clone());
        handler(move |_| {
            *handled.lock().unwrap() = Some(began.elapsed());
            control.stop();
            async { Verdict::done() }
        })
    };
    run_with(subscription(&broker, &topic), handler, controlled).await;
    // A millisecond is the grain of the timer.
    let waited = handled.lock().unwrap().unwrap();
    assert!((SECOND * 40..SECOND * 40 + SECOND / 100).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_is_dropped_leaves_its_records_to_the_next_one_alone_each() {
    let (broker, topic) = broker("t", 1).await;
    let events = vec![event("a", "1"), event("b", "2"), event("c", "3"), event("d", "stop")];
    broker.append(&topic, events, SECOND).await.unwrap();
    let (_control, controlled) = Control::new();
    let hangs = handler(|_| std::future::pending());
    let first = subscription(&broker, &topic);
    let crash = tokio::time::timeout(SECOND, first.run(hangs, controlled, &mut ())).await;
    assert!(crash.is_err());
    let words =
        run(subscription(&broker, &topic), |delivered| (delivered.event.id() != "stop").then(Verdict::done))
            .await;
    let suspected = words.0.iter().filter(|(_, word)| *word == "suspected").count();
    assert_eq!(suspected, 4);
    let handled: Vec<&str> =
        words.0.iter().filter(|(_, word)| *word != "suspected").map(|(_, word)| *word).collect();
    assert_eq!(handled, ["handled", "acknowledged"].repeat(4), "one after the other");
    assert_eq!(asides(&broker, &topic).await, [], "and nobody is blamed");
}
