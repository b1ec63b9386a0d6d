//! Connections to endpoints, kept for the next call: one pool a worker, no lock between cores.

use crate::clock::Clock;
use crate::connection::Connection;
use crate::endpoint::{Endpoint, Opened};
use crate::http2::{Link, Links, Made, Slot};
use crate::io::Io;
use crate::keepalive::Keepalive;
use crate::transport::{ConnectionSettings, Transport};
use bowline_model::Instant;
use bowline_model::random::{Random, SplitMix64};
use bowline_model::time::nanos;
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// What a pool keeps, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// A spare connection is closed after this long. 90 s: longer than the pauses of ordinary traffic,
    /// and what Go's client has kept for a decade.
    pub idle: Duration,
    /// A connection is not used again after this long, so that a callee that moved behind its name is
    /// found again. 10 minutes.
    pub age: Duration,
    /// The age differs by up to this many percent from connection to connection, so that they do not
    /// all reconnect at once. 10.
    pub age_jitter_percent: u64,
    /// Connections to one endpoint, over all workers. A call that needs one more waits for `give_way`, and ends as
    /// if the connection were refused. 1,024, Envoy's number: ports run out an order of magnitude later.
    pub connections: u32,
    /// How long a call waits, where there are so many, for others to close one that they do not use. 100 ms: a
    /// turn of a worker's loop takes a hundredth of it, and a caller waits no longer for a refusal.
    pub give_way: Duration,
    /// How long a connection may take to be made. 5 s: two lost SYNs (1 s and 2 s) and some distance.
    pub connect: Duration,
    /// Requests that one connection carries in its life; as many as come.
    pub requests: u32,
    /// Whether, and how, the kernel asks silent peers whether they are there. It does not: a spare connection
    /// is looked at each second, and who waits for an answer has a deadline.
    pub keepalive: Option<Keepalive>,
    /// Requests that one HTTP/2 connection carries at once; fewer where its peer says so. 100: what most
    /// servers allow, and few enough that one lost packet holds up no more than those.
    pub streams: u32,
    /// An HTTP/2 peer that has said nothing for this long, though it owes answers, is asked whether it is
    /// there. 20 s: longer than most calls take, shorter than people wait.
    pub ping_after: Duration,
    /// One that had nothing to say but that is asked again after this long. 5 minutes: gRPC's servers take more
    /// frequent pings for an attack (`GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS`).
    pub ping_again: Duration,
    /// A peer that does not answer that within this long is gone, and every call to it over. 10 s.
    pub ping_timeout: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(90),
            age: Duration::from_secs(600),
            age_jitter_percent: 10,
            connections: 1_024,
            give_way: Duration::from_millis(100),
            connect: Duration::from_secs(5),
            requests: u32::MAX,
            keepalive: None,
            streams: 100,
            ping_after: Duration::from_secs(20),
            ping_again: Duration::from_secs(300),
            ping_timeout: Duration::from_secs(10),
        }
    }
}

impl PoolLimits {
    /// These limits, but for what differs.
    fn with(self, own: &ConnectionSettings) -> Self {
        // Chance makes an age up to the jitter longer; one that was asked for is the longest there is.
        let longest = |age: Duration| age.saturating_mul(100) / (100 + self.age_jitter_percent as u32);
        Self {
            connect: own.connect.unwrap_or(self.connect),
            idle: own.idle.unwrap_or(self.idle),
            age: own.age.map_or(self.age, longest),
            requests: own.requests.unwrap_or(self.requests),
            streams: own.streams.unwrap_or(self.streams),
            ping_after: own.ping_after.unwrap_or(self.ping_after),
            // Who names a time between pings means all of them.
            ping_again: own.ping_after.unwrap_or(self.ping_again),
            ping_timeout: own.ping_timeout.unwrap_or(self.ping_timeout),
            keepalive: own.keepalive.or(self.keepalive),
            ..self
        }
    }
}

/// All connections of one worker.
#[derive(Debug)]
pub struct Pool {
    limits: PoolLimits,
    clock: Clock,
    random: RefCell<SplitMix64>,
    /// By the endpoint's index.
    spares: RefCell<Vec<Option<Rc<Spares>>>>,
    /// What was done at endpoints that are forgotten.
    past: Cell<PoolCounts>,
}

/// One worker's connections to one endpoint.
#[derive(Debug)]
pub(crate) struct Spares {
    endpoint: Arc<Endpoint>,
    limits: PoolLimits,
    clock: Clock,
    /// The last one parked is the first one taken: the others grow old and are closed, so that the pool
    /// shrinks to what the load needs.
    #[expect(
        clippy::vec_box,
        reason = "a connection changes hands with every request; it does so by its address"
    )]
    idle: RefCell<Vec<Box<Connection>>>,
    /// Those that carry several requests at once.
    links: Links,
    made: Cell<u64>,
    reused: Cell<u64>,
}

/// What a pool has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolCounts {
    /// Connections made.
    pub made: u64,
    /// Requests that found a connection.
    pub reused: u64,
    /// Connections that wait for a request.
    pub spare: usize,
    /// HTTP/2 connections, busy or not.
    pub shared: usize,
}

impl Pool {
    /// A pool without connections. `seed` spreads the connections' ages.
    #[must_use]
    pub fn new(limits: PoolLimits, clock: Clock, seed: u64) -> Self {
        Self {
            limits,
            clock,
            random: RefCell::new(SplitMix64::new(seed)),
            spares: RefCell::default(),
            past: Cell::default(),
        }
    }

    /// What the pool has done so far.
    #[must_use]
    pub fn counts(&self) -> PoolCounts {
        let mut counts = self.past.get();
        for spares in self.spares.borrow().iter().flatten() {
            counts.made += spares.made.get();
            counts.reused += spares.reused.get();
            counts.spare += spares.idle.borrow().len();
            counts.shared += spares.links.count();
        }
        counts
    }

    /// Closes spare connections that are too old, idle for too long, or closed by the peer, asks quiet HTTP/2
    /// peers whether they are there, and lets go of endpoints that no call goes to any more. To be called about once a
    /// second: nothing else notices a peer's close while a connection is spare.
    pub fn sweep(&self) {
        let now = self.clock.now();
        for spares in self.spares.borrow().iter().flatten() {
            spares
                .idle
                .borrow_mut()
                .retain_mut(|connection| spares.is_usable(connection, now) && !connection.is_dead());
            spares.links.sweep(now, &spares.limits);
        }
        for slot in &mut *self.spares.borrow_mut() {
            if slot.as_ref().is_some_and(|spares| spares.endpoint.is_retired()) {
                self.forget(slot);
            }
        }
    }

    /// Lets go of an endpoint. Whatever is under way there holds what it needs.
    fn forget(&self, slot: &mut Option<Rc<Spares>>) {
        let Some(spares) = slot.take() else { return };
        let mut past = self.past.get();
        past.made += spares.made.get();
        past.reused += spares.reused.get();
        self.past.set(past);
        spares.idle.borrow_mut().clear();
        spares.links.clear();
    }

    /// Closes spare connections to endpoints where another worker's call waits for one: what is kept for later
    /// must not stand in the way of what is needed now.
    pub fn give_way(&self) {
        for spares in self.spares.borrow().iter().flatten().filter(|spares| spares.endpoint.is_wanted()) {
            spares.idle.borrow_mut().clear();
            spares.links.give_way();
        }
    }

    /// Closes every spare connection; one that carries requests closes when they are through.
    pub fn clear(&self) {
        for spares in self.spares.borrow().iter().flatten() {
            spares.idle.borrow_mut().clear();
            spares.links.clear();
        }
    }

    pub(crate) fn spares(&self, endpoint: &Arc<Endpoint>) -> Rc<Spares> {
        let mut all = self.spares.borrow_mut();
        if all.len() <= endpoint.index {
            all.resize_with(endpoint.index + 1, || None);
        }
        let slot = &mut all[endpoint.index];
        // Its place may have been another's.
        if slot.as_ref().is_some_and(|spares| !Arc::ptr_eq(&spares.endpoint, endpoint)) {
            self.forget(slot);
        }
        Rc::clone(slot.get_or_insert_with(|| {
            Rc::new(Spares {
                endpoint: Arc::clone(endpoint),
                limits: self.limits.with(&endpoint.transport().connections),
                clock: self.clock,
                idle: RefCell::default(),
                links: Links::default(),
                made: Cell::new(0),
                reused: Cell::new(0),
            })
        }))
    }

    /// When a connection made `now` is too old for these.
    pub(crate) fn expiry(&self, spares: &Spares, now: Instant) -> Instant {
        let span = nanos(spares.limits.age) / 100;
        let percent = 100 - self.limits.age_jitter_percent
            + self.random.borrow_mut().below(2 * self.limits.age_jitter_percent + 1);
        now + Duration::from_nanos(span.saturating_mul(percent))
    }
}

impl Spares {
    /// A connection that waits for a request, if there is one.
    pub(crate) fn take(&self, now: Instant) -> Option<Box<Connection>> {
        let mut idle = self.idle.borrow_mut();
        while let Some(mut connection) = idle.pop() {
            if self.is_usable(&connection, now) && !connection.is_dead() {
                self.reused.set(self.reused.get() + 1);
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose answer is through, unless it cannot serve another one.
    pub(crate) fn park(&self, mut connection: Box<Connection>, now: Instant) {
        if !connection.is_free() {
            return connection.finish_upload();
        }
        if self.limits.requests <= connection.asked || self.endpoint.is_wanted() {
            return;
        }
        connection.spare_since = now;
        if connection.spare_since < connection.expires {
            self.idle.borrow_mut().push(connection);
        }
    }

    /// What time it is.
    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// How the endpoint is reached.
    pub(crate) fn transport(&self) -> &Transport {
        self.endpoint.transport()
    }

    /// Makes a connection of HTTP/1.1.
    pub(crate) async fn connect(&self, expires: Instant) -> io::Result<Box<Connection>> {
        let opened = self.opened().await?;
        let stream = tokio::time::timeout(self.limits.connect, self.reach())
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        self.made.set(self.made.get() + 1);
        Ok(Connection::new(stream, opened, expires))
    }

    /// A place on an HTTP/2 connection, and whether it is a new one. Waits for one to be made where none has
    /// room.
    pub(crate) async fn slot(self: &Rc<Self>, expires: impl Fn() -> Instant) -> Option<(Slot, bool)> {
        let mut waited = false;
        loop {
            if let Some(slot) = self.links.take(self.now()) {
                if !waited {
                    self.reused.set(self.reused.get() + 1);
                }
                return Some((slot, waited));
            }
            let make = |making| {
                let (spares, expires) = (Rc::clone(self), expires());
                tokio::task::spawn_local(async move {
                    match spares.connect_shared(expires).await {
                        Ok(link) => spares.links.made(&making, link),
                        Err(_) => spares.links.failed(&making),
                    }
                });
            };
            if self.links.wait(&self.limits, make).await == Made::Failed {
                return None;
            }
            waited = true;
        }
    }

    async fn connect_shared(&self, expires: Instant) -> io::Result<Rc<Link>> {
        let opened = self.opened().await?;
        let connecting = async {
            let io = self.reach().await?;
            Link::begin(io, opened, expires, &self.limits, self.now()).await
        };
        let link = tokio::time::timeout(self.limits.connect, connecting)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        self.made.set(self.made.get() + 1);
        Ok(link)
    }

    async fn opened(&self) -> io::Result<Opened> {
        if let Some(opened) = Opened::new(&self.endpoint, self.limits.connections) {
            return Ok(opened);
        }
        let waiting = self.endpoint.open_when_one_closes(self.limits.connections);
        tokio::time::timeout(self.limits.give_way, waiting)
            .await
            .map_err(|_| io::Error::other("too many connections to this endpoint"))
    }

    async fn reach(&self) -> io::Result<Io> {
        let stream = match self.endpoint.fixed() {
            Some(address) => TcpStream::connect(address).await?,
            None => match &*self.endpoint.named() {
                [] => TcpStream::connect(&**self.endpoint.address()).await?,
                addresses => TcpStream::connect(addresses).await?,
            },
        };
        // A request is written whole; waiting for more to send with it would only delay it.
        stream.set_nodelay(true)?;
        if let Some(keepalive) = &self.limits.keepalive {
            keepalive.apply(&stream)?;
        }
        match &self.transport().tls {
            None => Ok(Io::Plain(stream)),
            Some(tls) => Ok(Io::Tls(tls.begin(stream).await?)),
        }
    }

    fn is_usable(&self, connection: &Connection, now: Instant) -> bool {
        now < connection.expires && now.since(connection.spare_since) < self.limits.idle
    }
}
