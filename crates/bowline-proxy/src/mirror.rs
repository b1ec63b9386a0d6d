//! Copies of requests for somebody else to look at: sent after the fact, answers thrown away.
//!
//! A copy is never worth a caller's wait. It goes out when the request itself is answered, carries only
//! a body that was kept anyway, is tried once, and is left out when too many are under way.

use crate::worker::Worker;
use bowline_call::{Alarm, Asker, Endpoint, HeadWriter, Replay};
use bowline_design::routing::Mirror;
use bowline_model::decision::DeadlineSource;
use bowline_model::{Deadline, Instant, Outcome, Random, SplitMix64};
use bowline_policy::{Ask, Try};
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Uri, request};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Copies that one worker has under way at most. 64: more would be load of its own.
pub(crate) const UNDER_WAY_MAX: u32 = 64;

/// How long a copy may take. Nobody waits for it; it only must end.
const PATIENCE: Duration = Duration::from_secs(5);

/// A copy of a request's head, and where it goes.
pub(crate) struct Copies {
    targets: Vec<Vec<Arc<Endpoint>>>,
    method: Method,
    target: Uri,
    headers: HeaderMap,
    seed: u64,
}

/// The copies that are to be made of a request.
pub(crate) fn prepare(
    mirrors: &[(Mirror, Vec<Arc<Endpoint>>)],
    parts: &request::Parts,
    seed: u64,
) -> Option<Copies> {
    if mirrors.is_empty() {
        return None;
    }
    let mut random = SplitMix64::new(seed);
    let wanted = mirrors
        .iter()
        .filter(|(mirror, endpoints)| !endpoints.is_empty() && mirror.percent.includes(random.next_u64()));
    let targets: Vec<_> = wanted.map(|(_, endpoints)| endpoints.clone()).collect();
    if targets.is_empty() {
        return None;
    }
    let mut headers = parts.headers.clone();
    // Envoy's mark: the shadow must be able to tell.
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes).unwrap_or_default();
    if let Ok(shadow) = HeaderValue::from_bytes(&[host, b"-shadow"].concat()) {
        headers.insert(header::HOST, shadow);
    }
    Some(Copies { targets, method: parts.method.clone(), target: parts.uri.clone(), headers, seed })
}

/// Sends the copies.
pub(crate) fn send(worker: &Rc<Worker>, copies: Copies, body: Replay) {
    if !body.is_kept_whole() {
        return;
    }
    let body = Rc::new(body);
    for endpoints in copies.targets {
        let Some(place) = worker.mirror_place() else { return };
        let shadow = Shadow {
            method: copies.method.clone(),
            target: copies.target.clone(),
            headers: copies.headers.clone(),
            body: Rc::clone(&body),
        };
        let (worker, seed) = (Rc::clone(worker), copies.seed);
        tokio::task::spawn_local(async move {
            shadow.ask(&worker, &endpoints, seed).await;
            drop(place);
        });
    }
}

struct Shadow {
    method: Method,
    target: Uri,
    headers: HeaderMap,
    body: Rc<Replay>,
}

impl Shadow {
    async fn ask(mut self, worker: &Worker, endpoints: &[Arc<Endpoint>], seed: u64) {
        let clock = worker.clock();
        let now = clock.now();
        let mut random = SplitMix64::new(seed);
        let hosts = endpoints.len().min(usize::from(u16::MAX)) as u16;
        let ask = Ask {
            now,
            deadline: Deadline::after(now, PATIENCE),
            deadline_by: DeadlineSource::Policy,
            repeatable: false,
            hosts,
            hash: None,
            arrived_try: 0,
            priority: None,
            seed,
        };
        let body = Rc::clone(&self.body);
        let mut alarm = Alarm::new(clock);
        let ended = worker
            .client()
            .call(
                &worker.shared().plain_edge,
                ask,
                endpoints,
                &body,
                &mut self,
                &mut alarm,
                &mut random,
                &mut (),
            )
            .await;
        drop(ended);
    }
}

impl Asker for Shadow {
    fn write_head(&mut self, _: &Try, _: Instant, out: &mut HeadWriter<'_>) {
        let target = self.target.path_and_query().map_or("/", |target| target.as_str());
        out.line(&self.method, target);
        out.fields(&self.headers);
    }

    fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    fn pending_allowed(&self) -> bool {
        false
    }

    fn named_outcome(&self, _: &HeaderMap) -> Option<Outcome> {
        None
    }
}
