//! What Istio's destination rules say: subsets, and the traffic policy of a host, a subset, a port.
//!
//! A subset's blocks take the place of the host's, block by block; a port's take the place of all, and
//! what is absent there is Istio's default, not the host's (Istio, `MergeTrafficPolicy`).

use super::balance;
use super::credential::{self, Part};
use super::findings::Findings;
use super::names;
use super::services::Services;
use crate::kinds::destination_rule::{
    ClientTls, ClientTlsMode, ConnectionPool, DestinationRule, H2UpgradePolicy, LoadBalancer,
    OutlierDetection, PortPolicy, RetryBudget, Subset as WrittenSubset, TrafficPolicy,
};
use crate::kinds::{Doc, Documents};
use crate::mistake::Spot;
use crate::resolved::{Balancing, Endpoint, Located, Service, Sourced, Subset};
use crate::routing::host::HostPattern;
use crate::routing::{CalleeTls, Connections, Keepalive};
use bowline_policy::{BudgetSettings, BulkheadSettings, ConcurrentBudget, OutlierSettings, Ratio};
use std::sync::Arc;
use std::time::Duration;

/// All destination rules, by host.
#[derive(Debug, Default)]
pub(super) struct Rules<'d> {
    rules: Vec<(HostPattern, &'d Doc<DestinationRule>)>,
}

/// The traffic policy that holds for one destination.
#[derive(Debug, Default)]
pub(super) struct Traffic<'d> {
    /// `DestinationRule shop/payment`, whose state it is.
    pub(super) rule: String,
    pub(super) balancer: Option<&'d Spot<LoadBalancer>>,
    pub(super) pool: Option<&'d Spot<ConnectionPool>>,
    pub(super) outlier: Option<&'d Spot<OutlierDetection>>,
    pub(super) retry_budget: Option<&'d Spot<RetryBudget>>,
    pub(super) tls: Option<&'d Spot<ClientTls>>,
}

impl<'d> Rules<'d> {
    pub(super) fn of(documents: &'d Documents, findings: &mut Findings) -> Self {
        let mut rules: Vec<(HostPattern, &Doc<DestinationRule>)> = Vec::new();
        for document in &documents.destination_rules {
            let host = names::qualified(&document.spec.host, &document.meta.namespace);
            // A host may be written by any of its names; the rule is about the service.
            let host = HostPattern::new(&host);
            let twice = |known: &&(HostPattern, &Doc<DestinationRule>)| {
                known.0 == host && known.1.spec.traffic_policy.is_some()
            };
            if let Some(policy) = &document.spec.traffic_policy
                && let Some((_, first)) = rules.iter().find(twice)
            {
                let text =
                    format!("a second traffic policy for this host; that of {} holds", first.meta.name);
                findings.note(&document.spec.host.value, text, &policy.place);
            }
            note_what_is_not_acted_on(&document.spec, findings);
            rules.push((host, document));
        }
        // A rule for the very host comes before one with a wildcard, a longer one before a shorter.
        rules.sort_by(|a, b| HostPattern::by_specificity(&a.0, &b.0));
        Self { rules }
    }

    /// The rules for a service: those for its host, or else those with the longest wildcard for it.
    fn for_service<'s>(
        &'s self,
        service: &'s Service,
    ) -> impl Iterator<Item = &'d Doc<DestinationRule>> + 's {
        let is_for = |pattern: &HostPattern| match pattern {
            HostPattern::Exact(host) => service.hosts.iter().any(|own| **own == **host),
            wildcard => wildcard.matches(service.host()),
        };
        let first = self.rules.iter().map(|(pattern, _)| pattern).find(|pattern| is_for(pattern));
        self.rules
            .iter()
            .filter(move |(pattern, _)| match (first, pattern) {
                (Some(HostPattern::Exact(_)), HostPattern::Exact(_)) => is_for(pattern),
                (Some(first), _) => first == pattern,
                (None, _) => false,
            })
            .map(|(_, rule)| *rule)
    }

    /// Cuts the subsets out of the services' endpoints.
    pub(super) fn cut_subsets(&self, services: &mut Services) {
        for service in &mut services.all {
            let mut subsets: Vec<Subset> = Vec::new();
            for subset in self.for_service(service).flat_map(|rule| &rule.spec.subsets) {
                let Some(name) = &subset.name else { continue };
                if subsets.iter().any(|known| *known.name == *name.value) {
                    continue;
                }
                let belongs = |index: &usize| {
                    let Endpoint { labels, located, .. } = &service.endpoints[*index];
                    // Which labels a file gives is seen when it is read.
                    *located == Located::InFile
                        || subset.labels.iter().all(|(label, value)| labels.get(label) == Some(value))
                };
                subsets.push(Subset {
                    name: name.value.as_str().into(),
                    endpoints: (0..service.endpoints.len()).filter(belongs).collect(),
                    labels: subset.labels.clone(),
                    place: subset.place.clone(),
                });
            }
            service.subsets = subsets;
        }
    }

    /// What holds for a call to a service, or a subset of it, at a port.
    pub(super) fn traffic(
        &self,
        service: &Service,
        subset: Option<&Arc<str>>,
        port: Option<u16>,
    ) -> Traffic<'d> {
        let of_host =
            self.for_service(service).find_map(|rule| Some((rule, rule.spec.traffic_policy.as_ref()?)));
        let mut traffic = Traffic::default();
        if let Some((rule, policy)) = of_host {
            traffic.take(rule, policy, port);
        }
        let named = |written: &&Spot<WrittenSubset>| {
            subset.is_some_and(|subset| written.name.as_ref().is_some_and(|name| *name.value == **subset))
        };
        let of_subset = self.for_service(service).find_map(|rule| {
            let policy = rule.spec.subsets.iter().find(named)?.traffic_policy.as_ref()?;
            Some((rule, policy))
        });
        if let Some((rule, policy)) = of_subset {
            traffic.take(rule, policy, port);
        }
        traffic
    }
}

impl<'d> Traffic<'d> {
    /// Lays a policy over what holds so far.
    fn take(&mut self, rule: &Doc<DestinationRule>, policy: &'d TrafficPolicy, port: Option<u16>) {
        self.rule = format!("DestinationRule {}/{}", rule.meta.namespace, rule.meta.name);
        self.balancer = policy.load_balancer.as_ref().or(self.balancer);
        self.pool = policy.connection_pool.as_ref().or(self.pool);
        self.outlier = policy.outlier_detection.as_ref().or(self.outlier);
        self.retry_budget = policy.retry_budget.as_ref().or(self.retry_budget);
        self.tls = policy.tls.as_ref().or(self.tls);
        let at_port = |settings: &&Spot<PortPolicy>| {
            let written = settings.port.as_ref().and_then(|port| port.number.as_ref());
            port.is_some() && written.map(|number| number.value) == port
        };
        if let Some(settings) = policy.port_level_settings.iter().find(at_port) {
            self.balancer = settings.load_balancer.as_ref();
            self.pool = settings.connection_pool.as_ref();
            self.outlier = settings.outlier_detection.as_ref();
            self.tls = settings.tls.as_ref();
        }
    }

    /// Whether HTTP/2 is spoken where the service speaks HTTP/1.1.
    pub(super) fn is_upgraded(&self) -> bool {
        let policy = self.pool.and_then(|pool| pool.http.as_ref()?.h2_upgrade_policy.as_ref());
        policy.is_some_and(|policy| policy.value == H2UpgradePolicy::Upgrade)
    }

    /// How TLS is spoken to `service`, where it is.
    pub(super) fn tls(&self, service: &Service) -> Option<CalleeTls> {
        let written = self.tls?;
        let mode = written.mode.as_ref().map_or(ClientTlsMode::Disable, |mode| mode.value);
        if !matches!(mode, ClientTlsMode::Simple | ClientTlsMode::Mutual) {
            return None;
        }
        let text = |spot: &Option<Spot<String>>| {
            spot.as_ref().map(|spot| spot.value.clone()).filter(|text| !text.is_empty())
        };
        // A credential that cannot be called so is a mistake, and found before.
        let of = |name: Option<String>, part| name.and_then(|name| credential::file(&name, part));
        let (all, apart) = (|| text(&written.credential_name), text(&written.ca_cert_credential_name));
        let own = of(all(), Part::Certificate).or_else(|| text(&written.client_certificate));
        let own = own.zip(of(all(), Part::Key).or_else(|| text(&written.private_key)));
        let names: Vec<String> = written.subject_alt_names.iter().map(|name| name.value.clone()).collect();
        Some(CalleeTls {
            server_name: text(&written.sni).unwrap_or_else(|| service.host().to_owned()),
            names: if names.is_empty() { service.proves.clone() } else { names },
            trusted: of(apart.or_else(all), Part::Authority).or_else(|| text(&written.ca_certificates)),
            blind: written.insecure_skip_verify.as_ref().is_some_and(|skip| skip.value),
            revoked: text(&written.ca_crl),
            own: own.filter(|_| mode == ClientTlsMode::Mutual),
        })
    }

    /// The limits of a connection pool as a bulkhead. Istio itself has no limit where none is written.
    pub(super) fn bulkhead(&self) -> Option<Sourced<BulkheadSettings>> {
        let pool = self.pool?;
        let connections = pool.tcp.as_ref().and_then(|tcp| tcp.max_connections.as_ref());
        let http = pool.http.as_ref();
        let requests = http.and_then(|http| http.http2_max_requests.as_ref());
        let pending = http.and_then(|http| http.http1_max_pending_requests.as_ref());
        // One HTTP/1.1 connection carries one request, so either limits the requests under way.
        // Zero cannot be said: Istio takes it for "not set".
        let limits = [connections, requests].into_iter().flatten().filter(|limit| limit.value > 0);
        let concurrent = limits.min_by_key(|limit| limit.value)?;
        let queue = pending.map_or(u32::MAX, |pending| pending.value);
        // Envoy lets a request wait as long as its own deadline allows.
        let settings = BulkheadSettings { concurrent: concurrent.value, queue, wait: WAIT_MAX };
        Some(Sourced::written(settings, concurrent.place.clone()))
    }

    /// How connections are made and kept.
    pub(super) fn connections(&self) -> Option<Sourced<Connections>> {
        let pool = self.pool?;
        let (tcp, http) = (pool.tcp.as_deref(), pool.http.as_deref());
        let span = |spot: Option<&Spot<Duration>>| spot.map(|spot| spot.value);
        // Istio takes a number of zero for one that is not said.
        let count = |spot: Option<&Spot<u32>>| spot.map(|spot| spot.value).filter(|count| *count > 0);
        // What is said of requests comes before what is said of bytes; zero is for ever.
        let idle = span(http.and_then(|http| http.idle_timeout.as_ref()))
            .or(span(tcp.and_then(|tcp| tcp.idle_timeout.as_ref())))
            .map(|idle| if idle.is_zero() { Duration::MAX } else { idle });
        let pings = http.and_then(|http| http.http2_keep_alive.as_deref());
        let probes = tcp.and_then(|tcp| tcp.tcp_keepalive.as_deref());
        let connections = Connections {
            connect: span(tcp.and_then(|tcp| tcp.connect_timeout.as_ref())),
            idle,
            age: span(tcp.and_then(|tcp| tcp.max_connection_duration.as_ref())),
            requests: count(http.and_then(|http| http.max_requests_per_connection.as_ref())),
            streams: count(http.and_then(|http| http.max_concurrent_streams.as_ref())),
            ping_after: span(pings.and_then(|pings| pings.interval.as_ref())),
            ping_timeout: span(pings.and_then(|pings| pings.timeout.as_ref())),
            keepalive: probes.map(|probes| Keepalive {
                time: span(probes.time.as_ref()),
                interval: span(probes.interval.as_ref()),
                probes: count(probes.probes.as_ref()),
            }),
        };
        (connections != Connections::default()).then(|| Sourced::written(connections, pool.place.clone()))
    }

    /// Istio's retry budget: a share of the requests under way, or a floor. Without one, a pool's `maxRetries`
    /// is the number of retries that may be under way.
    pub(super) fn budget(&self) -> Option<Sourced<BudgetSettings>> {
        let Some(written) = self.retry_budget else {
            let retries = self.pool?.http.as_ref()?.max_retries.as_ref().filter(|most| most.value > 0)?;
            let settings = BudgetSettings {
                ratio: Ratio::ONE,
                min_per_second: PER_SECOND_UNBOUND,
                concurrent: Some(ConcurrentBudget { ratio: Ratio::ZERO, min: retries.value }),
                ..BudgetSettings::default()
            };
            return Some(Sourced::written(settings, retries.place.clone()));
        };
        // 20 and 3: `destination_rule.proto`, `RetryBudget`.
        let percent = written.percent.as_ref().map_or(20.0, |percent| percent.value);
        let min = written.min_retry_concurrency.as_ref().map_or(3, |min| min.value);
        let concurrent = ConcurrentBudget { ratio: Ratio::from_f64(percent / 100.0)?, min };
        let settings = BudgetSettings {
            // Istio's counts what is under way and nothing else; the part over the window never binds.
            ratio: Ratio::ONE,
            min_per_second: PER_SECOND_UNBOUND,
            concurrent: Some(concurrent),
            ..BudgetSettings::default()
        };
        Some(Sourced::written(settings, written.place.clone()))
    }

    /// How endpoints are picked.
    pub(super) fn balance(&self) -> Option<Sourced<Balancing>> {
        balance::of_istio(self.balancer, self.outlier)
    }

    /// Ejection of single endpoints, with Istio's defaults.
    pub(super) fn ejection(&self) -> Option<Sourced<OutlierSettings>> {
        self.outlier.map(balance::outlier_of_istio)
    }
}

/// Longer than any deadline: who waits is bounded by that. A day keeps the sum with a clock far from
/// its end.
const WAIT_MAX: Duration = Duration::from_secs(86_400);

/// More retries a second than any edge makes.
const PER_SECOND_UNBOUND: u32 = 1_000_000;

/// Says by name what a destination rule asks for and does not get from this version.
fn note_what_is_not_acted_on(rule: &DestinationRule, findings: &mut Findings) {
    let mut place = |field: &str, place: &crate::mistake::Place| findings.not_acted_on(field, place);
    if let Some(export) = rule.export_to.first() {
        place("DestinationRule exportTo (one process sees all namespaces)", &export.place);
    }
    if let Some(selector) = &rule.workload_selector {
        place(
            "DestinationRule workloadSelector (there are no sidecars: the rule holds for every caller)",
            &selector.place,
        );
    }
    let of_subsets = rule.subsets.iter().filter_map(|subset| subset.traffic_policy.as_ref());
    for policy in rule.traffic_policy.iter().chain(of_subsets) {
        if let Some(tls) = &policy.tls {
            note_tls(tls, &mut place);
        }
        if let Some(interval) =
            policy.retry_budget.as_ref().and_then(|budget| budget.budget_interval.as_ref())
        {
            place(
                "retryBudget.budgetInterval (what is under way is counted, whatever the interval)",
                &interval.place,
            );
        }
        let at_ports = &policy.port_level_settings;
        for tls in at_ports.iter().filter_map(|settings| settings.tls.as_ref()) {
            note_tls(tls, &mut place);
        }
        let balancers = at_ports.iter().filter_map(|settings| settings.load_balancer.as_ref());
        for balancer in policy.load_balancer.iter().chain(balancers) {
            balance::note(balancer, &mut place);
        }
        let pools = at_ports.iter().filter_map(|settings| settings.connection_pool.as_ref());
        for pool in policy.connection_pool.iter().chain(pools) {
            note_pool(pool, &mut place);
        }
    }
}

fn note_tls(tls: &Spot<ClientTls>, note: &mut impl FnMut(&str, &crate::mistake::Place)) {
    if let Some(mode) = tls.mode.as_ref().filter(|mode| mode.value == ClientTlsMode::IstioMutual) {
        note(
            "tls.mode ISTIO_MUTUAL (nobody hands out Istio's certificates here: plain HTTP is spoken)",
            &mode.place,
        );
    }
}

fn note_pool(pool: &Spot<ConnectionPool>, note: &mut impl FnMut(&str, &crate::mistake::Place)) {
    let Some(http) = &pool.http else { return };
    if let Some(spot) = http.use_client_protocol.as_ref().filter(|spot| spot.value) {
        note(
            "connectionPool.http.useClientProtocol (what is spoken to a service is its protocol, whatever its caller speaks)",
            &spot.place,
        );
    }
    let limits = pool.tcp.as_ref().is_some_and(|tcp| tcp.max_connections.is_some())
        || http.http2_max_requests.is_some();
    if let Some(spot) = http.http1_max_pending_requests.as_ref().filter(|_| !limits) {
        note(
            "connectionPool.http.http1MaxPendingRequests (alone: without maxConnections nothing waits)",
            &spot.place,
        );
    }
}
