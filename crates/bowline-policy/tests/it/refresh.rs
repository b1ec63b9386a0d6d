//! When a name is looked up again.

use bowline_model::{Instant, SplitMix64};
use bowline_policy::Ratio;
use bowline_policy::refresh::{Refresh, RefreshSettings};
use proptest::prelude::*;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const EXACT: RefreshSettings = RefreshSettings {
    least: SECOND,
    most: Duration::from_secs(300),
    jitter: Ratio::ZERO,
    failed: SECOND,
    failed_most: Duration::from_secs(30),
};

#[test]
fn an_answer_holds_as_long_as_it_says_within_bounds() {
    let mut rng = SplitMix64::new(1);
    let mut refresh = Refresh::new(EXACT);
    for (ttl, held) in [(0, 1), (1, 1), (30, 30), (300, 300), (86_400, 300)] {
        let next = refresh.learned(Instant::ZERO, SECOND * ttl, &mut rng);
        assert_eq!(next.since(Instant::ZERO), SECOND * held, "{ttl}");
    }
}

#[test]
fn after_a_failure_it_asks_again_soon_and_less_and_less_often() {
    let mut rng = SplitMix64::new(1);
    let mut refresh = Refresh::new(EXACT);
    let waits: Vec<u64> =
        (0..7).map(|_| refresh.failed(Instant::ZERO, &mut rng).since(Instant::ZERO).as_secs()).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
    refresh.learned(Instant::ZERO, SECOND, &mut rng);
    assert_eq!(
        refresh.failed(Instant::ZERO, &mut rng).since(Instant::ZERO),
        SECOND,
        "an answer ends the row"
    );
}

proptest! {
    /// Never later than the answer holds, and at most a tenth earlier.
    #[test]
    fn chance_only_ever_asks_earlier(seed in any::<u64>(), ttl in 1_u64..300) {
        let mut rng = SplitMix64::new(seed);
        let settings = RefreshSettings { jitter: Ratio::percent(10), ..EXACT };
        let next = Refresh::new(settings).learned(Instant::ZERO, SECOND * ttl as u32, &mut rng);
        let held = next.since(Instant::ZERO);
        prop_assert!(held <= Duration::from_secs(ttl) && Duration::from_millis(ttl * 899) <= held, "{held:?}");
    }
}
