//! A guard as a tower layer: around HTTP clients, around tonic's channel, around anything.
//!
//! - [`Guard::layer`](crate::Guard::layer): for services of HTTP requests, gRPC included. It marks what
//!   it sends (remaining time, try number, trace), knows which methods may be repeated, replays bodies
//!   and reads gRPC's outcome from the trailers. The last answer is handed through, as a proxy would.
//! - [`Guard::any_layer`](crate::Guard::any_layer): for services of any request that can be cloned.
//! - [`Incoming::layer`](crate::Incoming::layer): for servers. Every guard that works for a request then
//!   knows its deadline; with [`ending`](IncomingLayer::ending) work that nobody waits for any more is dropped.
//!
//! A breaker, a permit and a queue are asked inside `call`, under the call's deadline, never in
//! `poll_ready`: a permit that was taken for a request that may never come is a permit lost.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use bowline::{Retry, guard};
//! use http::{Request, Response};
//! use http_body_util::Empty;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! let stock = guard("inventory").retry(Retry::tries(2));
//! let client = ServiceBuilder::new().layer(stock.layer()).service(service_fn(
//!     |request: Request<Empty<bytes::Bytes>>| async move {
//!         // The first try meets a server that is down, and says which try it is.
//!         let is_first = request.headers()["x-bowline-try"] == "1";
//!         let status = if is_first { 503 } else { 200 };
//!         Ok::<_, std::io::Error>(Response::builder().status(status).body(Empty::<bytes::Bytes>::new()).unwrap())
//!     },
//! ));
//! let answer = client.oneshot(Request::get("http://inventory/stock/A47").body(Empty::new()).unwrap()).await;
//! assert_eq!(answer.unwrap().status(), 200);
//! # }
//! ```

mod any;
mod http;
mod replay;
mod server;
mod watched;

pub use self::http::{GuardLayer, Guarded};
pub use any::{AnyLayer, GuardedAny};
pub use replay::{Buffered, REPLAY_BYTES_MAX, Replay};
pub use server::{EndingLayer, EndingService, IncomingLayer, IncomingService};
pub use watched::Watched;
