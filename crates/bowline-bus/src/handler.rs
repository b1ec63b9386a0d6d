//! What a record is given to.

use crate::event::Event;
use crate::log::{BoxFuture, Position};
use bowline_lane::{Class, Ended};
use bowline_model::{Outcome, WallTime};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// What a record is given to: a function here, an operation of a service elsewhere.
///
/// It may get a record more than once: after a crash, after a time that ran out, when a partition moved. It is at least
/// once; what makes it once is an inbox in the handler's own database, by the event's source and id.
pub trait Handler: Send + Sync + 'static {
    /// Acts on a record. The consumer ends it when its time is over or its partition goes to another consumer, by
    /// dropping the future: whatever it had done by then is done. A panic is an end of outcome `Unknown`.
    fn handle(&self, delivered: Delivered) -> BoxFuture<'_, Verdict>;
}

/// A record in a handler's hands.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// Where it is.
    pub position: Position,
    /// When the broker took it, by the broker's clock.
    pub at: WallTime,
    /// How often it was delivered in vain before.
    pub deliveries: u32,
    /// How long the handler has.
    pub within: Duration,
    /// What it says.
    pub event: Arc<Event>,
}

/// How a handler ended, and what it has to say to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How it ended.
    pub ended: Ended,
    /// Why, where it was in vain: it stands in the dead letter.
    pub reason: String,
}

impl Verdict {
    /// The effect has happened.
    #[must_use]
    pub const fn done() -> Self {
        Self { ended: Ended::new(Outcome::Succeeded), reason: String::new() }
    }

    /// Surely nothing happened, and it may be delivered again.
    #[must_use]
    pub fn refused(reason: impl Into<String>) -> Self {
        Self { ended: Ended::new(Outcome::Refused), reason: reason.into() }
    }

    /// It may have happened: it is delivered again, and that is counted.
    #[must_use]
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self { ended: Ended::new(Outcome::Unknown), reason: reason.into() }
    }

    /// Surely nothing happened, and delivering it again cannot help: it is a dead letter.
    #[must_use]
    pub fn rejected(reason: impl Into<String>) -> Self {
        Self { ended: Ended::new(Outcome::Failed), reason: reason.into() }
    }

    /// The same, as a dead letter of this class.
    #[must_use]
    pub const fn of_class(mut self, class: Class) -> Self {
        self.ended.class = Some(class);
        self
    }

    /// The same, and not again before this long.
    #[must_use]
    pub const fn after(mut self, span: Duration) -> Self {
        self.ended.after = Some(span);
        self
    }
}

/// A function as a handler.
///
/// ```
/// use bowline_bus::{Delivered, Verdict, handler};
///
/// let print = handler(|delivered: Delivered| async move {
///     println!("{}", delivered.event.id());
///     Verdict::done()
/// });
/// # let _ = print;
/// ```
pub fn handler<F, A>(function: F) -> Arc<dyn Handler>
where
    F: Fn(Delivered) -> A + Send + Sync + 'static,
    A: Future<Output = Verdict> + Send + 'static,
{
    struct Function<F>(F);

    impl<F, A> Handler for Function<F>
    where
        F: Fn(Delivered) -> A + Send + Sync + 'static,
        A: Future<Output = Verdict> + Send + 'static,
    {
        fn handle(&self, delivered: Delivered) -> BoxFuture<'_, Verdict> {
            Box::pin((self.0)(delivered))
        }
    }

    Arc::new(Function(function))
}
