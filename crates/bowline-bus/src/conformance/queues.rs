//! What a queue is held to.

use super::{Broken, Broker, Case, PATIENCE, ensure, event, group, in_time, said};
use crate::error::Why;
use crate::log::TopicSettings;
use crate::name::Topic;
use crate::queue::{Credits, Delivery, Queue, Receiver, Settlement};
use bowline_lane::Class;
use std::sync::Arc;
use std::time::Duration;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "a queue hands out each record until it is settled",
        needs: |c| &c.settlement,
        run: |b, t| Box::pin(handed_out(b, t)),
    },
    Case {
        name: "a queue keeps keys in order",
        needs: |c| &c.order_key,
        run: |b, t| Box::pin(in_order(b, t)),
    },
    Case { name: "a queue puts off and counts", needs: |c| &c.delay, run: |b, t| Box::pin(put_off(b, t)) },
    Case {
        name: "a queue gives back what a dead receiver had",
        needs: |c| &c.at_least_once,
        run: |b, t| Box::pin(given_back(b, t)),
    },
    Case {
        name: "a queue gives no more than there are credits",
        needs: |c| &c.settlement,
        run: |b, t| Box::pin(credits(b, t)),
    },
    Case {
        name: "a queue sets aside for good",
        needs: |c| &c.dead_letter_order,
        run: |b, t| Box::pin(set_aside(b, t)),
    },
];

const MANY: Credits = Credits { records: 100, bytes: u64::MAX };

async fn queue(broker: &Broker, topic: &Topic, events: &[(&str, u32)]) -> Result<Arc<dyn Queue>, Broken> {
    if let Some(log) = &broker.log {
        log.create(topic, TopicSettings::default()).await.map_err(said)?;
    }
    let queue = broker.queue.clone().ok_or("no queue")?;
    let events = events.iter().map(|(key, n)| event(key, *n)).collect::<Result<Vec<_>, _>>()?;
    queue.publish(topic, events, PATIENCE).await.map_err(said)?;
    Ok(queue)
}

async fn receiver(queue: &dyn Queue, topic: &Topic) -> Result<Box<dyn Receiver>, Broken> {
    queue.subscribe(topic, &group("group")?).await.map_err(said)
}

async fn receive(receiver: &dyn Receiver, credits: Credits) -> Result<Vec<Delivery>, Broken> {
    in_time("a record that is there", receiver.receive(credits)).await?.map_err(said)
}

fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.event.id()).collect()
}

async fn nothing(receiver: &dyn Receiver, why: &str) -> Result<(), Broken> {
    match tokio::time::timeout(Duration::from_millis(200), receiver.receive(MANY)).await {
        Err(_) => Ok(()),
        Ok(got) => Err(format!("{why}: {:?}", got.map(|got| ids(&got).join(", ")))),
    }
}

async fn handed_out(broker: &Broker, topic: Topic) -> Result<(), Broken> {
    let queue = queue(broker, &topic, &[("a", 1), ("b", 1)]).await?;
    let first = receiver(queue.as_ref(), &topic).await?;
    let got = receive(first.as_ref(), MANY).await?;
    ensure(got.len() == 2 && got.iter().all(|delivery| delivery.deliveries == 0), || format!("{got:?}"))?;
    let second = receiver(queue.as_ref(), &topic).await?;
    nothing(second.as_ref(), "what one has, another gets").await?;
    for delivery in &got {
        first.settle(delivery.ticket, Settlement::Ack).await.map_err(said)?;
    }
    let twice = first.settle(got[0].ticket, Settlement::Ack).await;
    ensure(matches!(twice.as_ref().map_err(crate::Error::why), Err(Why::NotYours)), || {
        format!("settled twice: {twice:?}")
    })?;
    nothing(second.as_ref(), "what is settled comes again").await
}

async fn in_order(broker: &Broker, topic: Topic) -> Result<(), Broken> {
    let queue = queue(broker, &topic, &[("a", 1), ("a", 2), ("b", 1)]).await?;
    let receiver = receiver(queue.as_ref(), &topic).await?;
    let got = receive(receiver.as_ref(), MANY).await?;
    ensure(ids(&got) == ["a-1", "b-1"], || format!("given {:?}", ids(&got)))?;
    receiver.settle(got[0].ticket, Settlement::Ack).await.map_err(said)?;
    let next = receive(receiver.as_ref(), MANY).await?;
    ensure(ids(&next) == ["a-2"], || format!("then {:?}", ids(&next)))
}

async fn put_off(broker: &Broker, topic: Topic) -> Result<(), Broken> {
    let queue = queue(broker, &topic, &[("a", 1), ("a", 2)]).await?;
    let receiver = receiver(queue.as_ref(), &topic).await?;
    let got = receive(receiver.as_ref(), MANY).await?;
    let after = Duration::from_millis(500);
    receiver.settle(got[0].ticket, Settlement::Retry { after }).await.map_err(said)?;
    nothing(receiver.as_ref(), "a record that is put off, or one that it holds up").await?;
    let again = receive(receiver.as_ref(), MANY).await?;
    ensure(ids(&again) == ["a-1"] && again[0].deliveries == 1, || format!("again {again:?}"))
}

async fn given_back(broker: &Broker, topic: Topic) -> Result<(), Broken> {
    let queue = queue(broker, &topic, &[("a", 1)]).await?;
    let first = receiver(queue.as_ref(), &topic).await?;
    let got = receive(first.as_ref(), MANY).await?;
    drop(first);
    let second = receiver(queue.as_ref(), &topic).await?;
    let again = receive(second.as_ref(), MANY).await?;
    ensure(ids(&again) == ["a-1"] && again[0].deliveries == 1, || format!("again {again:?}"))?;
    let late = second.settle(got[0].ticket, Settlement::Ack).await;
    ensure(late.is_err(), || "an old ticket settles a new delivery".to_owned())
}

async fn credits(broker: &Broker, topic: Topic) -> Result<(), Broken> {
    let queue = queue(broker, &topic, &[("a", 1), ("b", 1), ("c", 1)]).await?;
    let receiver = receiver(queue.as_ref(), &topic).await?;
    let got = receive(receiver.as_ref(), Credits { records: 2, ..MANY }).await?;
    ensure(got.len() <= 2, || format!("{} for two credits", got.len()))?;
    let rest = receive(receiver.as_ref(), Credits { bytes: 1, ..MANY }).await?;
    ensure(rest.len() == 1, || format!("{} records for one byte", rest.len()))
}

async fn set_aside(broker: &Broker, topic: Topic) -> Result<(), Broken> {
    let queue = queue(broker, &topic, &[("a", 1), ("a", 2), ("b", 1)]).await?;
    let receiver = receiver(queue.as_ref(), &topic).await?;
    for (id, how) in [("a-1", Settlement::DeadLetter { class: Class::Rejected }), ("a-2", Settlement::Park)] {
        let got = receive(receiver.as_ref(), Credits { records: 1, ..MANY }).await?;
        ensure(ids(&got) == [id], || format!("given {:?} for {id}", ids(&got)))?;
        receiver.settle(got[0].ticket, how).await.map_err(said)?;
    }
    let rest = receive(receiver.as_ref(), MANY).await?;
    ensure(ids(&rest) == ["b-1"], || format!("what was set aside comes again: {:?}", ids(&rest)))
}
