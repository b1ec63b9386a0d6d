//! `bowline top`: a running design at a glance, from the same numbers that Prometheus reads.

use crate::arguments::{Output, Top};
use crate::{Done, Exit, Failure, api, print};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How often the table is drawn anew: rates over a second are what people think in.
const EVERY: Duration = Duration::from_secs(1);

pub(crate) fn run(top: &Top, output: Output) -> Done {
    let once = top.once || output == Output::Json || !std::io::stdout().is_terminal();
    let mut before = Sample::take(top.api)?;
    loop {
        // A rate needs two looks.
        wait(EVERY)?;
        let now = Sample::take(top.api)?;
        let rows = rows(&before, &now);
        match output {
            Output::Json => print::json(
                &json!({"status": now.status, "services": rows.iter().map(Row::to_json).collect::<Vec<_>>()}),
            ),
            Output::Text => {
                let clear = if once { "" } else { "\u{1b}[2J\u{1b}[H" };
                print::out(&format!("{clear}{}", text(&now, &rows)));
            }
        }
        if once {
            return Ok(Exit::Good);
        }
        before = now;
    }
}

/// Waits on a timer, not on the thread's sleep: Ctrl-C ends it like everything else.
fn wait(span: Duration) -> Result<(), Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(Failure::unreachable)?;
    // A timer is made inside its runtime.
    runtime.block_on(async { tokio::time::sleep(span).await });
    Ok(())
}

/// One look at the local API.
struct Sample {
    at: Instant,
    status: Value,
    metrics: Vec<Metric>,
}

/// One line of `/metrics`.
struct Metric {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// One service or guard in the table.
struct Row {
    name: String,
    state: String,
    per_second: f64,
    failed_percent: f64,
    p50: Option<f64>,
    p99: Option<f64>,
    retries_per_second: f64,
    breaker: String,
}

impl Sample {
    fn take(api: SocketAddr) -> Result<Self, Failure> {
        let status = api::ask(api, "GET", "/v1/status", None)?;
        let text = api::ask(api, "GET", "/metrics", None)?;
        let metrics = text.as_str().unwrap_or_default().lines().filter_map(Metric::parse).collect();
        Ok(Self { at: bowline_runtime::clock::now(), status, metrics })
    }

    fn sum(&self, name: &str, wanted: impl Fn(&BTreeMap<String, String>) -> bool) -> f64 {
        self.metrics
            .iter()
            .filter(|metric| metric.name == name && wanted(&metric.labels))
            .map(|metric| metric.value)
            .sum()
    }
}

impl Metric {
    /// Reads `name{label="value",..} 1`; comments and blank lines are `None`.
    fn parse(line: &str) -> Option<Self> {
        if line.starts_with('#') {
            return None;
        }
        let (head, value) = line.rsplit_once(' ')?;
        let (name, labels) =
            head.split_once('{').map_or((head, ""), |(name, rest)| (name, rest.trim_end_matches('}')));
        let mut read = BTreeMap::new();
        for label in labels.split("\",").filter(|label| !label.is_empty()) {
            let (key, value) = label.split_once("=\"")?;
            read.insert(key.to_owned(), value.trim_end_matches('"').to_owned());
        }
        Some(Self { name: name.to_owned(), labels: read, value: value.parse().ok()? })
    }
}

impl Row {
    fn to_json(&self) -> Value {
        json!({
            "name": self.name, "state": self.state, "per_second": self.per_second, "failed_percent": self.failed_percent,
            "p50_ms": self.p50, "p99_ms": self.p99, "retries_per_second": self.retries_per_second, "breaker": self.breaker,
        })
    }
}

fn rows(before: &Sample, now: &Sample) -> Vec<Row> {
    let seconds = now.at.duration_since(before.at).as_secs_f64().max(0.001);
    let rate = |name: &str, wanted: &dyn Fn(&BTreeMap<String, String>) -> bool| {
        (now.sum(name, wanted) - before.sum(name, wanted)).max(0.0) / seconds
    };
    let has = |labels: &BTreeMap<String, String>, key: &str, value: &str| {
        labels.get(key).is_some_and(|own| own == value)
    };
    let mut rows = Vec::new();
    for service in now.status["services"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let name = service["name"].as_str().unwrap_or_default();
        let of_service = |labels: &BTreeMap<String, String>| has(labels, "service", name);
        let requests = rate("bowline_requests_total", &of_service);
        let failed = rate("bowline_requests_total", &|labels| {
            has(labels, "service", name) && (has(labels, "class", "5xx") || has(labels, "class", "none"))
        });
        rows.push(Row {
            name: name.to_owned(),
            state: service["state"].as_str().unwrap_or_default().to_owned(),
            per_second: requests,
            failed_percent: percent(failed, requests),
            p50: quantile(before, now, "bowline_request_seconds_bucket", &of_service, 0.5),
            p99: quantile(before, now, "bowline_request_seconds_bucket", &of_service, 0.99),
            retries_per_second: rate("bowline_retries_total", &|labels| has(labels, "service", name)),
            breaker: breaker(now, name),
        });
    }
    for guard in now.status["guards"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let service = guard["service"].as_str().unwrap_or_default();
        let name = guard["name"].as_str().unwrap_or_default();
        let own =
            |labels: &BTreeMap<String, String>| has(labels, "service", service) && has(labels, "guard", name);
        let calls = rate("bowline_guard_calls_total", &own);
        let done = rate("bowline_guard_ends_total", &|labels| own(labels) && has(labels, "reason", "done"));
        let ended = rate("bowline_guard_ends_total", &own);
        rows.push(Row {
            name: format!("{service} -> {name}"),
            state: String::new(),
            per_second: calls,
            failed_percent: percent(ended - done, ended),
            p50: quantile(before, now, "bowline_guard_seconds_bucket", &own, 0.5),
            p99: quantile(before, now, "bowline_guard_seconds_bucket", &own, 0.99),
            retries_per_second: rate("bowline_guard_retries_total", &own),
            breaker: guard["breaker"].as_str().unwrap_or("-").to_owned(),
        });
    }
    rows
}

fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { 100.0 * part / whole } else { 0.0 }
}

/// The worst state of a service's breakers in the gateway.
fn breaker(now: &Sample, service: &str) -> String {
    let of = |metric: &&Metric| {
        metric.name == "bowline_breaker_state"
            && metric.value > 0.0
            && metric.labels.get("breaker").is_some_and(|key| {
                key.split(['|', '/', ' ', ',']).any(|part| part.split('.').next() == Some(service))
            })
    };
    let states: Vec<&str> = now
        .metrics
        .iter()
        .filter(of)
        .filter_map(|metric| metric.labels.get("state").map(String::as_str))
        .collect();
    let worst = ["open", "half-open", "ramping", "closed"].into_iter().find(|state| states.contains(state));
    worst.unwrap_or("-").to_owned()
}

/// A quantile in milliseconds of what was answered between two looks: the upper end of its bucket.
fn quantile(
    before: &Sample,
    now: &Sample,
    buckets: &str,
    wanted: &dyn Fn(&BTreeMap<String, String>) -> bool,
    share: f64,
) -> Option<f64> {
    let name = buckets;
    let buckets = |sample: &Sample| {
        let mut ends: Vec<(f64, f64)> = sample
            .metrics
            .iter()
            .filter(|metric| metric.name == name && wanted(&metric.labels))
            .filter_map(|metric| Some((metric.labels.get("le")?.parse().ok()?, metric.value)))
            .collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        ends
    };
    let earlier = buckets(before);
    let since = |end: f64, count: f64| {
        count - earlier.iter().find(|(own, _)| *own == end).map_or(0.0, |(_, count)| *count)
    };
    let counts: Vec<(f64, f64)> =
        buckets(now).into_iter().map(|(end, count)| (end, since(end, count))).collect();
    let total = counts.last().map(|(_, count)| *count).filter(|total| *total > 0.0)?;
    let end = counts.iter().find(|(_, count)| *count >= share * total)?.0;
    end.is_finite().then_some(end * 1e3)
}

fn text(now: &Sample, rows: &[Row]) -> String {
    let head = ["NAME", "STATE", "REQ/S", "FAILED", "P50", "P99", "RETRIES/S", "BREAKER"]
        .map(str::to_owned)
        .to_vec();
    let ms = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("<= {value} ms"));
    let mut table = vec![head];
    for row in rows {
        table.push(vec![
            row.name.clone(),
            row.state.clone(),
            format!("{:.1}", row.per_second),
            format!("{:.1} %", row.failed_percent),
            ms(row.p50),
            ms(row.p99),
            format!("{:.1}", row.retries_per_second),
            row.breaker.clone(),
        ]);
    }
    let mut text = print::table(&table);
    for fault in now.status["faults"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let word = |name: &str| fault[name].as_str().unwrap_or_default().to_owned();
        let _ = writeln!(text, "\nfault in: {}  {}", word("target"), word("text"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_metrics_is_read_with_its_labels() {
        let metric = Metric::parse(r#"bowline_requests_total{service="orders",class="2xx"} 12"#).unwrap();
        assert_eq!((metric.name.as_str(), metric.value), ("bowline_requests_total", 12.0));
        assert_eq!(metric.labels["class"], "2xx");
        assert!(Metric::parse("# HELP x y").is_none());
    }
}
