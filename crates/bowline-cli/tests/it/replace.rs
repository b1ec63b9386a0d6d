//! `bowline up --replace`: a new process takes over without a failed request.

use crate::callee::Callee;
use crate::clock::until;
use crate::designs::{Shop, rules, service, small};
use crate::http;
use crate::load::Load;
use crate::world::{Ports, Up, bowline_reading, is_alive, nothing_is_left, port};
use rustix::process::Signal;

#[test]
fn a_process_is_replaced_under_load_without_a_failed_request() {
    let gateway = port();
    let design = rules(
        "  - name: all\n    route: [ { destination: { host: stock } } ]\n    timeout: 10s\n    retries: { attempts: 0 }\n",
    ) + &service("stock", Callee::saying("stock").port, "");
    let folder = small(gateway, &design);
    let ports = Ports { gateway, ..Ports::new() };
    let mut old = Up::ready(&folder, ports, &[]);
    let load = Load::start(gateway, "/");
    let watcher = Load::start(ports.api, "/readyz");
    load.goes_on(200);
    for _ in 0..3 {
        let new = Up::ready(&folder, ports, &["--replace"]);
        load.goes_on(200);
        // Without services to keep there is no reason to stay.
        assert_eq!(old.ended().code(), Some(0));
        let stopped = old.event("its end", |event| event["event"] == "stopped");
        assert_eq!(stopped["cut"], 0);
        assert!(new.runs());
        old = new;
    }
    load.finish().is_well("over three replacements");
    watcher.finish().is_well("to the local API over three replacements");
}

#[test]
fn services_go_on_running_and_everything_stops_with_the_new_process() {
    let shop = Shop::new();
    let ports = Ports::new();
    let old = Up::ready(&shop.folder, ports, &[]);
    let pids = old.pids();
    let load = Load::start(ports.gateway, "/inventory/stock");
    load.goes_on(50);

    let new = Up::ready(&shop.folder, ports, &["--replace"]);
    load.goes_on(50);
    assert_eq!(new.order(&[]).status(), 201);
    assert!(pids.iter().all(|pid| is_alive(*pid)), "the same processes");
    assert_eq!(http::get(ports.api, "/readyz").status(), 200);
    load.finish().is_well("over a replacement");

    new.signal(Signal::TERM);
    assert_eq!(new.ended().code(), Some(0));
    assert_eq!(old.ended().code(), Some(0), "the steward ends with it");
    nothing_is_left(&pids, &[&shop.ports[..], &[ports.gateway, ports.api, ports.mesh]].concat());
}

#[test]
fn a_new_process_that_is_killed_takes_the_steward_and_the_services_with_it() {
    let shop = Shop::new();
    let ports = Ports::new();
    let old = Up::ready(&shop.folder, ports, &[]);
    let pids = old.pids();
    let new = Up::ready(&shop.folder, ports, &["--replace"]);
    new.signal(Signal::KILL);
    new.ended();
    old.ended();
    nothing_is_left(&pids, &[&shop.ports[..], &[ports.gateway, ports.api, ports.mesh]].concat());
}

#[test]
fn the_new_process_alone_answers_the_local_api_and_the_library_finds_it() {
    let shop = Shop::new();
    let ports = Ports::new();
    let old = Up::ready(&shop.folder, ports, &[]);
    assert_eq!(old.order(&[]).status(), 201);
    let new = Up::ready(&shop.folder, ports, &["--replace"]);
    old.event("the hand-over", |event| event["event"] == "handed-over");
    for _ in 0..20 {
        assert_eq!(new.status()["pid"], new.pid(), "the old process still answers");
    }

    // Faults reach the services that the old process started.
    until("orders reports to the new process", || {
        new.order(&[]);
        !new.status()["guards"].as_array().unwrap().is_empty()
    });
    assert_eq!(new.verb(&["fault", "add", "inventory.allocate", "--error", "503"]).code, 0);
    assert_eq!(new.order(&[]).status(), 503);
}

#[test]
fn a_third_process_goes_on_with_the_services_of_the_first() {
    let shop = Shop::new();
    let ports = Ports::new();
    let first = Up::ready(&shop.folder, ports, &[]);
    let pids = first.pids();
    let second = Up::ready(&shop.folder, ports, &["--replace"]);
    let third = Up::ready(&shop.folder, ports, &["--replace"]);
    assert_eq!(third.order(&[]).status(), 201);
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    assert_eq!(second.ended().code(), Some(0), "the second keeps nothing that the third needs");
    assert!(first.runs(), "the first is the services' parent");
    assert!(pids.iter().all(|pid| is_alive(*pid)));

    third.signal(Signal::INT);
    assert_eq!(third.ended().code(), Some(0));
    assert_eq!(first.ended().code(), Some(0));
    nothing_is_left(&pids, &[&shop.ports[..], &[ports.gateway, ports.api, ports.mesh]].concat());
}

#[test]
fn a_service_that_the_steward_keeps_is_started_again_when_it_dies() {
    let shop = Shop::new();
    let ports = Ports::new();
    let old = Up::ready(&shop.folder, ports, &[]);
    let pid = old.pid_of("inventory");
    let new = Up::ready(&shop.folder, ports, &["--replace"]);
    crate::world::signal_to(pid, Signal::KILL);
    until("the old process ends", || !is_alive(pid));
    until("another one answers", || new.order(&[]).status() == 201);
    drop(old);
}

#[test]
fn a_service_whose_command_changed_is_started_anew_after_the_hand_over() {
    let shop = Shop::new();
    let ports = Ports::new();
    let old = Up::ready(&shop.folder, ports, &[]);
    let inventory = old.pid_of("inventory");
    let others: Vec<u32> = old.pids().into_iter().filter(|pid| *pid != inventory).collect();
    // The file is read by the new process alone.
    old.signal(Signal::STOP);
    shop.edit("services.yaml", "args: [ inventory,", "args: [ inventory, --verbose,");
    let new = Up::start(&shop.folder, ports, &["--replace", "--output", "json"]);
    old.signal(Signal::CONT);
    new.event("ready", |event| event["event"] == "ready");
    until("the old inventory has stopped", || !is_alive(inventory));
    until("the new inventory answers", || new.order(&[]).status() == 201);
    assert!(others.iter().all(|pid| is_alive(*pid)), "nobody else is disturbed");
    assert!(!new.events().iter().any(|event| event["event"] == "hindered"), "{}", new.screen());
    assert_eq!((old.complaints(), new.complaints()), (String::new(), String::new()));
    let log = std::fs::read_to_string(shop.folder.path().join(".bowline/logs/inventory.log")).unwrap();
    assert!(log.contains("inventory: POST /allocations"), "{log}");

    new.signal(Signal::TERM);
    assert_eq!(new.ended().code(), Some(0));
    assert_eq!(old.ended().code(), Some(0));
    nothing_is_left(&others, &[&shop.ports[..], &[ports.gateway, ports.api, ports.mesh]].concat());
}

#[test]
fn a_design_with_a_mistake_replaces_nothing() {
    let gateway = port();
    let design = rules("  - name: all\n    directResponse: { status: 200, body: { string: here } }\n");
    let folder = small(gateway, &design);
    let ports = Ports { gateway, ..Ports::new() };
    let old = Up::ready(&folder, ports, &[]);
    folder.edit("design.yaml", "status: 200", "status: two");
    let new = Up::start(&folder, ports, &["--replace"]);
    assert_eq!(new.ended().code(), Some(1));
    assert!(new.screen().contains("design.yaml:"), "{}", new.screen());
    assert!(old.runs());
    assert_eq!(old.ask("GET", "/", &[], "").text(), "here");
}

#[test]
fn a_design_that_never_came_replaces_nothing() {
    let gateway = port();
    let design = rules("  - name: all\n    directResponse: { status: 200, body: { string: here } }\n");
    let folder = small(gateway, &design);
    let ports = Ports { gateway, ..Ports::new() };
    let old = Up::ready(&folder, ports, &[]);
    // A pipe whose writer failed: nothing is a valid design of nothing, and would close every door.
    let api = format!("127.0.0.1:{}", ports.api);
    let data = folder.path().join(".bowline");
    for input in ["", "\n---\n# nothing\n"] {
        let ran = bowline_reading(
            &["up", "-", "--replace", "--api", &api, "--data", data.to_str().unwrap()],
            input,
        );
        assert_ne!(ran.code, 0, "{ran:?}");
        assert!((ran.out.clone() + &ran.err).contains("standard input is empty"), "{ran:?}");
        assert!(old.runs());
        assert_eq!(old.ask("GET", "/", &[], "").text(), "here");
    }
}

#[test]
fn ctrl_c_stops_the_services_that_an_earlier_process_started() {
    let shop = Shop::new();
    let ports = Ports::new();
    let old = Up::ready(&shop.folder, ports, &[]);
    let pids = old.pids();
    let new = Up::ready(&shop.folder, ports, &["--replace"]);
    assert!(pids.iter().all(|pid| is_alive(*pid)), "the same processes");
    // A terminal signals the group in the foreground: the new process, and none that the old one started.
    new.signal(Signal::INT);
    assert_eq!(new.ended().code(), Some(0));
    assert_eq!(old.ended().code(), Some(0), "the steward ends with it");
    nothing_is_left(&pids, &[&shop.ports[..], &[ports.gateway, ports.api, ports.mesh]].concat());
}

#[test]
fn without_a_predecessor_replace_just_starts() {
    let gateway = port();
    let design = rules("  - name: all\n    directResponse: { status: 200, body: { string: here } }\n");
    let folder = small(gateway, &design);
    let up = Up::ready(&folder, Ports { gateway, ..Ports::new() }, &["--replace"]);
    assert_eq!(up.ask("GET", "/", &[], "").text(), "here");
}

#[test]
fn what_is_broken_on_purpose_stays_so() {
    let gateway = port();
    let design = rules("  - name: all\n    route: [ { destination: { host: stock } } ]\n")
        + &service("stock", Callee::saying("stock").port, "");
    let folder = small(gateway, &design);
    let ports = Ports { gateway, ..Ports::new() };
    let old = Up::ready(&folder, ports, &[]);
    assert_eq!(old.verb(&["fault", "add", "stock", "--error", "418"]).code, 0);
    let new = Up::ready(&folder, ports, &["--replace"]);
    assert_eq!(old.ended().code(), Some(0));
    assert_eq!(new.ask("GET", "/", &[], "").status(), 418);
    assert_eq!(new.verb(&["fault", "clear", "stock"]).code, 0);
    assert_eq!(new.ask("GET", "/", &[], "").status(), 200);
}
