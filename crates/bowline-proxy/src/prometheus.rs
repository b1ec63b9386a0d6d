//! Prometheus' text form of everything counted.

use crate::found::{LOOKS, Sources};
use crate::metrics::{BUCKETS_MICROS, Metrics, STATES};
use crate::proxy::Shared;
use crate::snapshot::Snapshot;
use bowline_model::decision::GiveUp;
use bowline_model::{Instant, WallTime};
use bowline_policy::Health;
use bowline_policy::balance::Host;
use std::fmt::{Display, Write as _};

/// Writes everything that was counted, as Prometheus reads it (text format 0.0.4).
#[must_use]
pub(crate) fn render(shared: &Shared, spans_lost: u64) -> String {
    let (metrics, snapshot) = (&shared.metrics, &*shared.snapshot.load_full());
    let (now, wall) = (shared.clock.now(), shared.clock.wall());
    // A snapshot ends when its last request does, and nothing else tells.
    metrics.forget();
    let mut page = Page(String::with_capacity(16 * 1024));
    requests(&mut page, metrics);
    edges(&mut page, snapshot, now);
    hosts(&mut page, snapshot, now);
    checks(&mut page, snapshot);
    sources(&mut page, &shared.sources);
    calls(&mut page, metrics);
    access(&mut page, metrics);
    doors(&mut page, metrics);
    certificates(&mut page, snapshot, wall);
    let help = "Requests whose spans were lost: the queue was full or the collector refused them.";
    page.family("bowline_traces_dropped_total", "counter", help);
    page.sample("bowline_traces_dropped_total", &[], spans_lost);
    page.0
}

fn requests(page: &mut Page, metrics: &Metrics) {
    page.family(
        "bowline_requests_total",
        "counter",
        "Requests answered, by listener, route, service, status class and response flag (Envoy's letters).",
    );
    for (labels, tally) in metrics.tallies() {
        for (class, flag, count) in tally.requests() {
            let labels = [
                ("listener", &*labels.listener),
                ("route", &*labels.route),
                ("service", &*labels.service),
                ("class", class),
                ("flag", flag.as_str()),
            ];
            page.sample("bowline_requests_total", &labels, count);
        }
    }
    let name = "bowline_request_seconds";
    page.family(name, "histogram", "How long requests took, by service, the answer's body included.");
    for (service, latency) in metrics.latencies() {
        let (counts, seconds) = latency.read();
        if counts[BUCKETS_MICROS.len()] == 0 {
            continue;
        }
        for (end, count) in BUCKETS_MICROS.iter().zip(counts) {
            let end = format!("{}", *end as f64 / 1e6);
            page.sample("bowline_request_seconds_bucket", &[("service", &service), ("le", &end)], count);
        }
        let count = counts[BUCKETS_MICROS.len()];
        page.sample("bowline_request_seconds_bucket", &[("service", &service), ("le", "+Inf")], count);
        page.sample("bowline_request_seconds_sum", &[("service", &service)], seconds);
        page.sample("bowline_request_seconds_count", &[("service", &service)], count);
    }
}

fn edges(page: &mut Page, snapshot: &Snapshot, now: Instant) {
    page.family("bowline_calls_total", "counter", "Calls begun, by service, subset and operation.");
    for (callee, edge) in snapshot.edges() {
        page.sample("bowline_calls_total", &callee.labels(), edge.counters().calls());
    }
    page.family("bowline_tries_total", "counter", "Tries sent.");
    for (callee, edge) in snapshot.edges() {
        page.sample("bowline_tries_total", &callee.labels(), edge.counters().tries());
    }
    page.family(
        "bowline_retries_total",
        "counter",
        "Tries that followed another, by the reason that allowed them.",
    );
    for (callee, edge) in snapshot.edges() {
        for (why, count) in edge.counters().retries() {
            page.sample("bowline_retries_total", &callee.and("reason", why.as_str()), count);
        }
    }
    page.family(
        "bowline_hedges_total",
        "counter",
        "Tries sent beside one that was late, by what became of them.",
    );
    for (callee, edge) in snapshot.edges() {
        for (end, count) in edge.counters().hedges() {
            page.sample("bowline_hedges_total", &callee.and("result", end.as_str()), count);
        }
    }
    page.family(
        "bowline_hedges_withheld_total",
        "counter",
        "Calls that were not hedged, or not any more, by reason; only where a policy hedges.",
    );
    for (callee, edge) in snapshot.edges() {
        for (why, count) in edge.counters().withheld() {
            page.sample("bowline_hedges_withheld_total", &callee.and("reason", why.as_str()), count);
        }
    }
    page.family(
        "bowline_hedge_after_seconds",
        "gauge",
        "How long a try may be under way before it is hedged.",
    );
    for (callee, edge) in snapshot.edges() {
        if let Some(Ok(after)) = edge.hedge().map(|hedge| hedge.delay(now)) {
            page.sample("bowline_hedge_after_seconds", &callee.labels(), after.as_secs_f64());
        }
    }
    page.family(
        "bowline_call_ends_total",
        "counter",
        "Calls ended, by the reason why no further try was made.",
    );
    for (callee, edge) in snapshot.edges() {
        for (reason, count) in edge.counters().ends() {
            page.sample("bowline_call_ends_total", &callee.and("reason", reason.as_str()), count);
        }
    }
    page.family("bowline_deadline_exhausted_total", "counter", "Calls that ended because their time was up.");
    for (callee, edge) in snapshot.edges() {
        let ends = edge.counters().ends();
        let late =
            ends.filter(|(reason, _)| matches!(reason, GiveUp::DeadlineExceeded | GiveUp::DeadlineTooClose));
        page.sample(
            "bowline_deadline_exhausted_total",
            &callee.labels(),
            late.map(|(_, count)| count).sum::<u64>(),
        );
    }
    page.family("bowline_breaker_state", "gauge", "1 for the state each breaker is in.");
    for (key, breaker) in snapshot.breakers() {
        let is = breaker.state(now);
        for state in STATES {
            page.sample(
                "bowline_breaker_state",
                &[("breaker", key), ("state", state.as_str())],
                u64::from(state == is),
            );
        }
    }
    page.family(
        "bowline_breaker_window_calls",
        "gauge",
        "Calls in each breaker's window, by whether they failed.",
    );
    for (key, breaker) in snapshot.breakers() {
        let (failed, calls) = breaker.counts(now);
        page.sample("bowline_breaker_window_calls", &[("breaker", key), ("failed", "yes")], failed);
        page.sample(
            "bowline_breaker_window_calls",
            &[("breaker", key), ("failed", "no")],
            calls.saturating_sub(failed),
        );
    }
    page.family("bowline_breaker_probes_out", "gauge", "Leases of each half-open breaker that are out.");
    for (key, breaker) in snapshot.breakers() {
        page.sample("bowline_breaker_probes_out", &[("breaker", key)], breaker.probes_out(now));
    }
    page.family("bowline_budget_calls_running", "gauge", "Calls under way that each retry budget counts.");
    for (key, budget) in snapshot.budgets() {
        page.sample("bowline_budget_calls_running", &[("budget", key)], budget.active());
    }
    page.family(
        "bowline_budget_retries_running",
        "gauge",
        "Retries that each budget has given and that are under way or wait for their turn.",
    );
    for (key, budget) in snapshot.budgets() {
        page.sample("bowline_budget_retries_running", &[("budget", key)], budget.retrying());
    }
    page.family("bowline_hedges_running", "gauge", "Hedges under way.");
    for (key, hedge) in snapshot.hedges() {
        page.sample("bowline_hedges_running", &[("hedge", key)], hedge.under_way());
    }
    page.family("bowline_bulkhead_running", "gauge", "Calls that hold a place in each bulkhead.");
    for (key, bulkhead) in snapshot.bulkheads() {
        page.sample("bowline_bulkhead_running", &[("bulkhead", key)], bulkhead.running());
    }
    page.family("bowline_bulkhead_waiting", "gauge", "Calls that wait for a place in each bulkhead.");
    for (key, bulkhead) in snapshot.bulkheads() {
        page.sample("bowline_bulkhead_waiting", &[("bulkhead", key)], bulkhead.waiting());
    }
    page.family(
        "bowline_admission_window_calls",
        "gauge",
        "Calls in each admission throttle's window, by whether the callee accepted them.",
    );
    for (key, admission) in snapshot.admissions() {
        let (requests, accepts) = admission.counts(now);
        page.sample("bowline_admission_window_calls", &[("admission", key), ("accepted", "yes")], accepts);
        page.sample(
            "bowline_admission_window_calls",
            &[("admission", key), ("accepted", "no")],
            requests.saturating_sub(accepts),
        );
    }
    page.family(
        "bowline_try_median_seconds",
        "gauge",
        "Half of the tries take longer than this, where doomed calls are shed and there were enough tries.",
    );
    for (callee, median) in snapshot.medians() {
        if let Some(median) = median.read(now) {
            page.sample("bowline_try_median_seconds", &callee.labels(), median.as_secs_f64());
        }
    }
    page.family("bowline_endpoint_connections", "gauge", "Connections that are open to each endpoint.");
    // One address reached in two ways is two endpoints here and one to people.
    for ways in snapshot.endpoints().chunk_by(|a, b| a.address() == b.address()) {
        let open: u32 = ways.iter().map(|endpoint| endpoint.open()).sum();
        page.sample("bowline_endpoint_connections", &[("endpoint", ways[0].address())], open);
    }
}

fn hosts(page: &mut Page, snapshot: &Snapshot, now: Instant) {
    page.family("bowline_host_state", "gauge", "1 for the state each host of a destination is in.");
    each_host(snapshot, |labels, host| {
        let is = host.state(now).as_str();
        for state in HOST_STATES {
            page.sample(
                "bowline_host_state",
                &[labels[0], labels[1], ("state", state)],
                u64::from(state == is),
            );
        }
    });
    page.family("bowline_host_pending", "gauge", "Tries under way at each host of a destination.");
    each_host(snapshot, |labels, host| page.sample("bowline_host_pending", &labels, host.pending()));
    page.family("bowline_host_ejections_total", "counter", "Times a host was left out, by reason.");
    for (key, balancer) in snapshot.balancers() {
        for (why, count) in balancer.detector().ejected().filter(|(_, count)| *count > 0) {
            let labels = [("destination", key), ("reason", why.as_str())];
            page.sample("bowline_host_ejections_total", &labels, count);
        }
    }
    page.family(
        "bowline_host_spared_total",
        "counter",
        "Times a host deserved to be left out and stayed, by why it stayed.",
    );
    for (key, balancer) in snapshot.balancers() {
        for (why, count) in balancer.detector().spared().filter(|(_, count)| *count > 0) {
            let labels = [("destination", key), ("reason", why.as_str())];
            page.sample("bowline_host_spared_total", &labels, count);
        }
    }
}

fn sources(page: &mut Page, sources: &Sources) {
    let all = sources.all();
    let name = "bowline_discovery_endpoints";
    page.family(
        name,
        "gauge",
        "Addresses that DNS has of each name, endpoints that each file lists, keys that each issuer has.",
    );
    for (source, tally) in &all {
        page.sample(name, &[("from", tally.kind.as_str()), ("source", source)], tally.known);
    }
    let name = "bowline_discovery_failing";
    page.family(name, "gauge", "1 where the last look failed, and what was known before holds.");
    for (source, tally) in &all {
        page.sample(name, &[("from", tally.kind.as_str()), ("source", source)], u64::from(tally.failing));
    }
    let name = "bowline_discovery_looks_total";
    page.family(
        name,
        "counter",
        "Looks at each name, each changed file and each issuer's keys, by what came of them.",
    );
    for (source, tally) in &all {
        for (result, count) in LOOKS.into_iter().zip(tally.looks).filter(|(_, count)| *count > 0) {
            let labels = [("from", tally.kind.as_str()), ("source", &**source), ("result", result)];
            page.sample(name, &labels, count);
        }
    }
}

fn checks(page: &mut Page, snapshot: &Snapshot) {
    let name = "bowline_host_health";
    page.family(name, "gauge", "1 for what checks have found each endpoint of a service to be.");
    for (_, watch) in snapshot.watches() {
        let is = watch.checked.health();
        for health in [Health::Unknown, Health::Well, Health::Ill] {
            let labels = [
                ("service", &*watch.service),
                ("host", watch.endpoint.address()),
                ("state", health.as_str()),
            ];
            page.sample(name, &labels, u64::from(health == is));
        }
    }
    let name = "bowline_host_checks_total";
    page.family(name, "counter", "Checks of each endpoint of a service, by how they went.");
    for (_, watch) in snapshot.watches() {
        for (result, count) in watch.checked.counts() {
            let labels =
                [("service", &*watch.service), ("host", watch.endpoint.address()), ("result", result)];
            page.sample(name, &labels, count);
        }
    }
}

/// The words of [`HostState`](bowline_policy::balance::HostState).
const HOST_STATES: [&str; 3] = ["well", "ejected", "ill"];

fn each_host(snapshot: &Snapshot, mut tell: impl FnMut([(&str, &str); 2], &Host)) {
    for (key, balancer) in snapshot.balancers() {
        for host in balancer.hosts() {
            tell([("destination", key), ("host", host.key())], host);
        }
    }
}

/// Who was let through, and whose token was believed; nothing where nobody asked.
fn access(page: &mut Page, metrics: &Metrics) {
    let name = "bowline_access_total";
    page.family(name, "counter", "Calls by whether Access let their caller through, and why not.");
    for (callee, tally) in metrics.calls() {
        for (result, count) in tally.access().filter(|(_, count)| *count > 0) {
            page.sample(name, &callee.and("result", result), count);
        }
    }
    let name = "bowline_tokens_total";
    page.family(name, "counter", "Tokens of callers, by whether they were believed, and why not.");
    for (result, count) in metrics.tokens().filter(|(_, count)| *count > 0) {
        page.sample(name, &[("result", result)], count);
    }
}

fn calls(page: &mut Page, metrics: &Metrics) {
    page.family("bowline_faults_injected_total", "counter", "Faults put into tries, by kind.");
    for (callee, tally) in metrics.calls() {
        for (kind, count) in tally.faults().filter(|(_, count)| *count > 0) {
            page.sample("bowline_faults_injected_total", &callee.and("kind", kind), count);
        }
    }
    page.family(
        "bowline_breaker_moves_total",
        "counter",
        "Times a call moved its breaker, by the new state.",
    );
    for (callee, tally) in metrics.calls() {
        for (state, count) in tally.moves().filter(|(_, count)| *count > 0) {
            page.sample("bowline_breaker_moves_total", &callee.and("to", state.as_str()), count);
        }
    }
}

fn doors(page: &mut Page, metrics: &Metrics) {
    page.family("bowline_connections_accepted_total", "counter", "Connections accepted, by listener.");
    for (listener, door) in metrics.doors() {
        page.sample("bowline_connections_accepted_total", &[("listener", &listener)], door.read().0);
    }
    page.family("bowline_connections_open", "gauge", "Connections open now, by listener.");
    for (listener, door) in metrics.doors() {
        page.sample("bowline_connections_open", &[("listener", &listener)], door.read().1);
    }
    page.family(
        "bowline_caller_requests_total",
        "counter",
        "Requests that came in, by listener and by what the caller speaks: h1 or h2.",
    );
    for (listener, door) in metrics.doors() {
        for (protocol, count) in door.requests() {
            let labels = [("listener", &*listener), ("protocol", protocol.as_str())];
            page.sample("bowline_caller_requests_total", &labels, count);
        }
    }
    page.family(
        "bowline_tls_handshakes_total",
        "counter",
        "TLS handshakes with callers, by listener and how they ended: full, resumed, or why there was none.",
    );
    for (listener, door) in metrics.doors() {
        for (ending, count) in door.handshakes().0.filter(|(_, count)| *count > 0) {
            let labels = [("listener", &*listener), ("end", ending.as_str())];
            page.sample("bowline_tls_handshakes_total", &labels, count);
        }
    }
    page.family("bowline_tls_handshakes_open", "gauge", "TLS handshakes under way, by listener.");
    for (listener, door) in metrics.doors() {
        page.sample("bowline_tls_handshakes_open", &[("listener", &listener)], door.handshakes().1);
    }
    page.family(
        "bowline_tls_handshakes_waited_total",
        "counter",
        "TLS handshakes that had to wait because as many as may be were under way, by listener.",
    );
    for (listener, door) in metrics.doors() {
        page.sample("bowline_tls_handshakes_waited_total", &[("listener", &listener)], door.handshakes().2);
    }
    page.family("bowline_tunnels_total", "counter", "Tunnels opened by an upgrade, by listener.");
    for (listener, door) in metrics.doors() {
        page.sample("bowline_tunnels_total", &[("listener", &listener)], door.tunnels().0);
    }
    page.family("bowline_tunnels_open", "gauge", "Tunnels open now, by listener.");
    for (listener, door) in metrics.doors() {
        page.sample("bowline_tunnels_open", &[("listener", &listener)], door.tunnels().1);
    }
    page.family(
        "bowline_tunnel_bytes_total",
        "counter",
        "Bytes through tunnels, by listener and direction: in from callers, out to them.",
    );
    for (listener, door) in metrics.doors() {
        for (direction, bytes) in ["in", "out"].into_iter().zip(door.tunnels().2) {
            let labels = [("listener", &*listener), ("direction", direction)];
            page.sample("bowline_tunnel_bytes_total", &labels, bytes);
        }
    }
    page.family(
        "bowline_gate_refusals_total",
        "counter",
        "What the gate refused, of HTTP/1 and HTTP/2, by reason.",
    );
    for (reason, count) in metrics.violations() {
        page.sample("bowline_gate_refusals_total", &[("reason", reason.as_str())], count);
    }
}

fn certificates(page: &mut Page, snapshot: &Snapshot, wall: WallTime) {
    let name = "bowline_tls_certificate_expiry_seconds";
    page.family(
        name,
        "gauge",
        "Seconds until a certificate of ours ends, by its file; negative: since it ended.",
    );
    let now = (wall.as_unix_nanos() / 1_000_000_000).cast_signed();
    for until in snapshot.certificates() {
        page.sample(name, &[("file", &until.file)], until.second - now);
    }
    let name = "bowline_tls_trouble";
    page.family(
        name,
        "gauge",
        "1 for each user of TLS whose files cannot be used: what was read before serves on, or nothing does.",
    );
    for trouble in snapshot.troubles() {
        let serves = if trouble.kept { "before" } else { "nothing" };
        page.sample(name, &[("user", &trouble.user), ("about", &trouble.about), ("serves", serves)], 1);
    }
}

impl crate::metrics::Callee {
    fn labels(&self) -> [(&str, &str); 3] {
        [("service", &*self.service), ("subset", &*self.subset), ("operation", &*self.operation)]
    }

    fn and<'a>(&'a self, name: &'a str, value: &'a str) -> [(&'a str, &'a str); 4] {
        let [service, subset, operation] = self.labels();
        [service, subset, operation, (name, value)]
    }
}

/// A page under way.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.0.push(if index == 0 { '{' } else { ',' });
            self.0.push_str(label);
            self.0.push_str("=\"");
            for character in text.chars() {
                match character {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    other => self.0.push(other),
                }
            }
            self.0.push('"');
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        let mut page = Page(String::new());
        page.family("x_total", "counter", "X.");
        page.sample("x_total", &[("a", "say \"hi\"\\\n")], 3);
        assert_eq!(
            page.0,
            "# HELP x_total X.\n# TYPE x_total counter\nx_total{a=\"say \\\"hi\\\"\\\\\\n\"} 3\n"
        );
    }
}
