//! Records a second that are on the disk when they are answered.
//!
//! `cargo bench -p bowline-sqlite [-- SECONDS]`: 64 producers, each of which appends 1 KiB, waits for the answer and
//! begins again, for so many seconds (4 unless told otherwise), in three rounds of:
//! - `store/group-commit`: the store as it is
//! - `store/sixteen-partitions`: the same, over 16 partitions
//! - `store/one-by-one`: the same, one transaction and one sync for each record
//!
//! It needs a quiet machine and a disk: a folder in memory syncs nothing.

use bowline_model::{Random, SplitMix64};
use bowline_sqlite::{Record, Settings, Store, TopicSpec};
use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PRODUCERS: u64 = 64;
const RECORD_BYTES: usize = 1_024;
const ROUNDS: u32 = 3;

fn main() {
    // `cargo bench` says --bench; the first number is ours.
    let seconds = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(4);
    let span = Duration::from_secs(seconds);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    for round in 1..=ROUNDS {
        println!("round {round}: {PRODUCERS} producers, {RECORD_BYTES} bytes, {seconds} s each");
        runtime.block_on(measure("store/group-commit", 1, Settings::default(), span));
        runtime.block_on(measure("store/sixteen-partitions", 16, Settings::default(), span));
        let mut alone = Settings::default();
        alone.batch_requests_max = 1;
        runtime.block_on(measure("store/one-by-one", 1, alone, span));
    }
}

async fn measure(name: &str, partitions: u32, settings: Settings, span: Duration) {
    let folder = Folder::new();
    let store = Arc::new(Store::open(folder.path(), settings).expect("a store"));
    store.create_topic("orders", TopicSpec::new(partitions)).await.expect("a topic");
    let until = now() + span;
    let begun = now();
    let mut producers = Vec::new();
    for seed in 0..PRODUCERS {
        let store = Arc::clone(&store);
        producers.push(tokio::spawn(async move {
            let topic = store.topic("orders").expect("it was created");
            let mut random = SplitMix64::new(seed);
            let partition = (seed % u64::from(partitions)) as u32;
            let mut micros = Vec::new();
            while now() < until {
                let sent = now();
                topic.append(partition, &[Record::unkeyed(noise(&mut random))]).await.expect("an answer");
                micros.push(sent.elapsed().as_micros() as u64);
            }
            micros
        }));
    }
    let mut micros = Vec::new();
    for producer in producers {
        micros.extend(producer.await.expect("a producer"));
    }
    let took = begun.elapsed();
    micros.sort_unstable();
    let at = |share: f64| micros[((micros.len() - 1) as f64 * share) as usize];
    let read = store.metrics();
    println!(
        "  {name:<26} {:>8.0}/s  p50 {:>6} us  p99 {:>6} us  p99.9 {:>6} us  batch {:>5.1}  sync mean {:>5.0} us  log {} MiB",
        micros.len() as f64 / took.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(0.999),
        read.batch_requests.mean(),
        read.sync.mean(),
        read.log_bytes >> 20,
    );
}

/// Bytes that no file system can compress.
fn noise(random: &mut SplitMix64) -> Bytes {
    (0..RECORD_BYTES / 8).flat_map(|_| random.next_u64().to_le_bytes()).collect()
}

#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn now() -> Instant {
    Instant::now()
}

/// A folder that goes with the measurement.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("bowline-store-bench-{}", std::process::id())))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
