//! The seam to the machine's clock.

use std::time::{Duration, Instant};

/// How long something may take to show: a linked service tells its counters every second.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Asks until the answer is `Ok`, or too long: then the last `Err`.
pub(crate) fn until_ok<T, E>(mut ask: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    #[expect(clippy::disallowed_methods, reason = "the seam")]
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = ask();
        #[expect(clippy::disallowed_methods, reason = "the seam")]
        if answer.is_ok() || end < Instant::now() {
            return answer;
        }
        #[expect(clippy::disallowed_methods, reason = "the seam")]
        std::thread::sleep(LOOK_EVERY);
    }
}
