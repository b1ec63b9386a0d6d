//! Spans out of decision trails, OTLP out.
//!
//! A request of the proxy writes down what it decides, for `explain`. This crate makes a trace of the same
//! record: a server span for the request, a client span for each try, each decision an attribute or an event
//! with the word that `explain` prints and the metrics count. A worker hands a finished record to a bounded
//! queue and goes on; everything else happens on a thread of this crate.
//!
//! In reading order:
//! - [`settings`]: [`Settings`], where to and how much; [`sampler`]: [`Sampler`], what is recorded
//! - [`tracer`]: [`Tracer`], which the proxy hands its records to; `queue`: what waits
//! - [`spans`]: what a record becomes; [`guards`]: what a call of a linked library's guard becomes; [`names`]: every name of the OpenTelemetry conventions that is used
//! - `export`: OTLP over HTTP and over gRPC
//!
//! ```
//! use bowline_trace::{Settings, Tracer};
//! use std::time::Duration;
//!
//! let settings = Settings::new("http://127.0.0.1:4318").unwrap();
//! let tracer = Tracer::start(settings).unwrap();
//! tracer.stop(Duration::from_secs(1));
//! ```

mod clock;
mod export;
pub mod guards;
pub mod names;
mod queue;
pub mod sampler;
pub mod settings;
pub mod spans;
pub mod tracer;

pub use guards::{GuardCall, GuardDecision};
pub use sampler::Sampler;
pub use settings::{Protocol, Settings, SettingsError};
pub use tracer::Tracer;
