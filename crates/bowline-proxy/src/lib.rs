//! Gateway and mesh: listeners, a strict gate, HTTP/2, routes, explain.
//!
//! One worker a core, each with its own runtime, listening sockets and connections to endpoints. A
//! request stays on its worker's thread from its first byte to its last; what it needs of the design
//! was looked up when the design was compiled.
//!
//! In reading order:
//! - [`proxy`]: [`Proxy`], what starts, reloads, drains and stops; [`Config`]
//! - [`limits`]: [`Limits`], every limit with its default and reason; [`listen`]: [`Sockets`]
//! - [`snapshot`]: a design made ready; [`faults`]: what is broken on purpose
//! - `lookout`: the thread that looks after hosts; `health`: whether they are well; `found`: who they are
//! - `worker`, `connection`, `tls`, [`sniff`], [`gate`], [`http2`]: how a request comes in; `files`, `trouble`: certificates that
//!   are written anew, and those that cannot be used
//! - `request`: one request, in order; `headers`, `reply`, `body`, `mirror`, `affinity`: the parts of that
//! - `access`, `tokens`: who asks, and whether that one may
//! - `tunnel`: what follows an upgrade
//! - [`metrics`], [`trails`], [`flags`]: what is said about it; `traced`, `untold`, [`recorder`]: its trace

mod access;
mod affinity;
mod body;
mod clock;
mod connection;
mod cross_origin;
mod ending;
pub mod faults;
mod files;
pub mod flags;
mod found;
pub mod gate;
mod grpc;
mod headers;
mod health;
pub mod http1;
pub mod http2;
mod incoming;
mod ledger;
pub mod limits;
pub mod listen;
mod lookout;
pub mod metrics;
mod mirror;
mod prometheus;
pub mod protocol;
pub mod proxy;
mod rate_fields;
mod reach;
pub mod recorder;
mod reply;
mod request;
mod scratch;
pub mod snapshot;
pub mod sniff;
mod tls;
mod tokens;
mod traced;
pub mod trails;
mod trouble;
mod tunnel;
mod untold;
mod worker;

pub use bowline_call::tls::{Files, Source};
pub use ending::Ending;
pub use faults::FaultRule;
pub use flags::Flag;
pub use limits::Limits;
pub use listen::Sockets;
pub use protocol::Protocol;
pub use proxy::{Config, Drained, Proxy};
pub use recorder::Recorder;
pub use snapshot::Door;
pub use trails::{Filter, Record, Trails};
pub use trouble::Trouble;
