//! How an endpoint is reached: which HTTP, and through what.
//!
//! It is part of who an endpoint is. The same address spoken to in another way is another endpoint, with
//! connections of its own, so that a reload that changes the way never meets a connection of the old one.

use crate::keepalive::Keepalive;
use crate::tls::Tls;
use std::sync::Arc;
use std::time::Duration;

/// How an endpoint is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Transport {
    /// Which HTTP is spoken.
    pub http: Http,
    /// Under TLS, where this is given.
    pub tls: Option<Arc<Tls>>,
    /// How its connections are made and kept, where that differs from the pool's ways.
    pub connections: ConnectionSettings,
}

/// What of a pool's limits ([`PoolLimits`](crate::PoolLimits)) differs for one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ConnectionSettings {
    /// How long a connection may take to be made.
    pub connect: Option<Duration>,
    /// A spare connection is closed after this long.
    pub idle: Option<Duration>,
    /// A connection is not used again after this long, or somewhat less.
    pub age: Option<Duration>,
    /// Requests that one connection carries in its life.
    pub requests: Option<u32>,
    /// Requests that one HTTP/2 connection carries at once.
    pub streams: Option<u32>,
    /// An HTTP/2 peer that owes answers is asked whether it is there after this long a silence, and again after as long.
    pub ping_after: Option<Duration>,
    /// A peer that does not answer that within this long is gone.
    pub ping_timeout: Option<Duration>,
    /// Whether, and how, the kernel asks silent peers whether they are there.
    pub keepalive: Option<Keepalive>,
}

impl ConnectionSettings {
    /// The pool's ways.
    pub const NONE: Self = Self {
        connect: None,
        idle: None,
        age: None,
        requests: None,
        streams: None,
        ping_after: None,
        ping_timeout: None,
        keepalive: None,
    };
}

/// Which HTTP is spoken to an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Http {
    /// HTTP/1.1.
    #[default]
    One,
    /// HTTP/2, of which both sides know before (RFC 9113, 3.3); under TLS they say so.
    Two,
}

impl Transport {
    /// HTTP/1.1 over a plain connection.
    pub const PLAIN: Self = Self { http: Http::One, tls: None, connections: ConnectionSettings::NONE };

    /// HTTP/2 over a plain connection, without asking first.
    pub const H2C: Self = Self { http: Http::Two, tls: None, connections: ConnectionSettings::NONE };
}
