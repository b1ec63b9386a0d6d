//! Four services in this process, on ports of their own, with data that goes away with them.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Response};
use serde_json::Value;
use shop::client::Client;
use shop::payment::generated::payment_client::PaymentClient;
use shop::{Peers, Running, Service, Settings, start};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tonic::transport::{Channel, Endpoint};

/// How long a test waits for what must come: far longer than it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder that goes away with its owner.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("shop-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}

/// The four services.
pub(crate) struct Town {
    pub(crate) orders: Option<Running>,
    pub(crate) payment: Option<Running>,
    pub(crate) inventory: Option<Running>,
    pub(crate) notification: Option<Running>,
    peers: Peers,
    client: Client,
    folder: Folder,
}

impl Town {
    pub(crate) async fn new() -> Self {
        let nowhere = "127.0.0.1:0".parse().unwrap();
        let peers = Peers { payment: nowhere, inventory: nowhere, notification: nowhere };
        let client = Client::default();
        let mut town = Self {
            orders: None,
            payment: None,
            inventory: None,
            notification: None,
            peers,
            client,
            folder: Folder::new(),
        };
        town.payment = Some(town.start(Service::Payment, nowhere).await);
        town.inventory = Some(town.start(Service::Inventory, nowhere).await);
        town.notification = Some(town.start(Service::Notification, nowhere).await);
        town.peers = Peers {
            payment: town.address(&town.payment),
            inventory: town.address(&town.inventory),
            notification: town.address(&town.notification),
        };
        town.orders = Some(town.start(Service::Orders, nowhere).await);
        town
    }

    /// Starts a service, in the place where it was if `listen` says so.
    pub(crate) async fn start(&self, service: Service, listen: SocketAddr) -> Running {
        let settings = Settings { listen, peers: self.peers, ..Settings::new(service, self.folder.path()) };
        start(&settings).await.unwrap()
    }

    pub(crate) const fn peers(&self) -> Peers {
        self.peers
    }

    /// Orders two of `sku`.
    pub(crate) async fn order(&self, sku: &str, key: Option<&str>) -> Answer {
        self.post(self.address(&self.orders), "/orders", key, &two_of(sku)).await
    }

    /// Orders two of `sku`, and waits for an answer only so long.
    pub(crate) async fn order_within(&self, sku: &str, remaining: Duration) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("x-envoy-expected-rq-timeout-ms", HeaderValue::from(remaining.as_millis() as u64));
        send(&self.client, self.address(&self.orders), "/orders", headers, &two_of(sku)).await.unwrap()
    }

    /// The order, once it owes nothing.
    pub(crate) async fn settled(&self, id: &str) -> Value {
        settled(&self.client, self.address(&self.orders), id).await
    }

    pub(crate) async fn post(&self, at: SocketAddr, path: &str, key: Option<&str>, body: &str) -> Answer {
        post(&self.client, at, path, key, body).await
    }

    pub(crate) async fn get(&self, at: SocketAddr, path: &str) -> Value {
        get(&self.client, at, path).await
    }

    /// Asks payment over gRPC.
    pub(crate) fn payments(&self) -> PaymentClient<Channel> {
        let address = self.address(&self.payment);
        PaymentClient::new(Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy())
    }

    /// How often this kind of effect happened at `service`, and for how many orders.
    pub(crate) async fn effects(&self, service: &Option<Running>, kind: &str) -> (u64, u64) {
        let effects = self.get(self.address(service), "/effects").await;
        let count = |what: &str| effects[kind][what].as_u64().unwrap_or(0);
        (count("times"), count("orders"))
    }

    pub(crate) fn address(&self, service: &Option<Running>) -> SocketAddr {
        service.as_ref().expect("it runs").address()
    }
}

/// `message` under this idempotency key.
pub(crate) fn keyed<T>(key: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("idempotency-key", key.parse().unwrap());
    request
}

/// A status, and JSON.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) replayed: bool,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn order_id(&self) -> &str {
        self.body["order_id"].as_str().expect("an order")
    }
}

pub(crate) async fn post(
    client: &Client,
    at: SocketAddr,
    path: &str,
    key: Option<&str>,
    body: &str,
) -> Answer {
    try_post(client, at, path, key, body).await.unwrap()
}

pub(crate) async fn try_post(
    client: &Client,
    at: SocketAddr,
    path: &str,
    key: Option<&str>,
    body: &str,
) -> Option<Answer> {
    let mut headers = HeaderMap::new();
    if let Some(key) = key {
        headers.insert("idempotency-key", HeaderValue::from_str(key).unwrap());
    }
    send(client, at, path, headers, body).await
}

async fn send(client: &Client, at: SocketAddr, path: &str, headers: HeaderMap, body: &str) -> Option<Answer> {
    let url = format!("http://{at}{path}");
    let answer = client.post(&url, headers, Bytes::from(body.to_owned())).await.ok()?;
    let replayed = answer.headers().contains_key("idempotent-replayed");
    Some(Answer { status: answer.status().as_u16(), replayed, body: json(&answer) })
}

pub(crate) async fn get(client: &Client, at: SocketAddr, path: &str) -> Value {
    json(&client.get(&format!("http://{at}{path}")).await.unwrap())
}

/// The order, once it owes nothing.
pub(crate) async fn settled(client: &Client, orders: SocketAddr, id: &str) -> Value {
    timeout(PATIENCE, async {
        loop {
            let order = get(client, orders, &format!("/orders/{id}")).await;
            if order["owes"] == serde_json::json!([]) && order["status"] != "pending" {
                return order;
            }
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the order is settled in the end")
}

fn two_of(sku: &str) -> String {
    format!(r#"{{"items":[{{"sku":"{sku}","qty":2}}]}}"#)
}

fn json(answer: &Response<Bytes>) -> Value {
    serde_json::from_slice(answer.body()).unwrap_or_default()
}
