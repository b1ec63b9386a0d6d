//! What follows an upgrade: bytes both ways that nobody here understands.
//!
//! A side that ends is told on, and the other goes on until it ends, too (half-close). A tunnel on which nothing moves
//! ends; what one side does not read holds the other up, and no memory grows with it. A drain lets tunnels be until its
//! time is over, because there is no word in them to say it with.

use crate::connection::Control;
use crate::ending::Ending;
use crate::gate::scratch;
use crate::metrics::DoorTally;
use crate::worker::Worker;
use bowline_call::{Alarm, Switched};
use bowline_policy::Permit;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The callee's side of a tunnel that was granted.
#[derive(Debug)]
pub(crate) struct Tunnel {
    pub(crate) callee: Switched,
    /// The place in the bulkhead.
    pub(crate) permit: Permit,
}

/// One direction.
#[derive(Debug, Default)]
struct Flow {
    /// What was read and is not written.
    pending: Vec<u8>,
    written: usize,
    end: End,
    moved: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    /// The source has ended, and the other side is to be told.
    Telling,
    Over,
}

impl Tunnel {
    /// Passes bytes between `caller` and the callee until both have ended, one fails, nothing moves for too long, or
    /// it is told to end.
    pub(crate) async fn run<T>(
        self,
        mut caller: T,
        worker: &Worker,
        control: &Control,
        tally: &Arc<DoorTally>,
    ) where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let Self { mut callee, permit } = self;
        let _counted = tally.tunnel();
        let idle = worker.shared().limits.tunnel_idle;
        let mut alarm = Alarm::new(worker.clock());
        let mut moved_at = worker.clock().now();
        let (mut there, mut back) = (Flow::default(), Flow::default());
        poll_fn(|cx| {
            if control.ending() == Ending::Now {
                return Poll::Ready(());
            }
            let before = (there.moved, back.moved);
            let ends = [there.poll(&mut caller, &mut callee, cx), back.poll(&mut callee, &mut caller, cx)];
            tally.tunnelled(there.moved - before.0, back.moved - before.1);
            if ends.iter().any(|end| matches!(end, Poll::Ready(Err(_)))) || ends.iter().all(Poll::is_ready) {
                return Poll::Ready(());
            }
            if (there.moved, back.moved) != before {
                moved_at = alarm.clock().now();
            }
            control.listen(cx);
            alarm.poll(moved_at + idle, cx)
        })
        .await;
        drop(permit);
    }
}

impl Flow {
    fn poll(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.written < self.pending.len() {
                let some = ready!(Pin::new(&mut *to).poll_write(cx, &self.pending[self.written..]))?;
                self.wrote(some)?;
                continue;
            }
            match self.end {
                // An idle tunnel holds no memory.
                End::Open => {
                    self.pending = Vec::new();
                    self.written = 0;
                    let Poll::Ready(read) = self.poll_read(from, to, cx) else {
                        return match Pin::new(&mut *to).poll_flush(cx) {
                            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
                        };
                    };
                    read?;
                }
                End::Telling => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                    self.end = End::Over;
                }
                End::Over => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Reads once, and writes what came as far as it goes.
    fn poll_read(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        scratch::with(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(from).poll_read(cx, &mut buffer))?;
            let read = buffer.filled();
            if read.is_empty() {
                self.end = End::Telling;
                return Poll::Ready(Ok(()));
            }
            let some = match Pin::new(to).poll_write(cx, read) {
                Poll::Ready(some) => some?,
                Poll::Pending => 0,
            };
            self.moved += some as u64;
            self.pending = read[some..].to_vec();
            Poll::Ready(Ok(()))
        })
    }

    fn wrote(&mut self, some: usize) -> io::Result<()> {
        if some == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.written += some;
        self.moved += some as u64;
        Ok(())
    }
}
