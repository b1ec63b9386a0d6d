//! Client runtime: policies around one HTTP call, connections that are kept, discovery.
//!
//! One worker owns one [`Client`], and everything in it stays on that worker's thread: no lock is
//! shared between cores, and the future of a call is `!Send`. What workers do share is small and
//! counted: how many connections an endpoint has, and how much of request bodies is kept.
//!
//! In reading order:
//! - [`clock`]: the seam where time comes in; [`alarm`]: one timer a connection
//! - [`transport`], [`tls`]: how somebody is reached; [`endpoint`]: an address; [`pool`]: connections to it, which
//!   `keepalive` may watch; `io`: their bytes
//! - [`replay`]: a request's body, kept so that it can be sent again
//! - [`ask`]: a request's head on its way out; `upload`, `framing`, `beginning`, `chunks`, `incoming`,
//!   `connection`: HTTP/1.1; `http2`: HTTP/2
//! - [`drive`]: [`Client::call`], the driver of [`bowline_policy::Call`]; `hedging`: the same with several tries at once
//! - [`check`]: whether an endpoint is well; [`fetch`](mod@fetch): a document that somebody publishes; [`names`]: the addresses behind a name
//! - [`relay`]: an answer's body; [`switched`]: what comes after 101; [`pushback`]: `Retry-After`; [`grpc`]: what of gRPC matters here

pub mod alarm;
pub mod ask;
mod beginning;
pub mod check;
pub mod chunks;
pub mod clock;
mod connection;
pub mod drive;
pub mod endpoint;
pub mod fetch;
mod framing;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod grpc;
mod hedging;
mod http2;
mod incoming;
mod io;
mod keepalive;
pub mod names;
pub mod pool;
pub mod pushback;
pub mod relay;
pub mod replay;
mod scratch;
pub mod switched;
pub mod tls;
pub mod transport;
mod upload;

pub use alarm::Alarm;
pub use ask::HeadWriter;
pub use clock::Clock;
pub use connection::Broken;
pub use drive::{Answer, Asker, Client, Ended};
pub use endpoint::{Endpoint, Endpoints};
pub use keepalive::Keepalive;
pub use pool::{Pool, PoolLimits};
pub use relay::{AnswerBody, Relay};
pub use replay::{Allowance, Replay, RequestBody};
pub use switched::Switched;
pub use transport::{ConnectionSettings, Http, Transport};
