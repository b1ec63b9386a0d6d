//! Bowline for Rust services: deadline, retries, breaker and bulkhead around any future, in ten lines.
//!
//! In reading order:
//! - [`guard`](mod@guard): [`Guard`], everything that stands between a caller and one destination
//! - [`breaker`], [`retry`], [`bulkhead`], [`admission`]: what it can do, as one writes it; [`spans`]: `25.ms()`
//! - [`outcome`]: how a result becomes an outcome; [`error`]: what is said where there is no answer
//! - [`attempt`]: [`Try`], one try as the guarded work sees it; [`headers`]: what it tells the next hop
//! - [`deadline`], [`incoming`]: what the request being served brought along
//! - [`settings`], [`stats`]: what governs a guard, and what it has done
#![cfg_attr(feature = "tower", doc = "- [`layer`]: a guard as a tower layer, around tonic's channel too")]
#![cfg_attr(not(feature = "tower"), doc = "- `layer` (feature `tower`): a guard as a tower layer")]
//! - [`link`]: under `bowline up` the design's values take the place of the code's
//!
//! ```
//! use bowline::{Backoff, Breaker, Retry, Spans, guard, outcome};
//! # use bowline::{Error, Outcome};
//! # #[derive(Debug)]
//! # struct Http;
//! # impl Http {
//! #     async fn get(&self, _: &str, _: std::time::Duration) -> Result<http::Response<&'static str>, std::io::Error> {
//! #         Ok(http::Response::new("17"))
//! #     }
//! # }
//! # fn last_known_stock() -> &'static str { "12" }
//! # async fn stock_of(http: Http, url: &str) -> Result<&'static str, Error> {
//!
//! // Once, when the service starts: the guard remembers what it sees.
//! let stock = guard("inventory")
//!     .deadline(300.ms())
//!     .classify(outcome::of_http)          // a 500 is no success; without it Ok is succeeded and Err is unknown
//!     .idempotent()                        // a GET: may be asked again after an unknown outcome
//!     .breaker(Breaker::ratio(0.5).over(10.s()).at_least(20).reset(10.s()))
//!     .retry(Retry::tries(3).backoff(Backoff::full_jitter(25.ms(), 250.ms())).budget(0.2));
//!
//! // For each request:
//! let http = &http;
//! match stock.call(|try_| async move { http.get(url, try_.remaining()).await }).await {
//!     Ok(answer) => Ok(answer.into_body()),
//!     Err(e) if e.is_open() => Ok(last_known_stock()),      // the breaker is open: fall back
//!     Err(e) => Err(e.context("stock of A47")),
//!     // "stock of A47: gave up after 2 tries: deadline too close (41 ms left); the last timed out, outcome unknown"
//! }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() { assert_eq!(stock_of(Http, "/stock/A47").await.unwrap(), "17"); }
//! ```
//!
//! # What is decided, and by whom
//! Every decision is made by the machines of `bowline-policy`, the same that govern the gateway and the
//! simulator; nothing here decides, it drives them. A retry follows only where it cannot do harm: after
//! [`Outcome::Refused`], or after [`Outcome::Unknown`] where the guard was told that doing it twice is
//! the same as doing it once. Each decision shows as a `tracing` event, counts in [`Guard::stats`], and
//! under `bowline up` is a line of `bowline explain`.
//!
//! # Cancel safety
//! Dropping a call is cancelling it: the try under way is dropped, and lease, place and budget go back
//! at once.
//!
//! # Features
//! None are on by default. `policy`: everything above. `http`: classifiers and headers for the types of
//! `http`. `tower`: layers. `reqwest`, `tonic`: classifiers for their answers and errors; with `tower`,
//! layers around tonic's channel.

#[cfg(feature = "policy")]
pub mod admission;
#[cfg(feature = "policy")]
pub mod attempt;
#[cfg(feature = "policy")]
pub mod breaker;
#[cfg(feature = "policy")]
pub mod bulkhead;
#[cfg(feature = "policy")]
mod cause;
#[cfg(feature = "policy")]
mod clock;
#[cfg(feature = "policy")]
pub mod deadline;
#[cfg(feature = "policy")]
mod drive;
#[cfg(feature = "policy")]
pub mod error;
#[cfg(feature = "policy")]
pub mod guard;
#[cfg(feature = "policy")]
pub mod headers;
#[cfg(feature = "policy")]
pub mod incoming;
#[cfg(feature = "policy")]
mod latency;
#[cfg(feature = "tower")]
pub mod layer;
#[cfg(feature = "policy")]
pub mod link;
#[cfg(feature = "policy")]
pub mod outcome;
#[cfg(feature = "policy")]
pub mod retry;
#[cfg(feature = "policy")]
pub mod settings;
#[cfg(feature = "policy")]
pub mod spans;
#[cfg(feature = "policy")]
pub mod stats;
#[cfg(feature = "policy")]
mod watch;

#[cfg(feature = "policy")]
pub use all::*;

#[cfg(feature = "policy")]
mod all {
    pub use crate::admission::Admission;
    pub use crate::attempt::Try;
    pub use crate::breaker::Breaker;
    pub use crate::bulkhead::{Bulkhead, Rate};
    pub use crate::error::{BoxError, Error};
    pub use crate::guard::{Guard, guard};
    pub use crate::incoming::Incoming;
    pub use crate::link::Link;
    pub use crate::outcome::{Classify, Seen};
    pub use crate::retry::{Backoff, Retry};
    pub use crate::spans::Spans;
    pub use crate::stats::Stats;
    pub use bowline_model::decision::{BreakerState, GiveUp, RetryWhy};
    pub use bowline_model::{Outcome, Priority};
}

/// `share` as a ratio.
#[cfg(feature = "policy")]
fn ratio(share: f64) -> bowline_policy::Ratio {
    let Some(ratio) = bowline_policy::Ratio::from_f64(share) else {
        panic!("a share lies between 0 and 1, and {share} does not");
    };
    ratio
}
