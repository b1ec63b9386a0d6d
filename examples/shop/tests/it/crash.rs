//! Processes that die without warning.

use crate::town::{Folder, Town, get, settled, try_post};
use shop::client::Client;
use shop::{Peers, Service};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;

const STOCK: u64 = 1_000_000;

/// A service in a process of its own. Dropping it is `kill -9`.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(service: Service, data: &Path, listen: SocketAddr, peers: Peers) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_shop"))
            .arg(service.name())
            .args(["--listen", &listen.to_string()])
            .args(["--payment", &peers.payment.to_string()])
            .args(["--inventory", &peers.inventory.to_string()])
            .args(["--notification", &peers.notification.to_string()])
            .arg("--data")
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Its first line ends with its address.
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
        Self { child, address }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _already_dead = self.child.kill();
        let _status = self.child.wait();
    }
}

#[tokio::test]
async fn orders_killed_at_work_agrees_with_everybody_after_its_restart() {
    let town = Town::new().await;
    let client = Client::default();
    let folder = Folder::new();
    let anywhere = "127.0.0.1:0".parse().unwrap();
    let mut orders = Process::start(Service::Orders, folder.path(), anywhere, town.peers());
    let address = orders.address;

    let body = r#"{"items":[{"sku":"A47","qty":2}]}"#;
    for round in 0..3 {
        // Eight customers order; the process dies under them.
        let mut customers = JoinSet::new();
        for customer in 0..8 {
            let client = client.clone();
            let key = format!("{round}-{customer}");
            customers.spawn(async move { try_post(&client, address, "/orders", Some(&key), body).await });
        }
        // In the first round hardly anything is done by then; in the others some are through, the others
        // half-way.
        sleep(Duration::from_millis(5)).await;
        for _ in 0..2 * round {
            customers.join_next().await;
        }
        drop(orders);
        customers.join_all().await;
        orders = Process::start(Service::Orders, folder.path(), address, town.peers());
    }

    // Everybody asks again with the same key, and hears what became of the order.
    let client = Client::default(); // the other one's connections died with the process
    let mut confirmed = 0;
    for round in 0..3 {
        for customer in 0..8 {
            let key = format!("{round}-{customer}");
            let answer = try_post(&client, address, "/orders", Some(&key), body).await.unwrap();
            let order = settled(&client, address, answer.order_id()).await;
            confirmed += u64::from(order["status"] == "confirmed");
        }
    }

    assert!(confirmed > 0, "a run in which nothing was through has shown nothing");
    assert_eq!(town.effects(&town.payment, "captured").await, (confirmed, confirmed));
    let (held, _) = town.effects(&town.payment, "authorized").await;
    let (let_go, _) = town.effects(&town.payment, "reversed").await;
    assert_eq!(held, confirmed + let_go, "what was held is taken or let go");
    let stock = get(&client, town.address(&town.inventory), "/stock/A47").await;
    assert_eq!(
        stock["quantity"],
        STOCK - 2 * confirmed,
        "what is gone from the stock is in confirmed orders"
    );
}

#[tokio::test]
async fn inventory_killed_at_work_forgets_nothing_that_it_answered() {
    let town = Town::new().await;
    let client = Client::default();
    let folder = Folder::new();
    let anywhere = "127.0.0.1:0".parse().unwrap();
    let inventory = Process::start(Service::Inventory, folder.path(), anywhere, town.peers());
    let address = inventory.address;

    let body = |order: u32| format!(r#"{{"order_id":"o{order}","items":[{{"sku":"A47","qty":1}}]}}"#);
    let mut answered = 0;
    for order in 0..10 {
        let answer =
            try_post(&client, address, "/allocations", Some(&format!("k{order}")), &body(order)).await;
        answered += u64::from(answer.is_some_and(|answer| answer.status == 201));
    }
    drop(inventory);
    let _inventory = Process::start(Service::Inventory, folder.path(), address, town.peers());
    let client = Client::default(); // the other one's connections died with the process
    assert_eq!(answered, 10);
    assert_eq!(get(&client, address, "/stock/A47").await["quantity"], STOCK - 10);
    let again = try_post(&client, address, "/allocations", Some("k3"), &body(3)).await.unwrap();
    assert!(again.replayed && again.status == 201);
    assert_eq!(get(&client, address, "/stock/A47").await["quantity"], STOCK - 10);
}

#[tokio::test]
async fn a_second_process_on_the_same_data_is_refused() {
    let town = Town::new().await;
    let folder = Folder::new();
    let anywhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let _first = Process::start(Service::Payment, folder.path(), anywhere, town.peers());
    let second = Command::new(env!("CARGO_BIN_EXE_shop"))
        .args(["payment", "--listen", "127.0.0.1:0", "--data"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&second.stderr).contains("payment.db"));
}
