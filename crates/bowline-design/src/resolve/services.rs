//! Who there is: declared by our `Service`, entered by Istio's `ServiceEntry`, or only named by a rule.

use super::findings::Findings;
use super::names::{self, Names};
use crate::kinds::service::{
    HealthCheck as WrittenHealthCheck, Idempotent, Operation as WrittenOperation,
    Protocol as WrittenProtocol, Run as WrittenRun,
};
use crate::kinds::service_entry::{Resolution, ServiceEntry, ServicePort, WorkloadEntry};
use crate::kinds::{Doc, Documents, Service as WrittenService, istio};
use crate::mistake::{Place, Spot};
use crate::resolved::{
    CallSettings, CheckedBy, Endpoint, HealthCheck, Idempotency, Located, Needs, Operation, PathPattern,
    Program, Protocol, Run, Service, ServiceId, Sourced, Takes,
};
use bowline_policy::{HealthSettings, Ratio};
use http::Method;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// All services so far, and their names.
#[derive(Debug, Default)]
pub(super) struct Services {
    pub(super) all: Vec<Service>,
    pub(super) names: Names,
}

impl Services {
    /// Everybody that the documents declare or name.
    pub(super) fn of(documents: &Documents, findings: &mut Findings) -> Self {
        let mut services = Self::default();
        for document in &documents.services {
            services.declare(document, findings);
        }
        for document in &documents.service_entries {
            services.enter(document, findings);
        }
        services.imply_all(documents);
        services.share_short_names(findings);
        services
    }

    /// The service of an id.
    pub(super) fn get(&self, id: ServiceId) -> &Service {
        &self.all[id.0 as usize]
    }

    /// Every name by which a document in `namespace` could have meant a service, for suggestions.
    pub(super) fn names_for<'s>(&'s self, namespace: &'s str) -> impl Iterator<Item = &'s str> {
        let near = move |service: &&Service| *service.namespace == *namespace && !service.external;
        let short = self.all.iter().filter(near).map(|service| &*service.name);
        short.chain(self.all.iter().map(Service::host))
    }

    fn add(&mut self, service: Service, claims: &[String]) -> Option<ServiceId> {
        let id = ServiceId(self.all.len() as u32);
        let mut own = true;
        for host in claims {
            own &= self.names.claim(host, id);
        }
        self.all.push(service);
        own.then_some(id)
    }

    fn declare(&mut self, document: &Doc<WrittenService>, findings: &mut Findings) {
        let (meta, spec) = (&document.meta, &document.spec);
        let [short, with_namespace, with_svc, full] = names::authorities(&meta.name, &meta.namespace);
        if self.names.host(&full).is_some() {
            let found = format!("a second Service named {} in namespace {}", meta.name, meta.namespace);
            findings.mistake("name-taken", &meta.place, found, "a name of its own", None);
            return;
        }
        let mut hosts: Vec<Arc<str>> =
            spec.hosts.iter().map(|host| Arc::from(host.value.to_ascii_lowercase())).collect();
        let claims: Vec<String> = hosts
            .iter()
            .map(ToString::to_string)
            .chain([with_namespace.clone(), with_svc.clone(), full.clone()])
            .collect();
        hosts.extend([short, with_namespace, with_svc, full.clone()].map(Arc::from));
        let protocol = match spec.protocol.as_deref() {
            Some(WrittenProtocol::Grpc) => Protocol::Grpc,
            Some(WrittenProtocol::Http2) => Protocol::Http2,
            Some(WrittenProtocol::Http) | None => Protocol::Http,
        };
        let mut service = Service {
            name: meta.name.as_str().into(),
            namespace: meta.namespace.as_str().into(),
            hosts,
            place: meta.place.clone(),
            identities: spec.identities.iter().map(|name| name.value.as_str().into()).collect(),
            protocol,
            endpoints: spec
                .endpoints
                .iter()
                .filter_map(|endpoint| {
                    let (located, address) = [
                        (Located::AsWritten, &endpoint.address),
                        (Located::ByDns, &endpoint.dns),
                        (Located::InFile, &endpoint.file),
                    ]
                    .into_iter()
                    .find_map(|(located, said)| Some((located, said.as_ref()?)))?;
                    Some(Endpoint {
                        address: address.value.clone(),
                        located,
                        weight: endpoint.weight.as_ref().map_or(1, |weight| weight.value),
                        labels: endpoint.labels.clone(),
                        port: None,
                        protocol,
                        place: endpoint.place.clone(),
                    })
                })
                .collect(),
            subsets: Vec::new(),
            run: spec.run.as_ref().and_then(run),
            health: spec.health.as_ref().map(|health| health.value.clone()),
            health_check: spec.health_check.as_ref().map(|check| health_check(check, spec, &full)),
            replicas: match &spec.replicas {
                Some(replicas) => Sourced::written(replicas.value, replicas.place.clone()),
                None => Sourced::default(1, "one process, where nobody says more"),
            },
            concurrency: spec.concurrency.as_ref().map(written),
            queue: spec.queue.as_ref().map(written),
            forwards: match &spec.forwards {
                Some(forwards) => written(forwards),
                None => Sourced::default(false, "a service that does not say so hands nothing on"),
            },
            operations: Vec::new(),
            external: false,
            proves: Vec::new(),
            implied: false,
            policy: unsettled(),
            by_specificity: Vec::new(),
        };
        for operation in &spec.operations {
            let known = |known: &&Operation| *known.name == *operation.name.value;
            if let Some(known) = service.operations.iter().find(known) {
                let found = format!("a second operation named {} ", operation.name.value);
                let hint = Some(format!("the first is in line {}", known.place.line));
                findings.mistake(
                    "name-taken",
                    &operation.name.place,
                    found.trim_end(),
                    "a name of its own",
                    hint,
                );
                continue;
            }
            service.operations.push(self::operation(operation, findings));
        }
        service.sort_operations();
        self.add(service, &claims);
    }

    fn enter(&mut self, document: &Doc<ServiceEntry>, findings: &mut Findings) {
        let (meta, spec) = (&document.meta, &document.spec);
        for host in &spec.hosts {
            let name = host.value.to_ascii_lowercase();
            if self.names.host(&name).is_some() {
                findings.note(&name, "entered more than once; the first ServiceEntry holds", &host.place);
                continue;
            }
            let endpoints = entry_endpoints(spec, &name, &host.place);
            if endpoints.is_empty() && spec.workload_selector.is_none() {
                let why =
                    "its addresses are only known from each request; this version answers 503, `no host`";
                findings.note(&name, why, &host.place);
            }
            let service = Service {
                name: name.as_str().into(),
                namespace: meta.namespace.as_str().into(),
                hosts: vec![name.as_str().into()],
                endpoints,
                external: true,
                proves: spec.subject_alt_names.iter().map(|name| name.value.clone()).collect(),
                ..named(&host.place)
            };
            self.add(service, &[name]);
        }
    }

    /// Every exact host that a rule sends requests to, is about, or speaks for within the mesh.
    fn imply_all(&mut self, documents: &Documents) {
        for document in &documents.virtual_services {
            let namespace = &document.meta.namespace;
            for route in &document.spec.http {
                let mirrors =
                    route.mirror.iter().chain(route.mirrors.iter().map(|mirror| &mirror.destination));
                for destination in route.route.iter().map(|each| &each.destination).chain(mirrors) {
                    self.imply(&destination.host, namespace);
                }
            }
            let speaks_for_the_mesh = document.spec.gateways.is_empty()
                || document.spec.gateways.iter().any(|gateway| gateway.value == "mesh");
            let hosts = document.spec.hosts.iter().filter(|_| speaks_for_the_mesh);
            for host in hosts.filter(|host| names::of_the_mesh(&names::qualified(host, namespace)).is_some())
            {
                self.imply(host, namespace);
            }
        }
        for document in &documents.destination_rules {
            self.imply(&document.spec.host, &document.meta.namespace);
        }
    }

    fn imply(&mut self, written: &Spot<String>, namespace: &str) {
        let host = names::qualified(written, namespace);
        if host.contains('*') || host.is_empty() || self.names.host(&host).is_some() {
            return;
        }
        let service = match names::of_the_mesh(&host) {
            Some((name, namespace)) => Service {
                name: name.into(),
                namespace: namespace.into(),
                hosts: names::authorities(name, namespace).map(Arc::from).to_vec(),
                ..named(&written.place)
            },
            None => Service {
                name: host.as_str().into(),
                namespace: namespace.into(),
                hosts: vec![host.as_str().into()],
                ..named(&written.place)
            },
        };
        let claims: Vec<String> = match names::of_the_mesh(&host) {
            Some((name, namespace)) => names::authorities(name, namespace)[1..].to_vec(),
            None => vec![host.clone()],
        };
        self.add(Service { implied: true, ..service }, &claims);
    }

    /// A short name means one service: where several namespaces have it, that of `default`.
    fn share_short_names(&mut self, findings: &mut Findings) {
        let mut owners: BTreeMap<Arc<str>, Vec<usize>> = BTreeMap::new();
        for (index, service) in self.all.iter().enumerate() {
            if service.hosts.len() > 1 {
                owners.entry(service.name.clone()).or_default().push(index);
            }
        }
        for (name, owners) in owners {
            let keeper = match owners[..] {
                [only] => Some(only),
                _ => owners.iter().copied().find(|index| &*self.all[*index].namespace == "default"),
            };
            for index in owners {
                if Some(index) == keeper {
                    self.names.claim(&name, ServiceId(index as u32));
                    continue;
                }
                let service = &mut self.all[index];
                service.hosts.retain(|host| *host != name);
                if !service.implied {
                    let text =
                        "a name in several namespaces; alone it means the one in `default`, if there is one";
                    findings.note(&*name, text, &service.place);
                }
            }
        }
    }
}

/// A service of which nothing is known but the name.
fn named(place: &Place) -> Service {
    Service {
        name: "".into(),
        namespace: "".into(),
        hosts: Vec::new(),
        place: place.clone(),
        identities: Vec::new(),
        protocol: Protocol::Http,
        endpoints: Vec::new(),
        subsets: Vec::new(),
        run: None,
        health: None,
        health_check: None,
        replicas: Sourced::default(1, "nothing is known of it"),
        concurrency: None,
        queue: None,
        forwards: Sourced::default(false, "nothing is known of it"),
        operations: Vec::new(),
        external: false,
        proves: Vec::new(),
        implied: false,
        policy: unsettled(),
        by_specificity: Vec::new(),
    }
}

/// What stands in for a policy until all documents have been heard.
fn unsettled() -> Arc<CallSettings> {
    Arc::new(CallSettings::bare())
}

fn written<T: Copy>(spot: &Spot<T>) -> Sourced<T> {
    Sourced::written(spot.value, spot.place.clone())
}

fn run(run: &Spot<WrittenRun>) -> Option<Run> {
    let texts = |spots: &[Spot<String>]| spots.iter().map(|spot| spot.value.clone()).collect::<Vec<_>>();
    let program = match &run.cargo {
        Some(cargo) => Program::Cargo(cargo.value.clone()),
        None if run.command.is_empty() => return None,
        None => Program::Command(texts(&run.command)),
    };
    let env = run.env.iter().map(|(name, value)| (name.clone(), value.value.clone())).collect();
    Some(Run { program, args: texts(&run.args), env, place: run.place.clone() })
}

/// How its endpoints are asked; `host` is the authority that means it everywhere.
fn health_check(
    check: &Spot<WrittenHealthCheck>,
    service: &WrittenService,
    host: &str,
) -> Sourced<HealthCheck> {
    let default = HealthSettings::DEFAULT;
    let speaks_grpc = service.protocol.as_deref() == Some(&WrittenProtocol::Grpc);
    let http = check.http.as_ref();
    let by = match &check.grpc {
        None if http.is_some() || !speaks_grpc => {
            let path = http.and_then(|http| http.path.as_ref()).or(service.health.as_ref());
            let good = http.map(|http| &*http.statuses).unwrap_or_default();
            CheckedBy::Http {
                path: path.map_or_else(|| "/".to_owned(), |path| path.value.clone()),
                host: http
                    .and_then(|http| http.host.as_ref())
                    .map_or_else(|| host.to_owned(), |host| host.value.clone()),
                good: match good {
                    [] => vec![200..=299],
                    good => good.iter().map(|good| good.value.first..=good.value.last).collect(),
                },
            }
        }
        grpc => CheckedBy::Grpc {
            host: host.to_owned(),
            service: grpc
                .as_ref()
                .and_then(|grpc| grpc.service.as_ref())
                .map_or_else(String::new, |service| service.value.clone()),
        },
    };
    let settings = HealthSettings {
        interval: check.interval.as_ref().map_or(default.interval, |interval| interval.value),
        timeout: check.timeout.as_ref().map_or(default.timeout, |timeout| timeout.value),
        jitter: check
            .jitter
            .as_ref()
            .and_then(|jitter| Ratio::from_f64(jitter.value))
            .unwrap_or(default.jitter),
        healthy: check.healthy.as_ref().map_or(default.healthy, |healthy| healthy.value),
        unhealthy: check.unhealthy.as_ref().map_or(default.unhealthy, |unhealthy| unhealthy.value),
    };
    Sourced::written(HealthCheck { by, settings }, check.place.clone())
}

fn operation(written_operation: &Spot<WrittenOperation>, findings: &mut Findings) -> Operation {
    let operation = &written_operation.value;
    let http = operation.http.as_ref().and_then(|http| {
        let method = Method::from_bytes(http.method.value.to_ascii_uppercase().as_bytes());
        let path = PathPattern::parse(&http.path.value);
        if method.is_err() {
            let found = format!("`{}` is no method", http.method.value);
            findings.mistake("bad-method", &http.method.place, found, "GET, POST, PUT, ..", None);
        }
        if let Err(why) = path {
            let found = format!("`{}` is no path", http.path.value);
            findings.mistake("bad-path", &http.path.place, found, why, None);
        }
        Some((method.ok()?, path.ok()?))
    });
    let idempotent = match &operation.idempotent {
        Some(said) => Sourced::written(idempotency(said.value), said.place.clone()),
        None => Idempotency::unsaid(http.as_ref().map(|(method, _)| method)),
    };
    Operation {
        name: operation.name.value.as_str().into(),
        place: written_operation.place.clone(),
        http,
        grpc: operation.grpc.as_ref().map(|grpc| grpc.value.trim_start_matches('/').into()),
        idempotent,
        pending: operation.accepts.as_ref().is_some_and(|accepts| accepts.value),
        takes: operation.takes.as_ref().and_then(|takes| {
            let p50 = takes.p50.as_ref().or(takes.p99.as_ref())?.value;
            let p99 = takes.p99.as_ref().or(takes.p50.as_ref())?.value;
            let samples = takes.samples.as_ref().map(|samples| samples.value);
            Some(Sourced::written(Takes { p50, p99, samples }, takes.place.clone()))
        }),
        needs: operation.needs.as_ref().map(|needs| {
            let resolved = Needs {
                consistency: needs.consistency.as_ref().map(|consistency| consistency.value),
                loss: needs.loss.as_ref().map(|loss| loss.value),
                answer_within: needs.answer_within.as_ref().map(|within| within.value),
                staleness: needs.staleness.as_ref().map(|staleness| staleness.value),
            };
            Sourced::written(resolved, needs.place.clone())
        }),
        does: Vec::new(),
        settings: unsettled(),
    }
}

/// Our kinds' word for it.
pub(super) fn idempotency(said: Idempotent) -> Idempotency {
    match said {
        Idempotent::No => Idempotency::No,
        Idempotent::Yes => Idempotency::Yes,
        Idempotent::ByKey => Idempotency::ByKey,
    }
}

/// Where the host of a ServiceEntry answers: each endpoint behind each port.
fn entry_endpoints(entry: &ServiceEntry, host: &str, place: &Place) -> Vec<Endpoint> {
    let mut endpoints = Vec::new();
    let resolution = entry.resolution.as_ref().map_or(Resolution::None, |resolution| resolution.value);
    for port in &entry.ports {
        let Some(number) = port.number.as_ref().and_then(|number| u16::try_from(number.value).ok()) else {
            continue;
        };
        let protocol = port.protocol.as_ref().map_or(Protocol::Http, |written| istio::carried_by(written));
        for endpoint in &entry.endpoints {
            let Some(address) = &endpoint.address else { continue };
            if address.value.starts_with("unix:") {
                continue;
            }
            // With DNS_ROUND_ROBIN the name is one endpoint, and a connection takes the first of its addresses.
            let by_dns = resolution == Resolution::Dns && address.value.parse::<IpAddr>().is_err();
            endpoints.push(Endpoint {
                address: join(&address.value, port_at(endpoint, port, number)),
                located: if by_dns { Located::ByDns } else { Located::AsWritten },
                // Zero is Istio's word for one that is not said.
                weight: endpoint.weight.as_ref().map_or(1, |weight| weight.value.max(1)),
                labels: endpoint.labels.clone(),
                port: Some(number),
                protocol,
                place: endpoint.place.clone(),
            });
        }
        if entry.endpoints.is_empty() && resolution != Resolution::Static && !host.contains('*') {
            // Without endpoints the host is its own address: by DNS, or (resolution NONE) because the
            // caller would have gone there itself.
            let at =
                port.target_port.as_ref().and_then(|port| u16::try_from(port.value).ok()).unwrap_or(number);
            let by_dns = resolution == Resolution::Dns && host.parse::<IpAddr>().is_err();
            endpoints.push(Endpoint {
                address: join(host, at),
                located: if by_dns { Located::ByDns } else { Located::AsWritten },
                weight: 1,
                labels: BTreeMap::new(),
                port: Some(number),
                protocol,
                place: place.clone(),
            });
        }
    }
    endpoints
}

/// The endpoint's port for a service port: its own by the port's name, the target port, or the same.
fn port_at(endpoint: &WorkloadEntry, port: &ServicePort, number: u16) -> u16 {
    let own = port.name.as_ref().and_then(|name| endpoint.ports.get(&name.value));
    let at = own.or(port.target_port.as_ref()).and_then(|port| u16::try_from(port.value).ok());
    at.unwrap_or(number)
}

fn join(address: &str, port: u16) -> String {
    let bare_v6 = address.contains(':') && !address.starts_with('[');
    if bare_v6 { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}
