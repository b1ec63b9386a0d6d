//! What our policies say, ready to be looked up by call.

use super::balance;
use super::findings::{Findings, did_you_mean};
use super::services::{Services, idempotency};
use crate::kinds::istio::GRPC_STATUS;
use crate::kinds::policy::{
    Admission, After, Backoff as WrittenBackoff, Breaker, Budget, Bulkhead, Doomed, Fault as WrittenFault,
    Hedge, Jitter, Priority as WrittenPriority, RateLimit, Target,
};
use crate::kinds::{Doc, Documents, Policy as WrittenPolicy};
use crate::mistake::{Place, Spot};
use crate::resolved::{Balancing, Idempotency, ServiceId, Sourced};
use bowline_fault::{Fault, Kind, Percent};
use bowline_model::Priority;
use bowline_policy::{
    AdmissionSettings, Backoff, BreakerSettings, BudgetSettings, BulkheadSettings, ConcurrentBudget,
    DoomedSettings, HedgeAfter, HedgeSettings, OutlierSettings, RateSettings, Ratio, Slow,
};
use std::time::Duration;

/// All policies.
#[derive(Debug, Default)]
pub(super) struct Policies {
    pub(super) all: Vec<Policy>,
}

/// One policy, its values checked.
#[derive(Debug)]
pub(super) struct Policy {
    /// `Policy shop/payments`: whose state its breaker and its like are.
    pub(super) name: String,
    targets: Vec<Aim>,
    pub(super) deadline: Option<Sourced<Duration>>,
    /// Where its `retry` block stands, if it has one.
    pub(super) retry: Option<Place>,
    pub(super) tries: Option<Sourced<u32>>,
    pub(super) per_try: Option<Sourced<Duration>>,
    pub(super) backoff: Option<Sourced<Backoff>>,
    pub(super) hedge: Option<Sourced<HedgeSettings>>,
    pub(super) budget: Option<Sourced<BudgetSettings>>,
    pub(super) breaker: Option<Sourced<BreakerSettings>>,
    pub(super) bulkhead: Option<Sourced<BulkheadSettings>>,
    pub(super) rate: Option<Sourced<RateSettings>>,
    pub(super) admission: Option<Sourced<AdmissionSettings>>,
    pub(super) priority: Option<Sourced<Priority>>,
    pub(super) doomed: Option<Sourced<DoomedSettings>>,
    pub(super) balance: Option<Sourced<Balancing>>,
    pub(super) outlier: Option<Sourced<OutlierSettings>>,
    pub(super) faults: Vec<Sourced<Fault>>,
    pub(super) idempotent: Option<Sourced<Idempotency>>,
}

/// What a policy is for.
#[derive(Debug, PartialEq)]
enum Aim {
    Service(ServiceId),
    Operation(ServiceId, usize),
    Route(String),
}

/// How specific a policy's target is. A route and an operation are not comparable: neither contains
/// the other, so two that say the same thing are a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Service,
    OperationOrRoute,
}

impl Policies {
    /// Reads all policies. `routes`: every name by which a route can be targeted.
    pub(super) fn of(
        documents: &Documents,
        services: &Services,
        routes: &[String],
        findings: &mut Findings,
    ) -> Self {
        let read = |document| Policy::of(document, services, routes, findings);
        Self { all: documents.policies.iter().map(read).collect() }
    }

    /// The policies for a call, each with how specific it is.
    pub(super) fn for_call<'p>(
        &'p self,
        service: ServiceId,
        operation: Option<usize>,
        routes: &'p [String],
    ) -> impl Iterator<Item = (Rank, &'p Policy)> {
        self.all.iter().filter_map(move |policy| {
            let rank = |aim: &Aim| match aim {
                Aim::Service(own) => (*own == service).then_some(Rank::Service),
                Aim::Operation(own, index) => {
                    (*own == service && Some(*index) == operation).then_some(Rank::OperationOrRoute)
                }
                Aim::Route(name) => routes.contains(name).then_some(Rank::OperationOrRoute),
            };
            policy.targets.iter().filter_map(rank).max().map(|rank| (rank, policy))
        })
    }
}

impl Policy {
    fn of(
        document: &Doc<WrittenPolicy>,
        services: &Services,
        routes: &[String],
        findings: &mut Findings,
    ) -> Self {
        let (meta, spec) = (&document.meta, &document.spec);
        let retry = spec.retry.as_ref();
        Self {
            name: format!("Policy {}/{}", meta.namespace, meta.name),
            targets: spec
                .targets
                .iter()
                .filter_map(|target| aim(target, &meta.namespace, services, routes, findings))
                .collect(),
            deadline: spec.deadline.as_ref().map(written),
            retry: retry.map(|retry| retry.place.clone()),
            tries: retry.and_then(|retry| retry.tries.as_ref()).map(written),
            per_try: retry.and_then(|retry| retry.per_try.as_ref()).map(written),
            backoff: retry.and_then(|retry| retry.backoff.as_ref()).map(|it| backoff(it, findings)),
            budget: retry.and_then(|retry| retry.budget.as_ref()).map(|it| budget(it, findings)),
            hedge: spec.hedge.as_ref().map(|it| hedge(it, findings)),
            breaker: spec.breaker.as_ref().map(|it| breaker(it, findings)),
            bulkhead: spec.bulkhead.as_ref().map(bulkhead),
            rate: spec.rate_limit.as_ref().map(rate),
            admission: spec.admission.as_ref().map(|it| admission(it, findings)),
            priority: spec.priority.as_ref().map(priority),
            doomed: spec.doomed.as_ref().map(|it| doomed(it, findings)),
            balance: spec.balance.as_ref().map(|it| balance::of_ours(it, findings)),
            outlier: spec.outlier.as_ref().map(|it| balance::outlier_of_ours(it, findings)),
            faults: spec.faults.iter().filter_map(|it| fault(it, findings)).collect(),
            idempotent: spec
                .idempotent
                .as_ref()
                .map(|said| Sourced::written(idempotency(said.value), said.place.clone())),
        }
    }
}

/// Looks a target up; one that leads nowhere is a mistake, with the name that was probably meant.
fn aim(
    target: &Spot<Target>,
    namespace: &str,
    services: &Services,
    routes: &[String],
    findings: &mut Findings,
) -> Option<Aim> {
    match &target.value {
        Target::Service(name) | Target::Host(name) => {
            let service = services.names.find(name, namespace);
            if service.is_none() {
                unknown_service(name, namespace, services, findings);
            }
            service.map(Aim::Service)
        }
        Target::Operation(name) => super::works::operation(name, namespace, services, findings)
            .map(|(service, index)| Aim::Operation(service, index)),
        Target::Route(name) => {
            let known = routes.contains(&name.value);
            if !known {
                let found = format!("no route is named `{}`", name.value);
                let hint = did_you_mean(name, routes.iter().map(String::as_str));
                findings.mistake("unknown-route", &name.place, found, "a route of a VirtualService", hint);
            }
            known.then(|| Aim::Route(name.value.clone()))
        }
    }
}

/// Says that a name of our own kinds leads nowhere.
pub(super) fn unknown_service(
    name: &Spot<String>,
    namespace: &str,
    services: &Services,
    findings: &mut Findings,
) {
    let found = format!("no service is named `{}`", name.value);
    let hint = did_you_mean(name, services.names_for(namespace));
    findings.mistake("unknown-service", &name.place, found, "a service of the design", hint);
}

fn written<T: Copy>(spot: &Spot<T>) -> Sourced<T> {
    Sourced::written(spot.value, spot.place.clone())
}

/// The back-off of our own tries, with a block that says nothing and without one. The numbers are Envoy's
/// (25 ms, at most ten times that); it doubles, so that each wait is told by the one before.
pub(super) const BACKOFF: Backoff = Backoff::Full { base: BASE, max: BASE.saturating_mul(MAX_OF_BASE) };
const BASE: Duration = Duration::from_millis(25);
const MAX_OF_BASE: u32 = 10;

/// A back-off as it is written; what it leaves out is that of [`BACKOFF`].
pub(super) fn backoff(it: &Spot<WrittenBackoff>, findings: &mut Findings) -> Sourced<Backoff> {
    let base = it.base.as_ref().map_or(BASE, |base| base.value);
    let max = it.max.as_ref().map_or(base.saturating_mul(MAX_OF_BASE), |max| max.value);
    let value = match &it.jitter {
        None => Backoff::Full { base, max },
        Some(jitter) => match jitter.value {
            Jitter::Full => Backoff::Full { base, max },
            Jitter::Equal => Backoff::Equal { base, max },
            Jitter::Decorrelated => Backoff::Decorrelated { base, max },
            Jitter::None => {
                let found = "a back-off without jitter brings calls that failed together back together";
                findings.mistake("no-jitter", &jitter.place, found, "full, equal or decorrelated", None);
                Backoff::Full { base, max }
            }
        },
    };
    Sourced::written(value, it.place.clone())
}

fn budget(it: &Spot<Budget>, findings: &mut Findings) -> Sourced<BudgetSettings> {
    let default = BudgetSettings::default();
    let concurrent = it.concurrent.as_ref().map(|concurrent| {
        let default = ConcurrentBudget::default();
        ConcurrentBudget {
            ratio: ratio(concurrent.ratio.as_ref(), findings).unwrap_or(default.ratio),
            min: concurrent.min.as_ref().map_or(default.min, |min| min.value),
        }
    });
    let settings = BudgetSettings {
        ratio: ratio(it.ratio.as_ref(), findings).unwrap_or(default.ratio),
        min_per_second: it.min_per_second.as_ref().map_or(default.min_per_second, |min| min.value),
        window: default.window,
        concurrent: concurrent.or(default.concurrent),
    };
    Sourced::written(settings, it.place.clone())
}

/// A hedge as it is written; what it leaves out is that of [`HedgeSettings::OURS`].
fn hedge(it: &Spot<Hedge>, findings: &mut Findings) -> Sourced<HedgeSettings> {
    let default = HedgeSettings::OURS;
    let min_calls = match (&it.min_calls, default.after) {
        (Some(calls), _) => calls.value,
        (None, HedgeAfter::Quantile { min_calls, .. }) => min_calls,
        (None, HedgeAfter::Fixed(_)) => 1,
    };
    let after = match it.after.as_ref().map(|after| after.value) {
        Some(After::Fixed(span)) => HedgeAfter::Fixed(span),
        Some(After::Quantile(share)) => match Ratio::from_f64(share) {
            Some(quantile) => HedgeAfter::Quantile { quantile, min_calls },
            None => default.after,
        },
        None => match default.after {
            HedgeAfter::Quantile { quantile, .. } => HedgeAfter::Quantile { quantile, min_calls },
            fixed @ HedgeAfter::Fixed(_) => fixed,
        },
    };
    let settings = HedgeSettings {
        after,
        tries: it.tries.as_ref().map_or(default.tries, |tries| tries.value),
        ratio: ratio(it.ratio.as_ref(), findings).unwrap_or(default.ratio),
        by_grpc: false,
    };
    Sourced::written(settings, it.place.clone())
}

/// What opens a breaker is what the policy names; only one that names nothing gets all of the default's.
/// A breaker that was asked to open at half of the calls would surprise by opening at seven in a row.
fn breaker(it: &Spot<Breaker>, findings: &mut Findings) -> Sourced<BreakerSettings> {
    let default = BreakerSettings::default();
    let names_one = it.failure_ratio.is_some() || it.slow_call.is_some() || it.consecutive.is_some();
    let slow = it.slow_call.as_ref().map(|slow| Slow {
        over: slow.over.value,
        ratio: ratio(slow.ratio.as_ref(), findings)
            .or(default.slow.map(|slow| slow.ratio))
            .unwrap_or(Ratio::ONE),
    });
    let span = |spot: &Option<Spot<Duration>>, default| spot.as_ref().map_or(default, |spot| spot.value);
    let open = span(&it.open, default.open);
    let settings = BreakerSettings {
        window: span(&it.window, default.window),
        min_calls: it.min_calls.as_ref().map_or(default.min_calls, |calls| calls.value),
        failure_ratio: ratio(it.failure_ratio.as_ref(), findings)
            .or(default.failure_ratio.filter(|_| !names_one)),
        slow: slow.or(default.slow.filter(|_| !names_one)),
        consecutive: it
            .consecutive
            .as_ref()
            .map(|spot| spot.value)
            .or(default.consecutive.filter(|_| !names_one)),
        open,
        // Never below the first open time, however long that is.
        open_max: span(&it.open_max, default.open_max.max(open)),
        growth: default.growth,
        jitter: ratio(it.jitter.as_ref(), findings).unwrap_or(default.jitter),
        probes: it.probes.as_ref().map_or(default.probes, |probes| probes.value),
        probe_lease: span(&it.probe_lease, default.probe_lease),
        ramp: span(&it.ramp, default.ramp),
    };
    Sourced::written(settings, it.place.clone())
}

/// Without a queue nobody waits; where no wait is named it is a tenth of a second, which people do
/// not notice.
fn bulkhead(it: &Spot<Bulkhead>) -> Sourced<BulkheadSettings> {
    let settings = BulkheadSettings {
        concurrent: it.concurrent.value,
        queue: it.queue.as_ref().map_or(0, |queue| queue.value),
        wait: it.wait.as_ref().map_or(Duration::from_millis(100), |wait| wait.value),
    };
    Sourced::written(settings, it.place.clone())
}

/// Without a burst a second's worth may come at once.
fn rate(it: &Spot<RateLimit>) -> Sourced<RateSettings> {
    let per_second = it.per_second.value;
    let burst = it.burst.as_ref().map_or(per_second, |burst| burst.value);
    Sourced::written(RateSettings { per_second, burst }, it.place.clone())
}

fn admission(it: &Spot<Admission>, findings: &mut Findings) -> Sourced<AdmissionSettings> {
    let default = AdmissionSettings::default();
    let settings = AdmissionSettings {
        multiplier: it
            .multiplier
            .as_ref()
            .map_or(default.multiplier, |multiplier| (multiplier.value * 1e3).round() as u32),
        window: it.window.as_ref().map_or(default.window, |window| window.value),
        min_calls: it.min_calls.as_ref().map_or(default.min_calls, |calls| calls.value),
        reject_max: ratio(it.reject_max.as_ref(), findings).unwrap_or(default.reject_max),
    };
    Sourced::written(settings, it.place.clone())
}

fn priority(it: &Spot<WrittenPriority>) -> Sourced<Priority> {
    let value = match it.value {
        WrittenPriority::Low => Priority::Low,
        WrittenPriority::Normal => Priority::Normal,
        WrittenPriority::High => Priority::High,
    };
    Sourced::written(value, it.place.clone())
}

fn doomed(it: &Spot<Doomed>, findings: &mut Findings) -> Sourced<DoomedSettings> {
    let default = DoomedSettings::default();
    let settings = DoomedSettings {
        min_calls: it.min_calls.as_ref().map_or(default.min_calls, |calls| calls.value),
        let_through: ratio(it.let_through.as_ref(), findings).unwrap_or(default.let_through),
        half_life: default.half_life,
    };
    Sourced::written(settings, it.place.clone())
}

fn fault(it: &Spot<WrittenFault>, findings: &mut Findings) -> Option<Sourced<Fault>> {
    let status =
        |abort: &Spot<u32>| u16::try_from(abort.value).ok().filter(|status| (200..600).contains(status));
    let kind = if let Some(first) = &it.drop_first {
        Kind::DropFirst(first.value)
    } else if let Some(delay) = &it.delay {
        Kind::Delay(delay.value)
    } else if let Some(abort) = &it.abort {
        let Some(status) = status(abort) else {
            let found = format!("`{}` is no status of an answer", abort.value);
            findings.mistake("bad-status", &abort.place, found, "200 to 599", None);
            return None;
        };
        Kind::Abort { status }
    } else if let Some(abort) = &it.abort_grpc {
        let Some(code) = grpc_code(&abort.value) else {
            let found = format!("`{}` is no gRPC status", abort.value);
            findings.mistake("bad-status", &abort.place, found, "UNAVAILABLE, .. or 1 to 16", None);
            return None;
        };
        Kind::AbortGrpc { code }
    } else if it.drop.as_ref().is_some_and(|drop| drop.value) {
        Kind::Drop
    } else {
        return None;
    };
    let percent = match &it.percent {
        None => Percent::ALWAYS,
        Some(percent) => share(percent, findings),
    };
    Some(Sourced::written(Fault { kind, percent }, it.place.clone()))
}

/// A share in percent; anything that is none is a mistake and counts as never.
pub(super) fn share(percent: &Spot<f64>, findings: &mut Findings) -> Percent {
    Percent::from_percent(percent.value).unwrap_or_else(|| {
        findings.mistake(
            "bad-percent",
            &percent.place,
            format!("{} percent", percent.value),
            "0 to 100",
            None,
        );
        Percent::NEVER
    })
}

pub(super) fn ratio(spot: Option<&Spot<f64>>, findings: &mut Findings) -> Option<Ratio> {
    let spot = spot?;
    let ratio = Ratio::from_f64(spot.value);
    if ratio.is_none() {
        findings.mistake("bad-ratio", &spot.place, format!("a ratio of {}", spot.value), "0 to 1", None);
    }
    ratio
}

/// A gRPC status by name or number.
pub(super) fn grpc_code(text: &str) -> Option<u8> {
    let by_name = GRPC_STATUS.iter().position(|name| name.eq_ignore_ascii_case(text)).map(|at| at as u8);
    by_name.or_else(|| text.parse().ok().filter(|code| *code <= 16))
}
