//! The first five minutes: two words typed, an order placed.

use crate::designs::{SHOP_SERVICES, Shop, rules, small};
use crate::http;
use crate::world::{Ports, Up, bowline, is_free, port};
use rustix::process::Signal;

#[test]
fn the_first_command_builds_the_shop_and_takes_an_order() {
    let shop = Shop::built_by_up();
    let up = Up::start(&shop.folder, Ports::new(), &[]);
    up.shows("Ctrl-C stops everything.");

    let placed = up.order(&[]);
    assert_eq!(placed.status(), 201, "{}", placed.text());
    let placed = placed.json();
    assert_eq!(placed["status"], "confirmed");

    let id = placed["order_id"].as_str().expect("an order_id");
    let shown = up.ask("GET", &format!("/orders/{id}"), &[], "");
    assert_eq!(shown.status(), 200);
    assert_eq!(shown.json()["order_id"], id);
    assert_eq!(shown.json()["status"], "confirmed");
}

#[test]
fn the_screen_shows_what_runs_where_and_what_to_try() {
    let shop = Shop::new();
    let up = Up::start(&shop.folder, Ports::new(), &[]);
    up.shows("Ctrl-C stops everything.");
    let screen = up.screen();
    let shows = |wanted: &str| assert!(screen.contains(wanted), "no `{wanted}` on\n{screen}");

    shows("bowline 0.1.0   design ");
    shows(": 4 services, 4 routes, 4 policies, no findings");
    for service in SHOP_SERVICES {
        let address = format!("127.0.0.1:{}", shop.port_of(service));
        let row =
            screen.lines().find(|line| line.trim_start().starts_with(service) && line.contains(&address));
        let row = row.unwrap_or_else(|| panic!("no row for {service} on\n{screen}"));
        assert!(row.contains("ready   ") && row.ends_with(" s"), "{row}");
    }
    let row = |name: &str, rest: &str| format!("  {name:<13}  {rest}");
    shows(&row("gateway", &format!("127.0.0.1:{:<11}   ready\n", up.ports.gateway)));
    shows(&row("mesh", &format!("127.0.0.1:{:<11}   ready\n", up.ports.mesh)));
    shows(&row("console", &format!("http://127.0.0.1:{}\n", up.ports.api)));
    shows("\n  Try\n    place an order    curl -X POST localhost:");
    assert!(!screen.contains('\u{1b}'), "colour in a pipe:\n{screen}");
    assert_eq!(up.complaints(), "");

    let (before, _) = screen.split_once("\n  gateway ").expect("a gateway");
    assert!(SHOP_SERVICES.iter().all(|service| before.contains(service)), "services first:\n{screen}");
}

#[test]
fn what_the_screen_says_to_try_works_as_it_stands() {
    let shop = Shop::new();
    let up = Up::start(&shop.folder, Ports::new(), &[]);
    up.shows("Ctrl-C stops everything.");
    let screen = up.screen();
    let after = |label: &str, end: &str| {
        let found = screen
            .lines()
            .find_map(|line| line.split_once(label))
            .unwrap_or_else(|| panic!("no {label}:\n{screen}"));
        found.1.split(end).next().unwrap().trim().to_owned()
    };

    let place = after("place an order ", "\n");
    assert!(
        place.contains(&format!("localhost:{}/orders", up.ports.gateway)),
        "the gateway was moved: {place}"
    );
    for (label, end) in [("break inventory ", "\n"), ("watch ", " heal "), ("heal ", "\n")] {
        let line = after(label, end);
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[0], crate::world::PROGRAM, "the program as it was typed: {line}");
        let ran = bowline(&words[1..]);
        assert_eq!(ran.code, 0, "{line}: {ran:?}");
    }
    let stock = http::ask(up.ports.gateway, "GET", "/inventory/stock/A47", &[], "").unwrap();
    assert_eq!(stock.status(), 200, "healed: {}", stock.text());
}

#[test]
fn the_mesh_port_routes_by_the_name_that_a_caller_asks_for() {
    let shop = Shop::new();
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    let ask = |host: &str, path: &str| {
        http::ask(up.ports.mesh, "GET", path, &[&format!("host: {host}")], "").unwrap()
    };
    let stock = ask("inventory", "/stock/A47");
    assert_eq!((stock.status(), &stock.json()["sku"]), (200, &"A47".into()));
    assert_eq!(ask("payment", "/healthz").text(), "ok\n");
    let nobody = ask("nobody", "/");
    assert_eq!(nobody.status(), 404, "{}", nobody.text());
    assert_eq!(nobody.header("x-bowline-reason"), Some("unknown host"));
}

#[test]
fn the_gateway_can_be_had_alone() {
    let gateway = port();
    let folder = small(
        gateway,
        &rules("  - name: all\n    directResponse: { status: 200, body: { string: alone } }\n"),
    );
    let ports = Ports { gateway, ..Ports::new() };
    let up = Up::ready(&folder, ports, &["--only", "gateway"]);
    assert_eq!(up.ask("GET", "/", &[], "").text(), "alone");
    assert!(is_free(ports.api) && is_free(ports.mesh));
    up.signal(Signal::TERM);
    assert_eq!(up.ended().code(), Some(0));
}
