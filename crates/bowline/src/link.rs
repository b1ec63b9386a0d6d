//! The link to a running Bowline: values and faults come down, counters and trails go up.
//!
//! `bowline up` hands what it starts one environment variable, `BOWLINE`: the address of its local API
//! with the process's token in it, `http://TOKEN@127.0.0.1:9470`. With it, every guard of the program
//! takes the design's values in the place of its code's, suffers the faults that `bowline fault` puts
//! there, and tells what it decided, for `bowline explain` and `bowline top`. Without it nothing of this
//! exists: no thread, no socket.
//!
//! Guards of one link that the design gives the same key share that part: the breaker of a service, say,
//! that several operations' guards ask. What nobody gives a key is the guard's own.
//!
//! Two background threads do the talking; a call never waits for them. What a guard has to tell goes
//! into a queue with an end, and what does not fit is counted and the count told.
//!
//! When the API goes away the design's values stay, because they are what was decided; faults end,
//! because nobody could take them away any more. When it comes back everything is asked for afresh.

pub mod format;

mod client;
mod fetch;
mod parts;
mod tell;

pub(crate) use parts::SharedParts;
pub(crate) use tell::Recorded;

use crate::guard::Shared;
use bowline_fault::Plan;
use client::{Address, Client};
use format::Guards;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// The environment variable that names the local API.
pub const VARIABLE: &str = "BOWLINE";

/// Trails that may wait to be told: a few seconds of a busy service, a few megabytes at most.
const TRAILS_MAX: usize = 1_024;

/// A link to a running Bowline. A clone is the same link; it ends when the last one and its guards are
/// gone.
#[derive(Clone)]
pub struct Link {
    inner: Arc<Inner>,
}

struct Inner {
    address: Address,
    guards: Mutex<Guarded>,
    trails: SyncSender<Recorded>,
    trails_dropped: AtomicU64,
    /// Dropped with the link: whoever waits on the other end stops.
    _stop: Sender<()>,
}

#[derive(Default)]
struct Guarded {
    enrolled: Vec<Weak<Shared>>,
    said: Option<Guards>,
    parts: SharedParts,
}

impl Link {
    /// The link that the environment names, begun at the first asking; `None` without the variable.
    ///
    /// The one thing in this crate that a whole process shares, as it shares its environment.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        static LINK: OnceLock<Option<Link>> = OnceLock::new();
        let begin = || match Self::connect(&std::env::var(VARIABLE).ok()?) {
            Ok(link) => Some(link),
            Err(error) => {
                tracing::warn!(%error, "{VARIABLE} is set and names no local API; going on without");
                None
            }
        };
        LINK.get_or_init(begin).clone()
    }

    /// Begins a link to the local API at `address`, `http://TOKEN@127.0.0.1:9470`, with the service's
    /// name as a path after it if the token does not tell it.
    ///
    /// # Errors
    /// If `address` is not of that form, or the system has no thread to give. Whether anybody answers
    /// there is found out in the background, again and again.
    pub fn connect(address: &str) -> Result<Self, LinkError> {
        let address = Address::parse(address).ok_or(LinkError::Address)?;
        let (trails, to_tell) = sync_channel(TRAILS_MAX);
        let (stop, stopped) = channel();
        let inner = Arc::new(Inner {
            address: address.clone(),
            guards: Mutex::default(),
            trails,
            trails_dropped: AtomicU64::new(0),
            _stop: stop,
        });
        let link = Self { inner };
        let (client, weak) = (Client::new(address), link.weak());
        let (client_too, weak_too) = (client.clone(), weak.clone());
        spawn("bowline-fetch", move || fetch::run(&client, &weak, &stopped))?;
        spawn("bowline-tell", move || tell::run(&client_too, &weak_too, &to_tell))?;
        Ok(link)
    }

    /// Makes `guard` one of those that get their values from here, with what is known already.
    pub(crate) fn enrol(&self, guard: &Arc<Shared>) {
        let Guarded { enrolled, said, parts } = &mut *self.guards();
        enrolled.retain(|enrolled| enrolled.strong_count() > 0);
        enrolled.push(guard.weak());
        if let Some(said) = said {
            guard.apply(said, parts);
        }
    }

    /// Leaves the trail of a call to be told. Never waits.
    pub(crate) fn record(&self, recorded: Recorded) {
        if self.inner.trails.try_send(recorded).is_err() {
            self.drop_trails(1);
        }
    }

    fn apply(&self, said: Guards) {
        let Guarded { enrolled, said: last_said, parts } = &mut *self.guards();
        for guard in enrolled.iter().filter_map(Weak::upgrade) {
            guard.apply(&said, parts);
        }
        *last_said = Some(said);
    }

    /// Nobody answers: faults end, because nobody could take them away any more.
    fn lost(&self) {
        let said = self.guards().said.clone();
        if let Some(mut said) = said {
            for guard in &mut said.guards {
                guard.faults = Plan::default();
            }
            self.apply(said);
        }
    }

    fn enrolled(&self) -> Vec<Arc<Shared>> {
        self.guards().enrolled.iter().filter_map(Weak::upgrade).collect()
    }

    fn drop_trails(&self, trails: usize) {
        self.inner.trails_dropped.fetch_add(trails as u64, Ordering::Relaxed);
    }

    fn trails_dropped(&self) -> u64 {
        self.inner.trails_dropped.load(Ordering::Relaxed)
    }

    fn guards(&self) -> MutexGuard<'_, Guarded> {
        // Nothing is left half done in there: a panic elsewhere is no reason to stop.
        self.inner.guards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn weak(&self) -> WeakLink {
        WeakLink(Arc::downgrade(&self.inner))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&self.inner.address).finish()
    }
}

/// What the background threads hold: it does not keep the link alive.
#[derive(Clone)]
struct WeakLink(Weak<Inner>);

impl WeakLink {
    fn upgrade(&self) -> Option<Link> {
        self.0.upgrade().map(|inner| Link { inner })
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), LinkError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map(drop).map_err(LinkError::Thread)
}

/// Why there is no link.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkError {
    /// The address is not of the form `http://TOKEN@HOST:PORT`.
    Address,
    /// The system has no thread to give.
    Thread(std::io::Error),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("the address is not of the form `http://TOKEN@HOST:PORT`"),
            Self::Thread(_) => f.write_str("failed to start a thread for the link"),
        }
    }
}

impl std::error::Error for LinkError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Address => None,
            Self::Thread(error) => Some(error),
        }
    }
}
