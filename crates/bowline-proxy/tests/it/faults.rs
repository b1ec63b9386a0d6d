//! Faults on purpose: ours inside the try, Istio's outside of all.

use crate::support::{Callee, Do, World, policy, route};
use bowline_fault::{Fault, Kind, Percent};
use std::time::Duration;

#[tokio::test]
async fn a_fault_put_in_breaks_calls_until_it_is_taken_away() {
    let callee = Callee::friendly().await;
    let world = World::start(&(route(&[callee.address], "") + &policy("  retry: { tries: 1 }")));
    let always = |kind| Fault { kind, percent: Percent::ALWAYS };
    let id = world.proxy.add_fault("stock", Some("read"), always(Kind::Abort { status: 503 }));
    let mut caller = world.caller().await;
    let broken = caller.ask("GET", "/stock", "", "").await;
    assert_eq!((broken.status(), broken.header("x-bowline-reason")), (503, Some("fault injected")));
    assert_eq!(caller.ask("POST", "/charges", "", "").await.status(), 200, "another operation");
    assert_eq!(world.metric("bowline_faults_injected_total", &["kind=\"abort\"", "operation=\"read\""]), 1.0);
    assert_eq!(world.proxy.faults().len(), 1);

    assert_eq!(world.proxy.clear_faults(|rule| rule.id == id), 1);
    assert_eq!(caller.ask("GET", "/stock", "", "").await.status(), 200);
    assert_eq!(callee.count(), 2);
}

#[tokio::test]
async fn a_delay_longer_than_the_try_times_out_without_a_request() {
    let callee = Callee::friendly().await;
    let limits = policy("  deadline: 100ms\n  retry: { tries: 1 }");
    let world = World::start(&(route(&[callee.address], "") + &limits));
    let delay = Kind::Delay(Duration::from_secs(5));
    world.proxy.add_fault("stock", None, Fault { kind: delay, percent: Percent::ALWAYS });
    assert_eq!(world.get("/stock").await.status(), 504);
    assert_eq!(callee.count(), 0);
}

#[tokio::test]
async fn an_istio_fault_comes_before_all_tries_and_switches_them_off() {
    let callee = Callee::friendly().await;
    let rule = r#"
    fault: { abort: { percentage: { value: 100 }, httpStatus: 503 } }
    retries: { attempts: 3, retryOn: "5xx" }
"#;
    let world = World::start(&route(&[callee.address], rule));
    let answer = world.get("/stock").await;
    assert_eq!((answer.status(), callee.count()), (503, 0));
    assert_eq!(world.metric("bowline_requests_total", &["flag=\"FI\""]), 1.0);
    assert_eq!(world.metric("bowline_retries_total", &[]), 0.0);
}

#[tokio::test]
async fn an_istio_delay_leaves_a_try_its_own_time() {
    let callee = Callee::start(|_| Do::Late(Duration::from_millis(20), 200)).await;
    let rule = "    fault: { delay: { percentage: { value: 100 }, fixedDelay: 150ms } }";
    let limits = policy("  deadline: 2s\n  retry: { tries: 1, perTry: 100ms }");
    let world = World::start(&(route(&[callee.address], rule) + &limits));
    assert_eq!(world.get("/stock").await.status(), 200);
}

#[tokio::test]
async fn an_istio_delay_does_not_outlast_the_deadline() {
    let callee = Callee::friendly().await;
    let rule = "    fault: { delay: { percentage: { value: 100 }, fixedDelay: 5s } }";
    let world = World::start(&(route(&[callee.address], rule) + &policy("  deadline: 100ms")));
    let answer = tokio::time::timeout(Duration::from_secs(1), world.get("/stock")).await;
    assert_eq!(answer.map(|answer| answer.status()), Ok(504));
    assert_eq!(callee.count(), 0);
}
