//! The library's link: the design's values down, counters and trails up.

use super::{Running, Shared, locked};
use crate::faults::Injected;
use crate::links;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bowline::link::format::{GuardReport, Report};
use bowline_design::format::parse_duration;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// The longest a library may wait in one request: below what middleboxes and the library's own client
/// take for a dead connection.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The largest report taken: the library sends trails in batches of far less.
const REPORT_MAX: usize = 4 << 20;

/// Answers with the values of the design's guards, as soon as they are others than the asker has.
pub(super) async fn guards(
    State(running): Shared,
    Query(asked): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let Some((token, _)) = identity(&running, &headers) else { return unknown() };
    let wait = asked.get("wait").and_then(|wait| parse_duration(wait).ok()).unwrap_or_default().min(WAIT_MAX);
    let since = asked.get("since").cloned().unwrap_or_default();
    running.known.send_modify(|known| drop(known.insert(token, since.clone())));
    let mut revision = running.revision.subscribe();
    tokio::select! {
        _ = revision.wait_for(|now| super::revision(*now) != since) => {}
        () = tokio::time::sleep(wait) => return StatusCode::NO_CONTENT.into_response(),
        () = running.api_closes() => return StatusCode::NO_CONTENT.into_response(),
    }
    // Read before what it names: a change in between is asked for again, not missed.
    let now = running.revision();
    let guards = links::guards(&running.proxy.design(), &Injected::list(&running.proxy), now);
    ([(header::CONTENT_TYPE, "application/json")], guards.to_json()).into_response()
}

/// Takes what a library counted and decided.
pub(super) async fn report(State(running): Shared, headers: HeaderMap, body: axum::body::Body) -> Response {
    let Some((_, service)) = identity(&running, &headers) else { return unknown() };
    let Ok(bytes) = axum::body::to_bytes(body, REPORT_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    match Report::parse(&bytes) {
        Ok(report) => {
            running.traces.told(&service, &report.trails);
            running.links.take(&service, report);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

/// The token that the request carries, and whose it is.
fn identity(running: &Arc<Running>, headers: &HeaderMap) -> Option<(String, String)> {
    let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    let service = locked(&running.tokens).get(token).cloned()?;
    Some((token.to_owned(), service))
}

fn unknown() -> Response {
    let why = "the token is not one of this process's; `bowline up` gives each service its own\n";
    (StatusCode::UNAUTHORIZED, why).into_response()
}

/// What linked guards counted, in Prometheus' text form, beside the proxy's own.
pub(super) fn metrics(running: &Running) -> String {
    let reports = running.links.reports();
    let guards = || {
        reports.iter().flat_map(|(service, report)| report.guards.iter().map(move |guard| (service, guard)))
    };
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: Vec<(String, u64)>| {
        if !samples.is_empty() {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in samples {
                let _ = writeln!(text, "{name}{{{labels}}} {value}");
            }
        }
    };
    let labels =
        |service: &str, guard: &str| format!("service=\"{}\",guard=\"{}\"", escaped(service), escaped(guard));
    let plain = |value: fn(&GuardReport) -> u64| {
        guards().map(|(service, guard)| (labels(service, &guard.name), value(guard))).collect::<Vec<_>>()
    };
    family(
        "bowline_guard_calls_total",
        "counter",
        "Calls begun by a service's guards.",
        plain(|guard| guard.calls),
    );
    family(
        "bowline_guard_tries_total",
        "counter",
        "Tries sent by a service's guards.",
        plain(|guard| guard.tries),
    );
    let by_reason = |counts: fn(&GuardReport) -> &Vec<(String, u64)>| {
        guards()
            .flat_map(|(service, guard)| {
                counts(guard).iter().map(move |(reason, count)| (service, guard, reason, *count))
            })
            .map(|(service, guard, reason, count)| {
                (format!("{},reason=\"{}\"", labels(service, &guard.name), escaped(reason)), count)
            })
            .collect::<Vec<_>>()
    };
    family(
        "bowline_guard_retries_total",
        "counter",
        "Retries of a service's guards, by the reason that allowed them.",
        by_reason(|guard| &guard.retries),
    );
    family(
        "bowline_guard_ends_total",
        "counter",
        "Calls of a service's guards, by the reason that ended them.",
        by_reason(|guard| &guard.ends),
    );
    let states = guards()
        .filter_map(|(service, guard)| Some((service, guard, guard.breaker.as_ref()?)))
        .flat_map(|(service, guard, is)| {
            ["closed", "open", "half-open", "ramping"].map(|state| {
                (format!("{},state=\"{state}\"", labels(service, &guard.name)), u64::from(is == state))
            })
        })
        .collect();
    family("bowline_guard_breaker_state", "gauge", "1 for the state each guard's breaker is in.", states);
    let timed: Vec<_> = guards()
        .filter(|(_, guard)| !guard.took.is_empty())
        .map(|(service, guard)| (labels(service, &guard.name), guard))
        .collect();
    if !timed.is_empty() {
        let name = "bowline_guard_seconds";
        let _ = writeln!(
            text,
            "# HELP {name} How long a service's guarded calls took, all tries.\n# TYPE {name} histogram"
        );
    }
    for (labels, guard) in timed {
        histogram(&mut text, &labels, guard);
    }
    text
}

/// How long one guard's calls took.
fn histogram(text: &mut String, labels: &str, guard: &GuardReport) {
    // The object that it came in has no order.
    let mut ends: Vec<(u64, u64)> =
        guard.took.iter().filter_map(|(end, count)| Some((end.parse().ok()?, *count))).collect();
    ends.sort_unstable();
    let all: u64 = guard.took.iter().map(|(_, count)| count).sum();
    let mut within = 0;
    for (end, count) in ends {
        within += count;
        let _ =
            writeln!(text, "bowline_guard_seconds_bucket{{{labels},le=\"{}\"}} {within}", end as f64 / 1e6);
    }
    let _ = writeln!(text, "bowline_guard_seconds_bucket{{{labels},le=\"+Inf\"}} {all}");
    let _ = writeln!(text, "bowline_guard_seconds_sum{{{labels}}} {}", guard.took_us as f64 / 1e6);
    let _ = writeln!(text, "bowline_guard_seconds_count{{{labels}}} {all}");
}

/// A label's value as the text form wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
