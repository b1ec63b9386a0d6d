//! Hosts that are asked whether they are well.

use crate::support::{Callee, Do, World, design, eventually, route};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A callee that fails its checks while the flag says so, and answers everything else.
async fn callee() -> (Callee, Arc<AtomicBool>) {
    let ill = Arc::new(AtomicBool::new(false));
    let says = Arc::clone(&ill);
    let callee = Callee::start(move |hit| match hit.message.path() {
        "/ready" if says.load(Ordering::Relaxed) => Do::Answer(500, "ill".to_owned()),
        _ => Do::Answer(200, "well".to_owned()),
    })
    .await;
    (callee, ill)
}

/// Service `stock` at these endpoints, with a health check.
fn checked(endpoints: &[SocketAddr], check: &str) -> String {
    route(endpoints, "").replace("  operations:", &format!("  healthCheck: {check}\n  operations:"))
}

/// As fast as a test wants it, and as patient as a busy machine needs it.
const FAST: &str = "{ http: { path: /ready }, interval: 10ms, timeout: 10s }";

fn count(callee: &Callee, path: &str) -> usize {
    callee.hits().iter().filter(|hit| hit.message.path() == path).count()
}

fn ill(world: &World, host: SocketAddr) -> bool {
    world.metric("bowline_host_health", &[&format!("host=\"{host}\""), "state=\"ill\""]) > 0.0
}

#[tokio::test]
async fn a_host_that_fails_its_checks_is_left_out_until_it_passes_them() {
    let ((one, _), (other, is_ill)) = (callee().await, callee().await);
    let world = World::start(&checked(&[one.address, other.address], FAST));
    let host = format!("host=\"{}\"", other.address);
    eventually("found well", || world.metric("bowline_host_health", &[&host, "state=\"well\""]) > 0.0).await;
    is_ill.store(true, Ordering::Relaxed);
    eventually("found ill", || ill(&world, other.address)).await;
    assert!(world.metric("bowline_host_checks_total", &[&host, "result=\"status\""]) >= 3.0);
    assert!(world.metric("bowline_host_state", &[&host, "state=\"ill\""]) > 0.0);
    let before = count(&other, "/stock");
    for _ in 0..20 {
        assert_eq!(world.get("/stock").await.status(), 200);
    }
    assert_eq!(count(&other, "/stock"), before, "nobody is sent there");
    is_ill.store(false, Ordering::Relaxed);
    eventually("well again", || !ill(&world, other.address)).await;
    while count(&other, "/stock") == before {
        assert_eq!(world.get("/stock").await.status(), 200);
    }
}

#[tokio::test]
async fn where_all_hosts_fail_their_checks_all_are_used() {
    let (one, is_ill) = callee().await;
    is_ill.store(true, Ordering::Relaxed);
    let world = World::start(&checked(&[one.address], FAST));
    eventually("found ill", || ill(&world, one.address)).await;
    assert_eq!(world.get("/stock").await.status(), 200);
    assert_eq!(count(&one, "/stock"), 1);
}

#[tokio::test]
async fn a_host_is_asked_once_however_many_workers_and_reloads_there_are() {
    let (one, _) = callee().await;
    let rarely = "{ http: { path: /ready }, interval: 1h, jitter: 0 }";
    let yaml = checked(&[one.address], rarely);
    let world = World::start_with(&yaml, 4, |_| ());
    eventually("asked", || world.metric("bowline_host_checks_total", &["result=\"passed\""]) > 0.0).await;
    for _ in 0..5 {
        world.proxy.reload(design(&yaml));
        assert_eq!(world.get("/stock").await.status(), 200);
    }
    assert_eq!(count(&one, "/ready"), 1);
    assert!(world.metric("bowline_host_checks_total", &["result=\"passed\""]) == 1.0, "and still known");
}

#[tokio::test]
async fn a_reload_keeps_what_checks_have_found_and_forgets_it_with_the_check() {
    let ((one, _), (other, is_ill)) = (callee().await, callee().await);
    is_ill.store(true, Ordering::Relaxed);
    let endpoints = [one.address, other.address];
    let world = World::start(&checked(&endpoints, FAST));
    eventually("found ill", || ill(&world, other.address)).await;
    let slower = "{ http: { path: /ready }, interval: 1h, timeout: 10s }";
    world.proxy.reload(design(&checked(&endpoints, slower)));
    assert!(ill(&world, other.address));
    let host = format!("host=\"{}\"", other.address);
    let state = |state: &str| world.metric("bowline_host_state", &[&host, &format!("state=\"{state}\"")]);
    assert!(state("ill") > 0.0);
    world.proxy.reload(design(&route(&endpoints, "")));
    assert!(state("well") > 0.0, "nothing speaks against a host that nobody asks");
}

#[tokio::test]
async fn a_host_that_does_not_listen_is_found_ill_by_its_connection() {
    let ((one, _), gone) = (callee().await, crate::support::nobody());
    let world = World::start(&checked(&[one.address, gone], FAST));
    eventually("found ill", || ill(&world, gone)).await;
    let labels = [&*format!("host=\"{gone}\""), "result=\"connect failed\""];
    assert!(world.metric("bowline_host_checks_total", &labels) >= 3.0);
}
