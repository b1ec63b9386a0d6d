//! Our Policy: everything Istio lacks, for calls, topics and saga steps alike.

use crate::kinds::Meta;
use crate::kinds::istio::GRPC_STATUS;
use crate::kinds::service::Idempotent;
use crate::kinds::values::{at_least_one, longer_than_zero, percent as in_percent};
use crate::mistake::{Mistakes, Place, Spot};
use crate::read::documents::{Group, Kind, OURS};
use crate::read::names::quoted;
use crate::read::reader::{Read, Reader};
use crate::read::record::{either, record, words};
use crate::read::shape::Shape;
use crate::read::tree::{Node, Value};
use bowline_policy::HedgeSettings;
use std::time::Duration;

record! {
    /// Deadline, tries, breaker and limits of the calls it targets.
    pub struct Policy {
        /// What it is for.
        pub targets: Vec<Spot<Target>>,
        /// How long a call may take, all tries included.
        pub deadline: Option<Spot<Duration>>,
        /// How often and when a call is tried again.
        pub retry: Option<Spot<Retry>>,
        /// When another try is sent beside one that is late.
        pub hedge: Option<Spot<Hedge>>,
        /// When calls are refused because others failed.
        pub breaker: Option<Spot<Breaker>>,
        /// How many calls may be under way.
        pub bulkhead: Option<Spot<Bulkhead>>,
        /// How many calls may begin.
        pub rate_limit: Option<Spot<RateLimit>>,
        /// When calls are rejected because the callee accepts too few.
        pub admission: Option<Spot<Admission>>,
        /// What its calls matter when not all can be answered.
        pub priority: Option<Spot<Priority>>,
        /// When calls are shed that have too little time left.
        pub doomed: Option<Spot<Doomed>>,
        /// Which endpoint a try goes to.
        pub balance: Option<Spot<Balance>>,
        /// When an endpoint is left out for a while.
        pub outlier: Option<Spot<Outlier>>,
        /// Faults to put into tries.
        pub faults: Vec<Spot<Fault>>,
        /// Whether asking twice is as good as asking once, where no operation says.
        pub idempotent: Option<Spot<Idempotent>>,
    }
}

either! {
    /// What a policy is for.
    pub enum Target {
        /// Every call to a service.
        Service(Spot<String>) = "service",
        /// Calls of one operation, `service.operation`.
        Operation(Spot<String>) = "operation",
        /// Calls that a named route sends.
        Route(Spot<String>) = "route",
        /// Calls to a destination host.
        Host(Spot<String>) = "host",
    } checked by check_target
}

record! {
    /// How often and when a call is tried again.
    pub struct Retry {
        /// All tries, the first included.
        pub tries: Option<Spot<u32>>,
        /// How long each try may take.
        pub per_try: Option<Spot<Duration>>,
        /// How long to wait between tries.
        pub backoff: Option<Spot<Backoff>>,
        /// How many retries there may be relative to all calls.
        pub budget: Option<Spot<Budget>>,
    } checked by check_retry
}

record! {
    /// How long to wait between tries: longer each time, spread by chance.
    pub struct Backoff {
        /// The first wait; 25 ms when absent.
        pub base: Option<Spot<Duration>>,
        /// The longest wait; ten times the base when absent.
        pub max: Option<Spot<Duration>>,
        /// How chance spreads it; full when absent.
        pub jitter: Option<Spot<Jitter>>,
    } checked by check_backoff
}

words! {
    /// How chance spreads a back-off.
    pub enum Jitter {
        /// Not at all: the wait itself, growing.
        None = "none",
        /// Between nothing and the wait.
        Full = "full",
        /// Between half the wait and the wait.
        Equal = "equal",
        /// Between the base and three times the last wait.
        Decorrelated = "decorrelated",
    }
}

record! {
    /// How many retries there may be.
    pub struct Budget {
        /// Relative to all calls: 0.2 is one retry for five calls.
        pub ratio: Option<Spot<f64>>,
        /// Always allowed, each second.
        pub min_per_second: Option<Spot<u32>>,
        /// How many may be under way at once.
        pub concurrent: Option<Spot<ConcurrentBudget>>,
    } checked by check_budget
}

record! {
    /// How many retries may be under way at once.
    pub struct ConcurrentBudget {
        /// Relative to the calls under way.
        pub ratio: Option<Spot<f64>>,
        /// Always allowed.
        pub min: Option<Spot<u32>>,
    } checked by check_concurrent
}

record! {
    /// When another try is sent beside one that is late. Only what may be repeated is.
    pub struct Hedge {
        /// How long a try may be under way: a duration, or `p95`, the time that 95 of 100 first tries did not need of late; `p95` when absent.
        pub after: Option<Spot<After>>,
        /// All tries of a call, the first included: 2 to 5; 2 when absent.
        pub tries: Option<Spot<u32>>,
        /// Hedges relative to all calls: 0.1, one for ten calls, when absent.
        pub ratio: Option<Spot<f64>>,
        /// How many calls must have been seen before a quantile says anything; 100 when absent.
        pub min_calls: Option<Spot<u32>>,
    } checked by check_hedge
}

/// When a try is late.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum After {
    /// After this long.
    Fixed(Duration),
    /// After what this share of the others needed.
    Quantile(f64),
}

impl After {
    /// The quantiles that may be named. Below the median most calls would be hedged; above p99.9 nobody has
    /// enough calls to know it.
    const QUANTILES: [(&'static str, f64); 7] = [
        ("p50", 0.5),
        ("p75", 0.75),
        ("p90", 0.9),
        ("p95", 0.95),
        ("p98", 0.98),
        ("p99", 0.99),
        ("p99.9", 0.999),
    ];
}

impl Read for After {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        if let Value::Scalar(scalar) = &node.value {
            if let Some((_, share)) = Self::QUANTILES.iter().find(|(word, _)| *word == &*scalar.text) {
                return Some(Self::Quantile(*share));
            }
            if scalar.text.starts_with('p') {
                reader.wrong(node, "p50, p75, p90, p95, p98, p99, p99.9, or a duration like 40ms");
                return None;
            }
        }
        Duration::read(node, reader).map(Self::Fixed)
    }

    fn shape() -> Shape {
        Shape::AnyOf(vec![
            Shape::Words(&["p50", "p75", "p90", "p95", "p98", "p99", "p99.9"]),
            Shape::Duration,
        ])
    }
}

record! {
    /// When calls are refused because others failed.
    pub struct Breaker {
        /// The time it looks back on.
        pub window: Option<Spot<Duration>>,
        /// Fewer calls than this prove nothing.
        pub min_calls: Option<Spot<u32>>,
        /// The share of failures that opens it.
        pub failure_ratio: Option<Spot<f64>>,
        /// The share of slow calls that opens it.
        pub slow_call: Option<Spot<SlowCall>>,
        /// The failures in a row that open it.
        pub consecutive: Option<Spot<u32>>,
        /// How long it stays open the first time.
        pub open: Option<Spot<Duration>>,
        /// How long it stays open at most.
        pub open_max: Option<Spot<Duration>>,
        /// How many probes may be out at once.
        pub probes: Option<Spot<u32>>,
        /// After this long a probe that did not come back is given up.
        pub probe_lease: Option<Spot<Duration>>,
        /// How long it takes to let everything through again.
        pub ramp: Option<Spot<Duration>>,
        /// How far chance spreads the open time.
        pub jitter: Option<Spot<f64>>,
    } checked by check_breaker
}

record! {
    /// Slow calls count like failures.
    pub struct SlowCall {
        /// Slower than this is slow.
        pub over: Spot<Duration>,
        /// The share that opens the breaker.
        pub ratio: Option<Spot<f64>>,
    } checked by check_slow
}

record! {
    /// How many calls may be under way.
    pub struct Bulkhead {
        /// At once.
        pub concurrent: Spot<u32>,
        /// How many more may wait.
        pub queue: Option<Spot<u32>>,
        /// For how long.
        pub wait: Option<Spot<Duration>>,
    } checked by check_bulkhead
}

record! {
    /// How many calls may begin.
    pub struct RateLimit {
        /// Each second.
        pub per_second: Spot<u32>,
        /// How many at once after a silence.
        pub burst: Option<Spot<u32>>,
    } checked by check_rate
}

record! {
    /// When calls are rejected because the callee accepts too few of them.
    pub struct Admission {
        /// How many calls there may be for each that is accepted.
        pub multiplier: Option<Spot<f64>>,
        /// The time it looks back on.
        pub window: Option<Spot<Duration>>,
        /// Fewer calls than this prove nothing.
        pub min_calls: Option<Spot<u32>>,
        /// The largest share of calls that is rejected.
        pub reject_max: Option<Spot<f64>>,
    } checked by check_admission
}

words! {
    /// What a call matters when not all can be answered.
    pub enum Priority {
        /// Shed first.
        Low = "low",
        /// What most calls are.
        Normal = "normal",
        /// Shed last.
        High = "high",
    }
}

record! {
    /// When calls are shed that have less time left than half of the tries take.
    pub struct Doomed {
        /// Fewer tries than this prove nothing.
        pub min_calls: Option<Spot<u32>>,
        /// The share of them that is let through all the same.
        pub let_through: Option<Spot<f64>>,
    } checked by check_doomed
}

record! {
    /// Which endpoint a try goes to.
    pub struct Balance {
        /// In which way; `peak-ewma` when absent, `ring-hash` beside a `hash`.
        pub by: Option<Spot<By>>,
        /// Of what, where it goes by a hash.
        pub hash: Option<Spot<HashOf>>,
        /// How long a new endpoint takes to get its share; at once when absent.
        pub slow_start: Option<Spot<Duration>>,
        /// Below this share of endpoints that are well all are used.
        pub panic_below: Option<Spot<f64>>,
    } checked by check_balance
}

words! {
    /// In which way an endpoint is picked.
    pub enum By {
        /// Of two at random the one whose expected time, with its queue, is lower.
        PeakEwma = "peak-ewma",
        /// Of two at random the one with fewer tries under way.
        LeastRequest = "least-request",
        /// One after the other.
        RoundRobin = "round-robin",
        /// Any.
        Random = "random",
        /// By a hash, on a ring.
        RingHash = "ring-hash",
        /// By a hash, in a Maglev table.
        Maglev = "maglev",
    }
}

either! {
    /// What is hashed.
    pub enum HashOf {
        /// A header of the request.
        Header(Spot<String>) = "header",
        /// A cookie of the request.
        Cookie(Spot<String>) = "cookie",
        /// A query parameter.
        Query(Spot<String>) = "query",
        /// The caller's address.
        SourceIp(Spot<bool>) = "sourceIp",
    } checked by check_hash
}

record! {
    /// When an endpoint is left out for a while.
    pub struct Outlier {
        /// After so many 5xx in a row.
        pub consecutive_5xx: Option<Spot<u32>>,
        /// After so many 502, 503 or 504 in a row.
        pub consecutive_gateway: Option<Spot<u32>>,
        /// After so many tries in a row that nobody answered, which then do not count as 5xx.
        pub consecutive_local: Option<Spot<u32>>,
        /// When its share of successes is far below the others'.
        pub success_rate: Option<Spot<SuccessRate>>,
        /// How often shares are compared.
        pub interval: Option<Spot<Duration>>,
        /// For how long, times how often it was out.
        pub base: Option<Spot<Duration>>,
        /// For how long at most.
        pub max: Option<Spot<Duration>>,
        /// The largest share of endpoints that is out at once.
        pub max_ejected: Option<Spot<f64>>,
        /// Whether one may be out although that share of so few is none.
        pub one_always: Option<Spot<bool>>,
        /// Whether the last one may be out too.
        pub last_too: Option<Spot<bool>>,
    } checked by check_outlier
}

record! {
    /// When a share of successes is far below the others'.
    pub struct SuccessRate {
        /// Fewer endpoints than this prove nothing.
        pub min_hosts: Option<Spot<u32>>,
        /// Fewer calls in an interval than this prove nothing.
        pub min_calls: Option<Spot<u32>>,
        /// Standard deviations below the mean.
        pub deviations: Option<Spot<f64>>,
    } checked by check_success_rate
}

record! {
    /// A fault to put into a try: exactly one of the first five fields.
    pub struct Fault {
        /// The first so many tries of every call seem refused.
        pub drop_first: Option<Spot<u32>>,
        /// The try is held back.
        pub delay: Option<Spot<Duration>>,
        /// The try is answered with this HTTP status instead of being sent.
        pub abort: Option<Spot<u32>>,
        /// The try is answered with this gRPC status instead of being sent.
        pub abort_grpc: Option<Spot<String>>,
        /// The try seems refused.
        pub drop: Option<Spot<bool>>,
        /// The share of tries, from 0 to 100; all when absent.
        pub percent: Option<Spot<f64>>,
    } checked by check_fault
}

impl Kind for Policy {
    const KIND: &'static str = "Policy";
    const GROUP: Group = OURS;

    fn check(_: &Meta, spec: &Self, place: &Place, mistakes: &mut Mistakes) {
        let Self {
            targets,
            deadline,
            retry,
            hedge,
            breaker,
            bulkhead,
            rate_limit,
            admission,
            priority,
            doomed,
            balance,
            outlier,
            faults,
            idempotent,
        } = spec;
        if targets.is_empty() {
            let place = Place { path: "spec.targets".into(), ..place.clone() };
            mistakes.add(
                "missing-field",
                &place,
                "no `targets`",
                "at least one service, operation, route or host",
            );
        }
        let any = deadline.is_some() || retry.is_some() || breaker.is_some() || bulkhead.is_some();
        let any = any
            || hedge.is_some()
            || admission.is_some()
            || priority.is_some()
            || doomed.is_some()
            || balance.is_some()
            || outlier.is_some();
        if !any && rate_limit.is_none() && faults.is_empty() && idempotent.is_none() {
            mistakes.add("missing-field", place, "a policy that says nothing", "a deadline, for a start");
        }
        longer_than_zero(deadline.as_ref(), mistakes);
    }
}

/// A share as a number from 0 to 1, as our kinds write it.
pub(crate) fn ratio(ratio: Option<&Spot<f64>>, may_be_zero: bool, mistakes: &mut Mistakes) {
    let Some(ratio) = ratio else { return };
    let fits = (0.0..=1.0).contains(&ratio.value) && (may_be_zero || ratio.value > 0.0);
    if !fits {
        let expected = if may_be_zero { "0 to 1" } else { "more than 0, at most 1" };
        let mistake =
            mistakes.add("bad-value", &ratio.place, format!("a ratio of {}", ratio.value), expected);
        if (1.0..=100.0).contains(&ratio.value) {
            mistake.hint(format!("if you mean percent, write {}", ratio.value / 100.0));
        }
    }
}

fn check_target(target: &Target, _: &Place, mistakes: &mut Mistakes) {
    let (Target::Service(name) | Target::Operation(name) | Target::Route(name) | Target::Host(name)) = target;
    if name.is_empty() {
        mistakes.add("bad-value", &name.place, "an empty name", "what the policy is for");
    } else if matches!(target, Target::Operation(_)) {
        let fits = name
            .rsplit_once('.')
            .is_some_and(|(service, operation)| !service.is_empty() && !operation.is_empty());
        if !fits {
            mistakes.add("bad-value", &name.place, quoted(name), "`service.operation`");
        }
    }
}

fn check_retry(retry: &Retry, place: &Place, mistakes: &mut Mistakes) {
    let Retry { tries, per_try, backoff, budget } = retry;
    if tries.is_none() && per_try.is_none() && backoff.is_none() && budget.is_none() {
        mistakes.add("missing-field", place, "a retry that says nothing", "`tries`, for a start");
    }
    if let Some(tries) = tries.as_ref().filter(|tries| tries.value == 0) {
        let mistake = mistakes.add("bad-value", &tries.place, "0 tries", "at least 1, which is no retry");
        mistake.hint("`tries` counts the first one too");
    }
    longer_than_zero(per_try.as_ref(), mistakes);
}

fn check_hedge(hedge: &Hedge, _: &Place, mistakes: &mut Mistakes) {
    if let Some(tries) =
        hedge.tries.as_ref().filter(|tries| !(2..=HedgeSettings::TRIES_MAX).contains(&tries.value))
    {
        let expected = format!("2 to {}", HedgeSettings::TRIES_MAX);
        let found = match tries.value {
            1 => "1 try".to_owned(),
            many => format!("{many} tries"),
        };
        let mistake = mistakes.add("bad-value", &tries.place, found, expected);
        mistake.hint("`tries` counts the first one too");
    }
    ratio(hedge.ratio.as_ref(), false, mistakes);
    at_least_one(hedge.min_calls.as_ref(), mistakes);
    let fixed = hedge.after.as_ref().and_then(|after| match after.value {
        After::Fixed(span) => Some((after, span)),
        After::Quantile(_) => None,
    });
    let Some((after, span)) = fixed else { return };
    if span.is_zero() {
        mistakes.add("bad-value", &after.place, "a delay of nothing", "a time longer than 0");
    }
    if let Some(calls) = &hedge.min_calls {
        let expected = "`minCalls` beside a quantile, which needs them";
        mistakes
            .add("conflict", &calls.place, "calls for a delay that is not learned", expected)
            .also(after.place.clone());
    }
}

fn check_backoff(backoff: &Backoff, _: &Place, mistakes: &mut Mistakes) {
    longer_than_zero(backoff.base.as_ref(), mistakes);
    if let (Some(base), Some(max)) = (&backoff.base, &backoff.max)
        && base.value > max.value
    {
        let found = "a longest wait below the first one";
        mistakes.add("bad-value", &max.place, found, "at least the base").also(base.place.clone());
    }
}

fn check_budget(budget: &Budget, _: &Place, mistakes: &mut Mistakes) {
    ratio(budget.ratio.as_ref(), true, mistakes);
}

fn check_concurrent(budget: &ConcurrentBudget, _: &Place, mistakes: &mut Mistakes) {
    ratio(budget.ratio.as_ref(), true, mistakes);
}

fn check_breaker(breaker: &Breaker, _: &Place, mistakes: &mut Mistakes) {
    for span in [&breaker.window, &breaker.open, &breaker.open_max, &breaker.probe_lease] {
        longer_than_zero(span.as_ref(), mistakes);
    }
    for count in [&breaker.min_calls, &breaker.consecutive, &breaker.probes] {
        at_least_one(count.as_ref(), mistakes);
    }
    ratio(breaker.failure_ratio.as_ref(), false, mistakes);
    ratio(breaker.jitter.as_ref(), true, mistakes);
    if let (Some(open), Some(max)) = (&breaker.open, &breaker.open_max)
        && open.value > max.value
    {
        let found = "a longest open time below the first one";
        mistakes.add("bad-value", &max.place, found, "at least `open`").also(open.place.clone());
    }
}

fn check_slow(slow: &SlowCall, _: &Place, mistakes: &mut Mistakes) {
    longer_than_zero(Some(&slow.over), mistakes);
    ratio(slow.ratio.as_ref(), false, mistakes);
}

fn check_bulkhead(bulkhead: &Bulkhead, _: &Place, mistakes: &mut Mistakes) {
    at_least_one(Some(&bulkhead.concurrent), mistakes);
    if let Some(wait) =
        bulkhead.wait.as_ref().filter(|_| bulkhead.queue.as_ref().is_some_and(|q| q.value == 0))
    {
        mistakes.add("conflict", &wait.place, "a wait in a queue of 0", "a queue, or no wait");
    }
}

fn check_rate(rate: &RateLimit, _: &Place, mistakes: &mut Mistakes) {
    at_least_one(Some(&rate.per_second), mistakes);
    at_least_one(rate.burst.as_ref(), mistakes);
}

fn check_admission(admission: &Admission, _: &Place, mistakes: &mut Mistakes) {
    longer_than_zero(admission.window.as_ref(), mistakes);
    at_least_one(admission.min_calls.as_ref(), mistakes);
    ratio(admission.reject_max.as_ref(), false, mistakes);
    if let Some(reject_max) = admission.reject_max.as_ref().filter(|it| it.value == 1.0) {
        let expected = "less than 1: some calls have to find out that things got better";
        mistakes.add("bad-value", &reject_max.place, "a share of all calls", expected);
    }
    if let Some(it) = admission.multiplier.as_ref().filter(|it| !(1.0..=MULTIPLIER_MAX).contains(&it.value)) {
        let found = format!("{} calls for each that is accepted", it.value);
        mistakes.add("bad-value", &it.place, found, format!("1 to {MULTIPLIER_MAX}"));
    }
}

fn check_doomed(doomed: &Doomed, _: &Place, mistakes: &mut Mistakes) {
    at_least_one(doomed.min_calls.as_ref(), mistakes);
    // None at all could never learn that things got better.
    ratio(doomed.let_through.as_ref(), false, mistakes);
}

/// A callee that is asked a hundred times for each call it accepts is not protected.
const MULTIPLIER_MAX: f64 = 100.0;

fn check_balance(balance: &Balance, _: &Place, mistakes: &mut Mistakes) {
    longer_than_zero(balance.slow_start.as_ref(), mistakes);
    ratio(balance.panic_below.as_ref(), true, mistakes);
    let by = balance.by.as_ref();
    match (by.filter(|by| matches!(by.value, By::RingHash | By::Maglev)), by, &balance.hash) {
        (Some(by), _, None) => {
            mistakes.add("missing-field", &by.place, "no `hash`", "what is hashed, beside `by`");
        }
        (None, Some(by), Some(hash)) => {
            let expected = "`ring-hash` or `maglev` beside a `hash`";
            mistakes
                .add("conflict", &by.place, "a way that goes by no hash", expected)
                .also(hash.place.clone());
        }
        _ => {}
    }
}

fn check_hash(hash: &HashOf, _: &Place, mistakes: &mut Mistakes) {
    match hash {
        HashOf::Header(name) | HashOf::Cookie(name) | HashOf::Query(name) if name.is_empty() => {
            mistakes.add("bad-value", &name.place, "an empty name", "what is hashed");
        }
        HashOf::SourceIp(is) if !is.value => {
            mistakes.add("bad-value", &is.place, "`false`", "`true`, or another thing to hash");
        }
        _ => {}
    }
}

fn check_outlier(outlier: &Outlier, _: &Place, mistakes: &mut Mistakes) {
    for count in [&outlier.consecutive_5xx, &outlier.consecutive_gateway, &outlier.consecutive_local] {
        at_least_one(count.as_ref(), mistakes);
    }
    for span in [&outlier.interval, &outlier.base, &outlier.max] {
        longer_than_zero(span.as_ref(), mistakes);
    }
    ratio(outlier.max_ejected.as_ref(), true, mistakes);
    if let (Some(base), Some(max)) = (&outlier.base, &outlier.max)
        && base.value > max.value
    {
        let found = "a longest time below the first one";
        mistakes.add("bad-value", &max.place, found, "at least `base`").also(base.place.clone());
    }
}

fn check_success_rate(rate: &SuccessRate, _: &Place, mistakes: &mut Mistakes) {
    at_least_one(rate.min_hosts.as_ref(), mistakes);
    at_least_one(rate.min_calls.as_ref(), mistakes);
    if let Some(it) = rate.deviations.as_ref().filter(|it| !(it.value > 0.0 && it.value <= 10.0)) {
        let found = format!("{} standard deviations", it.value);
        mistakes.add("bad-value", &it.place, found, "more than 0, at most 10");
    }
}

fn check_fault(fault: &Fault, place: &Place, mistakes: &mut Mistakes) {
    let Fault { drop_first, delay, abort, abort_grpc, drop, percent } = fault;
    let kinds = [
        drop_first.is_some(),
        delay.is_some(),
        abort.is_some(),
        abort_grpc.is_some(),
        drop.as_ref().is_some_and(|drop| drop.value),
    ];
    let expected = "one of `dropFirst`, `delay`, `abort`, `abortGrpc` and `drop: true`";
    match kinds.into_iter().filter(|set| *set).count() {
        0 => {
            mistakes.add("missing-field", place, "a fault that does nothing", expected);
        }
        1 => {}
        _ => {
            let found = "more than one fault in one entry";
            mistakes.add("conflict", place, found, expected).hint("give each an entry of its own");
        }
    }
    if let Some(status) = abort.as_ref().filter(|status| !(200..=599).contains(&status.value)) {
        mistakes.add("bad-value", &status.place, format!("the status {}", status.value), "200 to 599");
    }
    if let Some(status) = abort_grpc.as_ref().filter(|status| !GRPC_STATUS.contains(&status.as_str())) {
        let found = format!("the gRPC status {}", quoted(status));
        mistakes.add("bad-value", &status.place, found, format!("one of {}", GRPC_STATUS.join(", ")));
    }
    in_percent(percent.as_ref(), mistakes);
    if let (Some(_), Some(percent)) = (drop_first, percent) {
        let expected = "none: the first tries of every call are dropped";
        mistakes.add("conflict", &percent.place, "`percent` beside `dropFirst`", expected);
    }
}
