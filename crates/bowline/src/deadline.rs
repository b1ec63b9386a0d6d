//! The deadline of what is being served, for every guard inside it.
//!
//! A service that answers a request within 300 ms gains nothing by asking others for longer. Put the
//! work of one request into [`scope`], and every guard in it takes the smaller of its own deadline and
//! what is left here. [`Incoming`] does the same with all that a request brings along.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! use bowline::{Spans, deadline};
//!
//! deadline::scope(300.ms(), async {
//!     tokio::time::sleep(100.ms()).await;
//!     assert_eq!(deadline::remaining(), Some(200.ms()));
//!
//!     // It never grows: the smaller one counts.
//!     deadline::scope(10.s(), async { assert_eq!(deadline::remaining(), Some(200.ms())) }).await;
//! })
//! .await;
//! assert_eq!(deadline::remaining(), None);
//! # }
//! ```

use crate::incoming::Incoming;
use std::future::Future;
use std::time::Duration;

/// Does `work` under a deadline of `within` from now, or under the one already here if that is earlier.
///
/// It does not end the work itself; the guards in it do their part. It reaches as far as the task: work
/// given to `tokio::spawn` is a task of its own and takes [`Incoming::current`] along if it should.
///
/// # Cancel safety
/// As cancel safe as `work`.
pub async fn scope<F: Future>(within: Duration, work: F) -> F::Output {
    Incoming::current().within(within).scope(work).await
}

/// What is left of the deadline here; `None` where there is none.
#[must_use]
pub fn remaining() -> Option<Duration> {
    Incoming::current().remaining()
}
