//! Experiments: the names in them looked up, and what nobody says filled in.

use super::directory::Directory;
use super::findings::{Findings, did_you_mean};
use super::policies::unknown_service;
use super::services::Services;
use super::topics::{Topics, written};
use super::works::operation;
use crate::format::format_duration;
use crate::kinds::overlay::Applied;
use crate::kinds::scenario::{
    Arm as WrittenArm, Arrivals as WrittenArrivals, Disturbance, Load as WrittenLoad, Objectives, Trace,
};
use crate::kinds::values::Rate;
use crate::kinds::{Doc, Documents, Meta, Scenario as WrittenScenario};
use crate::mistake::Spot;
use crate::resolved::scenario::{
    Arm, Arrivals, Bound, Entry, Fault, FaultKind, Load, Machine, Metric, Network, Objective, Quantile,
    Target,
};
use crate::resolved::{BrokerId, IntakeId, Scenario, ServiceId, Source, Sourced, SubscriptionId, TopicId};
use bowline_fault::Percent;
use std::time::Duration;

/// How many runs an arm gets. The uncertainty of a mean of 20 is less than a quarter of that of one.
const SEEDS: u32 = 20;

/// The longest warm-up that nobody asks for: windows of breakers and budgets are about that long.
const WARM_UP_MAX: Duration = Duration::from_secs(10);

/// What the names in a scenario can mean.
#[derive(Clone, Copy)]
pub(super) struct Known<'k> {
    pub(super) documents: &'k Documents,
    pub(super) services: &'k Services,
    pub(super) topics: &'k Topics<'k>,
    pub(super) intakes: &'k Directory<'k>,
    pub(super) subscriptions: &'k Directory<'k>,
    pub(super) routes: &'k [String],
    /// The overlay that is applied.
    pub(super) applied: Option<&'k Applied>,
}

/// All scenarios; with an overlay applied, those that have an arm with it.
pub(super) fn all(known: Known<'_>, findings: &mut Findings) -> Vec<Scenario> {
    let has_arm = |document: &&Doc<WrittenScenario>| {
        let Some(applied) = known.applied else { return true };
        let namespace = &document.meta.namespace;
        let overlays = document.spec.arms.iter().filter_map(|arm| arm.overlay.as_ref());
        overlays.into_iter().any(|overlay| applied.is(overlay, namespace))
    };
    let documents = known.documents.scenarios.iter().filter(has_arm);
    documents.filter_map(|document| known.one(document, findings)).collect()
}

impl Known<'_> {
    fn one(self, document: &Doc<WrittenScenario>, findings: &mut Findings) -> Option<Scenario> {
        let (meta, spec) = (&document.meta, &document.spec);
        let load = self.load(&spec.load, &meta.namespace, findings);
        let length = spec.load.length.value;
        let faults =
            spec.faults.iter().filter_map(|fault| self.fault(fault, meta, length, findings)).collect();
        let network = spec.network.as_deref();
        let machines = spec.machines.iter().map(|machine| Machine {
            cores: machine.cores.value,
            services: machine
                .services
                .iter()
                .filter_map(|name| self.service(name, &meta.namespace, findings))
                .collect(),
            place: machine.place.clone(),
        });
        let machines = machines.collect::<Vec<_>>();
        self.find_shared(spec, &machines, findings);
        Some(Scenario {
            name: meta.name.as_str().into(),
            namespace: meta.namespace.as_str().into(),
            place: meta.place.clone(),
            load: load?,
            warm_up: warm_up(spec),
            seeds: match &spec.seeds {
                Some(seeds) => written(seeds),
                None => Sourced::default(SEEDS, "so many that chance is seen to be chance"),
            },
            faults,
            arms: self.arms(spec, meta, findings),
            objectives: spec.objectives.as_deref().map(objectives).unwrap_or_default(),
            network: Network {
                latency: match network.and_then(|network| network.latency.as_ref()) {
                    Some(latency) => written(latency),
                    None => Sourced::default(Duration::ZERO, "messages take no time, where nobody says"),
                },
                loss: match network.and_then(|network| network.loss.as_ref()) {
                    Some(loss) => written(loss),
                    None => Sourced::default(0.0, "no message is lost, where nobody says"),
                },
                confirm: match network.and_then(|network| network.confirm.as_ref()) {
                    Some(confirm) => written(confirm),
                    None => Sourced::default(Duration::ZERO, "a broker confirms at once, where nobody says"),
                },
            },
            machines,
        })
    }

    fn load(self, load: &Spot<WrittenLoad>, namespace: &str, findings: &mut Findings) -> Option<Load> {
        let entry = if let Some(name) = &load.intake {
            self.intakes.look_up(name, namespace, findings).map(|id| Entry::Intake(IntakeId(id)))
        } else if let Some(name) = &load.operation {
            let found = operation(name, namespace, self.services, findings);
            found.map(|(service, operation)| Entry::Operation { service, operation })
        } else if let Some(name) = &load.route {
            let known = self.routes.contains(&name.value);
            if !known {
                let found = format!("no route is named `{}`", name.value);
                let hint = did_you_mean(name, self.routes.iter().map(String::as_str));
                findings.mistake("unknown-route", &name.place, found, "a route of a VirtualService", hint);
            }
            known.then(|| Entry::Route(name.value.clone()))
        } else {
            None
        };
        Some(Load { entry: entry?, arrivals: arrivals(load), length: written(&load.length) })
    }

    fn service(self, name: &Spot<String>, namespace: &str, findings: &mut Findings) -> Option<ServiceId> {
        let found = self.services.names.find(name, namespace);
        if found.is_none() {
            unknown_service(name, namespace, self.services, findings);
        }
        found
    }

    fn fault(
        self,
        fault: &Spot<Disturbance>,
        meta: &Meta,
        end: Duration,
        findings: &mut Findings,
    ) -> Option<Fault> {
        let target = self.target(fault, &meta.namespace, findings);
        let kind = kind(fault);
        let length = match &fault.length {
            Some(length) => written(length),
            None => {
                Sourced::default(end.saturating_sub(fault.at.value), "to the end, where nobody says how long")
            }
        };
        if fault.length.is_some() && fault.at.value.saturating_add(length.value) > end {
            let text = format!(
                "a fault that lasts beyond the end of the run, at {}: nothing is seen of what comes after it",
                format_duration(end)
            );
            findings.note(format!("{}/{}", meta.namespace, meta.name), text, &fault.place);
        }
        Some(Fault { at: fault.at.value, length, target: target?, kind: kind?, place: fault.place.clone() })
    }

    /// What a fault is about; nothing where only another arm has it.
    fn target(self, fault: &Disturbance, namespace: &str, findings: &mut Findings) -> Option<Target> {
        let Disturbance { service, topic, subscription, broker, from, to, .. } = fault;
        if let Some(name) = service {
            let absent = self.services.names.find(name, namespace).is_none();
            if absent && self.is_elsewhere("Service", name, namespace) {
                return None;
            }
            self.service(name, namespace, findings).map(Target::Service)
        } else if let (Some(from), Some(to)) = (from, to) {
            let from = self.service(from, namespace, findings);
            let to = self.service(to, namespace, findings);
            Some(Target::Calls { from: from?, to: to? })
        } else if let Some(name) = topic {
            let id = self.look_up("Topic", name, namespace, &self.topics.names, findings);
            id.map(|id| Target::Topic(TopicId(id)))
        } else if let Some(name) = subscription {
            let id = self.look_up("Subscription", name, namespace, self.subscriptions, findings);
            id.map(|id| Target::Subscription(SubscriptionId(id)))
        } else if let Some(name) = broker {
            let id = self.look_up("Broker", name, namespace, &self.topics.broker_names, findings);
            id.map(|id| Target::Broker(BrokerId(id)))
        } else {
            Some(Target::Bowline)
        }
    }

    fn look_up(
        self,
        kind: &str,
        name: &Spot<String>,
        namespace: &str,
        names: &Directory<'_>,
        findings: &mut Findings,
    ) -> Option<u32> {
        if names.find(name, namespace).is_none() && self.is_elsewhere(kind, name, namespace) {
            return None;
        }
        names.look_up(name, namespace, findings)
    }

    /// Whether some overlay has a document of this name.
    fn is_elsewhere(self, kind: &str, name: &str, namespace: &str) -> bool {
        let (namespace, name) = name.split_once('/').unwrap_or((namespace, name));
        self.documents.applied.iter().any(|applied| applied.documents.has(kind, namespace, name))
    }

    fn arms(self, spec: &WrittenScenario, meta: &Meta, findings: &mut Findings) -> Vec<Arm> {
        if spec.arms.is_empty() {
            let from = Source::Default("the design as it is, where no arm is named");
            return vec![Arm { name: "base".into(), overlay: None, from }];
        }
        spec.arms.iter().filter_map(|arm| self.arm(arm, meta, findings)).collect()
    }

    fn arm(self, arm: &Spot<WrittenArm>, meta: &Meta, findings: &mut Findings) -> Option<Arm> {
        let overlay = match &arm.overlay {
            None => None,
            Some(name) => {
                let known = &self.documents.applied;
                let Some(found) = known.iter().find(|applied| applied.is(name, &meta.namespace)) else {
                    let found = format!("no overlay is named `{}`", name.value);
                    let hint = did_you_mean(name, known.iter().map(|applied| &*applied.name));
                    findings.mistake("unknown-overlay", &name.place, found, "an Overlay of the design", hint);
                    return None;
                };
                Some(found.full_name().into())
            }
        };
        Some(Arm { name: arm.name.value.as_str().into(), overlay, from: Source::Written(arm.place.clone()) })
    }

    /// A service is on one machine only.
    fn find_shared(self, spec: &WrittenScenario, machines: &[Machine], findings: &mut Findings) {
        for (index, (machine, second)) in machines.iter().zip(&spec.machines).enumerate() {
            let shared = |first: &&Machine| machine.services.iter().any(|own| first.services.contains(own));
            if let Some(first) = machines[..index].iter().find(shared) {
                let what = "the machine of one service";
                findings.said_twice_by(what, &second.place, &first.place, "put it on one of them");
            }
        }
    }
}

fn warm_up(spec: &WrittenScenario) -> Sourced<Duration> {
    match (&spec.warm_up, spec.load.arrivals.as_deref()) {
        (Some(warm_up), _) => written(warm_up),
        (None, Some(WrittenArrivals::Trace(_))) => {
            Sourced::default(Duration::ZERO, "nothing arrives before a trace begins")
        }
        (None, _) => {
            let tenth = spec.load.length.value / 10;
            Sourced::default(
                tenth.min(WARM_UP_MAX),
                "a tenth of the run, at most 10 s: everything begins empty",
            )
        }
    }
}

fn arrivals(load: &Spot<WrittenLoad>) -> Sourced<Arrivals> {
    let rate = load.rate.as_ref().map_or(Rate::default(), |rate| rate.value);
    let Some(arrivals) = &load.arrivals else {
        return Sourced::default(Arrivals::Poisson(rate), "strangers do not wait for one another");
    };
    let value = match &arrivals.value {
        WrittenArrivals::Poisson => Arrivals::Poisson(rate),
        WrittenArrivals::Constant => Arrivals::Constant(rate),
        WrittenArrivals::Bursts(bursts) => {
            Arrivals::Bursts { rate, size: bursts.size.value, every: bursts.every.value }
        }
        WrittenArrivals::Ramp(ramp) => Arrivals::Ramp {
            from: rate,
            to: ramp.to.value,
            over: ramp.over.as_ref().map_or(load.length.value, |over| over.value),
        },
        WrittenArrivals::Steps(steps) => Arrivals::Steps {
            from: rate,
            then: steps.iter().map(|step| (step.at.value, step.rate.value)).collect(),
        },
        WrittenArrivals::Trace(trace) => match &trace.value {
            Trace::File(file) => Arrivals::TraceFile(file.clone()),
            Trace::Times(times) => Arrivals::Trace(times.iter().map(|time| time.value).collect()),
        },
    };
    Sourced::written(value, arrivals.place.clone())
}

/// What happens; exactly one of them is written.
fn kind(fault: &Disturbance) -> Option<FaultKind> {
    // What is no share was said to be none when it was read.
    let share = |percent: &Spot<f64>| Percent::from_percent(percent.value).unwrap_or(Percent::NEVER);
    Some(if let Some(crash) = &fault.crash {
        let restart = crash.restart.as_ref().map_or(Duration::ZERO, |restart| restart.value);
        FaultKind::Crash { restart }
    } else if fault.pause.is_some() {
        FaultKind::Pause
    } else if let Some(slow) = &fault.slow {
        FaultKind::Slow { factor: slow.factor.value }
    } else if let Some(error) = &fault.error {
        // A crashed or overloaded service's: 503.
        let status = error.status.as_ref().map_or(503, |status| status.value);
        let status = u16::try_from(status).ok()?;
        FaultKind::Error { status, percent: error.percent.as_ref().map_or(Percent::ALWAYS, share) }
    } else if let Some(first) = &fault.drop_first {
        FaultKind::DropFirst(first.value)
    } else if fault.blackhole.is_some() {
        FaultKind::Blackhole
    } else if fault.reset.is_some() {
        FaultKind::Reset
    } else if let Some(partition) = &fault.partition {
        FaultKind::Partition { both: partition.both.as_ref().is_none_or(|both| both.value) }
    } else if fault.broker_down.is_some() {
        FaultKind::BrokerDown
    } else if fault.bowline_down.is_some() {
        FaultKind::BowlineDown
    } else if fault.consumer_stuck.is_some() {
        FaultKind::ConsumerStuck
    } else if let Some(poison) = &fault.poison {
        FaultKind::Poison(share(&poison.percent))
    } else {
        FaultKind::Duplicate(share(&fault.duplicate.as_ref()?.percent))
    })
}

fn objectives(objectives: &Objectives) -> Vec<Objective> {
    let o = objectives;
    let times = [
        (Metric::Ack(Quantile::P50), &o.ack_p50),
        (Metric::Ack(Quantile::P90), &o.ack_p90),
        (Metric::Ack(Quantile::P99), &o.ack_p99),
        (Metric::Ack(Quantile::P999), &o.ack_p999),
        (Metric::Ack(Quantile::Max), &o.ack_max),
        (Metric::Completion(Quantile::P50), &o.completion_p50),
        (Metric::Completion(Quantile::P90), &o.completion_p90),
        (Metric::Completion(Quantile::P99), &o.completion_p99),
        (Metric::Completion(Quantile::P999), &o.completion_p999),
        (Metric::Completion(Quantile::Max), &o.completion_max),
        (Metric::Visible(Quantile::P50), &o.visible_p50),
        (Metric::Visible(Quantile::P90), &o.visible_p90),
        (Metric::Visible(Quantile::P99), &o.visible_p99),
        (Metric::Visible(Quantile::P999), &o.visible_p999),
        (Metric::Visible(Quantile::Max), &o.visible_max),
        (Metric::Staleness, &o.staleness),
        (Metric::Recovery, &o.recovery),
    ];
    let requests = [
        (Metric::Failed, &o.failed),
        (Metric::Lost, &o.lost),
        (Metric::Duplicated, &o.duplicated),
        (Metric::Reordered, &o.reordered),
        (Metric::Stuck, &o.stuck),
    ];
    fn each<'o, T: Copy + 'o>(
        list: impl IntoIterator<Item = (Metric, &'o Option<Spot<T>>)>,
        bound: impl Fn(T) -> Bound,
    ) -> Vec<Objective> {
        let objective = |(metric, written): (Metric, &Option<Spot<T>>)| {
            let written = written.as_ref()?;
            Some(Objective { metric, at_most: bound(written.value), place: written.place.clone() })
        };
        list.into_iter().filter_map(objective).collect()
    }
    let mut all = each(times, Bound::Time);
    all.extend(each(requests, Bound::Requests));
    all.extend(each([(Metric::Backlog, &o.backlog)], Bound::Records));
    all.extend(each([(Metric::Work, &o.work)], Bound::Times));
    all
}
