//! A process that is killed at any instant: what it had acknowledged is there afterwards.

use crate::folder::{Folder, numbered, numbers};
use bowline_model::{Random, SplitMix64};
use bowline_sqlite::{Limits, Settings, Store, TopicSpec, verify};
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};

/// Says where the child's store is. Set for the child alone.
const FOLDER: &str = "BOWLINE_STORE_TO_KILL";
const PRODUCERS: u64 = 8;
const LIVES: u32 = 6;

/// The child: it appends for ever and says on its output what has been acknowledged.
#[test]
fn a_child_that_appends_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let mut settings = Settings::default();
    // So that checkpoints are among the instants.
    settings.checkpoint_pages = 50;
    let store = Store::open(folder.as_ref(), settings).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let topic = store.create_topic("orders", TopicSpec::new(PRODUCERS as u32)).await.unwrap();
        let producer = async |partition: u64| {
            let mut number = topic.bounds(partition as u32).await.unwrap().next;
            loop {
                let pair = [numbered(number), numbered(number + 1)];
                let appended = topic.append(partition as u32, &pair).await.unwrap();
                assert_eq!(appended.first, number);
                number += 2;
                // One write, so that a line is whole or not there.
                std::io::stdout()
                    .write_all(format!("acknowledged {partition} {number}\n").as_bytes())
                    .unwrap();
            }
        };
        let producers: [_; PRODUCERS as usize] = std::array::from_fn(|partition| producer(partition as u64));
        let mut producers = producers.map(Box::pin);
        std::future::poll_fn(|context| {
            for producer in &mut producers {
                let _: std::task::Poll<()> = Future::poll(producer.as_mut(), context);
            }
            std::task::Poll::<()>::Pending
        })
        .await;
    });
}

#[tokio::test]
async fn what_was_acknowledged_survives_any_kill() {
    let seed = std::env::var("BOWLINE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_201);
    println!("BOWLINE_SEED={seed}");
    let mut random = SplitMix64::new(seed);
    let folder = Folder::new();
    let mut acknowledged = [0_u64; PRODUCERS as usize];
    for life in 0..LIVES {
        let after = 1 + random.below(400);
        live(&folder, after, &mut acknowledged);
        let report = verify(folder.path()).unwrap();
        assert!(report.is_sound(), "life {life}: {:?}", report.findings);
        let store = folder.store();
        let topic = store.topic("orders").unwrap();
        for (partition, count) in acknowledged.iter().enumerate() {
            let limits = Limits { records: u32::MAX, bytes: usize::MAX };
            let read = numbers(&topic.read(partition as u32, 0, limits).await.unwrap());
            assert_eq!(
                read,
                (0..read.len() as u64).collect::<Vec<_>>(),
                "life {life}, partition {partition}"
            );
            assert!(
                *count <= read.len() as u64,
                "life {life}, partition {partition}: {} of {count}",
                read.len()
            );
            assert_eq!(read.len() % 2, 0, "a pair is there whole or not at all");
        }
    }
    assert!(
        acknowledged.iter().sum::<u64>() > u64::from(LIVES),
        "a run that acknowledged nothing proves nothing"
    );
}

/// Starts the child, kills it after so many acknowledgements, and notes all that it made.
fn live(folder: &Folder, after: u64, acknowledged: &mut [u64]) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::a_child_that_appends_until_it_is_killed", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = 0;
    for line in lines {
        let line = line.unwrap();
        let Some(said) = line.strip_prefix("acknowledged ") else { continue };
        let (partition, number) = said.split_once(' ').unwrap();
        let partition: usize = partition.parse().unwrap();
        acknowledged[partition] = acknowledged[partition].max(number.parse().unwrap());
        seen += 1;
        if seen == after {
            // SIGKILL. What is in the pipe is read to its end: it was acknowledged, too.
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(after <= seen, "the child died by itself after {seen} acknowledgements");
}
