//! Advice: every way of every call, by what the operations need.

use crate::scenarios::{DESIGN, SCENARIO};
use bowline_design::{Text, load, read};
use bowline_sim::advise::{Advice, Way, advise};
use bowline_sim::experiment::Options;
use bowline_sim::objectives::Standing;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;

fn advice(yaml: &str, threads: usize) -> Advice {
    let texts = [Text { name: "design.yaml".into(), text: yaml.to_owned() }];
    let threads = NonZeroUsize::new(threads).unwrap();
    let mut go_on = |_| ControlFlow::Continue(());
    advise(&read(&texts), &["friday"], &Options::default(), threads, &mut go_on).unwrap()
}

#[test]
fn each_way_of_each_call_is_run_and_judged_by_the_needs() {
    let advice = advice(&format!("{DESIGN}{SCENARIO}"), 2);
    let calls: Vec<&str> = advice.calls.iter().map(|call| &*call.name).collect();
    assert_eq!(calls, ["(way in) -> orders.place", "orders.place -> stock.take"]);
    let [way_in, inside] = advice.calls.as_slice() else { panic!("two calls") };
    let standings = |call: usize, way: usize| {
        advice.calls[call].ways[way].needs.iter().map(|need| need.standing).collect::<Vec<_>>()
    };
    use Standing::{Met, Missed};
    // One in twelve fails while stock is down: an answer in time is missed by whoever waits for stock.
    assert_eq!(standings(0, 0), [Missed, Met, Met, Missed]);
    assert_eq!(standings(1, 0), [Missed, Met, Met, Missed]);
    assert_eq!(standings(1, 2), [Met, Met, Met, Met]);
    assert_eq!(inside.ways[1].way, Way::Hybrid);
    assert!(inside.ways[1].impossible.is_some());
    // Two services for an answer by calls, the broker alone for a 202, and either for both.
    let up: Vec<usize> = way_in.ways.iter().map(|way| way.must_be_up).collect();
    assert_eq!(up, [2, 1, 1]);
    assert!((way_in.ways[0].availability - 0.999 * 0.999).abs() < 1e-12);
    assert_eq!(way_in.now, Way::Sync);
    // The design has an overlay for it, and none for both at once.
    assert_eq!(way_in.ways[2].says, "# as the overlay async says\n");
    assert!(way_in.ways[1].says.contains("otherwise: { publish: { topic: orders-place } }"));
    assert_eq!(inside.opinion, "async: it meets 4 of 4 needs, where sync, as it is, meets 2 of 4");
    let text = advice.text();
    assert!(text.rfind("opinion:").unwrap() > text.rfind("would need").unwrap(), "opinion last: {text}");
}

#[test]
fn what_is_advised_can_be_written_down() {
    let advice = advice(&format!("{DESIGN}{SCENARIO}"), 2);
    let check = |design: &str, says: &str| {
        let text = Text { name: "design.yaml".into(), text: format!("{design}{says}") };
        let texts = [text];
        if let Err(mistakes) = load(&texts) {
            panic!("{}", mistakes.iter().map(|mistake| mistake.render(&texts, false)).collect::<String>());
        }
    };
    check(DESIGN, &advice.calls[1].ways[2].says);
    // The advised intake takes the place of the one there is, and its overlay has nothing to patch then.
    let from = DESIGN.find("kind: Intake").unwrap();
    check(&DESIGN[..from], &advice.calls[0].ways[1].says);
}

#[test]
fn who_needs_strong_consistency_is_called() {
    let design = DESIGN.replace("needs: { answerWithin: 250ms }", "needs: { consistency: strong }");
    let scenario = SCENARIO.replace("  faults: [ { at: 20s, for: 10s, service: stock, crash: {} } ]\n", "");
    let advice = advice(&format!("{design}{scenario}").replace("for: 120s", "for: 30s"), 2);
    let inside = &advice.calls[1];
    assert_eq!(inside.opinion, "stay sync: it meets 4 of 4 needs, and no other way more");
    let strong = inside.ways[2].needs.last().unwrap();
    assert_eq!((&*strong.need, strong.standing), ("stock.take consistency strong", Standing::Missed));
}

#[test]
fn advice_is_the_same_on_any_number_of_threads() {
    let yaml = format!("{DESIGN}{SCENARIO}").replace("for: 120s", "for: 40s");
    let (one, two) = (advice(&yaml, 1), advice(&yaml, 2));
    assert_eq!((one.text(), one.json()), (two.text(), two.json()));
}
