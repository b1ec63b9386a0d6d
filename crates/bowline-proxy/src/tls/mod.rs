//! TLS from callers.
//!
//! A connection is accepted, its first bytes are looked at, the name that it asks for (SNI) picks one of the servers
//! that the design has at that address, and the handshake is made in that server's terms. What follows is served as
//! over a plain connection. A request is looked up among the rules of the server that the handshake was made with, and
//! no other's: what a caller proves to one says nothing to the next.
//!
//! In reading order:
//! - `server`: one server made ready: its certificates, what callers must prove
//! - `callers`: how they prove it
//! - `handshake`: one handshake, within its time
//! - `ending`: how handshakes end, each with a word
//! - `secured`: what a connection knows of its caller

mod callers;
mod ending;
mod handshake;
mod secured;
mod server;

pub(crate) use ending::Ending;
pub(crate) use handshake::{Begun, begin};
pub(crate) use secured::Secured;
pub(crate) use server::Server;
