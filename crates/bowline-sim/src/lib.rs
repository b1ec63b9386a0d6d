//! The design in virtual time: discrete events over the very machines that production runs.
//!
//! A run is a function of its specification: no clock, no thread, no generator of its own, and the same seed
//! gives the same [`Run`], bit for bit. What decides about calls is [`bowline_policy::Call`] itself, with one
//! breaker, budget and bulkhead for each process that calls; what is simulated is the world around it.
//!
//! In reading order:
//! - [`dist`], [`arrivals`]: how long things take, when requests come
//! - [`model`]: services, operations, edges, topics; by hand or from a design
//! - [`fault`]: what goes wrong
//! - [`run`](mod@run): what is asked for, what came of it
//! - [`histogram`], [`series`]: what a run is recorded in
//! - `stream`: random numbers that do not move when something else changes
//! - `engine`: the events
//! - [`validate`]: what it must reproduce
//! - [`parallel`]: many runs on many threads, the same results on any number of them
//! - [`stats`], [`definitions`], [`objectives`]: what many runs say together, and what the words for it mean
//! - [`experiment`]: a scenario, all its arms, many seeds; [`hero`]: its table
//! - [`sweep`](mod@sweep): parameters turned over a grid; [`advise`]: each call, taken each way
//! - [`report`]: what came of it, as one page
//!
//! ```
//! use bowline_sim::model::{Do, EdgeSpec, EntrySpec, EntryTo, ServiceSpec};
//! use bowline_sim::{Arrivals, Dist, Model, RunSpec, run};
//! use std::ops::ControlFlow;
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! // One server that manages a thousand requests a second, asked eight hundred times a second.
//! let mut model = Model::builder();
//! let server = model.service(ServiceSpec::new("server"));
//! let work = vec![Do::Work(Dist::exponential(Duration::from_millis(1)))];
//! let serve = model.serve(server, "serve", work);
//! let edge = model.edge(EdgeSpec::new("clients -> server.serve", serve));
//! let arrivals = Arrivals::Poisson { rate: 800.0 };
//! model.entry(EntrySpec { name: "clients".into(), to: EntryTo::Call(edge), arrivals, clients: 1 });
//!
//! let spec = RunSpec::new(Arc::new(model.build()?), 7, Duration::from_secs(10), Duration::from_secs(50))?;
//! let run = run(&spec, &mut |_| ControlFlow::Continue(()));
//! let mean = run.clocks.answered.mean().as_secs_f64();
//! assert!((mean - 0.005).abs() < 0.001, "queueing theory says 5 ms, the run {mean} s");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod advise;
pub mod arrivals;
pub mod definitions;
pub mod dist;
mod engine;
pub mod experiment;
pub mod fault;
pub mod hero;
pub mod histogram;
pub mod model;
pub mod objectives;
pub mod parallel;
pub mod report;
pub mod run;
pub mod series;
pub mod stats;
mod stream;
pub mod sweep;
pub mod validate;

pub use arrivals::Arrivals;
pub use dist::Dist;
pub use fault::{FaultEvent, FaultKind};
pub use histogram::Histogram;
pub use model::Model;
pub use run::{Run, RunSpec, run};
