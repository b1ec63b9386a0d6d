//! How an endpoint is reached: which HTTP, and through what.
//!
//! It is part of who an endpoint is. The same address spoken to in another way is another endpoint, with
//! connections of its own, so that a reload that changes the way never meets a connection of the old one.

use crate::tls::Tls;
use std::sync::Arc;

/// How an endpoint is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Transport {
    /// Which HTTP is spoken.
    pub http: Http,
    /// Under TLS, where this is given.
    pub tls: Option<Arc<Tls>>,
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
    pub const PLAIN: Self = Self { http: Http::One, tls: None };

    /// HTTP/2 over a plain connection, without asking first.
    pub const H2C: Self = Self { http: Http::Two, tls: None };
}
