//! Every limit of the data path, each with its default and its reason.

use crate::{gate, http2};
use bowline_call::{PoolLimits, replay};
use bowline_policy::refresh::RefreshSettings;
use std::time::Duration;

/// Every limit of the data path.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections one listener serves at once, over all workers; beyond it new ones wait in the
    /// kernel's queue. 10,000: with a few kilobytes each that is some 100 MB, and below the usual limit of open
    /// files once the process has raised it.
    pub connections: u32,
    /// Connections that wait in the kernel to be accepted. 1,024: Envoy and nginx ask for 512 to 1,024, the kernel
    /// caps it at `net.core.somaxconn`.
    pub backlog: u32,
    /// Handshakes of TLS that are under way at one listener, over all workers; beyond it accepted connections wait, one a
    /// worker, and the others in the kernel's queue. 1,000: a handshake costs two workers some 100 ms of work for 1,000
    /// callers who come back at once, and holds some 10 KB each.
    pub handshakes: u32,
    /// How long a handshake of TLS may take, the wait for its first byte included. 10 s: two round trips over the worst
    /// mobile link and three lost packets (1, 2 and 4 s).
    pub handshake: Duration,
    /// What one worker accepts before it serves again what it has. 64: a burst must not starve the requests
    /// under way.
    pub accepts_at_once: u32,
    /// An answer whose body pauses for this long is given up. 5 minutes, Envoy's stream idle timeout.
    pub answer_pause: Duration,
    /// A tunnel (after an upgrade) on which nothing moves for this long ends. 5 minutes, Envoy's stream idle timeout, and
    /// far beyond the half minute after which WebSocket libraries send a ping.
    pub tunnel_idle: Duration,
    /// How much of all request bodies together is kept for repeating. 64 MiB.
    pub kept_bodies: u64,
    /// What is taken off the time a caller leaves, so that the answer reaches it within. 1 ms: a round trip inside
    /// one data centre.
    pub hop_allowance: Duration,
    /// During a drain, how long an idle connection may still bring one more request (it is answered with
    /// `Connection: close`) before it is closed. 1 s: pools under load come back within milliseconds.
    pub drain_idle: Duration,
    /// Decision trails that are kept. 1,024 at about a kilobyte.
    pub trails: usize,
    /// What a request may be at most, and how long it may take to arrive.
    pub gate: gate::Limits,
    /// What one HTTP/2 connection may do.
    pub http2: http2::Limits,
    /// How long the gate waits for whom.
    pub patience: gate::Patience,
    /// Connections to endpoints.
    pub pool: PoolLimits,
    /// How often DNS is asked for a name's addresses.
    pub names: RefreshSettings,
    /// How often an issuer is asked for its keys. What its answer says of itself (`max-age`) holds between 1 minute, so that
    /// no issuer is asked by every gateway each second, and 1 hour, so that a key it has taken back is not believed for
    /// longer; after a failure 1 s, doubled up to 1 minute.
    pub keys: RefreshSettings,
    /// How long its answer holds where it does not say. 5 minutes, what other gateways take.
    pub keys_hold: Duration,
    /// How long its answer may take. 5 s: it is asked beside the data path, and may be on another continent.
    pub keys_within: Duration,
    /// A token that names an unknown key has the issuer asked at once, and so often at most. 30 s: who makes up names of
    /// keys is no burden to the issuer, and one that has changed its keys in a hurry twice in a minute is found out.
    pub keys_again: Duration,
    /// How long a request with such a token waits for that answer. 1 s: issuers answer within a fraction, and callers come
    /// again.
    pub keys_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            backlog: 1_024,
            handshakes: 1_000,
            handshake: Duration::from_secs(10),
            accepts_at_once: 64,
            answer_pause: Duration::from_secs(300),
            tunnel_idle: Duration::from_secs(300),
            kept_bodies: replay::KEPT_TOTAL_MAX,
            hop_allowance: Duration::from_millis(1),
            drain_idle: Duration::from_secs(1),
            trails: 1_024,
            gate: gate::Limits::default(),
            http2: http2::Limits::default(),
            patience: gate::Patience::default(),
            pool: PoolLimits::default(),
            names: RefreshSettings::default(),
            keys: RefreshSettings {
                least: Duration::from_secs(60),
                most: Duration::from_secs(3_600),
                failed_most: Duration::from_secs(60),
                ..RefreshSettings::default()
            },
            keys_hold: Duration::from_secs(300),
            keys_within: Duration::from_secs(5),
            keys_again: Duration::from_secs(30),
            keys_wait: Duration::from_secs(1),
        }
    }
}
