//! Sweeps: the design's own point, the border between what recovers and what does not, and what is refused.

use crate::experiment::{Way, plan};
use bowline_sim::definitions::Class;
use bowline_sim::experiment::Plan;
use bowline_sim::run::Limits;
use bowline_sim::sweep::{Axis, Knob, Map, Setting, SweepError, sweep};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;

fn axis(knob: Knob, values: &[f64]) -> Axis {
    Axis { knob, at: None, values: values.to_vec() }
}

fn map(plan: &Plan, x: &Axis, y: Option<&Axis>, threads: usize) -> Result<Map, SweepError> {
    sweep(plan, 0, x, y, NonZeroUsize::new(threads).unwrap(), &mut |_| ControlFlow::Continue(()))
}

fn retrying(length: u64) -> Plan {
    plan(&[("3 retries", Way { tries: 4, ..Way::default() })], &[7, 11], length)
}

#[test]
fn the_map_tells_what_recovers_from_what_does_not() {
    // 200 a second are managed. Asked 20 times a second, four tries each are 80, and what piled up, 800, drains
    // in 7 s. Asked 40 times, they are 160: 1600 drain in 40 s, in the place of the 2.5 s without retries. Asked
    // 160 times, they are 640, and it never does. Asked 240 times, it does not keep up even without a fault.
    let plan = Plan { seeds: vec![7], ..retrying(240) };
    let map = map(&plan, &axis(Knob::Load, &[20.0, 40.0, 240.0]), None, 2).unwrap();
    let classes: Vec<Class> = map.cells.iter().map(|cell| cell.class).collect();
    assert_eq!(map.x.values, [20.0, 40.0, 160.0, 240.0].map(Setting::At));
    let expected = [Class::Stable, Class::Vulnerable, Class::Metastable, Class::FailsByItself];
    assert_eq!(classes, expected, "{}", map.text());
    let time = |cell: usize| map.cells[cell].recovery.mean.unwrap();
    assert!((4.0..=10.0).contains(&time(0)) && (32.0..=48.0).contains(&time(1)), "{}", map.text());
    assert_eq!(map.x.own, 2);
    let text = map.text();
    assert!(text.contains("[M]") && text.contains(" x"), "{text}");
}

#[test]
fn a_map_is_the_same_on_any_number_of_threads_and_whichever_axis_is_across() {
    let plan = plan(&[("no retry", Way { tries: 1, ..Way::default() })], &[7, 11], 150);
    let (outage, tries) = (axis(Knob::Outage, &[1.0]), axis(Knob::Tries, &[2.0]));
    let one = map(&plan, &outage, Some(&tries), 1).unwrap();
    let two = map(&plan, &outage, Some(&tries), 2).unwrap();
    assert_eq!((one.text(), one.json()), (two.text(), two.json()));
    let turned = map(&plan, &tries, Some(&outage), 2).unwrap();
    assert_eq!((one.x.values.len(), one.y.as_ref().unwrap().values.len()), (2, 2));
    for x in 0..2 {
        for y in 0..2 {
            let (cell, other) = (one.cell(x, y).unwrap(), turned.cell(y, x).unwrap());
            assert_eq!((cell.x, cell.y), (other.y.unwrap(), Some(other.x)));
            assert_eq!(cell.recoveries, other.recoveries);
        }
    }
    // The drain law along the axis: a second's outage leaves a tenth of the drain of ten.
    let drain = |x: usize| one.cell(x, 0).unwrap().recovery.mean.unwrap();
    assert!(drain(0) <= 8.0 && (30.0..=50.0).contains(&drain(1)), "{}", one.text());
}

#[test]
fn the_design_is_marked_whichever_knob_is_turned() {
    for knob in Knob::ALL {
        // An endless queue, tries and timeouts that differ from call to call, faults of two lengths.
        let mut plan = plan(&[("two calls", Way { tries: 2, ..Way::default() })], &[7], 2);
        plan.warm_up = std::time::Duration::from_secs(1);
        let arm = &mut plan.arms[0];
        let mut first = arm.faults[0].clone();
        first.length = Some(std::time::Duration::from_secs(1));
        arm.faults.push(first);
        arm.model = std::sync::Arc::new(two_calls());
        let map = map(&plan, &axis(knob, &[1.0, 3.0]), None, 1).unwrap();
        let own = map.x.values[map.x.own];
        assert_eq!(own == Setting::AsItIs, knob != Knob::Load, "{knob:?}");
        let text = map.text();
        assert_eq!(text.matches('[').count(), 2, "{knob:?}: one cell and the legend\n{text}");
        assert_eq!(text.contains("  as it is "), knob != Knob::Load, "{knob:?}\n{text}");
        assert_eq!(map.cells[map.x.own].x, own);
        let page = bowline_sim::report::map(&map, "design", &Default::default());
        assert!(page.contains("(the design as it is)"), "{knob:?}");
    }
}

/// A server asked in two ways, under policies of their own.
fn two_calls() -> bowline_sim::Model {
    use bowline_policy::{CallPolicy, RetrySettings};
    use bowline_sim::model::{Do, EdgeSpec, EntrySpec, EntryTo, ServiceSpec};
    let mut model = bowline_sim::Model::builder();
    let server = model.service(ServiceSpec::new("server"));
    let work = vec![Do::Work(bowline_sim::Dist::Constant(std::time::Duration::from_millis(5)))];
    let serve = model.serve(server, "serve", work);
    for (name, tries) in [("one", 1), ("two", 2)] {
        let per_try = Some(std::time::Duration::from_millis(100 * u64::from(tries)));
        let retry = RetrySettings { per_try, ..RetrySettings::tries(tries) };
        let policy = CallPolicy { retry, ..CallPolicy::default() };
        let edge = model.edge(EdgeSpec { policy, ..EdgeSpec::new(name, serve) });
        let arrivals = bowline_sim::Arrivals::Constant { rate: 10.0 };
        model.entry(EntrySpec { name: name.into(), to: EntryTo::Call(edge), arrivals, clients: 1 });
    }
    model.build().unwrap()
}

#[test]
fn a_grid_that_cannot_be_is_refused() {
    let plan = retrying(60);
    let refused = |x: &Axis, y: Option<&Axis>| map(&plan, x, y, 1).unwrap_err().to_string();
    let load = axis(Knob::Load, &[100.0]);
    for (axis, message) in [
        (axis(Knob::Load, &[0.0]), "load must be above zero, not 0"),
        (axis(Knob::Load, &[f64::NAN]), "load must be above zero, not NaN"),
        (axis(Knob::Tries, &[1.5]), "tries are whole and at least 1, not 1.5"),
        (axis(Knob::Tries, &[0.0]), "tries are whole and at least 1, not 0"),
        (axis(Knob::Queue, &[-1.0]), "a queue's places are whole, not -1"),
        (axis(Knob::Outage, &[]), "outage takes 1 to 64 values, not 0"),
        (Axis { at: Some("nobody".to_owned()), ..axis(Knob::Queue, &[1.0]) }, "there is no service `nobody`"),
    ] {
        assert_eq!(refused(&axis, None), message);
    }
    assert_eq!(refused(&load, Some(&load)), "load is turned on both axes");
    let faster = refused(&axis(Knob::Load, &[9e8]), None);
    assert_eq!(faster, "a rate must be above zero and at most 100000000/s, not 900000000/s");
    let endless = refused(&axis(Knob::Load, &[5e7]), None);
    assert!(endless.ends_with("more than 1000000000: shorten it or lower its rate"), "{endless}");
    let mut calm = plan.clone();
    calm.arms[0].faults.clear();
    let none = map(&calm, &axis(Knob::Outage, &[1.0]), None, 1).unwrap_err().to_string();
    assert_eq!(none, "the scenario has no fault whose length could be turned");
}

#[test]
fn a_run_without_an_end_ends_the_sweep() {
    let limits = Limits { events_max: 20_000, ..Limits::default() };
    let plan = Plan { limits, seeds: vec![7], ..retrying(600) };
    let said = map(&plan, &axis(Knob::Load, &[20.0]), None, 2).expect_err("it takes more").to_string();
    assert!(said.starts_with("seed 7: after 20") && said.contains("as many as a run may take"), "{said}");
}
