//! Backoff, retries, budgets, breakers, bulkheads, rate limits, and the call itself as one machine.
//!
//! Every decision here is a function of the state, the input, the time and a random number. Nothing
//! reads a clock, sleeps, or knows an async runtime; whoever drives a [`Call`] does that and obeys.
//!
//! In reading order:
//! - [`ratio`]: [`Ratio`], a share in fixed point
//! - [`settings`]: [`CallPolicy`], everything that governs one call
//! - [`classify`]: how an answer becomes an outcome, and what an outcome says about health
//! - [`deadline`]: who sets the deadline, and how it travels
//! - [`report`]: [`Report`], what a driver tells of a finished try
//! - [`backoff`], [`conditions`], [`codes`], [`retry`]: whether and when a try follows another
//! - [`budget`], [`retry_throttle`], [`breaker`], [`bulkhead`], [`rate`], [`admission`]: the six machines that remember
//! - [`quantile`]: how long things take, as of late; [`doomed`]: which calls have too little time left for it
//! - [`hedge`]: when a second try is sent beside the first one
//! - [`balance`], [`outlier`]: which host a try goes to, and which are left out for a while
//! - [`health`]: whether a host is well, by asking it; [`refresh`]: when it is asked again who they are
//! - [`shared`]: the same six, shared by all workers of a process
//! - [`counters`], [`edge`]: what one destination's calls have in common
//! - [`call`]: [`Call`], one call from its admission to its end
//!
//! ```
//! use bowline_model::{Deadline, Instant, Outcome, SplitMix64};
//! use bowline_model::decision::{DeadlineSource, GiveUp, TryEnd};
//! use bowline_policy::{Ask, Backoff, Call, CallPolicy, Edge, Report, RetrySettings, Step};
//! use std::time::Duration;
//!
//! let edge = Edge::new(CallPolicy { retry: RetrySettings::tries(2), ..CallPolicy::default() });
//! let mut rng = SplitMix64::new(1);
//! let now = Instant::from_millis(1_000);
//! let ask = Ask {
//!     now,
//!     deadline: Deadline::after(now, Duration::from_millis(300)),
//!     deadline_by: DeadlineSource::Policy,
//!     repeatable: false,
//!     hosts: 2,
//!     hash: Some(0),
//!     arrived_try: 0,
//!     priority: None,
//!     seed: 7,
//! };
//!
//! let (mut call, step) = Call::begin(&edge, ask, &mut rng, &mut ());
//! assert!(matches!(step, Step::Send(first) if first.host == 0));
//!
//! // Refused: surely no effect, so it is asked again, elsewhere, after the back-off.
//! let step = call.ended(now, Report::new(TryEnd::ConnectFailed, Outcome::Refused), &mut rng, &mut ());
//! let Step::Sleep { until } = step else { panic!("{step:?}") };
//! let step = call.woke(until, &mut rng, &mut ());
//! assert!(matches!(step, Step::Send(second) if second.host == 1));
//!
//! let step = call.ended(until, Report::new(TryEnd::Answered { status: 200 }, Outcome::Succeeded), &mut rng, &mut ());
//! assert!(matches!(step, Step::End(end) if end.reason == GiveUp::Done && end.tries == 2));
//! ```

pub mod admission;
pub mod backoff;
pub mod balance;
pub mod breaker;
pub mod budget;
pub mod bulkhead;
pub mod call;
pub mod classify;
pub mod codes;
pub mod conditions;
pub mod counters;
pub mod deadline;
pub mod doomed;
pub mod edge;
pub mod health;
pub mod hedge;
pub mod outlier;
pub mod quantile;
pub mod rate;
pub mod ratio;
pub mod refresh;
pub mod report;
pub mod retry;
pub mod retry_throttle;
pub mod settings;
pub mod shared;
mod sync;
mod window;

pub use admission::{Admission, AdmissionSettings};
pub use backoff::Backoff;
pub use balance::{BalanceSettings, Balancer};
pub use breaker::{Breaker, BreakerSettings, Slow};
pub use budget::{Budget, BudgetSettings, ConcurrentBudget};
pub use bulkhead::{Bulkhead, BulkheadSettings};
pub use call::{Ask, Call, End, Permit, Step, Try};
pub use codes::Codes;
pub use conditions::Conditions;
pub use counters::{Counters, HedgeEnd};
pub use doomed::DoomedSettings;
pub use edge::{Edge, Parts};
pub use health::{Health, HealthCheck, HealthSettings};
pub use hedge::{HedgeAfter, HedgeSettings, SharedHedge};
pub use outlier::OutlierSettings;
pub use quantile::{LiveQuantile, QuantileSettings};
pub use rate::{RateLimit, RateSettings};
pub use ratio::Ratio;
pub use report::{Pushback, Report};
pub use retry::{RetryRule, RetrySettings};
pub use retry_throttle::RetryThrottleSettings;
pub use settings::{CallPolicy, CrossHop};
pub use shared::{
    SharedAdmission, SharedBreaker, SharedBudget, SharedBulkhead, SharedRate, SharedRetryThrottle,
};
