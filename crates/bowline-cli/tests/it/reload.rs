//! A design that changes while it runs.

use crate::callee::Callee;
use crate::clock::until;
use crate::designs::{Shop, policy, program, rules, service, small};
use crate::load::Load;
use crate::world::{Ports, Up, is_alive, port};
use rustix::process::Signal;

fn two_colours() -> String {
    let [blue, green] = ["blue", "green"].map(|colour| service(colour, Callee::saying(colour).port, ""));
    rules(
        "  - name: colour\n    route: [ { destination: { host: blue } } ]\n    timeout: 10s\n    retries: { attempts: 0 }\n",
    ) + &blue
        + &green
}

#[test]
fn an_edited_route_holds_without_a_lost_request_and_a_mistake_changes_nothing() {
    let gateway = port();
    let folder = small(gateway, &two_colours());
    let up = Up::ready(&folder, Ports { gateway, ..Ports::new() }, &[]);
    let load = Load::start(gateway, "/");
    load.goes_on(200);

    // Another destination.
    folder.edit("design.yaml", "host: blue", "host: green");
    up.event("the new design", |event| event["event"] == "reloaded");
    let colour = || up.ask("GET", "/", &[], "").text();
    assert_eq!(colour(), "green");
    load.goes_on(200);

    // A mistake: said, and nothing else.
    folder.edit("design.yaml", "host: green", "hots: blue");
    let rejected = up.event("the mistake", |event| event["event"] == "rejected");
    let mistake = rejected["mistakes"].to_string();
    assert!(mistake.contains("hots") && mistake.contains("design.yaml"), "{mistake}");
    assert_eq!(colour(), "green");
    load.goes_on(200);

    // Mended, with a policy more.
    folder.edit("design.yaml", "hots: blue", "host: blue");
    let path = folder.path().join("policy.yaml");
    std::fs::write(
        path,
        policy("blue", "  retry: { tries: 2 }\n")
            .replace("---\n", "")
            .replace("  retry: { tries: 2 }", "  deadline: 5s"),
    )
    .unwrap();
    until("the mended design", || colour() == "blue");
    load.goes_on(200);

    let told = load.finish();
    told.is_well("over three reloads");
    assert!(told.bodies["blue"] > 0 && told.bodies["green"] > 0);
}

#[test]
fn a_mistake_is_shown_with_its_place_on_the_screen() {
    let gateway = port();
    let folder = small(gateway, &two_colours());
    let up = Up::start(&folder, Ports { gateway, ..Ports::new() }, &[]);
    up.shows("Ctrl-C stops everything.");
    folder.edit("design.yaml", "timeout: 10s", "timeout: 10 parsecs");
    up.shows("what ran before goes on");
    up.shows("10 parsecs");
    let screen = up.screen();
    assert!(screen.contains("design.yaml:") && screen.contains('^'), "{screen}");
    assert_eq!(up.ask("GET", "/", &[], "").text(), "blue");

    folder.edit("design.yaml", "timeout: 10 parsecs", "timeout: 9s");
    up.shows("the design changed: 1 route hold");
}

#[test]
fn a_door_that_a_new_design_adds_opens_and_one_that_it_takes_away_closes() {
    let (gateway, other) = (port(), port());
    let folder = small(gateway, &two_colours());
    let up = Up::ready(&folder, Ports { gateway, ..Ports::new() }, &[]);
    assert_eq!(up.ask("GET", "/", &[], "").text(), "blue");

    folder.edit("design.yaml", &format!("number: {gateway},"), &format!("number: {other},"));
    until("the new door", || {
        crate::http::ask(other, "GET", "/", &[], "").is_ok_and(|answer| answer.text() == "blue")
    });
    until("the old door is closed", || crate::world::is_free(gateway));
}

#[test]
fn a_service_whose_command_is_edited_is_started_anew() {
    let shop = Shop::new();
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    let before = up.pids();
    let inventory = up.pid_of("inventory");
    shop.edit("services.yaml", "args: [ inventory,", "args: [ inventory, --verbose,");
    up.event("the new design", |event| event["event"] == "reloaded");
    assert!(!is_alive(inventory));
    assert!(
        before.iter().filter(|pid| **pid != inventory).all(|pid| is_alive(*pid)),
        "nobody else is disturbed"
    );
    assert_ne!(up.pid_of("inventory"), inventory);
    assert_eq!(up.order(&[]).status(), 201);
    let log = std::fs::read_to_string(shop.folder.path().join(".bowline/logs/inventory.log")).unwrap();
    assert!(log.contains("inventory: POST /allocations"), "{log}");
    assert!(!up.events().iter().any(|event| event["event"] == "hindered"), "{}", up.screen());
}

#[test]
fn a_new_service_runs_before_the_routes_lead_to_it_and_an_old_one_until_they_do_not() {
    let (gateway, first, second) = (port(), port(), port());
    let shop = |name: &str, port: u16| {
        let run = format!(
            "run: {{ command: [ {}, payment, --listen, \"{{address}}\", --data, data-{name} ] }}",
            program().display()
        );
        service(name, port, &format!("  {run}\n  health: /healthz\n"))
    };
    let route = |name: &str| {
        rules(&format!(
            "  - name: all\n    route: [ {{ destination: {{ host: {name} }} }} ]\n    timeout: 10s\n    retries: {{ attempts: 0 }}\n"
        ))
    };
    let folder = small(gateway, &(route("first") + &shop("first", first)));
    let up = Up::ready(&folder, Ports { gateway, ..Ports::new() }, &[]);
    let pid = up.pid_of("first");
    let load = Load::start(gateway, "/healthz");
    load.goes_on(100);

    let next = small(gateway, &(route("second") + &shop("second", second)));
    std::fs::copy(next.path().join("design.yaml"), folder.path().join("design.yaml")).unwrap();
    up.event("the new service", |event| {
        event["service"]["name"] == "second" && event["service"]["state"] == "ready"
    });
    up.event("the new design", |event| event["event"] == "reloaded");
    load.goes_on(100);
    until("the old service has stopped", || !is_alive(pid));
    load.goes_on(100);
    load.finish().is_well("while one service took the place of another");
}

#[test]
fn what_is_edited_while_it_starts_holds_once_it_runs() {
    let (gateway, slow) = (port(), port());
    // Not ready before the test listens for it.
    let waits = service("slow", slow, "  run: { command: [ sleep, \"600\" ] }\n");
    let folder = small(gateway, &(two_colours() + &waits));
    let up = Up::start(&folder, Ports { gateway, ..Ports::new() }, &["--output", "json"]);
    until("it starts", || {
        crate::http::ask(up.ports.api, "GET", "/readyz", &[], "").is_ok_and(|answer| answer.status() == 503)
    });
    folder.edit("design.yaml", "host: blue", "host: green");
    let _listens = std::net::TcpListener::bind(("127.0.0.1", slow)).unwrap();
    up.event("ready", |event| event["event"] == "ready");
    until("the edit holds", || up.ask("GET", "/", &[], "").text() == "green");
}

#[test]
fn sighup_reads_the_design_again() {
    let gateway = port();
    let folder = small(gateway, &two_colours());
    let up = Up::ready(&folder, Ports { gateway, ..Ports::new() }, &[]);
    up.signal(Signal::HUP);
    up.event("the design again", |event| event["event"] == "reloaded");
    assert_eq!(up.ask("GET", "/", &[], "").text(), "blue");
}
