//! The effective policy of one call: who speaks about it, and whose word holds.
//!
//! - Deadlines: everybody who speaks, and the minimum holds.
//! - Everything else: of our policies the most specific one, field by field; an Istio kind's own word
//!   beside any of them, or two of our own that are equally specific, is a mistake that names both
//!   places; a word beats a default.
//! - Faults: everybody's.

use super::findings::{Findings, did_you_mean};
use super::policies::{self, Policies, Policy, Rank, share};
use super::rules::{Rules, Traffic};
use super::services::Services;
use crate::kinds::virtual_service::{HttpFault, HttpRetry, HttpRoute};
use crate::mistake::Spot;
use crate::resolved::{Balancing, CallSettings, EdgeKeys, Idempotency, ServiceId, Sourced, TryPlan};
use bowline_fault::{Fault, Kind, Percent};
use bowline_model::decision::{DeadlineSource, RetryOn};
use bowline_policy::{Backoff, BalanceSettings, BudgetSettings, Conditions, RetryRule, conditions};
use std::sync::Arc;
use std::time::Duration;

/// What the edge stamps on a call that nobody gave a deadline. Without any a hanging callee holds its
/// caller for ever; the 15 s that Envoy has here surprise people, so it is longer and `explain` shows it.
const EDGE_DEADLINE: Duration = Duration::from_secs(30);

/// Who calls: it decides which defaults there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    /// A service, on its own: no Istio kind speaks.
    Library,
    /// The mesh port.
    Mesh,
    /// A gateway.
    Edge,
}

/// A call that wants a policy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller<'c> {
    pub(super) layer: Layer,
    pub(super) service: ServiceId,
    pub(super) subset: Option<&'c Arc<str>>,
    pub(super) port: Option<u16>,
    pub(super) operation: Option<usize>,
    /// The rule that sends it, if a document writes one.
    pub(super) route: Option<&'c HttpRoute>,
    /// Every name by which that rule can be targeted.
    pub(super) route_names: &'c [String],
    /// Whether an annotation puts the rule's fault inside the try.
    pub(super) faults_inside: bool,
}

/// Everything that may speak about a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Voices<'v> {
    pub(super) services: &'v Services,
    pub(super) rules: &'v Rules<'v>,
    pub(super) policies: &'v Policies,
}

/// What one document says about one field of a call.
struct Word<'w, T> {
    value: &'w Sourced<T>,
    rank: Rank,
    by: &'w str,
}

impl Voices<'_> {
    /// The effective policy of a call.
    pub(super) fn settings(&self, caller: &Caller<'_>, findings: &mut Findings) -> CallSettings {
        let service = self.services.get(caller.service);
        let operation = caller.operation.map(|index| &service.operations[index]);
        let policies: Vec<(Rank, &Policy)> =
            self.policies.for_call(caller.service, caller.operation, caller.route_names).collect();
        let traffic = match caller.layer {
            Layer::Library => Traffic::default(),
            Layer::Mesh | Layer::Edge => self.rules.traffic(service, caller.subset, caller.port),
        };

        let pool = traffic.bulkhead();
        let bulkhead =
            choose(&policies, "the bulkhead", |policy| policy.bulkhead.as_ref(), pool.as_ref(), findings);
        let breaker = choose(&policies, "the breaker", |policy| policy.breaker.as_ref(), None, findings);
        let hedge = choose(&policies, "the hedge", |policy| policy.hedge.as_ref(), None, findings);
        let rate = choose(&policies, "the rate limit", |policy| policy.rate.as_ref(), None, findings);
        let admission =
            choose(&policies, "the admission", |policy| policy.admission.as_ref(), None, findings);
        let doomed = choose(
            &policies,
            "what becomes of doomed calls",
            |policy| policy.doomed.as_ref(),
            None,
            findings,
        );
        let priority = choose(&policies, "the priority", |policy| policy.priority.as_ref(), None, findings);
        let (picks, ejects) = (traffic.balance(), traffic.ejection());
        let balance =
            choose(&policies, "the balancing", |policy| policy.balance.as_ref(), picks.as_ref(), findings);
        let outlier =
            choose(&policies, "the ejection", |policy| policy.outlier.as_ref(), ejects.as_ref(), findings);
        let asked = choose(&policies, "the retry budget", |policy| policy.budget.as_ref(), None, findings);
        let asks_for_retries = policies.iter().find(|(_, policy)| policy.retry.is_some());
        let share = traffic.budget();
        let default_budget = Sourced::default(
            BudgetSettings::default(),
            "a policy that asks for retries gets a budget: a fifth of all calls, and 10 a second",
        );
        // Our own word first, then Istio's, then the default that comes with our retries.
        let budget = match (asked, &share, asks_for_retries) {
            (Some(word), ..) => Some((word.value.clone(), word.by.to_owned())),
            (None, Some(share), _) => Some((share.clone(), traffic.rule.clone())),
            (None, None, Some((_, policy))) => Some((default_budget, policy.name.clone())),
            (None, None, None) => None,
        };

        let key = |by: &str| -> Arc<str> {
            let subset = caller.subset.map_or("", |subset| &**subset);
            format!("{by}/{}/{subset}", service.host()).into()
        };
        let keys = EdgeKeys {
            breaker: breaker.as_ref().map_or_else(Arc::default, |word| key(word.by)),
            budget: budget.as_ref().map_or_else(Arc::default, |(_, by)| key(by)),
            bulkhead: bulkhead.as_ref().map_or_else(Arc::default, |word| {
                key(if word.by.is_empty() { &traffic.rule } else { word.by })
            }),
            rate: rate.as_ref().map_or_else(Arc::default, |word| key(word.by)),
            admission: admission.as_ref().map_or_else(Arc::default, |word| key(word.by)),
            hedge: hedge.as_ref().map_or_else(Arc::default, |word| {
                let of = operation.map_or("", |operation| &*operation.name);
                format!("{}/{of}", key(word.by)).into()
            }),
            balance: match caller.port {
                Some(port) => key(&format!("hosts:{port}")),
                None => key("hosts"),
            },
        };
        let deadlines = self.deadlines(caller, &policies);
        CallSettings {
            keys,
            edge_deadline: edge_deadline(caller, &deadlines),
            deadlines,
            retry: tries(caller, &policies, findings),
            // A guard's future is its caller's own: nobody can send another beside it.
            hedge: hedge.filter(|_| caller.layer != Layer::Library).map(|word| word.value.clone()),
            budget: budget.map(|(budget, _)| budget),
            breaker: breaker.map(|word| word.value.clone()),
            bulkhead: bulkhead.map(|word| word.value.clone()),
            rate: rate.map(|word| word.value.clone()),
            admission: admission.map(|word| word.value.clone()),
            priority: priority.map(|word| word.value.clone()),
            doomed: doomed.map(|word| word.value.clone()),
            faults: faults(caller, &policies, findings),
            idempotent: match operation {
                Some(operation) if operation.idempotent.from.place().is_some() => {
                    operation.idempotent.clone()
                }
                _ => idempotency(&policies, operation.map(|operation| &operation.idempotent), findings),
            },
            pending: operation.is_some_and(|operation| operation.pending),
            balance: match (balance, caller.layer) {
                (Some(word), Layer::Mesh | Layer::Edge) => word.value.clone(),
                (None, Layer::Mesh | Layer::Edge) => Sourced::default(
                    Balancing { settings: BalanceSettings::OURS, hash: None },
                    "of two at random the one that is expected to answer first; what failed counts as slow",
                ),
                (_, Layer::Library) => Sourced::default(
                    Balancing::default(),
                    "which endpoint answers is the choice of the client that is called with",
                ),
            },
            outlier: outlier.filter(|_| caller.layer != Layer::Library).map(|word| word.value.clone()),
        }
    }

    fn deadlines(
        &self,
        caller: &Caller<'_>,
        policies: &[(Rank, &Policy)],
    ) -> Vec<(DeadlineSource, Sourced<Duration>)> {
        let route = caller.route.and_then(|route| timeout(route, caller.faults_inside));
        let route = route.map(|timeout| (DeadlineSource::Route, timeout));
        let policies = policies.iter().filter_map(|(_, policy)| policy.deadline.clone());
        route.into_iter().chain(policies.map(|deadline| (DeadlineSource::Policy, deadline))).collect()
    }
}

/// A route's timeout. Istio has none where none is written, and none beside a fault.
pub(super) fn timeout(route: &HttpRoute, faults_inside: bool) -> Option<Sourced<Duration>> {
    let timeout = route.timeout.as_ref()?;
    let switched_off = route.fault.is_some() && !faults_inside;
    (!switched_off).then(|| Sourced::written(timeout.value, timeout.place.clone()))
}

fn edge_deadline(
    caller: &Caller<'_>,
    deadlines: &[(DeadlineSource, Sourced<Duration>)],
) -> Option<Sourced<Duration>> {
    let why = "the edge gives a call that nobody gave a deadline 30 s";
    let stamps = caller.layer == Layer::Edge && deadlines.is_empty();
    stamps.then(|| Sourced::default(EDGE_DEADLINE, why))
}

/// The most specific word about a field. `other` is an Istio kind's word, which no policy may contradict.
fn choose<'w, T>(
    policies: &[(Rank, &'w Policy)],
    what: &str,
    field: impl Fn(&'w Policy) -> Option<&'w Sourced<T>>,
    other: Option<&'w Sourced<T>>,
    findings: &mut Findings,
) -> Option<Word<'w, T>> {
    let words = policies
        .iter()
        .filter_map(|(rank, policy)| Some(Word { value: field(policy)?, rank: *rank, by: &policy.name }));
    let mut chosen: Option<Word<'w, T>> = None;
    for word in words {
        match &chosen {
            Some(known) if known.rank == word.rank => twice(what, word.value, known.value, findings),
            Some(known) if word.rank < known.rank => {}
            _ => chosen = Some(word),
        }
    }
    match (chosen, other) {
        (Some(word), Some(other)) => {
            twice(what, word.value, other, findings);
            Some(word)
        }
        (None, Some(value)) => Some(Word { value, rank: Rank::Service, by: "" }),
        (word, None) => word,
    }
}

fn twice<T>(what: &str, one: &Sourced<T>, other: &Sourced<T>, findings: &mut Findings) {
    if let (Some(one), Some(other)) = (one.from.place(), other.from.place()) {
        findings.said_twice(what, one, other);
    }
}

/// Tries, per-try time, back-off and rule.
fn tries(caller: &Caller<'_>, policies: &[(Rank, &Policy)], findings: &mut Findings) -> TryPlan {
    let faulty = caller.route.and_then(|route| route.fault.as_ref()).filter(|_| !caller.faults_inside);
    // Istio's tries; a plain fault of Istio's switches them off.
    let istio = caller.route.and_then(|route| route.retries.as_ref()).filter(|_| faulty.is_none());
    let attempts = istio.map(attempts);
    let per_try =
        istio.filter(|retries| retried(retries)).and_then(|retries| retries.per_try_timeout.as_ref());
    let per_try = per_try.map(|per_try| Sourced::written(per_try.value, per_try.place.clone()));
    let pause = istio.filter(|retries| retried(retries)).and_then(|retries| retries.backoff.as_ref());
    let pause = pause.map(|base| Sourced::written(Backoff::envoy(base.value), base.place.clone()));

    let own_tries =
        choose(policies, "the number of tries", |policy| policy.tries.as_ref(), attempts.as_ref(), findings);
    let own_per_try =
        choose(policies, "the per-try time", |policy| policy.per_try.as_ref(), per_try.as_ref(), findings);
    let own_backoff =
        choose(policies, "the back-off", |policy| policy.backoff.as_ref(), pause.as_ref(), findings);

    let asks = policies.iter().find_map(|(_, policy)| policy.retry.clone());
    let tries_by_istio = own_tries.as_ref().map_or(asks.is_none(), |word| word.by.is_empty());
    let tries = match (&own_tries, &asks) {
        (Some(word), _) => word.value.clone(),
        (None, Some(_)) => {
            Sourced::default(3, "a policy that asks for retries and names no number gets two after the first")
        }
        (None, None) if faulty.is_some() => {
            Sourced::default(1, "Istio makes no retries on a route that injects a fault")
        }
        (None, None) => match caller.layer {
            Layer::Library => Sourced::default(1, "no policy asks for retries"),
            Layer::Mesh | Layer::Edge => {
                Sourced::default(3, "Istio's mesh default: two retries, where nobody says anything")
            }
        },
    };
    let rule = match (tries_by_istio, istio, caller.layer) {
        (true, Some(retries), _) => named(retries, findings),
        (true, None, Layer::Mesh | Layer::Edge) => Sourced::default(
            RetryRule::Named(Conditions::istio_default()),
            "Istio's mesh default: connect-failure, refused-stream, unavailable, cancelled, retriable-status-codes",
        ),
        _ => Sourced::default(RetryRule::Outcome, "our own tries follow the outcome"),
    };
    let backoff = match own_backoff {
        Some(word) => word.value.clone(),
        None if tries_by_istio => {
            Sourced::default(Backoff::ENVOY, "25 ms, then 75 and 175, at most 250 ms: Envoy's own")
        }
        None => Sourced::default(
            policies::BACKOFF,
            "where a policy asks for retries and says nothing of their pauses",
        ),
    };
    TryPlan { tries, per_try: own_per_try.map(|word| word.value.clone()), backoff, rule }
}

/// All tries of an Istio block. One without `attempts` means none besides the first.
fn attempts(retries: &Spot<HttpRetry>) -> Sourced<u32> {
    match &retries.attempts {
        Some(attempts) => Sourced::written(attempts.value.saturating_add(1), attempts.place.clone()),
        None => Sourced::written(1, retries.place.clone()),
    }
}

/// Whether an Istio block retries at all.
fn retried(retries: &Spot<HttpRetry>) -> bool {
    retries.attempts.as_ref().is_some_and(|attempts| attempts.value > 0)
}

/// The rule of an Istio block: what it names, or Istio's default; and which hosts a try may go to.
fn named(retries: &Spot<HttpRetry>, findings: &mut Findings) -> Sourced<RetryRule> {
    let Sourced { value, from } = conditions_of(retries, findings);
    let any_host = retries.retry_ignore_previous_hosts.as_ref().is_some_and(|ignore| !ignore.value);
    let conditions = if any_host { value.with_previous_hosts() } else { value };
    Sourced { value: RetryRule::Named(conditions), from }
}

fn conditions_of(retries: &Spot<HttpRetry>, findings: &mut Findings) -> Sourced<Conditions> {
    let Some(on) = retries.retry_on.as_ref().filter(|on| !on.value.trim().is_empty()) else {
        return Sourced::default(
            Conditions::istio_default(),
            "a retries block without retryOn has the conditions of Istio's mesh default",
        );
    };
    match Conditions::parse(&on.value) {
        Ok(conditions) => {
            for (word, why) in NEVER {
                if conditions.contains(word) {
                    findings.note(format!("retries.retryOn {word}"), why, &on.place);
                }
            }
            Sourced::written(conditions, on.place.clone())
        }
        Err(word) => {
            let found = format!("`{word}` is no condition to retry on");
            let words = || conditions::ALL.iter().map(|on| on.as_str());
            let listed = words().collect::<Vec<_>>().join(", ");
            let expected = format!("status codes and any of {listed}, with commas between them");
            findings.mistake("bad-retry-on", &on.place, found, expected, did_you_mean(&word, words()));
            Sourced::written(Conditions::default(), on.place.clone())
        }
    }
}

/// Conditions that no try meets, and why.
const NEVER: [(RetryOn, &str); 2] = [
    (RetryOn::RetriableHeaders, "no try meets it: no field of Istio's names the headers"),
    (RetryOn::Http3PostConnectFailure, "no try meets it: HTTP/3 is not spoken to services"),
];

/// Whether the call may be repeated, where its operation does not say.
fn idempotency(
    policies: &[(Rank, &Policy)],
    unsaid: Option<&Sourced<Idempotency>>,
    findings: &mut Findings,
) -> Sourced<Idempotency> {
    match choose(policies, "whether it may be repeated", |policy| policy.idempotent.as_ref(), None, findings)
    {
        Some(word) => word.value.clone(),
        None => unsaid.cloned().unwrap_or_else(|| {
            Sourced::default(
                Idempotency::ByMethod,
                "no operation is declared, so HTTP's word on the method holds",
            )
        }),
    }
}

/// Faults inside the try: those of all policies, and an Istio fault that an annotation puts there.
fn faults(caller: &Caller<'_>, policies: &[(Rank, &Policy)], findings: &mut Findings) -> Vec<Sourced<Fault>> {
    let mut faults: Vec<Sourced<Fault>> = Vec::new();
    if let Some(fault) = caller.route.filter(|_| caller.faults_inside).and_then(|route| route.fault.as_ref())
    {
        faults.extend(inside(fault, findings));
    }
    faults.extend(policies.iter().flat_map(|(_, policy)| policy.faults.iter().cloned()));
    faults
}

/// An Istio fault as faults of our own.
fn inside(fault: &Spot<HttpFault>, findings: &mut Findings) -> Vec<Sourced<Fault>> {
    let mut faults = Vec::new();
    if let Some((percent, span)) = delay(fault, findings) {
        faults.push(Sourced::written(Fault { kind: Kind::Delay(span), percent }, fault.place.clone()));
    }
    if let Some((percent, then)) = abort(fault, findings) {
        let kind = match then {
            bowline_fault::Then::Abort { status } => Kind::Abort { status },
            bowline_fault::Then::AbortGrpc { code } => Kind::AbortGrpc { code },
            bowline_fault::Then::Send | bowline_fault::Then::Drop => return faults,
        };
        faults.push(Sourced::written(Fault { kind, percent }, fault.place.clone()));
    }
    faults
}

/// What an Istio fault holds back. Without a share nothing is (`HTTPFaultInjection.Delay.percentage`).
pub(super) fn delay(fault: &HttpFault, findings: &mut Findings) -> Option<(Percent, Duration)> {
    let delay = fault.delay.as_ref()?;
    let span = delay.fixed_delay.as_ref()?.value;
    let old = delay.percent.as_ref().and_then(|percent| Percent::from_percent(f64::from(percent.value)));
    let percentage = delay.percentage.as_ref().and_then(|percentage| percentage.value.value.as_ref());
    let percent = percentage.map(|percentage| share(percentage, findings)).or(old).unwrap_or(Percent::NEVER);
    Some((percent, span))
}

/// What an Istio fault answers. Without a share nothing is (`HTTPFaultInjection.Abort.percentage`).
pub(super) fn abort(fault: &HttpFault, findings: &mut Findings) -> Option<(Percent, bowline_fault::Then)> {
    let abort = fault.abort.as_ref()?;
    let percentage = abort.percentage.as_ref().and_then(|percentage| percentage.value.value.as_ref());
    let percent = percentage.map_or(Percent::NEVER, |percentage| share(percentage, findings));
    let then = match (&abort.http_status, &abort.grpc_status) {
        (Some(status), _) => bowline_fault::Then::Abort { status: u16::try_from(status.value).ok()? },
        (None, Some(status)) => match policies::grpc_code(&status.value) {
            Some(code) => bowline_fault::Then::AbortGrpc { code },
            None => {
                let found = format!("`{}` is no gRPC status", status.value);
                findings.mistake("bad-status", &status.place, found, "UNAVAILABLE, .. or 0 to 16", None);
                return None;
            }
        },
        (None, None) => return None,
    };
    Some((percent, then))
}

/// The policies of every operation and service where no route speaks.
pub(super) fn settle(
    services: &mut Services,
    rules: &Rules<'_>,
    policies: &Policies,
    findings: &mut Findings,
) {
    for index in 0..services.all.len() {
        let service = ServiceId(index as u32);
        let settings = |operation| {
            let caller = Caller {
                layer: Layer::Library,
                service,
                subset: None,
                port: None,
                operation,
                route: None,
                route_names: &[],
                faults_inside: false,
            };
            let voices = Voices { services, rules, policies };
            (voices, caller)
        };
        let mut of_operations: Vec<Arc<CallSettings>> = Vec::new();
        for operation in 0..services.all[index].operations.len() {
            let (voices, caller) = settings(Some(operation));
            of_operations.push(Arc::new(voices.settings(&caller, findings)));
        }
        let (voices, caller) = settings(None);
        let of_the_rest = Arc::new(voices.settings(&caller, findings));
        let service = &mut services.all[index];
        service.policy = of_the_rest;
        for (operation, settings) in service.operations.iter_mut().zip(of_operations) {
            operation.settings = settings;
        }
    }
}
