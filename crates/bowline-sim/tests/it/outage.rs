//! The table that the choice between designs turns on: one outage, seven designs, two seeds.
//!
//! `UPDATE_GOLDEN=1` writes the golden table anew. Whoever does looks at what moved, and why: the closed forms below
//! hold for either.

use bowline_sim::definitions::Recovery;
use bowline_sim::experiment::{ArmPlan, Column, Experiment, FaultWords, Plan};
use bowline_sim::hero;
use bowline_sim::run::Limits;
use bowline_sim::stats::Value;
use bowline_sim::validate::outage::{FAULT, LENGTH, PATIENCE, designs, fault};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn table(seed: u64) -> Experiment {
    let arm = |(name, model): (&str, bowline_sim::Model)| ArmPlan {
        name: name.to_owned(),
        overlay: None,
        model: Arc::new(model),
        faults: vec![fault()],
        objectives: Vec::new(),
        needs: Vec::new(),
    };
    let arms: Vec<ArmPlan> = designs().into_iter().map(arm).collect();
    let plan = Plan {
        name: "outage".to_owned(),
        faults: vec![FaultWords::of(&arms[0].model, &fault(), Duration::ZERO)],
        arms,
        seeds: vec![seed],
        warm_up: Duration::ZERO,
        length: LENGTH,
        drain: Duration::from_secs(60),
        limits: Limits::default(),
        within: PATIENCE,
        load: "800/s".to_owned(),
    };
    plan.run(NonZeroUsize::new(2).unwrap(), &mut |_| ControlFlow::Continue(())).unwrap()
}

#[track_caller]
fn near(experiment: &Experiment, arm: &str, column: Column, expected: f64, off: f64) {
    let found = experiment.arms.iter().find(|each| each.name == arm).unwrap();
    let Value::Known(value) = found.figure(column).values[0] else {
        panic!("{arm}: {:?}", found.figure(column).values)
    };
    let seed = experiment.seeds[0];
    assert!((value - expected).abs() <= off, "seed {seed}, {arm}: {value}, expected {expected} +-{off}");
}

#[test]
fn seven_designs_bear_one_outage_as_the_golden_table_says_and_arithmetic_demands() {
    let mut found = String::new();
    for seed in [7, 11] {
        let table = table(seed);
        found.push_str(&format!("seed {seed}\n{}\n", hero::text(&table)));
        // 800/s, 1000/s, 10 s. Backlog λT, give or take four standard deviations of what arrives in 10 s.
        near(&table, "async", Column::Backlog, 8_000.0, 360.0);
        // Drain λT / (μ - λ); with a tenth of retries 8800 / (1000 - 880).
        near(&table, "no retry", Column::Recovery, 40.0, 8.0);
        near(&table, "budget", Column::Recovery, 73.3, 12.0);
        // Four tries of 800 are 3200 a second of 1000: not back, for as long as anybody watches.
        let storm = table.arms.iter().find(|arm| arm.name == "3 retries").unwrap();
        assert_eq!(storm.recoveries, [Recovery::Metastable { watched: LENGTH - FAULT.0 - FAULT.1 }]);
        assert!(table.arms.iter().all(|arm| arm.first.fates.is_conserved()), "seed {seed}");
        // One population: each design is asked by the same customers.
        assert!(table.arms.windows(2).all(|pair| pair[0].arrived == pair[1].arrived), "seed {seed}");
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/outage.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(expected == found, "{} differs; UPDATE_GOLDEN=1 writes it anew\n{found}", golden.display());
}
