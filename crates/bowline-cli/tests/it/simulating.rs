//! `simulate`, `sweep` and `advise`: the same answer whoever asks and with however many threads, files beside
//! the words, and errors that say what there is.

use crate::designs::repository;
use crate::world::{Folder, bowline};
use serde_json::Value;
use std::path::PathBuf;

fn example(name: &str) -> String {
    repository().join("examples").join(name).to_str().unwrap().to_owned()
}

/// The files that a run leaves beside its page, by their names, and what it says.
fn files_of(folder: &Folder, name: &str, arguments: &[&str]) -> (Value, Vec<(String, Vec<u8>)>) {
    let page = folder.path().join(name).join("page.html");
    std::fs::create_dir_all(page.parent().unwrap()).unwrap();
    let more = ["--report", page.to_str().unwrap(), "--output", "json"];
    let ran = bowline(&[arguments, &more].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(page.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let files = files.into_iter().map(|file| {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read(file).unwrap())
    });
    (ran.json(), files.collect())
}

#[test]
fn one_seed_is_one_report_to_the_byte_over_runs_and_threads() {
    let (folder, shop) = (Folder::new(), example("shop"));
    let asked =
        |threads| ["simulate", &shop, "black-friday", "--seeds", "2", "--for", "2m", "--threads", threads];
    let (said, files) = files_of(&folder, "first", &asked("1"));
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["page.csv", "page.html", "page.json"]);
    assert!(files.iter().all(|(_, bytes)| bytes.len() > 500), "none is empty");
    for (name, threads) in [("again", "1"), ("threads", "2")] {
        let (again, others) = files_of(&folder, name, &asked(threads));
        assert_eq!(again, said, "{name}");
        for ((file, bytes), (_, other)) in files.iter().zip(&others) {
            assert!(bytes == other, "{file} differs: {name}");
        }
    }
    let (other, _) = files_of(&folder, "seed", &[&asked("1")[..], &["--seed", "7"]].concat());
    assert_ne!(
        other["experiments"][0]["arms"], said["experiments"][0]["arms"],
        "another seed is another run"
    );
}

#[test]
fn a_retry_storm_comes_out_of_nothing_and_one_try_has_none() {
    let (folder, storm) = (Folder::new(), example("retry-storm"));
    let (said, _) = files_of(&folder, "storm", &["simulate", &storm, "out-of-nothing", "--seeds", "4"]);
    let arms = said["experiments"][0]["arms"].as_array().unwrap();
    let arm =
        |name: &str| arms.iter().find(|arm| arm["name"] == name).unwrap_or_else(|| panic!("no arm {name}"));
    assert_eq!(arm("four-tries")["class"], "fails by itself");
    assert_ne!(arm("one-try")["class"], "fails by itself");
    let in_time = |name: &str| arm(name)["figures"]["acknowledged_in_time"]["mean"].as_f64().unwrap();
    assert!(in_time("four-tries") < 0.95 && 0.99 < in_time("budget"), "the budget is what is missing");
}

#[test]
fn a_sweep_marks_the_design_as_it_is_and_advice_names_the_needs() {
    let (folder, shop) = (Folder::new(), example("shop"));
    let report = folder.path().join("sweep.html");
    let sweep = bowline(&[
        "sweep",
        &shop,
        "black-friday",
        "--x",
        "load=600/s,800/s",
        "--arm",
        "sync",
        "--seeds",
        "1",
        "--for",
        "2m",
        "--report",
        report.to_str().unwrap(),
    ]);
    assert_eq!(sweep.code, 0, "{sweep:?}");
    let row = sweep.out.lines().find(|line| line.contains('[')).unwrap_or_else(|| panic!("{}", sweep.out));
    assert!(row.trim_end().ends_with(']'), "800/s is the design's own: {row}");
    assert!(report.exists());

    let advise = bowline(&["advise", &shop, "broker-down", "--seeds", "1", "--for", "90s"]);
    assert_eq!(advise.code, 0, "{advise:?}");
    for word in
        ["orders.place -> payment.authorize", "needs payment.authorize consistency strong", "opinion: "]
    {
        assert!(advise.out.contains(word), "no `{word}`:\n{}", advise.out);
    }
}

#[test]
fn what_is_asked_for_and_not_there_is_told_with_what_is() {
    let shop = example("shop");
    for (arguments, expected) in [
        (&["simulate", &shop, "nowhere"][..], "there are black-friday, broker-down"),
        (&["simulate", &shop, "black-friday", "--require", "sink"], "there are sync, async, hybrid"),
        (&["simulate", &shop], "black-friday"),
        (
            &["sweep", &shop, "broker-down", "--x", "colour=1,2"],
            "one of the knobs load, outage, timeout, tries, queue",
        ),
        (&["advise", &shop, "nowhere"], "there are black-friday"),
    ] {
        let ran = bowline(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(expected), "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn an_arm_that_is_required_and_misses_an_objective_ends_with_1() {
    let (folder, storm) = (Folder::new(), example("retry-storm"));
    let page = folder.path().join("page.html");
    let run = |arm| {
        let page = page.to_str().unwrap();
        let asked =
            ["simulate", &storm, "out-of-nothing", "--seeds", "2", "--report", page, "--require", arm];
        bowline(&asked).code
    };
    assert_eq!((run("one-try"), run("four-tries")), (0, 1));
}

/// A service that is asked 80 times a second, and what goes wrong with it.
const SOUND: &str = "kind: Service
metadata: { name: stock }
spec:
  concurrency: 1
  operations:
  - { name: take, idempotent: true, takes: { p50: 4ms, p99: 9ms } }
---
kind: Broker
metadata: { name: main }
spec: { embedded: {} }
---
kind: Topic
metadata: { name: taken }
spec: { broker: main }
---
kind: Subscription
metadata: { name: again }
spec: { topic: taken, group: stock, deliver: { operation: stock.take } }
---
kind: Scenario
metadata: { name: day }
spec:
  load: { operation: stock.take, rate: 80/s, for: 60s }
  seeds: 1
  faults: [ { at: 20s, for: 5s, service: stock, pause: {} } ]
";

/// Each verb that simulates, over the design in this file.
fn verbs(file: &str) -> [Vec<&str>; 3] {
    [
        vec!["simulate", file, "day"],
        vec!["sweep", file, "day", "--x", "load=40/s"],
        vec!["advise", file, "day", "--seeds", "1"],
    ]
}

#[test]
fn what_can_have_no_end_is_refused_by_every_verb_before_it_begins() {
    let folder = Folder::new();
    let file = folder.path().join("design.yaml");
    let path = file.to_str().unwrap().to_owned();
    let takes = "takes: { p50: 4ms, p99: 9ms }";
    let twice = "---
kind: Overlay
metadata: { name: twice }
spec:
  patches:
  - { kind: Topic, name: taken, patch: { spec: { partitions: 2 } } }
  - { kind: Topic, name: taken, patch: { spec: { partitions: 3 } } }
";
    for (what, design, expected) in [
        ("calls that lead back", SOUND.replace(takes, "does: [ { call: stock.take } ]"), "stock.take"),
        ("records that lead back", SOUND.replace(takes, "does: [ { publish: taken } ]"), "stock.take"),
        ("a rate of nothing", SOUND.replace("80/s", "0/s"), "a load of nothing"),
        ("a rate that is none", SOUND.replace("80/s", "-5/s"), "-5/s"),
        ("overlays that contradict", format!("{SOUND}{twice}"), "`spec.partitions` of `taken` a second time"),
        (
            "more than can be run",
            SOUND.replace("80/s, for: 60s", "1000000/s, for: 100h"),
            "more than 1000000000: shorten it or lower its rate",
        ),
        ("no length", SOUND.replace("for: 60s", "for: 0s"), "0s"),
    ] {
        std::fs::write(&file, design).unwrap();
        for verb in verbs(&path) {
            let ran = bowline(&verb);
            assert!(matches!(ran.code, 1 | 2), "{what}: {verb:?}: {ran:?}");
            let said = format!("{}{}", ran.out, ran.err);
            assert!(said.contains(expected), "{what}: {verb:?}: {said}");
        }
    }
}

#[test]
fn a_point_of_a_grid_that_can_have_no_end_is_refused_and_so_is_one_that_cannot_be() {
    let folder = Folder::new();
    let file = folder.path().join("design.yaml");
    std::fs::write(&file, SOUND).unwrap();
    for (axis, expected) in [
        ("load=900000000/s", "a rate must be above zero and at most 100000000/s"),
        ("load=50000000/s", "more than 1000000000: shorten it or lower its rate"),
        ("load=0/s", "load must be above zero"),
        ("tries=0", "tries are whole and at least 1"),
        ("timeout@nobody=1s", "there is no service `nobody`"),
        ("queue=1.5", "a queue's places are whole"),
    ] {
        let ran = bowline(&["sweep", file.to_str().unwrap(), "day", "--x", axis]);
        assert_eq!(ran.code, 2, "{axis}: {ran:?}");
        assert!(ran.err.contains(expected), "{axis}: {}", ran.err);
    }
}

#[test]
fn a_fault_that_a_shorter_load_leaves_out_is_told_and_gives_no_advice() {
    let folder = Folder::new();
    let file = folder.path().join("design.yaml");
    std::fs::write(&file, SOUND).unwrap();
    let ran = bowline(&["advise", file.to_str().unwrap(), "day", "--seeds", "1", "--for", "10s"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.err.contains("note: day: pause at 20s is left out: the load ends after 10s"), "{}", ran.err);
    assert!(
        ran.out.contains("no scenario here has one") && !ran.out.contains("outage of 0 s"),
        "{}",
        ran.out
    );
}
