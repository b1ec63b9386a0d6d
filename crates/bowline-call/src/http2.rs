//! HTTP/2 towards endpoints.
//!
//! A connection carries many requests at once, so it cannot be driven by the task of one of them as an
//! HTTP/1.1 connection is: each has a task of its own, which reads and writes for all of its streams in as
//! few system calls as there are turns of the runtime. What a request shares with it is the frames' store of
//! the `h2` crate; nothing is sent through channels.
//!
//! - `link`: one connection: who may use it, and whether its peer is still there
//! - `links`: a worker's connections to one endpoint, and how more are made
//! - `exchange`: one request and the head of its answer; `upload`: its body; `incoming`: the answer's body

mod exchange;
mod incoming;
mod link;
mod links;
mod upload;

pub(crate) use exchange::{Request, ask};
pub(crate) use incoming::Incoming;
pub(crate) use link::{Link, Slot};
pub(crate) use links::{Links, Made};
