//! The body of an answer on its way to the caller.
//!
//! One type for all answers, so that nothing is boxed for each frame: whole (a small answer, or one of
//! our own), or still coming from the callee, then with the deadline and the pause it may not exceed.

use crate::flags::Flag;
use crate::gate::Answering;
use crate::headers;
use crate::metrics::{CallTally, Tally};
use crate::untold::{Late, Untold};
use bowline_call::{Alarm, Relay, grpc};
use bowline_model::decision::TryEnd;
use bowline_model::{Instant, SplitMix64};
use bowline_policy::Permit;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// An answer's body.
#[derive(Debug)]
pub(crate) struct Body {
    kind: Kind,
    /// Tells the gate when the answer is through.
    _answering: Answering,
}

#[derive(Debug)]
enum Kind {
    Whole(Bytes),
    Coming(Box<Coming>),
}

/// A body that is still coming from the callee.
#[derive(Debug)]
pub(crate) struct Coming {
    pub(crate) relay: Box<Relay>,
    /// By when all of it must be here.
    pub(crate) deadline: Instant,
    /// How long it may pause.
    pub(crate) pause: Duration,
    pub(crate) paused_since: Instant,
    pub(crate) alarm: Alarm,
    pub(crate) finish: Finish,
}

/// Counts a request when its answer is through, or is not wanted any more.
#[derive(Debug)]
pub(crate) struct Finish {
    pub(crate) tally: Arc<Tally>,
    pub(crate) status: u16,
    /// What went wrong if nothing more is heard: the caller went away.
    pub(crate) flag: Flag,
    pub(crate) began: Instant,
    pub(crate) clock: bowline_call::Clock,
    /// The place in the bulkhead.
    pub(crate) permit: Permit,
    /// Of a gRPC call, whose trailers say how it went.
    pub(crate) settling: Option<Settling>,
    /// What is told of it then.
    pub(crate) untold: Option<Box<Untold>>,
}

/// Who is told how an answer ended that says so itself.
#[derive(Debug)]
pub(crate) struct Settling {
    pub(crate) tally: Arc<CallTally>,
    pub(crate) random: SplitMix64,
}

/// Why an answer's body ended early. The connection ends with it, so the caller sees that.
#[derive(Debug)]
pub(crate) enum BodyCut {
    /// The callee's side broke off.
    Broken(bowline_call::Broken),
    /// The deadline came.
    Late,
    /// It paused for too long.
    Paused,
}

impl fmt::Display for BodyCut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broken(_) => "the callee's answer broke off",
            Self::Late => "the deadline came while the answer was passed on",
            Self::Paused => "the callee's answer paused for too long",
        })
    }
}

impl std::error::Error for BodyCut {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Broken(error) => Some(error),
            Self::Late | Self::Paused => None,
        }
    }
}

impl Body {
    pub(crate) const fn whole(bytes: Bytes, answering: Answering) -> Self {
        Self { kind: Kind::Whole(bytes), _answering: answering }
    }

    pub(crate) fn coming(coming: Coming, answering: Answering) -> Self {
        Self { kind: Kind::Coming(Box::new(coming)), _answering: answering }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyCut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyCut>>> {
        match &mut self.kind {
            Kind::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Coming(coming) => coming.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Coming(coming) => coming.relay.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Coming(coming) => coming.relay.size_hint(),
        }
    }
}

impl Coming {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyCut>>> {
        if let Poll::Ready(part) = Pin::new(&mut *self.relay).poll_frame(cx) {
            self.paused_since = self.alarm.clock().now();
            // To a caller slower than the callee the next part is always there: nothing waits for the alarm.
            if self.deadline <= self.paused_since && matches!(part, Some(Ok(_))) {
                self.finish.flag = Flag::UpstreamTimeout;
                self.finish.settle(self.paused_since, TryEnd::DeadlineExceeded);
                return Poll::Ready(Some(Err(BodyCut::Late)));
            }
            return Poll::Ready(match part {
                Some(Ok(mut frame)) => {
                    if let Some(trailers) = frame.trailers_mut() {
                        self.finish.settle_grpc(self.paused_since, Some(trailers));
                        headers::return_trailers(trailers);
                    }
                    if self.relay.is_end_stream() {
                        self.finish.flag = Flag::None;
                    }
                    Some(Ok(frame))
                }
                Some(Err(error)) => {
                    self.finish.flag = Flag::UpstreamClosed;
                    self.finish.settle(self.paused_since, TryEnd::Reset);
                    Some(Err(BodyCut::Broken(error)))
                }
                None => {
                    self.finish.flag = Flag::None;
                    self.finish.settle_grpc(self.paused_since, None);
                    None
                }
            });
        }
        let patience = self.paused_since + self.pause;
        std::task::ready!(self.alarm.poll(self.deadline.min(patience), cx));
        self.finish.flag = Flag::UpstreamTimeout;
        let (cut, end) = if self.deadline <= patience {
            (BodyCut::Late, TryEnd::DeadlineExceeded)
        } else {
            (BodyCut::Paused, TryEnd::TimedOut)
        };
        self.finish.settle(self.alarm.clock().now(), end);
        Poll::Ready(Some(Err(cut)))
    }
}

impl Finish {
    /// These are the trailers of an answer, or it ended without any.
    fn settle_grpc(&mut self, now: Instant, trailers: Option<&HeaderMap>) {
        self.settle(now, TryEnd::AnsweredGrpc { code: grpc::final_status(trailers), trailers_only: false });
    }

    fn settle(&mut self, now: Instant, end: TryEnd) {
        if let Some(Settling { tally, mut random }) = self.settling.take() {
            let mut seen = Late { tally: &tally, untold: self.untold.as_deref_mut() };
            self.permit.settle(now, end, &mut random, &mut seen);
        }
    }
}

impl Drop for Finish {
    fn drop(&mut self) {
        let now = self.clock.now();
        self.tally.count(self.status, self.flag, now.since(self.began));
        if let Some(untold) = self.untold.take() {
            untold.tell(self.flag, now);
        }
    }
}
