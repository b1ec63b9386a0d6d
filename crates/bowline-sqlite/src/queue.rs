//! What waits for the writer: one queue for each class of work, bounded by count and by bytes.
//!
//! Whoever finds no room waits for it, first come first served, and takes nothing from the other classes. A place is
//! held until the request is answered.

use crate::clock::Moment;
use crate::error::{Error, Reason};
use crate::settings::Settings;
use crate::write::{Class, Write, Written};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// What upkeep may have in the queue. It waits for each of its steps, so this is never reached.
const UPKEEP_BYTES_MAX: usize = 1 << 20;

pub(crate) struct Queue {
    state: Mutex<State>,
    ready: Condvar,
    rooms: [Room; 3],
    batch_requests_max: usize,
    batch_bytes_max: usize,
}

struct Room {
    requests: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    bytes_max: usize,
}

#[derive(Default)]
struct State {
    waiting: [VecDeque<Waiting>; 3],
    bytes: usize,
    /// No more is taken; what waits is still served.
    closed: bool,
    /// Why nothing is taken for now.
    down: Option<Error>,
}

/// A request in the queue.
pub(crate) struct Waiting {
    pub(crate) write: Write,
    pub(crate) since: Moment,
    charge: usize,
    answer: oneshot::Sender<Result<Written, Error>>,
    _room: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Waiting {
    pub(crate) fn answer(self, result: Result<Written, Error>) {
        // Nobody listens any more: the request was dropped after it was queued.
        let _ = self.answer.send(result);
    }
}

impl Queue {
    pub(crate) fn new(settings: &Settings) -> Self {
        let room = |bytes_max: usize| Room {
            requests: Arc::new(Semaphore::new(settings.queue_requests_max)),
            bytes: Arc::new(Semaphore::new(bytes_max)),
            bytes_max,
        };
        Self {
            state: Mutex::default(),
            ready: Condvar::new(),
            rooms: [room(settings.saga_bytes_max), room(settings.bulk_bytes_max), room(UPKEEP_BYTES_MAX)],
            batch_requests_max: settings.batch_requests_max,
            batch_bytes_max: settings.batch_bytes_max,
        }
    }

    /// Queues a request once there is room, and answers where its answer will be.
    ///
    /// # Cancel safety
    /// Dropping the future before it is done queues nothing.
    pub(crate) async fn push(
        &self,
        class: Class,
        write: Write,
    ) -> Result<oneshot::Receiver<Result<Written, Error>>, Error> {
        let room = &self.rooms[class as usize];
        let charge = write.charge();
        if charge > room.bytes_max {
            let message = format!("the request has {charge} bytes, and {} may wait at once", room.bytes_max);
            return Err(Error::failed(Reason::TooLarge, message));
        }
        let charge_permits = u32::try_from(charge).unwrap_or(u32::MAX);
        let requests = Arc::clone(&room.requests).acquire_owned().await.map_err(|_| Error::closed())?;
        let bytes =
            Arc::clone(&room.bytes).acquire_many_owned(charge_permits).await.map_err(|_| Error::closed())?;
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { write, since: Moment::now(), charge, answer, _room: (requests, bytes) };
        self.add(class, waiting)?;
        Ok(answered)
    }

    fn add(&self, class: Class, waiting: Waiting) -> Result<(), Error> {
        let mut state = self.lock();
        if state.closed {
            return Err(Error::closed());
        }
        if let Some(down) = &state.down {
            return Err(down.clone());
        }
        state.bytes += waiting.charge;
        state.waiting[class as usize].push_back(waiting);
        drop(state);
        self.ready.notify_one();
        Ok(())
    }

    /// Waits for work and takes a batch of it; false when there is none and never will be.
    pub(crate) fn take(&self, batch: &mut Vec<Waiting>) -> bool {
        let mut state = self.lock();
        while state.is_empty() {
            if state.closed {
                return false;
            }
            state = self.ready.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        let (requests, bytes) = (self.batch_requests_max, self.batch_bytes_max);
        let mut left = Left { requests, bytes };
        // A quarter of each batch is bulk's, so that sagas cannot keep it out for ever.
        let mut sagas = Left { requests: requests - requests / 4, bytes: bytes - bytes / 4 };
        state.take_from(Class::Saga, &mut sagas, &mut left, batch);
        state.take_from(Class::Bulk, &mut Left::all(), &mut left, batch);
        state.take_from(Class::Saga, &mut Left::all(), &mut left, batch);
        state.take_from(
            Class::Upkeep,
            &mut Left { requests: 1, bytes },
            &mut Left { requests: 1, bytes },
            batch,
        );
        true
    }

    /// Takes nothing any more. What waits for room is refused, what waits in the queue is still served.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        for room in &self.rooms {
            room.requests.close();
            room.bytes.close();
        }
        self.ready.notify_all();
    }

    /// Refuses everything until [`Queue::up`], what waits included.
    pub(crate) fn down(&self, error: &Error) {
        let mut state = self.lock();
        state.down = Some(error.clone());
        state.bytes = 0;
        let waiting: Vec<Waiting> = state.waiting.iter_mut().flat_map(|class| class.drain(..)).collect();
        drop(state);
        for waiting in waiting {
            waiting.answer(Err(error.clone()));
        }
    }

    pub(crate) fn up(&self) {
        self.lock().down = None;
    }

    /// Waits so long, or until the queue is closed; answers whether it is.
    pub(crate) fn pause(&self, span: std::time::Duration) -> bool {
        let state = self.lock();
        let waited = self.ready.wait_timeout_while(state, span, |state| !state.closed);
        waited.map_or(true, |(state, _)| state.closed)
    }

    /// How many wait, and what they are charged.
    pub(crate) fn len(&self) -> (u64, u64) {
        let state = self.lock();
        let count: usize = state.waiting.iter().map(VecDeque::len).sum();
        (count as u64, state.bytes as u64)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nobody panics while holding it: what happens under it is moving requests.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What may still be taken.
struct Left {
    requests: usize,
    bytes: usize,
}

impl Left {
    fn all() -> Self {
        Self { requests: usize::MAX, bytes: usize::MAX }
    }

    fn holds(&self, charge: usize) -> bool {
        self.requests > 0 && charge <= self.bytes
    }

    fn take(&mut self, charge: usize) {
        self.requests -= 1;
        self.bytes = self.bytes.saturating_sub(charge);
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.waiting.iter().all(VecDeque::is_empty)
    }

    fn take_from(&mut self, class: Class, share: &mut Left, all: &mut Left, batch: &mut Vec<Waiting>) {
        let waiting = &mut self.waiting[class as usize];
        while let Some(charge) = waiting.front().map(|first| first.charge) {
            // The first of a batch is taken whatever its size: alone, if need be.
            let fits = share.holds(charge) && all.holds(charge);
            if !fits && !batch.is_empty() {
                return;
            }
            share.take(charge);
            all.take(charge);
            self.bytes -= charge;
            batch.extend(waiting.pop_front());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{PartitionId, Record};
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn queue(requests: usize, batch: usize) -> Queue {
        Queue::new(&Settings {
            queue_requests_max: requests,
            batch_requests_max: batch,
            batch_bytes_max: 10_000,
            bulk_bytes_max: 20_000,
            ..Settings::default()
        })
    }

    fn write(bytes: usize) -> Write {
        Write::new().append(PartitionId(1), &[Record::unkeyed(vec![7; bytes])])
    }

    fn poll<F: Future>(future: F) -> Poll<F::Output> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn push(queue: &Queue, class: Class, bytes: usize) -> bool {
        matches!(poll(queue.push(class, write(bytes))), Poll::Ready(Ok(_)))
    }

    /// The sizes of a batch's requests, which say whose they are.
    fn take(queue: &Queue) -> Vec<usize> {
        let mut batch = Vec::new();
        assert!(queue.take(&mut batch));
        batch.iter().map(|waiting| waiting.charge - write(0).charge()).collect()
    }

    #[test]
    fn sagas_go_first_and_leave_bulk_a_quarter() {
        let queue = queue(100, 8);
        for _ in 0..20 {
            assert!(push(&queue, Class::Bulk, 2) && push(&queue, Class::Saga, 1));
        }
        assert_eq!(take(&queue), [1, 1, 1, 1, 1, 1, 2, 2]);
    }

    #[test]
    fn sagas_take_what_bulk_leaves() {
        let queue = queue(100, 8);
        assert!(push(&queue, Class::Bulk, 2));
        for _ in 0..20 {
            assert!(push(&queue, Class::Saga, 1));
        }
        assert_eq!(take(&queue), [1, 1, 1, 1, 1, 1, 2, 1]);
    }

    #[test]
    fn upkeep_has_one_step_in_a_batch_and_waits_for_nobody() {
        let queue = queue(100, 4);
        for _ in 0..6 {
            assert!(push(&queue, Class::Upkeep, 3) && push(&queue, Class::Bulk, 2));
        }
        assert_eq!(take(&queue), [2, 2, 2, 2, 3]);
        assert_eq!(take(&queue), [2, 2, 3]);
        assert_eq!(take(&queue), [3]);
    }

    #[test]
    fn a_batch_ends_at_its_bytes_and_takes_a_larger_request_alone() {
        let queue = queue(100, 8);
        for bytes in [4_000, 4_000, 4_000, 15_000] {
            assert!(push(&queue, Class::Bulk, bytes) || bytes == 15_000);
        }
        assert_eq!(take(&queue), [4_000, 4_000]);
        assert_eq!(take(&queue), [4_000]);
        assert!(push(&queue, Class::Bulk, 15_000));
        assert_eq!(take(&queue), [15_000]);
    }

    #[test]
    fn a_full_class_waits_and_leaves_the_others_their_room() {
        let queue = queue(2, 8);
        assert!(push(&queue, Class::Bulk, 1) && push(&queue, Class::Bulk, 1));
        assert!(!push(&queue, Class::Bulk, 1));
        assert!(push(&queue, Class::Saga, 1));
        let mut batch = Vec::new();
        queue.take(&mut batch);
        assert!(!push(&queue, Class::Bulk, 1), "a place is held until the answer");
        drop(batch);
        assert!(push(&queue, Class::Bulk, 1));
    }

    #[test]
    fn bytes_are_bounded_beside_requests() {
        let queue = queue(100, 8);
        assert!(push(&queue, Class::Bulk, 15_000));
        assert!(!push(&queue, Class::Bulk, 6_000));
        let Poll::Ready(Err(error)) = poll(queue.push(Class::Bulk, write(30_000))) else { panic!("taken") };
        assert_eq!(error.reason(), Reason::TooLarge);
    }

    #[test]
    fn a_push_that_is_dropped_while_it_waits_queues_nothing() {
        let queue = queue(1, 8);
        assert!(push(&queue, Class::Bulk, 1));
        assert!(!push(&queue, Class::Bulk, 1));
        assert_eq!(take(&queue), [1]);
        assert_eq!(queue.len(), (0, 0));
    }

    #[test]
    fn a_closed_queue_serves_what_it_has_and_takes_no_more() {
        let queue = queue(100, 8);
        assert!(push(&queue, Class::Bulk, 1));
        queue.close();
        assert!(!push(&queue, Class::Bulk, 1));
        assert_eq!(take(&queue), [1]);
        assert!(!queue.take(&mut Vec::new()));
    }
}
