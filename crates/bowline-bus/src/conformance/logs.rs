//! What a log is held to.

use super::history::{Answer, History};
use super::{Broken, Broker, Case, NOW, PATIENCE, ensure, event, group, in_time, said};
use crate::error::Why;
use crate::log::{Change, Log, Member, Position, Retention, Slot, Start, TopicSettings, Window};
use crate::name::Topic;
use bowline_lane::{Cursor, Support};
use bowline_model::Outcome;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(super) const CASES: &[Case] = &[
    Case { name: "a topic is made once", needs: |c| &c.at_least_once, run: |b, t| Box::pin(made_once(b, t)) },
    Case {
        name: "keys stay in order under many producers",
        needs: |c| &c.order_key,
        run: |b, t| Box::pin(in_order(b, t)),
    },
    Case {
        name: "a reader that waits is woken",
        needs: |c| &c.at_least_once,
        run: |b, t| Box::pin(woken(b, t)),
    },
    Case {
        name: "what was read is read again",
        needs: |c| &c.replay,
        run: |b, t| Box::pin(read_again(b, t)),
    },
    Case {
        name: "offsets out of range are refused",
        needs: |c| &c.replay,
        run: |b, t| Box::pin(out_of_range(b, t)),
    },
    Case {
        name: "a batch whose publisher went away is whole or absent",
        needs: |c| &c.at_least_once,
        run: |b, t| Box::pin(cut(b, t)),
    },
    Case {
        name: "a cursor outlives its consumer",
        needs: |c| &c.at_least_once,
        run: |b, t| Box::pin(cursor_stays(b, t)),
    },
    Case {
        name: "of two owners the younger one writes",
        needs: |c| &c.at_least_once,
        run: |b, t| Box::pin(fenced(b, t)),
    },
    Case {
        name: "partitions are shared and handed over",
        needs: |c| &c.at_least_once,
        run: |b, t| Box::pin(shared(b, t)),
    },
    Case { name: "each group gets every record", needs: |c| &c.fan_out, run: |b, t| Box::pin(fan_out(b, t)) },
];

async fn topic(broker: &Broker, topic: &Topic, partitions: u32) -> Result<Arc<dyn Log>, Broken> {
    let log = broker.log.clone().ok_or("no log")?;
    log.create(topic, TopicSettings { partitions, retention: Retention::default() }).await.map_err(said)?;
    Ok(log)
}

async fn made_once(broker: &Broker, name: Topic) -> Result<(), Broken> {
    let log = topic(broker, &name, 2).await?;
    log.append(&name, vec![event("a", 1)?], PATIENCE).await.map_err(said)?;
    topic(broker, &name, 2).await?;
    let bounds = log.describe(&name).await.map_err(said)?;
    let records: u64 = bounds.iter().map(|part| part.next - part.first).sum();
    ensure(bounds.len() == 2 && records == 1, || format!("made again it has {bounds:?}"))?;
    let other = log.create(&name, TopicSettings { partitions: 3, ..TopicSettings::default() }).await;
    let differs =
        matches!(other.as_ref().map_err(crate::Error::why), Err(Why::TopicDiffers { partitions: 2 }));
    ensure(differs, || format!("with three partitions instead of two: {other:?}"))?;
    let nobody = Topic::new("nobody-made-this-one").map_err(|bad| bad.to_string())?;
    let refused = log.append(&nobody, vec![event("a", 1)?], PATIENCE).await;
    ensure(refused.as_ref().is_err_and(|error| error.outcome() == Outcome::Failed), || {
        format!("a topic that does not exist takes records: {refused:?}")
    })
}

async fn in_order(broker: &Broker, name: Topic) -> Result<(), Broken> {
    let log = topic(broker, &name, 3).await?;
    let mut producers = tokio::task::JoinSet::new();
    for producer in 0..8 {
        let (log, name) = (Arc::clone(&log), name.clone());
        producers.spawn(async move {
            let key = format!("key-{producer}");
            let mut answers = Vec::new();
            for number in 0..25 {
                let event = event(&key, number)?;
                let id = event.id().to_owned();
                let answer = match log.append(&name, vec![event], PATIENCE).await {
                    Ok(positions) => Answer::At(*positions.first().ok_or("an append without a position")?),
                    Err(error) if error.outcome() == Outcome::Unknown => Answer::Unknown,
                    Err(_) => Answer::Refused,
                };
                answers.push((key.clone(), id, answer));
            }
            Ok::<_, Broken>(answers)
        });
    }
    let mut history = History::default();
    while let Some(done) = producers.join_next().await {
        for (key, id, answer) in done.map_err(|error| error.to_string())?? {
            ensure(matches!(answer, Answer::At(_)), || format!("{id} was not taken: {answer:?}"))?;
            history.published(&key, &id, answer);
        }
    }
    let mut count = 0;
    for partition in 0..3 {
        let mut from = 0;
        loop {
            let window = Window { records: 7, ..NOW };
            let records = log.read(&name, partition, from, window).await.map_err(said)?;
            let Some(last) = records.last() else { break };
            from = last.offset + 1;
            count += records.len();
            for record in &records {
                history.read("reader", Position { partition, offset: record.offset }, record.event.id());
            }
        }
    }
    let findings = history.findings();
    ensure(findings.is_empty(), || findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    ensure(count == 200, || format!("200 records were taken and {count} are there"))
}

async fn woken(broker: &Broker, name: Topic) -> Result<(), Broken> {
    let log = topic(broker, &name, 1).await?;
    let reader = {
        let (log, name) = (Arc::clone(&log), name.clone());
        tokio::spawn(async move { log.read(&name, 0, 0, Window { wait: PATIENCE * 6, ..NOW }).await })
    };
    // The reader waits by then, or it does not and finds the record at once: it gets it in any case.
    tokio::task::yield_now().await;
    log.append(&name, vec![event("a", 1)?], PATIENCE).await.map_err(said)?;
    let records = in_time("a reader whose record is there", reader).await?;
    let records = records.map_err(|error| error.to_string())?.map_err(said)?;
    ensure(records.len() == 1, || format!("woken with {} records", records.len()))
}

async fn read_again(broker: &Broker, name: Topic) -> Result<(), Broken> {
    let log = topic(broker, &name, 1).await?;
    for number in 0..5 {
        log.append(&name, vec![event("a", number)?], PATIENCE).await.map_err(said)?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let first = log.read(&name, 0, 0, NOW).await.map_err(said)?;
    let again = log.read(&name, 0, 0, NOW).await.map_err(said)?;
    ensure(first == again && first.len() == 5, || format!("{} records, then {}", first.len(), again.len()))?;
    let third = log.offset_at(&name, 0, first[2].at).await.map_err(said)?;
    ensure(third <= first[2].offset && third > first[0].offset, || {
        format!("the offset at the time of {} is {third}", first[2].offset)
    })
}

async fn out_of_range(broker: &Broker, name: Topic) -> Result<(), Broken> {
    let log = topic(broker, &name, 1).await?;
    log.append(&name, vec![event("a", 1)?], PATIENCE).await.map_err(said)?;
    let beyond = log.read(&name, 0, 100, NOW).await;
    let range = beyond.as_ref().is_err_and(|error| matches!(error.why(), Why::OffsetOutOfRange { .. }));
    ensure(range, || format!("a read beyond the end: {beyond:?}"))?;
    let partition = log.read(&name, 9, 0, NOW).await;
    ensure(partition.is_err(), || "a partition that does not exist is read".to_owned())
}

async fn cut(broker: &Broker, name: Topic) -> Result<(), Broken> {
    let log = topic(broker, &name, 1).await?;
    for batch in 0..20 {
        let events = (0..5).map(|n| event("a", batch * 5 + n)).collect::<Result<Vec<_>, _>>()?;
        // Some are through by then, some are not.
        let within = Duration::from_micros(u64::from(batch) * 50);
        let _ = tokio::time::timeout(within, log.append(&name, events, PATIENCE)).await;
    }
    log.append(&name, vec![event("a", 1_000)?], PATIENCE).await.map_err(said)?;
    let mut batches: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for record in log.read(&name, 0, 0, NOW).await.map_err(said)? {
        let number =
            record.event.id().trim_start_matches("a-").parse::<u32>().map_err(|error| error.to_string())?;
        batches.entry(number / 5).or_default().push(number % 5);
    }
    batches.remove(&200);
    ensure(batches.values().all(|found| *found == [0, 1, 2, 3, 4]), || {
        format!("batches in parts: {batches:?}")
    })
}

/// The next partition that a member is given.
async fn assigned(member: &mut dyn Member) -> Result<(u32, u64, Cursor), Broken> {
    loop {
        match in_time("a partition for a member", member.changed()).await?.map_err(said)? {
            Change::Assigned { partition, epoch, state } => return Ok((partition, epoch, state.cursor)),
            Change::Revoking { partition, .. } => member.release(partition),
            Change::Lost { .. } => (),
            Change::Left => return Err("a member that did not leave has left".to_owned()),
        }
    }
}

async fn cursor_stays(broker: &Broker, name: Topic) -> Result<(), Broken> {
    let log = topic(broker, &name, 1).await?;
    let events = (0..10).map(|n| event("a", n)).collect::<Result<Vec<_>, _>>()?;
    log.append(&name, events, PATIENCE).await.map_err(said)?;
    let group = group("group")?;
    let mut member = log.join(&name, &group, Start::Earliest).await.map_err(said)?;
    let (_, epoch, begin) = assigned(member.as_mut()).await?;
    ensure(begin == Cursor::starting_at(begin.floor), || format!("a new group begins with {begin:?}"))?;
    let slot = Slot { topic: name.clone(), group: group.clone(), partition: 0 };
    let kept = Cursor {
        floor: 3,
        settled: match log.capabilities().settlement {
            Support::Impossible { .. } => Vec::new(),
            Support::Native { .. } | Support::Emulated { .. } => vec![5..7, 9..10],
        },
        marked: 10,
        alone: Some(4),
        deliveries: BTreeMap::from([(4, 2)]),
    };
    log.commit(&slot, epoch, kept.clone(), PATIENCE).await.map_err(said)?;
    drop(member);
    let mut member = log.join(&name, &group, Start::Earliest).await.map_err(said)?;
    let (_, _, found) = assigned(member.as_mut()).await?;
    ensure(found == kept, || format!("kept {kept:?}, found {found:?}"))?;
    let seen = log.cursor(&slot).await.map_err(said)?;
    ensure(seen.as_ref() == Some(&kept), || format!("kept {kept:?}, shown {seen:?}"))
}

async fn fenced(broker: &Broker, name: Topic) -> Result<(), Broken> {
    let log = topic(broker, &name, 1).await?;
    let group = group("group")?;
    let slot = Slot { topic: name.clone(), group: group.clone(), partition: 0 };
    let mut first = log.join(&name, &group, Start::Earliest).await.map_err(said)?;
    let (_, old, _) = assigned(first.as_mut()).await?;
    drop(first);
    let mut second = log.join(&name, &group, Start::Earliest).await.map_err(said)?;
    let (_, young, _) = assigned(second.as_mut()).await?;
    ensure(young > old, || format!("epoch {young} after epoch {old}"))?;
    let late = log.commit(&slot, old, Cursor::starting_at(0), PATIENCE).await;
    ensure(late.as_ref().is_err_and(crate::Error::is_fenced), || format!("the old owner writes: {late:?}"))?;
    log.commit(&slot, young, Cursor::starting_at(0), PATIENCE).await.map_err(said)
}

async fn shared(broker: &Broker, name: Topic) -> Result<(), Broken> {
    let log = topic(broker, &name, 4).await?;
    let group = group("group")?;
    let mut first = log.join(&name, &group, Start::Earliest).await.map_err(said)?;
    let mut epochs = BTreeMap::new();
    for _ in 0..4 {
        let (partition, epoch, _) = assigned(first.as_mut()).await?;
        epochs.insert(partition, epoch);
    }
    ensure(epochs.len() == 4, || format!("a lone member owns {epochs:?}"))?;
    let mut second = log.join(&name, &group, Start::Earliest).await.map_err(said)?;
    let mut moved = Vec::new();
    while moved.len() < 2 {
        // The first lets go of what is asked for; the second gets it.
        tokio::select! {
            change = in_time("a change of the first", first.changed()) => match change?.map_err(said)? {
                Change::Revoking { partition, .. } => first.release(partition),
                other => return Err(format!("the first is told {other:?}")),
            },
            got = assigned(second.as_mut()) => {
                let (partition, epoch, _) = got?;
                let old = epochs.get(&partition).copied().unwrap_or(u64::MAX);
                ensure(epoch > old, || format!("partition {partition} moves with epoch {epoch} after {old}"))?;
                moved.push(partition);
            }
        }
    }
    first.leave();
    loop {
        match in_time("the first leaves", first.changed()).await?.map_err(said)? {
            Change::Revoking { partition, .. } => first.release(partition),
            Change::Left => break,
            other => return Err(format!("who leaves is told {other:?}")),
        }
    }
    for _ in 0..2 {
        moved.push(assigned(second.as_mut()).await?.0);
    }
    moved.sort_unstable();
    ensure(moved == [0, 1, 2, 3], || format!("the last member owns {moved:?}"))
}

async fn fan_out(broker: &Broker, name: Topic) -> Result<(), Broken> {
    let log = topic(broker, &name, 1).await?;
    log.append(&name, vec![event("a", 1)?], PATIENCE).await.map_err(said)?;
    for name_of_group in ["one", "two"] {
        let mut member = log.join(&name, &group(name_of_group)?, Start::Earliest).await.map_err(said)?;
        let (partition, epoch, cursor) = assigned(member.as_mut()).await?;
        let records = log.read(&name, partition, cursor.floor, NOW).await.map_err(said)?;
        ensure(records.len() == 1, || format!("group {name_of_group} finds {} records", records.len()))?;
        let slot = Slot { topic: name.clone(), group: group(name_of_group)?, partition };
        let done = Cursor::starting_at(records[0].offset + 1);
        log.commit(&slot, epoch, done, PATIENCE).await.map_err(said)?;
    }
    Ok(())
}
