//! A design that changes while it runs.

use crate::callee::Callee;
use crate::designs::{policy, rules, service, small};
use crate::load::Load;
use crate::world::{Ports, Up, port};

fn two_colours(gateway: u16) -> String {
    let [blue, green] = ["blue", "green"].map(|colour| service(colour, Callee::saying(colour).port, ""));
    let _ = gateway;
    rules(
        "  - name: colour\n    route: [ { destination: { host: blue } } ]\n    timeout: 10s\n    retries: { attempts: 0 }\n",
    ) + &blue
        + &green
}

#[test]
fn an_edited_route_holds_without_a_lost_request_and_a_mistake_changes_nothing() {
    let gateway = port();
    let folder = small(gateway, &two_colours(gateway));
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
    crate::clock::until("the mended design", || colour() == "blue");
    load.goes_on(200);

    let told = load.finish();
    told.is_well("over three reloads");
    assert!(told.bodies["blue"] > 0 && told.bodies["green"] > 0);
}

#[test]
fn a_mistake_is_shown_with_its_place_on_the_screen() {
    let gateway = port();
    let folder = small(gateway, &two_colours(gateway));
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
    let folder = small(gateway, &two_colours(gateway));
    let up = Up::ready(&folder, Ports { gateway, ..Ports::new() }, &[]);
    assert_eq!(up.ask("GET", "/", &[], "").text(), "blue");

    folder.edit("design.yaml", &format!("number: {gateway},"), &format!("number: {other},"));
    crate::clock::until("the new door", || {
        crate::http::ask(other, "GET", "/", &[], "").is_ok_and(|answer| answer.text() == "blue")
    });
    crate::clock::until("the old door is closed", || crate::world::is_free(gateway));
}
