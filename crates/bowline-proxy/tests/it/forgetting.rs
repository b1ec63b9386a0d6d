//! What a reload takes away is forgotten once nobody refers to it.

use crate::support::{Callee, World, design, eventually, nobody, route};

#[tokio::test]
async fn routes_services_and_endpoints_that_are_gone_leave_no_trace() {
    let callee = Callee::friendly().await;
    let world = World::start_with(&route(&[callee.address], ""), 2, |_| ());
    assert_eq!(world.get("/stock").await.status(), 200);
    let other = route(&[nobody()], "")
        .replace("stock", "supply")
        .replace("name: all\n    route", "name: rest\n    route");
    world.proxy.reload(design(&other));
    assert_eq!(world.get("/supply").await.status(), 503);
    let old = |line: &&str| line.contains("\"stock\"") || line.contains("\"all\"");
    eventually("forgotten", || world.proxy.metrics().lines().find(old).is_none()).await;
    assert!(!world.proxy.metrics().contains(&callee.address.to_string()));
    // Connections that nobody will use are closed.
    let reloaded = route(&[callee.address], "");
    world.proxy.reload(design(&reloaded));
    assert_eq!(world.get("/stock").await.status(), 200);
    assert_eq!(world.metric("bowline_requests_total", &["service=\"stock\""]), 1.0, "it counts anew");
}

#[tokio::test]
async fn what_a_reload_keeps_is_counted_on() {
    let callee = Callee::friendly().await;
    let yaml = route(&[callee.address], "");
    let world = World::start(&yaml);
    for round in 1..=3 {
        assert_eq!(world.get("/stock").await.status(), 200);
        world.proxy.reload(design(&yaml));
        assert_eq!(world.metric("bowline_requests_total", &["service=\"stock\""]), f64::from(round));
    }
    assert_eq!(callee.connections(), 1, "and the connection is still the same");
}

#[tokio::test]
async fn what_one_worker_keeps_for_later_is_not_in_another_workers_way() {
    let callee = Callee::friendly().await;
    let world = World::start_with(&route(&[callee.address], ""), 4, |config| {
        config.limits.pool.connections = 1;
        config.limits.pool.give_way = std::time::Duration::from_secs(10);
    });
    // Each comes by a connection of its own, to any of the workers.
    for _ in 0..40 {
        assert_eq!(world.get("/stock").await.status(), 200);
    }
    assert!(callee.connections() > 1, "more than one worker was asked");
}
