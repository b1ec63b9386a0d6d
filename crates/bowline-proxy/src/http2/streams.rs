//! The streams of a connection, answered on the connection's own task.
//!
//! Why no task for each: a task is allocated anew with room for all that a call may need, which is kilobytes, and handed
//! back after a millisecond. Here the room of a stream that is over holds the next one.

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Rooms that an idle connection keeps: one, for callers that ask one thing after the other.
const IDLE_ROOMS: usize = 1;

/// Where a stream lies while it is answered.
type Room<F> = Pin<Box<Option<F>>>;

/// Streams under way.
#[derive(Debug)]
pub(super) struct Streams<F> {
    running: FuturesUnordered<Running<F>>,
    spare: Vec<Room<F>>,
}

/// One of them; it leaves its room behind.
#[derive(Debug)]
struct Running<F>(Option<Room<F>>);

impl<F: Future<Output = ()>> Streams<F> {
    pub(super) fn new() -> Self {
        Self { running: FuturesUnordered::new(), spare: Vec::new() }
    }

    /// Begins with one more; [`poll`](Self::poll) drives it.
    pub(super) fn begin(&mut self, stream: F) {
        let mut room = self.spare.pop().unwrap_or_else(|| Box::pin(None));
        room.set(Some(stream));
        self.running.push(Running(Some(room)));
    }

    /// Drives those that were woken.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(room)) = self.running.poll_next_unpin(cx) {
            self.spare.extend(room);
        }
        if self.running.is_empty() {
            self.spare.truncate(IDLE_ROOMS);
        }
    }
}

impl<F: Future<Output = ()>> Future for Running<F> {
    type Output = Option<Room<F>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Room<F>>> {
        if let Some(room) = &mut self.0 {
            if let Some(stream) = room.as_mut().as_pin_mut() {
                ready!(stream.poll(cx));
            }
            room.set(None);
        }
        Poll::Ready(self.0.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::task::Waker;

    #[test]
    fn the_room_of_a_stream_that_is_over_holds_the_next_one() {
        let (open, over) = (Cell::new(false), Cell::new(0));
        let waker = Cell::new(None::<Waker>);
        let stream = || async {
            poll_fn(|cx| {
                waker.set(Some(cx.waker().clone()));
                if open.get() { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            over.set(over.get() + 1);
        };
        let mut streams = Streams::new();
        let mut cx = Context::from_waker(Waker::noop());
        streams.begin(stream());
        streams.poll(&mut cx);
        assert_eq!((over.get(), streams.spare.len()), (0, 0));
        open.set(true);
        waker.take().unwrap().wake();
        streams.poll(&mut cx);
        assert_eq!((over.get(), streams.spare.len()), (1, 1));
        for _ in 0..3 {
            streams.begin(stream());
        }
        assert_eq!((streams.running.len(), streams.spare.len()), (3, 0));
        streams.poll(&mut cx);
        assert_eq!((over.get(), streams.spare.len()), (4, IDLE_ROOMS));
    }
}
