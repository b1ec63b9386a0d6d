//! One worker: a thread, a runtime, its connections on both sides.
//!
//! Workers share nothing that changes with every request but counters and the machines that remember
//! (which must mean the same with one worker or eight). Connections, pools and timers are a worker's own.

use crate::connection::{self, Accepted, Control};
use crate::ending::Ending;
use crate::gate::Patience;
use crate::limits::Limits;
use crate::proxy::Shared;
use crate::scratch::{Lent, Scratch, Spares};
use crate::snapshot::{Door, Snapshot};
use crate::tokens::Verified;
use arc_swap::{ArcSwap, Cache};
use bowline_call::{Alarm, Client, Clock};
use bowline_model::{Random, SplitMix64};
use http::header::HeaderValue;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, UNIX_EPOCH};
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// How often spare connections are looked at. Peers' time-outs are counted in seconds.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// How long accepting pauses when the process has no more file descriptors: long enough for some
/// connection to end, short enough not to be noticed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a worker is told.
pub(crate) enum Command {
    /// Accept on these.
    Listen(Door, Places, Vec<TcpListener>),
    /// Accept no more at this door; what waits in the queue is taken first.
    StopListening(Door),
    /// End connections whose callers proved what is not enough any more.
    CheckTerms,
    /// Come to an end within this time; then tell how many connections had to be cut.
    Drain(Duration, oneshot::Sender<usize>),
    /// End now.
    Stop,
}

/// How many may be at one door at once, over all workers.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    connections: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
}

impl Places {
    pub(crate) fn new(limits: &Limits) -> Self {
        let places = |max: u32| Arc::new(Semaphore::new(max.max(1) as usize));
        Self { connections: places(limits.connections), handshakes: places(limits.handshakes) }
    }
}

/// One worker.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    client: Client,
    latest: RefCell<Latest>,
    seeds: RefCell<SplitMix64>,
    /// What its connections share.
    patience: Rc<Patience>,
    draining: Cell<bool>,
    connections: RefCell<Vec<Rc<Control>>>,
    listening: RefCell<Vec<(Door, Rc<Notify>)>>,
    mirrors: Rc<Cell<u32>>,
    spare: RefCell<Spares>,
    date: RefCell<(u64, HeaderValue)>,
    verified: RefCell<Verified>,
}

/// The latest snapshot as this worker knows it. Requests share it without touching the count that all
/// workers share.
struct Latest {
    cache: Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>,
    snapshot: LocalSnapshot,
}

/// A worker's hold on a snapshot, given to its requests by a count of the worker's own.
pub(crate) type LocalSnapshot = Rc<Arc<Snapshot>>;

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("connections", &self.connections.borrow().len())
            .finish_non_exhaustive()
    }
}

/// A copy of a request that is under way.
#[derive(Debug)]
pub(crate) struct MirrorPlace(Rc<Cell<u32>>);

impl Drop for MirrorPlace {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Worker {
    fn new(shared: Arc<Shared>, seed: u64) -> Rc<Self> {
        let mut cache = Cache::new(Arc::clone(&shared.snapshot));
        let snapshot = Rc::new(Arc::clone(cache.load()));
        Rc::new(Self {
            client: Client::new(shared.limits.pool, shared.clock, seed),
            latest: RefCell::new(Latest { cache, snapshot }),
            seeds: RefCell::new(SplitMix64::new(seed)),
            patience: Rc::new(shared.limits.patience.clone()),
            draining: Cell::new(false),
            connections: RefCell::default(),
            listening: RefCell::default(),
            mirrors: Rc::default(),
            spare: RefCell::default(),
            date: RefCell::new((0, HeaderValue::from_static(""))),
            verified: RefCell::default(),
            shared,
        })
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn clock(&self) -> Clock {
        self.shared.clock
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) const fn patience(&self) -> &Rc<Patience> {
        &self.patience
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Memory for one request; the last one that was given back, which is the warmest.
    pub(crate) fn lend(&self) -> Lent<'_> {
        let spare = self.spare.borrow_mut().pop();
        Lent::new(
            spare.unwrap_or_else(|| Box::new(Scratch::new(self.clock(), self.next_seed()))),
            &self.spare,
        )
    }

    /// The date for an answer without one (RFC 9110, 6.6.1), written once a second.
    pub(crate) fn date(&self) -> HeaderValue {
        let second = self.clock().wall().as_unix_nanos() / 1_000_000_000;
        let (written, date) = &mut *self.date.borrow_mut();
        if *written != second {
            let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
            *written = second;
            *date = HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""));
        }
        date.clone()
    }

    /// Tokens that it has believed.
    pub(crate) const fn verified(&self) -> &RefCell<Verified> {
        &self.verified
    }

    pub(crate) fn next_seed(&self) -> u64 {
        self.seeds.borrow_mut().next_u64()
    }

    /// The latest snapshot.
    pub(crate) fn snapshot(&self) -> LocalSnapshot {
        let latest = &mut *self.latest.borrow_mut();
        let newest = latest.cache.load();
        if !Arc::ptr_eq(newest, &latest.snapshot) {
            latest.snapshot = Rc::new(Arc::clone(newest));
        }
        Rc::clone(&latest.snapshot)
    }

    /// A place for one more copy of a request.
    pub(crate) fn mirror_place(&self) -> Option<MirrorPlace> {
        if self.mirrors.get() >= crate::mirror::UNDER_WAY_MAX {
            return None;
        }
        self.mirrors.set(self.mirrors.get() + 1);
        Some(MirrorPlace(Rc::clone(&self.mirrors)))
    }

    pub(crate) fn register(&self) -> Rc<Control> {
        let control = Rc::new(Control::default());
        self.connections.borrow_mut().push(Rc::clone(&control));
        control
    }

    pub(crate) fn unregister(&self, control: &Rc<Control>) {
        let mut connections = self.connections.borrow_mut();
        if let Some(index) = connections.iter().position(|own| Rc::ptr_eq(own, control)) {
            connections.swap_remove(index);
        }
    }

    fn listen(self: &Rc<Self>, door: Door, places: &Places, listeners: Vec<TcpListener>) {
        for listener in listeners {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => {
                    let stop = Rc::new(Notify::new());
                    self.listening.borrow_mut().push((door, Rc::clone(&stop)));
                    let accepting = Accepting { worker: Rc::clone(self), door, places: places.clone() };
                    tokio::task::spawn_local(accepting.run(listener, stop));
                }
                Err(error) => tracing::error!(?door, %error, "cannot listen"),
            }
        }
    }

    fn stop_listening(&self, which: impl Fn(Door) -> bool) {
        self.listening.borrow_mut().retain(|(door, stop)| {
            let stops = which(*door);
            if stops {
                stop.notify_one();
            }
            !stops
        });
    }

    /// Lets every connection finish: idle ones may bring one more request for a moment, whose answer
    /// says `Connection: close`; what is still there at the end is cut.
    async fn drain(self: Rc<Self>, within: Duration, done: oneshot::Sender<usize>) {
        self.stop_listening(|_| true);
        self.draining.set(true);
        // What waits in the queues is accepted in this turn of the runtime, and is to be waited for.
        tokio::task::yield_now().await;
        let clock = self.clock();
        let end = clock.now() + within;
        let idle_end = clock.now() + self.shared.limits.drain_idle.min(within);
        let mut idle_told = false;
        while !self.connections.borrow().is_empty() && clock.now() < end {
            if !idle_told && idle_end <= clock.now() {
                idle_told = true;
                self.tell_all(Ending::Graceful);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let cut = self.connections.borrow().len();
        self.tell_all(Ending::Now);
        self.client.pool().clear();
        let _ = done.send(cut);
    }

    /// Ends connections, after the answers under way, whose handshakes would not be made in the same terms now: a caller
    /// who comes again proves what is asked for by then.
    fn check_terms(&self) {
        let snapshot = self.snapshot();
        for control in &*self.connections.borrow() {
            if control.secured().is_some_and(|(door, secured)| !snapshot.honours(*door, secured)) {
                control.end(Ending::Graceful);
            }
        }
    }

    fn tell_all(&self, how: Ending) {
        for control in &*self.connections.borrow() {
            control.end(how);
        }
    }
}

/// Accepts at one socket.
struct Accepting {
    worker: Rc<Worker>,
    door: Door,
    places: Places,
}

impl Accepting {
    /// Accepts until it is told to stop, and then what waits in the queue: closing the socket would
    /// reset those connections.
    async fn run(self, listener: tokio::net::TcpListener, stop: Rc<Notify>) {
        let at_once = self.worker.shared().limits.accepts_at_once.max(1);
        let mut accepts = 0_u32;
        while let Some(place) = or_stop(&stop, Arc::clone(&self.places.connections).acquire_owned()).await {
            let (Ok(place), Some(accepted)) = (place, or_stop(&stop, listener.accept()).await) else { break };
            match accepted {
                Ok((stream, peer)) => {
                    let shaking = self.handshake_place(&stop).await;
                    self.serve(stream, peer, place, shaking);
                    accepts = accepts.wrapping_add(1);
                    if accepts.is_multiple_of(at_once) {
                        tokio::task::yield_now().await;
                    }
                }
                Err(error) if is_the_callers(&error) => (),
                Err(error) => {
                    tracing::warn!(door = ?self.door, %error, "cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        let Ok(listener) = listener.into_std() else { return };
        while let Ok((stream, peer)) = listener.accept() {
            let Ok(place) = Arc::clone(&self.places.connections).try_acquire_owned() else { return };
            if let Ok(stream) = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
                let shaking = Arc::clone(&self.places.handshakes).try_acquire_owned().ok();
                self.serve(stream, peer, place, shaking);
            }
        }
    }

    /// A place for one more handshake, where TLS is spoken; it is waited for, and with it everybody behind. `None` on the
    /// way to the end, too: what was accepted is served.
    async fn handshake_place(&self, stop: &Notify) -> Option<OwnedSemaphorePermit> {
        let tally = {
            let snapshot = self.worker.snapshot();
            let (_, tally) = snapshot.door(self.door).filter(|(tls, _)| *tls)?;
            Arc::clone(tally)
        };
        if let Ok(place) = Arc::clone(&self.places.handshakes).try_acquire_owned() {
            return Some(place);
        }
        tally.handshake_waits();
        let place = or_stop(stop, Arc::clone(&self.places.handshakes).acquire_owned()).await;
        if place.is_none() {
            // Whoever told us tells once.
            stop.notify_one();
        }
        place?.ok()
    }

    fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        place: OwnedSemaphorePermit,
        shaking: Option<OwnedSemaphorePermit>,
    ) {
        let snapshot = self.worker.snapshot();
        let Some((tls, tally)) = snapshot.door(self.door) else { return };
        let tally = Arc::clone(tally);
        tally.accepted();
        // Answers are written whole; waiting for more to send with one would only delay it.
        let _ = stream.set_nodelay(true);
        let accepted = Accepted { door: self.door, peer, tally, place };
        let worker = Rc::clone(&self.worker);
        if tls {
            tokio::task::spawn_local(connection::serve_secured(worker, stream, accepted, shaking));
        } else {
            tokio::task::spawn_local(connection::serve(worker, stream, accepted));
        }
    }
}

/// Waits for `work`, unless told to stop first.
async fn or_stop<F: Future>(stop: &Notify, work: F) -> Option<F::Output> {
    let (mut work, mut stop) = (pin!(work), pin!(stop.notified()));
    poll_fn(|cx| match stop.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(None),
        Poll::Pending => work.as_mut().poll(cx).map(Some),
    })
    .await
}

/// Errors of one connection that ended before it was accepted.
fn is_the_callers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// The thread of one worker, until it is told to stop.
pub(crate) fn run(
    shared: Arc<Shared>,
    seed: u64,
    mut commands: mpsc::UnboundedReceiver<Command>,
) -> io::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default())?;
    runtime.block_on(async move {
        let worker = Worker::new(shared, seed);
        let sweeping = Rc::clone(&worker);
        tokio::task::spawn_local(async move {
            let endpoints = &sweeping.shared.endpoints;
            let mut sweep_at = sweeping.clock().now() + SWEEP_EVERY;
            let mut alarm = Alarm::new(sweeping.clock());
            loop {
                let wanted = pin!(endpoints.wanted());
                sweeping.client.pool().give_way();
                if alarm.or_until(sweep_at, wanted).await.is_some() {
                    continue;
                }
                sweep_at = sweeping.clock().now() + SWEEP_EVERY;
                // Without a request nothing else lets go of a snapshot that no longer holds.
                drop(sweeping.snapshot());
                sweeping.client.pool().sweep();
            }
        });
        while let Some(command) = commands.recv().await {
            match command {
                Command::Listen(door, places, listeners) => worker.listen(door, &places, listeners),
                Command::StopListening(door) => worker.stop_listening(|own| own == door),
                Command::CheckTerms => worker.check_terms(),
                Command::Drain(within, done) => {
                    tokio::task::spawn_local(Rc::clone(&worker).drain(within, done));
                }
                Command::Stop => break,
            }
        }
        worker.stop_listening(|_| true);
    });
    Ok(())
}
