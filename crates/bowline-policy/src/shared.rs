//! The machines that remember, shared by all workers of a process.
//!
//! A breaker that each worker kept for itself would open eight times as late with eight workers, and let
//! eight times as many probes through. Here there is one for all, and it means the same with any number of
//! them. What each guarantees under every interleaving of threads is checked with loom (`tests/loom.rs`).
//!
//! Time and random numbers are still arguments. Each lock covers a few lines of arithmetic and is never held
//! while anything is called that could wait.

mod admission;
mod breaker;
mod budget;
mod bulkhead;
mod rate;
mod retry_throttle;

pub use admission::SharedAdmission;
pub use breaker::SharedBreaker;
pub use budget::SharedBudget;
pub use bulkhead::{Arrived, SharedBulkhead, Turn};
pub use rate::SharedRate;
pub use retry_throttle::SharedRetryThrottle;
