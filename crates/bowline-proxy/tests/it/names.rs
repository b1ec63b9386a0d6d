//! Endpoints that DNS knows.

use crate::dns::{Dns, Says};
use crate::support::{Callee, Do, World, eventually, route_to};
use std::net::IpAddr;
use std::time::Duration;

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

/// Asks often; nothing else about it differs from what people have.
fn start(dns: &Dns, endpoints: &str) -> World {
    World::start_with(&route_to(endpoints, ""), 2, |config| {
        config.dns = Some(dns.address);
        config.limits.names.least = Duration::from_millis(10);
        config.limits.names.failed = Duration::from_millis(10);
        config.limits.names.failed_most = Duration::from_millis(20);
    })
}

fn is_host(world: &World, address: &str) -> bool {
    world.metric("bowline_host_state", &[&format!("host=\"{address}\""), "state=\"well\""]) > 0.0
}

#[tokio::test]
async fn each_address_of_a_name_is_an_endpoint_for_as_long_as_it_is_said() {
    let dns = Dns::start().await;
    let one = Callee::friendly().await;
    let port = one.address.port();
    let other = Callee::start_at(format!("127.0.0.2:{port}").parse().unwrap(), |_| {
        Do::Answer(200, "other".to_owned())
    })
    .await;
    dns.says("stock.test", Says::TroubleWithSix(vec![ip("127.0.0.1")], 0));
    let world = start(&dns, &format!("{{ dns: \"stock.test:{port}\" }}"));
    let (first, second) = (one.address.to_string(), other.address.to_string());
    eventually("found", || is_host(&world, &first)).await;
    assert_eq!(world.get("/stock").await.status(), 200);
    assert_eq!(world.metric("bowline_discovery_endpoints", &["from=\"dns\"", "source=\"stock.test\""]), 1.0);

    dns.says("stock.test", Says::At(vec![ip("127.0.0.1"), ip("127.0.0.2")], 0));
    eventually("found both", || is_host(&world, &second)).await;
    while other.count() == 0 {
        assert_eq!(world.get("/stock").await.status(), 200);
    }

    dns.says("stock.test", Says::At(vec![ip("127.0.0.2")], 0));
    eventually("one has gone", || !is_host(&world, &first)).await;
    let before = one.count();
    for _ in 0..10 {
        assert_eq!(world.get("/stock").await.status(), 200);
    }
    assert_eq!(one.count(), before);
}

#[tokio::test]
async fn what_is_known_of_a_name_holds_while_dns_fails_or_denies_it() {
    let dns = Dns::start().await;
    let callee = Callee::friendly().await;
    dns.says("stock.test", Says::At(vec![ip("127.0.0.1")], 0));
    let world = start(&dns, &format!("{{ dns: \"stock.test:{}\" }}", callee.address.port()));
    eventually("found", || is_host(&world, &callee.address.to_string())).await;
    let failing = || world.metric("bowline_discovery_failing", &["source=\"stock.test\""]) > 0.0;
    for says in [Says::Trouble, Says::Nobody, Says::At(Vec::new(), 0)] {
        dns.says("stock.test", says.clone());
        eventually("it is told", failing).await;
        assert_eq!(world.get("/stock").await.status(), 200, "{says:?}");
        assert!(is_host(&world, &callee.address.to_string()), "{says:?}");
        dns.says("stock.test", Says::At(vec![ip("127.0.0.1")], 0));
        eventually("it is told that this is over", || !failing()).await;
    }
}

#[tokio::test]
async fn no_call_waits_for_dns_once_it_has_answered() {
    let dns = Dns::start().await;
    // Each request needs a connection of its own.
    let callee = Callee::start(|_| {
        Do::AnswerRawThenClose(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec())
    })
    .await;
    dns.says("stock.test", Says::At(vec![ip("127.0.0.1")], 600));
    // One endpoint, by a name that nobody but this server knows.
    let world = start(&dns, &format!("{{ address: \"stock.test:{}\" }}", callee.address.port()));
    eventually("known", || world.metric("bowline_discovery_endpoints", &["source=\"stock.test\""]) > 0.0)
        .await;
    dns.says("stock.test", Says::Nothing);
    let asked = dns.asked();
    for _ in 0..5 {
        assert_eq!(world.get("/stock").await.status(), 200);
    }
    assert_eq!((dns.asked(), callee.count()), (asked, 5));
}

#[tokio::test]
async fn a_reload_does_not_ask_again_what_is_known() {
    let dns = Dns::start().await;
    let callee = Callee::friendly().await;
    dns.says("stock.test", Says::At(vec![ip("127.0.0.1")], 600));
    let endpoints = format!("{{ dns: \"stock.test:{}\" }}", callee.address.port());
    let world = start(&dns, &endpoints);
    eventually("found", || is_host(&world, &callee.address.to_string())).await;
    let asked = dns.asked();
    world.proxy.reload(crate::support::design(&route_to(&endpoints, "    timeout: 7s")));
    assert!(is_host(&world, &callee.address.to_string()));
    assert_eq!(world.get("/stock").await.status(), 200);
    assert_eq!(dns.asked(), asked);
}
