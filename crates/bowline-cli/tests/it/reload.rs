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
fn a_reload_that_cannot_have_its_port_changes_nothing_and_says_who_has_it() {
    let (gateway, taken) = (port(), port());
    let folder = small(gateway, &two_colours());
    let up = Up::ready(&folder, Ports { gateway, ..Ports::new() }, &[]);
    let holder = std::net::TcpListener::bind(("127.0.0.1", taken)).unwrap();

    // Another port, which somebody has, and another destination.
    folder.edit("design.yaml", "host: blue", "host: green");
    folder.edit("design.yaml", &format!("number: {gateway},"), &format!("number: {taken},"));
    let refused = up.event("the refusal", |event| event["event"] == "refused");
    let why = refused["why"].as_str().unwrap();
    assert!(why.contains(&taken.to_string()) && why.contains("--port"), "{why}");
    assert_eq!(up.ask("GET", "/", &[], "").text(), "blue", "what ran before goes on, at its port");

    // Once it is free the same design holds, and the old door is told to have closed.
    drop(holder);
    up.signal(Signal::HUP);
    up.event("the old door", |event| {
        event["event"] == "door-closed"
            && event["address"].as_str().unwrap().ends_with(&format!(":{gateway}"))
    });
    until("the new door", || {
        crate::http::ask(taken, "GET", "/", &[], "").is_ok_and(|answer| answer.text() == "green")
    });
}

#[test]
fn a_door_that_moves_to_all_addresses_of_its_port_is_in_its_own_way_alone() {
    let gateway = port();
    let folder = small(gateway, &two_colours());
    let up = Up::ready(&folder, Ports { gateway, ..Ports::new() }, &[]);
    folder.edit("design.yaml", "bind: 127.0.0.1", "bind: 0.0.0.0");
    up.event("the old door", |event| event["event"] == "door-closed");
    until("the new door", || {
        crate::http::ask(gateway, "GET", "/", &[], "").is_ok_and(|answer| answer.text() == "blue")
    });
}

#[test]
fn a_gateway_whose_file_is_removed_is_said_to_have_closed() {
    let (gateway, other) = (port(), port());
    let folder = small(gateway, &two_colours());
    let second = std::fs::read_to_string(folder.path().join("design.yaml")).unwrap();
    let second: Vec<&str> = second.split("---\n").filter(|text| text.contains("kind: Gateway")).collect();
    let second = second[0].replace(&format!("number: {gateway},"), &format!("number: {other},"));
    let renamed = second.replacen("metadata: { name: ", "metadata: { name: second-", 1);
    folder.write("second.yaml", &renamed);
    let up = Up::start(&folder, Ports { gateway, ..Ports::new() }, &[]);
    up.shows("Ctrl-C stops everything.");
    std::fs::remove_file(folder.path().join("second.yaml")).unwrap();
    up.shows(&format!("closed: the design wants nobody to listen at 127.0.0.1:{other} any more"));
    up.shows("hold from now on");
    until("nobody listens there", || crate::world::is_free(other));
}

#[test]
fn what_check_finds_and_what_is_new_to_note_is_told_on_a_reload() {
    let gateway = port();
    let folder = small(gateway, &two_colours());
    let up = Up::start(&folder, Ports { gateway, ..Ports::new() }, &[]);
    up.shows("Ctrl-C stops everything.");
    // Four tries of 2 s in 3 s, and a kind of another system.
    folder.edit(
        "design.yaml",
        "timeout: 10s\n    retries: { attempts: 0 }",
        "timeout: 3s\n    retries: { attempts: 3, perTryTimeout: 2s, retryOn: 5xx }",
    );
    folder.write("more.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: x }\nspec: {}\n");
    up.shows("warning");
    up.shows("note: Deployment");
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
