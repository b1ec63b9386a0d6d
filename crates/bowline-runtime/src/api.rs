//! The local API: what people, the program's own verbs, Prometheus and linked libraries ask.
//!
//! | path | |
//! |---|---|
//! | `GET /healthz` | this process runs |
//! | `GET /readyz` | every role is ready; 503 and a line for each that is not |
//! | `GET /metrics` | Prometheus' text form |
//! | `GET /v1/status` | services, doors, linked guards |
//! | `GET POST DELETE /v1/faults` | what is broken on purpose |
//! | `GET /v1/explain/last` | the newest recorded request, by `status`, `id`, `destination`, `path`, `trace` |
//! | `GET /v1/link/guards`, `POST /v1/link/report` | the library's link, with the token of its process |

mod caller;
mod door;
mod link;
mod scoped;

use crate::clock;
use crate::faults::Injected;
use crate::links::Links;
use crate::services::Status;
use crate::story::{Story, behind_the_gateway};
use crate::traces::Traces;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use bowline_proxy::{Door, Filter, Proxy, Record};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

pub use scoped::{Scope, ScopedTokens};

/// How long a change waits for linked libraries to have it. They ask all the time and have it within
/// milliseconds; one that hangs is not waited for.
const KNOWN_WITHIN: Duration = Duration::from_millis(500);

/// Within this time linked libraries have told what they decided: they gather as long as more comes
/// within 50 ms.
const TOLD_WITHIN: Duration = Duration::from_millis(300);

/// What the local API serves from.
#[derive(Debug)]
pub struct Running {
    /// The data path.
    pub proxy: Proxy,
    /// What linked libraries told.
    pub links: Links,
    /// Who makes spans of it.
    pub traces: Traces,
    /// Each service's process.
    pub services: Mutex<Vec<watch::Receiver<Status>>>,
    /// The service behind each token.
    pub tokens: Mutex<BTreeMap<String, String>>,
    /// Grows with every reload and every fault: what linked libraries wait for.
    pub revision: watch::Sender<u64>,
    /// The revision that each linked process has, by its token.
    pub known: watch::Sender<BTreeMap<String, String>>,
    /// Whether the local API has closed, because a successor serves it.
    closed: watch::Sender<bool>,
    /// Where the doors listen, as people know them.
    pub doors: Mutex<Vec<(Door, String, SocketAddr)>>,
    /// What keeps the process from being ready, if anything does.
    pub pending: Mutex<Vec<String>>,
}

impl Running {
    /// A process with these parts, and nothing started yet.
    #[must_use]
    pub fn new(proxy: Proxy, traces: Traces) -> Self {
        Self {
            proxy,
            traces,
            links: Links::default(),
            services: Mutex::default(),
            tokens: Mutex::default(),
            revision: watch::channel(1).0,
            known: watch::channel(BTreeMap::new()).0,
            closed: watch::channel(false).0,
            doors: Mutex::default(),
            pending: Mutex::default(),
        }
    }

    /// Whoever brings `token` is a process of `service`: to the local API, and at the mesh port.
    pub fn enrol(&self, token: &str, service: &str) {
        locked(&self.tokens).insert(token.to_owned(), service.to_owned());
        self.tell_processes();
    }

    /// Tokens that `stays` does not choose prove nothing any more.
    pub fn dismiss(&self, stays: impl Fn(&str) -> bool) {
        locked(&self.tokens).retain(|token, _| stays(token));
        self.tell_processes();
    }

    fn tell_processes(&self) {
        let tokens = locked(&self.tokens);
        self.proxy.know_processes(tokens.iter().map(|(token, service)| (token.as_str(), service.as_str())));
    }

    /// Tells linked libraries that their values may have changed.
    pub fn changed(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }

    /// The revision that holds, as libraries know it: no other process has the same.
    #[must_use]
    pub fn revision(&self) -> String {
        revision(*self.revision.borrow())
    }

    /// Returns when every linked library has what holds now, or after [`KNOWN_WITHIN`].
    async fn is_known(&self) {
        let revision = self.revision();
        let mut known = self.known.subscribe();
        let all = known.wait_for(|known| {
            let tokens = locked(&self.tokens);
            known.iter().filter(|(token, _)| tokens.contains_key(*token)).all(|(_, known)| *known == revision)
        });
        let _ = tokio::time::timeout(KNOWN_WITHIN, all).await;
    }

    /// Takes no more connections for the local API, and parts from those that are there.
    pub fn close_api(&self) {
        self.closed.send_replace(true);
    }

    /// Returns when the local API closes.
    async fn api_closes(&self) {
        let mut closed = self.closed.subscribe();
        let _ = closed.wait_for(|closed| *closed).await;
    }

    /// What is known of each service's process.
    #[must_use]
    pub fn statuses(&self) -> Vec<Status> {
        locked(&self.services).iter().map(|status| status.borrow().clone()).collect()
    }
}

/// A revision as libraries know it.
fn revision(number: u64) -> String {
    format!("{}.{number}", std::process::id())
}

/// The lock, whatever happened to its last holder: each is held for a few lines that cannot fail.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves the local API on `listener`, to whoever brings one of `tokens` where there are some, until [`Running::close_api`] or until the future is dropped.
///
/// # Errors
/// The socket cannot be used.
pub async fn serve(
    running: Arc<Running>,
    listener: std::net::TcpListener,
    tokens: Option<Arc<ScopedTokens>>,
) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let listens = listener.local_addr()?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let app = Router::new()
        .route("/", get(front))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/v1/status", get(status))
        .route("/v1/faults", get(list_faults).post(add_fault).delete(clear_faults))
        .route("/v1/explain/last", get(explain_last))
        .route(bowline::link::format::GUARDS_PATH, get(link::guards))
        .route(bowline::link::format::REPORT_PATH, post(link::report))
        .layer(middleware::from_fn_with_state(caller::Terms { listens, tokens }, caller::check))
        .layer(middleware::from_fn_with_state(Arc::clone(&running), door::part))
        .with_state(Arc::clone(&running));
    axum::serve(door::Door::new(listener, Arc::clone(&running)), app)
        .with_graceful_shutdown(door::rest(running))
        .await
}

type Shared = State<Arc<Running>>;
type Asked = Query<HashMap<String, String>>;

async fn front() -> &'static str {
    "The local API of Bowline.\n\n  GET /v1/status          services, doors, linked guards\n  GET /metrics            for Prometheus\n  \
     GET /v1/explain/last    why the newest recorded request went as it did\n  GET /v1/faults          what is broken on purpose\n  \
     GET /healthz  /readyz\n"
}

async fn ready(State(running): Shared) -> Response {
    let mut waits = locked(&running.pending).clone();
    let unready = running.statuses().into_iter().filter(|status| !status.state.is_ready());
    waits.extend(unready.map(|status| format!("services: {} is {}", status.name, status.state.as_str())));
    // Whoever serves on with what was read before is ready, and the metrics say that it ails.
    let without = running.proxy.troubles().into_iter().filter(|trouble| !trouble.kept);
    waits.extend(without.map(|trouble| format!("files: {trouble}")));
    match waits.as_slice() {
        [] => "ready\n".into_response(),
        waits => (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", waits.join("\n"))).into_response(),
    }
}

async fn metrics(State(running): Shared) -> Response {
    let text = running.proxy.metrics() + &link::metrics(&running);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

async fn status(State(running): Shared) -> Json<Value> {
    let services: Vec<Value> = running.statuses().iter().map(service_json).collect();
    let doors: Vec<Value> = locked(&running.doors)
        .iter()
        .map(|(_, name, address)| json!({"name": name, "address": address.to_string()}))
        .collect();
    let guards: Vec<Value> = running
        .links
        .reports()
        .into_iter()
        .flat_map(|(service, report)| report.guards.into_iter().map(move |guard| (service.clone(), guard)))
        .map(|(service, guard)| {
            json!({
                "service": service, "name": guard.name, "revision": guard.revision, "calls": guard.calls,
                "tries": guard.tries, "breaker": guard.breaker, "running": guard.running,
            })
        })
        .collect();
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "services": services,
        "doors": doors,
        "guards": guards,
        "faults": faults_json(&running),
    }))
}

fn service_json(status: &Status) -> Value {
    let after = match status.state {
        crate::services::State::Ready { after } => Some(after.as_millis() as u64),
        _ => None,
    };
    json!({
        "name": status.name,
        "address": status.address.map(|address| address.to_string()),
        "pid": status.pid,
        "state": status.state.as_str(),
        "ready_after_ms": after,
        "restarts": status.restarts,
        "last_exit": status.last_exit,
        "log": status.log,
    })
}

async fn list_faults(State(running): Shared) -> Json<Value> {
    Json(json!({"faults": faults_json(&running)}))
}

async fn add_fault(State(running): Shared, Json(body): Json<Value>) -> Response {
    match Injected::from_json(&body).and_then(|injected| injected.add_to(&running.proxy)) {
        Ok(()) => {
            running.changed();
            running.is_known().await;
            (StatusCode::CREATED, Json(json!({"faults": faults_json(&running)}))).into_response()
        }
        Err(why) => (StatusCode::BAD_REQUEST, Json(json!({"error": why}))).into_response(),
    }
}

async fn clear_faults(State(running): Shared, Query(asked): Asked) -> Response {
    match Injected::clear(&running.proxy, asked.get("target").map(String::as_str)) {
        Ok(cleared) => {
            running.changed();
            running.is_known().await;
            Json(json!({"cleared": cleared, "faults": faults_json(&running)})).into_response()
        }
        Err(why) => (StatusCode::BAD_REQUEST, Json(json!({"error": why}))).into_response(),
    }
}

fn faults_json(running: &Running) -> Vec<Value> {
    let with_text = |injected: &Injected| {
        let mut value = injected.to_json();
        value["text"] = json!(injected.describe());
        value
    };
    Injected::list(&running.proxy).iter().map(with_text).collect()
}

async fn explain_last(State(running): Shared, Query(asked): Asked) -> Response {
    let filter = match filter(&asked) {
        Ok(filter) => filter,
        Err(why) => return (StatusCode::BAD_REQUEST, Json(json!({"error": why}))).into_response(),
    };
    let untold = running.proxy.trails().last(&filter).and_then(|record| untold(&running, &record));
    if let Some(rest) = untold {
        tokio::time::sleep(rest).await;
    }
    let record = running.proxy.trails().last(&filter);
    // What a guard behind the gateway had to try again may have ended in a plain good answer.
    let behind = if asked.is_empty() { running.links.last_notable() } else { None };
    if let Some(behind) = behind
        && record
            .as_ref()
            .is_none_or(|record| record.at.as_unix_nanos() / 1_000_000 + LINKED_AFTER_MS < behind.at_unix_ms)
    {
        let linked = running.links.of_trace(&behind.trace);
        return Json(behind_the_gateway(&behind.trace, &linked)).into_response();
    }
    let Some(record) = record else {
        let why = "no such request is recorded; kept are those that failed, were tried again, met a fault, or asked \
                   for it with `x-bowline-explain: 1`";
        return (StatusCode::NOT_FOUND, Json(json!({"error": why}))).into_response();
    };
    let linked = running.links.of_trace(&format!("{:032x}", record.trace));
    let design = running.proxy.design();
    Json(Story { record: &record, linked, design: &design }.json()).into_response()
}

/// How long it may take until linked libraries have told of a request that ended just now.
fn untold(running: &Running, record: &Record) -> Option<Duration> {
    if running.known.borrow().is_empty() {
        return None;
    }
    let ended = record.at.as_unix_nanos() + bowline_model::time::nanos(record.took);
    let since = Duration::from_nanos(clock::wall().as_unix_nanos().saturating_sub(ended));
    TOLD_WITHIN.checked_sub(since)
}

/// A guard's call begins later than the gateway's request that it belongs to, by up to the longest
/// deadline that people set; a trail older than that belongs to another request.
const LINKED_AFTER_MS: u64 = 30_000;

fn filter(asked: &HashMap<String, String>) -> Result<Filter, String> {
    let number = |name: &str| match asked.get(name) {
        None => Ok(None),
        Some(text) => {
            text.parse::<u64>().map(Some).map_err(|_| format!("`{name}` is not a number: `{text}`"))
        }
    };
    let trace = match asked.get("trace") {
        None => None,
        Some(text) => Some(
            u128::from_str_radix(text, 16).map_err(|_| format!("`trace` is not hexadecimal: `{text}`"))?,
        ),
    };
    Ok(Filter {
        id: number("id")?,
        status: number("status")?.map(|status| u16::try_from(status).unwrap_or(0)),
        destination: asked.get("destination").cloned(),
        trace,
        path: asked.get("path").cloned(),
    })
}
