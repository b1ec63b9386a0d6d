//! The memory broker is held to what it declares, and the suite finds a broker that is not as it says.

use bowline_bus::conformance::{self, Broker, Factory};
use bowline_bus::{
    Bounds, BoxFuture, Error, Event, Log, Member, Memory, Position, Record, Slot, Start, Topic,
    TopicSettings, Window,
};
use bowline_lane::{Capabilities, Cursor};
use bowline_model::WallTime;
use std::sync::Arc;
use std::time::Duration;

struct Memories;

impl Factory for Memories {
    fn fresh(&self) -> BoxFuture<'_, Broker> {
        Box::pin(async {
            let memory = Arc::new(Memory::new());
            Broker { log: Some(memory.clone()), queue: Some(memory.clone()), dead_letters: Some(memory) }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn the_memory_broker_is_as_it_says() {
    let report = conformance::run(&Memories).await;
    assert_eq!(
        (report.broken.as_slice(), report.skipped.as_slice()),
        ([].as_slice(), [].as_slice()),
        "{report}"
    );
    assert_eq!(report.held.len(), 21);
}

/// A log that forgets cursors, lets everybody write them, and leaves out a record of each read.
struct Careless(Memory);

impl Log for Careless {
    fn capabilities(&self) -> &Capabilities {
        Log::capabilities(&self.0)
    }

    fn create<'a>(&'a self, topic: &'a Topic, settings: TopicSettings) -> BoxFuture<'a, Result<(), Error>> {
        self.0.create(topic, settings)
    }

    fn describe<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<Vec<Bounds>, Error>> {
        self.0.describe(topic)
    }

    fn append<'a>(
        &'a self,
        topic: &'a Topic,
        events: Vec<Event>,
        within: Duration,
    ) -> BoxFuture<'a, Result<Vec<Position>, Error>> {
        self.0.append(topic, events, within)
    }

    fn read<'a>(
        &'a self,
        topic: &'a Topic,
        partition: u32,
        from: u64,
        window: Window,
    ) -> BoxFuture<'a, Result<Vec<Record>, Error>> {
        Box::pin(async move {
            let mut records = self.0.read(topic, partition, from, window).await?;
            if records.len() > 2 {
                records.remove(1);
            }
            Ok(records)
        })
    }

    fn offset_at<'a>(
        &'a self,
        topic: &'a Topic,
        partition: u32,
        at: WallTime,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        self.0.offset_at(topic, partition, at)
    }

    fn join<'a>(
        &'a self,
        topic: &'a Topic,
        group: &'a bowline_bus::Group,
        from: Start,
    ) -> BoxFuture<'a, Result<Box<dyn Member>, Error>> {
        self.0.join(topic, group, from)
    }

    fn commit<'a>(&'a self, _: &'a Slot, _: u64, _: Cursor, _: Duration) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }

    fn cursor<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Option<Cursor>, Error>> {
        self.0.cursor(slot)
    }
}

struct CarelessOnes;

impl Factory for CarelessOnes {
    fn fresh(&self) -> BoxFuture<'_, Broker> {
        Box::pin(async {
            let memory = Memory::new();
            Broker { log: Some(Arc::new(Careless(memory))), queue: None, dead_letters: None }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_not_as_it_says_is_found() {
    let report = conformance::run(&CarelessOnes).await;
    let broken: Vec<&str> = report.broken.iter().map(|(name, _)| *name).collect();
    assert!(broken.contains(&"keys stay in order under many producers"), "{report}");
    assert!(broken.contains(&"a cursor outlives its consumer"), "{report}");
    assert!(broken.contains(&"of two owners the younger one writes"), "{report}");
    assert_eq!(report.skipped.len(), 11, "what is no queue is asked nothing of one: {report}");
}
