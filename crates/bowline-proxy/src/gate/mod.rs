//! The strict HTTP/1 gate: it reads the framing bytes of a connection before the server does.
//!
//! Why a gate of our own: a server library answers what it can make sense of, and two programs that
//! make different sense of the same bytes are how a request is smuggled past the first to the second.
//! They hide what matters here (hyper, for one, merges equal `Content-Length` lines, drops one that stands beside
//! `Transfer-Encoding`, serves requests without `Host`), so the bytes are judged before anybody parses them.
//! The gate changes nothing: what it passes on is what arrived. A head passes when all of it was judged,
//! so nothing of a refused request reaches the server; in a body every line that frames it is judged
//! before it passes.
//!
//! In reading order:
//! - [`violation`]: [`Reason`], everything that is refused, each with its status, its word and its sentence
//! - [`limits`]: [`Limits`] on what is read, [`Patience`] with who is slow
//! - `line`: one complete line of a head, judged
//! - [`machine`]: [`Machine`], bytes in, a verdict out; pure
//! - [`handle`]: [`GateHandle`], what the rest of the proxy asks the gate, and tells it
//! - [`refusal`]: the answer to a refused request, and the lingering close after it
//! - `scratch`: where bytes are judged before they are passed on; `wait`: who is slow
//! - [`io`]: [`Gated`], the gate around a socket, as the server reads and writes it
//!
//! What the data path does:
//! - serve `Gated` in place of the socket;
//! - take one [`GateHandle::answering`] per request and keep it in the response body, so that it is
//!   dropped when the answer is through: idle time and the limit on pipelining are counted from there;
//! - on a body error, answer with the status of [`GateHandle::violation`] where nothing was sent yet;
//! - forward none of the hop-by-hop fields. The one `Upgrade` that passes is `h2c`, which is to be
//!   ignored: some HTTP clients offer it on every first request and go on in HTTP/1.1 when nobody takes it up.

pub mod handle;
pub mod io;
pub mod limits;
pub(crate) mod line;
pub mod machine;
pub mod refusal;
pub(crate) mod scratch;
pub mod violation;
pub(crate) mod wait;

pub use handle::{Answering, GateHandle};
pub use io::Gated;
pub use limits::{Limits, Pace, Patience};
pub use machine::{Judged, Machine, Phase};
pub(crate) use refusal::part;
pub use refusal::refuse;
pub use violation::{Part, Reason, Violation};
