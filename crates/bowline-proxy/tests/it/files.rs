//! Endpoints that a file lists.

use crate::support::{Callee, World, eventually, nobody, route_to};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A file that is gone with the test.
struct HostsFile(PathBuf);

impl HostsFile {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("bowline-hosts-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder.join("stock.hosts"))
    }

    /// Writes over what is there.
    fn write(&self, text: &str) {
        std::fs::write(&self.0, text).unwrap();
    }

    /// Puts another file in its place.
    fn replace(&self, text: &str) {
        let next = self.0.with_extension("next");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(next, &self.0).unwrap();
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for HostsFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.parent().unwrap());
    }
}

fn list(addresses: &[SocketAddr]) -> String {
    let each: String = addresses.iter().map(|address| format!("- {{ address: \"{address}\" }}\n")).collect();
    format!("endpoints:\n{each}")
}

fn listed_in(file: &HostsFile) -> String {
    route_to(&format!("{{ file: \"{}\" }}", file.path().display()), "")
}

fn is_host(world: &World, address: SocketAddr) -> bool {
    world.metric("bowline_host_state", &[&format!("host=\"{address}\"")]) > 0.0
}

fn failing(world: &World) -> bool {
    world.metric("bowline_discovery_failing", &["from=\"file\""]) > 0.0
}

#[tokio::test]
async fn a_change_is_taken_whether_the_file_is_written_over_or_replaced() {
    let (one, other) = (Callee::friendly().await, Callee::friendly().await);
    let file = HostsFile::new();
    file.write(&list(&[one.address]));
    let world = World::start(&listed_in(&file));
    assert_eq!(world.get("/stock").await.status(), 200, "the first design has its endpoints");

    file.write(&list(&[other.address]));
    eventually("written over", || is_host(&world, other.address) && !is_host(&world, one.address)).await;
    let before = one.count();
    assert_eq!(world.get("/stock").await.status(), 200);
    assert_eq!(one.count(), before);

    file.replace(&list(&[one.address, other.address]));
    eventually("replaced", || is_host(&world, one.address) && is_host(&world, other.address)).await;
    assert_eq!(world.metric("bowline_discovery_endpoints", &["from=\"file\""]), 2.0);
}

#[tokio::test]
async fn changes_under_load_lose_no_request() {
    let (one, other) = (Callee::friendly().await, Callee::friendly().await);
    let file = HostsFile::new();
    file.write(&list(&[one.address]));
    let world = World::start_with(&listed_in(&file), 2, |_| ());
    let mut caller = world.caller().await;
    for addresses in [[other.address], [one.address], [other.address]] {
        file.replace(&list(&addresses));
        while !is_host(&world, addresses[0]) {
            assert_eq!(caller.ask("GET", "/stock", "", "").await.status(), 200);
        }
    }
    assert_eq!(caller.ask("GET", "/stock", "", "").await.status(), 200);
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_is_told() {
    let callee = Callee::friendly().await;
    let file = HostsFile::new();
    file.write(&list(&[callee.address]));
    let world = World::start(&listed_in(&file));
    for broken in ["endpoints: [ { addre", "", "hosts: []\n", "endpoints: [ { address: nowhere } ]"] {
        file.write(broken);
        eventually("it is told", || failing(&world)).await;
        assert_eq!(world.get("/stock").await.status(), 200, "{broken}");
        file.replace(&list(&[callee.address]));
        eventually("it is told that this is over", || !failing(&world)).await;
    }
    std::fs::remove_file(file.path()).unwrap();
    eventually("it is told", || failing(&world)).await;
    assert_eq!(world.get("/stock").await.status(), 200);
}

#[tokio::test]
async fn a_file_that_comes_later_is_taken_and_an_empty_list_is_no_mistake() {
    let callee = Callee::friendly().await;
    let file = HostsFile::new();
    let world = World::start(&listed_in(&file));
    assert!(failing(&world));
    assert_eq!(world.get("/stock").await.status(), 503);
    file.write(&list(&[callee.address]));
    eventually("it has come", || is_host(&world, callee.address)).await;
    assert_eq!(world.get("/stock").await.status(), 200);
    file.write("endpoints: []\n");
    eventually("scaled to nothing", || !is_host(&world, callee.address)).await;
    assert_eq!(world.get("/stock").await.status(), 503);
    assert!(!failing(&world));
}

#[tokio::test]
async fn labels_of_a_file_make_subsets() {
    let (callee, gone) = (Callee::friendly().await, nobody());
    let file = HostsFile::new();
    file.write(&format!(
        "endpoints:\n- {{ address: \"{}\", labels: {{ version: v2 }} }}\n- {{ address: \"{gone}\" }}\n",
        callee.address
    ));
    let yaml = listed_in(&file).replace("{ host: stock }", "{ host: stock, subset: v2 }")
        + "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: stock }
spec: { host: stock, subsets: [ { name: v2, labels: { version: v2 } } ] }
";
    let world = World::start(&yaml);
    for _ in 0..10 {
        assert_eq!(world.get("/stock").await.status(), 200);
    }
    assert_eq!(callee.count(), 10);
}
