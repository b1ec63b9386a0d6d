//! What goes over the link, version 1: JSON with the unit in each name.
//!
//! Two messages. [`Guards`] goes down to the library: the design's values and faults for the guards of
//! one service. [`Report`] comes up: what the guards counted and decided. Both directions are read and
//! written here, because the other side of the link uses this module too.
//!
//! ```text
//! GET  /v1/link/guards?service=orders&since=REVISION&wait=30s     Authorization: Bearer TOKEN
//!      200 Guards, as soon as the revision is another than `since`
//!      204 nothing new within `wait`
//! POST /v1/link/report                                            Authorization: Bearer TOKEN
//!      2xx taken
//! ```
//!
//! Rules of the version: a reader ignores fields it does not know and refuses a higher version; a field
//! never changes its meaning or its unit. Golden files in `tests/golden/` hold both messages.
//!
//! ```
//! use bowline::link::format::{Guard, Guards};
//! use std::time::Duration;
//!
//! let guards = Guards {
//!     revision: "7".into(),
//!     guards: vec![Guard { deadline: Some(Duration::from_millis(300)), ..Guard::named("inventory") }],
//! };
//! let text = guards.to_json();
//! assert_eq!(text, r#"{"guards":[{"deadline_ms":300,"name":"inventory"}],"revision":"7","version":1}"#);
//! assert_eq!(Guards::parse(text.as_bytes()).unwrap(), guards);
//! ```

mod guards;
mod json;
mod report;
mod state;

pub use guards::{Guard, Guards};
pub use json::FormatError;
pub use report::{GuardReport, Line, Report, TrailReport};
pub use state::StateKeys;

/// The version of both messages.
pub const VERSION: u64 = 1;

/// Where the library asks for the values of its guards.
pub const GUARDS_PATH: &str = "/v1/link/guards";

/// Where the library reports.
pub const REPORT_PATH: &str = "/v1/link/report";
