//! Equal decisions: the driver that production calls with and the simulator, on one script.
//!
//! What the world answers is a model's in the one and a socket's in the other; what Bowline does about it must
//! be the same, decision by decision, number by number, to the nanosecond. So the script is drawn (faults of the
//! world, policies, faults of the policies), the simulator runs it, and the client of [`bowline_call`] runs it
//! again over real connections, on a clock that moves when everybody has said what there was to say.
//!
//! - [`script`]: what is drawn, and the simulator's run of it
//! - [`production`]: the client's

mod production;
mod script;

use bowline_model::Decision;
use bowline_model::decision::TryEnd;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use script::Script;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// How many scripts are drawn; each is some forty calls.
const SCRIPTS: u32 = 120;

#[test]
fn production_decides_what_the_simulator_decides() {
    // A seed of its own each time, and printed: `BOWLINE_TEST_SEED` draws the same scripts again.
    let seed = std::env::var("BOWLINE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("BOWLINE_TEST_SEED={seed}");
    let bytes: Vec<u8> = seed.to_le_bytes().repeat(4);
    let config = Config { cases: SCRIPTS, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let met = RefCell::new(BTreeMap::new());
    let held = runner.run(&script::any(), |script| {
        let Some(simulated) = script.simulated() else { return Err(TestCaseError::reject("a tie")) };
        let produced = production::decisions(&script, &simulated);
        for (number, (simulated, produced)) in simulated.iter().zip(&produced).enumerate() {
            prop_assert_eq!(&simulated.decisions, produced, "call {}", number);
        }
        count(&simulated, &mut met.borrow_mut());
        Ok(())
    });
    held.unwrap_or_else(|why| panic!("BOWLINE_TEST_SEED={seed}: {why}"));
    // Scripts that exercise nothing prove nothing.
    let met = met.into_inner();
    for kind in [
        "DeadlineSet",
        "BreakerMoved",
        "BreakerRefused",
        "RetryScheduled",
        "FaultInjected",
        "GaveUp",
        "Answered",
        "TimedOut",
        "DeadlineExceeded",
        "Reset",
        "ConnectFailed",
    ] {
        assert!(met.get(kind).is_some_and(|count| 10 < *count), "{kind} hardly ever happened: {met:?}");
    }
}

/// Counts what happened, by its name.
fn count(calls: &[script::Simulated], met: &mut BTreeMap<String, u32>) {
    for (_, decision) in calls.iter().flat_map(|call| &call.decisions) {
        let name = |text: String| text.split([' ', '{', '(']).next().unwrap_or_default().to_owned();
        *met.entry(name(format!("{decision:?}"))).or_default() += 1;
        if let Decision::TryEnded { end, .. } = decision {
            *met.entry(name(format!("{end:?}"))).or_default() += 1;
        }
    }
}

#[test]
fn a_try_that_is_held_back_meets_the_world_as_it_is_when_it_is_sent() {
    let script = Script::held_back_beyond_a_cut();
    let simulated = script.simulated().unwrap();
    let produced = production::decisions(&script, &simulated);
    for (simulated, produced) in simulated.iter().zip(&produced) {
        assert_eq!(&simulated.decisions, produced);
        let answered = |(_, decision): &(_, Decision)| {
            matches!(decision, Decision::TryEnded { end: TryEnd::Answered { status: 200 }, .. })
        };
        assert!(produced.iter().any(answered), "{produced:?}");
    }
}

#[test]
fn a_script_on_which_they_differ_is_noticed() {
    let script = Script::plain();
    let simulated = script.simulated().unwrap();
    // The same calls over a policy that tries once more.
    let mut other = script;
    other.policy.retry.tries += 1;
    let produced = production::decisions(&other, &simulated);
    assert!(simulated.iter().zip(&produced).any(|(simulated, produced)| &simulated.decisions != produced));
}
