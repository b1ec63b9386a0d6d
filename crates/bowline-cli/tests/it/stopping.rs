//! Nothing is left running, however it ends; and two do not run over each other.

use crate::designs::{self, Shop};
use crate::http;
use crate::world::{Ports, Up, nothing_is_left, port};
use rustix::process::Signal;
use std::net::TcpListener;

fn everything_stops_after(signal: Signal) {
    let shop = Shop::new();
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    let pids = up.pids();
    assert_eq!(pids.len(), 4);

    up.signal(signal);
    let exit = up.ended();
    // Checked at once, not eventually: who has seen the program end may count on it.
    assert!(pids.iter().all(|pid| !crate::world::is_alive(*pid)), "services outlive a clean end");
    nothing_is_left(&pids, &[&shop.ports[..], &[up.ports.gateway, up.ports.api, up.ports.mesh]].concat());
    assert_eq!(exit.code(), Some(0));
    let stopped = up.event("stopped", |event| event["event"] == "stopped");
    assert_eq!(stopped["cut"], 0);
    assert_eq!(up.complaints(), "");
}

#[test]
fn ctrl_c_stops_everything() {
    everything_stops_after(Signal::INT);
}

#[test]
fn sigterm_stops_everything() {
    everything_stops_after(Signal::TERM);
}

#[test]
fn ctrl_c_stops_what_is_still_starting() {
    // A service that never becomes ready: it listens nowhere.
    let [gateway, nowhere] = [port(), port()];
    let service = designs::service("slow", nowhere, "  run: { command: [ sleep, \"600\" ] }\n");
    let folder = designs::small(gateway, &service);
    let up = Up::start(&folder, Ports::new(), &["--output", "json"]);
    let pid = crate::clock::eventually("a process of the service", || {
        let status = http::ask(up.ports.api, "GET", "/v1/status", &[], "").ok()?.json();
        status["services"][0]["pid"].as_u64().map(|pid| u32::try_from(pid).unwrap())
    });

    up.signal(Signal::INT);
    let exit = up.ended();
    nothing_is_left(&[pid], &[gateway, up.ports.api, up.ports.mesh]);
    assert_eq!(exit.code(), Some(0), "it was asked to stop, and did");
}

#[test]
fn services_die_with_a_program_that_is_killed() {
    let shop = Shop::new();
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    let pids = up.pids();
    up.signal(Signal::KILL);
    up.ended();
    nothing_is_left(&pids, &[&shop.ports[..], &[up.ports.gateway, up.ports.api, up.ports.mesh]].concat());

    // And the folder is free for the next one.
    let up = Up::ready(&shop.folder, up.ports, &[]);
    assert_eq!(up.order(&[]).status(), 201);
}

#[test]
fn a_second_program_on_the_same_data_is_refused_with_the_first_ones_process_id() {
    let folder = designs::small(port(), "");
    let first = Up::ready(&folder, Ports::new(), &[]);
    let second = Up::start(&folder, Ports::new(), &[]);
    let exit = second.ended();
    assert_eq!(exit.code(), Some(3));
    let said = second.complaints();
    assert!(said.contains(&format!("process {}", first.pid())), "{said}");
    assert!(said.contains("--replace") && said.contains("--data DIR"), "what to do: {said}");
}

#[test]
fn a_taken_gateway_port_names_the_process_and_the_flag_that_moves_it() {
    let gateway = port();
    let held = TcpListener::bind(("127.0.0.1", gateway)).unwrap();
    let folder = designs::small(gateway, "");
    let up = Up::start(&folder, Ports::new(), &[]);
    assert_eq!(up.ended().code(), Some(3));
    let said = up.complaints();
    assert!(said.contains(&format!("process {}", std::process::id())), "{said}");
    let flag = said.split("--port ").nth(1).expect("the flag").split_whitespace().next().unwrap().to_owned();

    // The flag as it was told, while the port is still taken.
    let moved: u16 = flag.split('=').nth(1).expect("DESIGN=HERE").parse().unwrap();
    let up = Up::ready(&folder, Ports::new(), &["--port", &flag]);
    let door = up.event("a door", |event| event["event"] == "door" && event["name"] == "gateway");
    assert_eq!(door["address"], format!("127.0.0.1:{moved}"));
    drop(held);
}

#[test]
fn a_taken_api_port_names_the_process_and_the_flag_that_moves_it() {
    let ports = Ports::new();
    let _held = TcpListener::bind(("127.0.0.1", ports.api)).unwrap();
    let folder = designs::small(port(), "");
    let up = Up::start(&folder, ports, &[]);
    assert_eq!(up.ended().code(), Some(3));
    let said = up.complaints();
    assert!(
        said.contains(&format!("process {}", std::process::id())) && said.contains("--api ADDR"),
        "{said}"
    );
}

#[test]
fn a_service_whose_port_somebody_has_is_not_started_over_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port_taken = taken.local_addr().unwrap().port();
    let service = designs::service("orders", port_taken, "  run: { command: [ sleep, \"600\" ] }\n");
    let folder = designs::small(port(), &service);
    let up = Up::start(&folder, Ports::new(), &[]);
    assert_eq!(up.ended().code(), Some(3));
    let said = up.complaints();
    assert!(said.contains("orders") && said.contains(&format!("process {}", std::process::id())), "{said}");
}
