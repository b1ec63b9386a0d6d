//! The model of a resolved design.

use bowline_design::resolved::Design;
use bowline_design::{Text, read, resolve_arm};
use bowline_sim::{FaultEvent, Model, Run, RunSpec, run};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

const SHOP: [(&str, &str); 6] = [
    ("overlays.yaml", include_str!("../../../../examples/shop/design/overlays.yaml")),
    ("policies.yaml", include_str!("../../../../examples/shop/design/policies.yaml")),
    ("routes.yaml", include_str!("../../../../examples/shop/design/routes.yaml")),
    ("scenarios.yaml", include_str!("../../../../examples/shop/design/scenarios.yaml")),
    ("services.yaml", include_str!("../../../../examples/shop/design/services.yaml")),
    ("topics.yaml", include_str!("../../../../examples/shop/design/topics.yaml")),
];

fn shop(overlay: Option<&str>) -> Design {
    let texts = SHOP.map(|(name, text)| Text { name: name.into(), text: text.to_owned() });
    resolve_arm(&read(&texts), overlay).unwrap()
}

fn simulate(overlay: Option<&str>, name: &str, length: u64) -> Run {
    let design = shop(overlay);
    let scenario = design.scenario(name).unwrap();
    let model = Model::of(&design, scenario).unwrap();
    if std::env::var_os("PRINT").is_some() {
        for s in model.assumptions() {
            println!("  {s}");
        }
    }
    let faults = FaultEvent::of(&design, scenario);
    let spec = RunSpec::new(Arc::new(model), 7, scenario.warm_up.value, Duration::from_secs(length)).unwrap();
    run(&spec.with_faults(faults).unwrap(), &mut |_| ControlFlow::Continue(()))
}

#[test]
fn print() {
    for scenario in ["black-friday", "broker-down", "stuck-consumer", "sustained-overload"] {
        for arm in [None, Some("async"), Some("hybrid")] {
            let t = std::time::Instant::now();
            let run = simulate(arm, scenario, 150);
            println!("{scenario} {arm:?} {:?} events {} in {:?}", run.ending, run.events, t.elapsed());
            println!("  {:?} conserved {}", run.fates, run.fates.is_conserved());
            for (n, h) in [
                ("ans", &run.clocks.answered),
                ("ack", &run.clocks.acknowledged),
                ("comp", &run.clocks.completed),
                ("stale", &run.clocks.staleness),
            ] {
                println!(
                    "  {n} {} p50 {:?} p99 {:?} max {:?}",
                    h.count(),
                    h.quantile(0.5),
                    h.quantile(0.99),
                    h.max()
                );
            }
            println!("  work/req {} p99 {:?}", run.work_per_request_milli(), run.attribution.p99);
            for e in &run.edges {
                println!("   edge calls {} ok {} tries {} {:?}", e.calls, e.succeeded, e.tries, e.ends);
            }
            println!(
                "   {:?}",
                run.subscriptions
                    .iter()
                    .map(|s| (s.delivered, s.redelivered, s.processed, s.dead, s.backlog_max, s.lag.max()))
                    .collect::<Vec<_>>()
            );
        }
    }
}
