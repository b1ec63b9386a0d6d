//! A service that dies is started again, and that is said.

use crate::clock::until;
use crate::designs::{self, Shop};
use crate::world::{Ports, Up, port, signal_to};
use rustix::process::Signal;

#[test]
fn a_service_that_crashes_is_started_again_and_said_so() {
    let shop = Shop::new();
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    let pid = up.pid_of("inventory");
    signal_to(pid, Signal::KILL);

    let of = |event: &serde_json::Value, state: &str| {
        event["event"] == "service"
            && event["service"]["name"] == "inventory"
            && event["service"]["state"] == state
    };
    let died = up.event("its death", |event| of(event, "waiting"));
    assert!(died["service"]["last_exit"].as_str().unwrap().contains("signal: 9"), "{died}");
    let again = up.event("its return", |event| of(event, "ready") && event["service"]["restarts"] == 1);
    assert_ne!(again["service"]["pid"], pid);
    assert_eq!(up.order(&[]).status(), 201);
    let status = up.status();
    let inventory = status["services"]
        .as_array()
        .unwrap()
        .iter()
        .find(|service| service["name"] == "inventory")
        .unwrap()
        .clone();
    assert_eq!((&inventory["state"], &inventory["restarts"]), (&"ready".into(), &1.into()));
}

#[test]
fn a_death_is_shown_on_the_screen_with_the_log_to_look_at() {
    let shop = Shop::new();
    let up = Up::start(&shop.folder, Ports::new(), &[]);
    up.shows("Ctrl-C stops everything.");
    signal_to(up.pid_of("payment"), Signal::KILL);
    until("its return", || {
        up.screen().lines().filter(|line| line.contains("payment") && line.contains("ready")).count() == 2
    });
    let screen = up.screen();
    let died = screen.lines().find(|line| line.contains("died")).expect("a death");
    assert!(
        died.contains("payment") && died.contains("signal: 9") && died.contains("starting it again"),
        "{died}"
    );
    assert!(died.contains("payment.log"), "where to look: {died}");
}

#[test]
fn a_service_that_cannot_start_says_why_and_keeps_the_doors_closed() {
    let (gateway, nowhere) = (port(), port());
    let service = designs::service(
        "broken",
        nowhere,
        "  run: { command: [ sh, \"-c\", \"echo out of luck >&2; exit 7\" ] }\n",
    );
    let folder = designs::small(gateway, &service);
    let up = Up::start(&folder, Ports::new(), &[]);
    up.shows("exit status: 7");
    let ready = crate::http::get(up.ports.api, "/readyz");
    assert_eq!(ready.status(), 503);
    assert!(ready.text().contains("broken"), "{}", ready.text());
    let log = std::fs::read_to_string(folder.path().join(".bowline/logs/broken.log")).unwrap();
    assert!(log.contains("out of luck"), "{log}");
    until("its second death", || up.screen().matches("exit status: 7").count() >= 2);
    assert!(!up.screen().contains("Ctrl-C stops everything."), "not ready:\n{}", up.screen());
}

#[test]
fn replicas_are_told_apart_by_their_addresses() {
    let (gateway, ports) = (port(), [port(), port()]);
    let folder = designs::small(
        gateway,
        &(designs::rules(
            "  - name: all\n    route: [ { destination: { host: payment } } ]\n    timeout: 10s\n",
        ) + &format!(
            r#"---
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: {{ name: payment }}
spec:
  endpoints: [ {{ address: "127.0.0.1:{}" }}, {{ address: "127.0.0.1:{}" }} ]
  replicas: 2
  run: {{ command: [ {}, payment, --listen, "{{address}}" ], env: {{ SHOP_DATA: "{{data}}/own-{{port}}" }} }}
  health: /healthz
"#,
            ports[0],
            ports[1],
            designs::program().display()
        )),
    );
    let up = Up::ready(&folder, Ports { gateway, ..Ports::new() }, &[]);
    let status = up.status();
    let names: Vec<&str> =
        status["services"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["payment#1", "payment#2"]);
    for port in ports {
        assert_eq!(crate::http::get(port, "/healthz").status(), 200);
        assert!(folder.path().join(format!(".bowline/own-{port}/payment.db")).exists());
    }
    assert_eq!(up.ask("GET", "/healthz", &[], "").status(), 200);
}
