//! The recorder of a process: a queue, and a thread that empties it.

use crate::export::Exporter;
use crate::guards::GuardCall;
use crate::queue::{BATCH, Queue};
use crate::sampler::Sampler;
use crate::settings::Settings;
use crate::spans::{self, Told};
use bowline_model::TraceContext;
use bowline_proxy::{Record, Recorder};
use std::io;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Takes the proxy's records and sends them as spans.
#[derive(Debug)]
pub struct Tracer {
    sampler: Sampler,
    queue: Arc<Queue>,
    ended: Mutex<Receiver<()>>,
}

impl Tracer {
    /// Starts the thread. Whether the collector is there shows with the first batch.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(settings.queue_max));
        let exporter = Exporter::new(&settings)?;
        let (end, ended) = sync_channel(1);
        let tracer = Self { sampler: settings.sampler, queue: Arc::clone(&queue), ended: Mutex::new(ended) };
        std::thread::Builder::new().name("bowline-trace".to_owned()).spawn(move || {
            send_all(&queue, exporter, &settings);
            // Whoever stops may have lost patience.
            let _ = end.send(());
        })?;
        Ok(tracer)
    }

    /// Takes a call of a linked library's guard, whose trace is recorded.
    pub fn called(&self, call: GuardCall) {
        self.queue.put(Told::Guard(Box::new(call)));
    }

    /// Sends what waits and ends; returns when that is done, or `within` is over.
    pub fn stop(&self, within: Duration) {
        self.queue.close();
        let _ = self.ended.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(within);
    }
}

impl Recorder for Tracer {
    fn samples(&self, given: Option<TraceContext>, trace: u128) -> bool {
        self.sampler.samples(given, trace)
    }

    fn finished(&self, request: Arc<Record>) {
        self.queue.put(Told::Request(request));
    }

    /// The queue was full, or the collector did not accept them.
    fn dropped(&self) -> u64 {
        self.queue.dropped()
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Sends batches until the queue is closed and empty.
fn send_all(queue: &Queue, mut exporter: Exporter, settings: &Settings) {
    let mut refused = false;
    while let Some(told) = queue.take(settings.delay) {
        for batch in told.chunks(BATCH) {
            let sent = exporter.export(spans::batch(&settings.service, batch));
            match sent {
                Ok(()) => refused = false,
                Err(error) => {
                    queue.count_dropped(batch.len() as u64);
                    // Once for each trouble, not for each batch.
                    if !std::mem::replace(&mut refused, true) {
                        tracing::warn!(endpoint = settings.endpoint, %error, "spans are lost");
                    }
                }
            }
        }
    }
}
