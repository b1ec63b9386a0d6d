//! Down the link: the design's values and faults for the guards of one service.

use super::json::{Fields, FormatError, Object, message, ms, number};
use super::state::StateKeys;
use crate::settings::{Idempotency, Settings};
use bowline_fault::{Fault, Kind, Percent, Plan};
use bowline_model::Priority;
use bowline_policy::{
    AdmissionSettings, Backoff, BalanceSettings, BreakerSettings, BudgetSettings, BulkheadSettings,
    CallPolicy, Codes, ConcurrentBudget, Conditions, CrossHop, DoomedSettings, RateSettings, Ratio,
    RetryRule, RetrySettings, RetryThrottleSettings, Slow,
};
use serde_json::Value;
use std::time::Duration;

/// What the design says to the guards of one service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guards {
    /// The state of the design that this is; opaque, compared for equality alone.
    pub revision: String,
    /// The guards that the design knows. A guard that is not among them keeps its code's values.
    pub guards: Vec<Guard>,
}

/// What the design says to one guard: what is `None` it does not say, and the code's value stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guard {
    /// The guard's name: a service of the design, or `service.operation`.
    pub name: String,
    /// Where the design says so, for `explain`: `design/policies.yaml:8`.
    pub place: Option<String>,
    /// How long a call may take.
    pub deadline: Option<Duration>,
    /// Whether a call may be repeated.
    pub idempotent: Option<Idempotency>,
    /// Whether an answer of 202 means accepted, not finished.
    pub pending: Option<bool>,
    /// How often it is tried.
    pub retry: Option<RetrySettings>,
    /// How many extra tries all calls may make together.
    pub budget: Option<BudgetSettings>,
    /// When nothing is tried again because too much fails.
    pub retry_throttle: Option<RetryThrottleSettings>,
    /// When the destination is left alone.
    pub breaker: Option<BreakerSettings>,
    /// How many calls may be under way.
    pub bulkhead: Option<BulkheadSettings>,
    /// How many calls may begin a second.
    pub rate: Option<RateSettings>,
    /// When calls are rejected because the callee accepts too few.
    pub admission: Option<AdmissionSettings>,
    /// What its calls matter.
    pub priority: Option<Priority>,
    /// When calls are shed that have too little time left.
    pub doomed: Option<DoomedSettings>,
    /// What happens to calls that a layer before already tries again.
    pub cross_hop: Option<CrossHop>,
    /// Whose state the budget, retry throttle, breaker, bulkhead, rate limit and admission throttle are.
    pub state: StateKeys,
    /// What is broken on purpose. No faults here means no faults: they never come from the code.
    pub faults: Plan,
}

impl Guards {
    /// Reads a message.
    ///
    /// # Errors
    /// The first place that does not follow the format.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let value = message(bytes)?;
        let fields = Fields::of(&value, "")?;
        let revision = fields.need("revision", fields.text("revision")?)?.to_owned();
        Ok(Self { revision, guards: fields.list("guards", Guard::read)? })
    }

    /// Writes the message.
    #[must_use]
    pub fn to_json(&self) -> String {
        let guards: Vec<Value> = self.guards.iter().map(Guard::write).collect();
        Value::from(
            Object::new()
                .with("version", super::VERSION)
                .with("revision", self.revision.as_str())
                .with("guards", guards),
        )
        .to_string()
    }

    /// What is said to the guard of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Guard> {
        self.guards.iter().find(|guard| guard.name == name)
    }
}

impl Guard {
    /// Says nothing yet to the guard of this name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Says all of `policy` to the guard of this name.
    #[must_use]
    pub fn of(name: impl Into<String>, policy: &CallPolicy) -> Self {
        Self {
            retry: Some(policy.retry.clone()),
            budget: policy.budget,
            retry_throttle: policy.retry_throttle,
            breaker: policy.breaker,
            bulkhead: policy.bulkhead,
            rate: policy.rate,
            admission: policy.admission,
            priority: Some(policy.priority),
            doomed: policy.doomed,
            cross_hop: Some(policy.cross_hop),
            faults: policy.faults.clone(),
            ..Self::named(name)
        }
    }

    /// `code`, with everything that is said here in the place of the code's values.
    #[must_use]
    pub fn over(&self, code: &Settings) -> Settings {
        let policy = &code.policy;
        Settings {
            deadline: self.deadline.or(code.deadline),
            idempotent: self.idempotent.unwrap_or(code.idempotent),
            pending: self.pending.unwrap_or(code.pending),
            policy: CallPolicy {
                // A guard's future is its caller's own: there is never a second one beside it.
                hedge: None,
                retry: self.retry.clone().unwrap_or_else(|| policy.retry.clone()),
                budget: self.budget.or(policy.budget),
                retry_throttle: self.retry_throttle.or(policy.retry_throttle),
                breaker: self.breaker.or(policy.breaker),
                bulkhead: self.bulkhead.or(policy.bulkhead),
                rate: self.rate.or(policy.rate),
                admission: self.admission.or(policy.admission),
                priority: self.priority.unwrap_or(policy.priority),
                doomed: self.doomed.or(policy.doomed),
                faults: self.faults.clone(),
                cross_hop: self.cross_hop.unwrap_or(policy.cross_hop),
                // Which endpoint a try goes to is the client's choice.
                balance: BalanceSettings::default(),
                outlier: None,
            },
        }
    }

    fn read(fields: &Fields<'_>) -> Result<Self, FormatError> {
        Ok(Self {
            name: fields.need("name", fields.text("name")?)?.to_owned(),
            place: fields.text("place")?.map(str::to_owned),
            deadline: fields.ms("deadline_ms")?,
            idempotent: word(fields, "idempotent", Idempotency::from_word)?,
            pending: fields.boolean("pending")?,
            retry: object(fields, "retry", read_retry)?,
            budget: object(fields, "budget", read_budget)?,
            retry_throttle: object(fields, "retry_throttle", read_retry_throttle)?,
            breaker: object(fields, "breaker", read_breaker)?,
            bulkhead: object(fields, "bulkhead", read_bulkhead)?,
            rate: object(fields, "rate", read_rate)?,
            admission: object(fields, "admission", read_admission)?,
            priority: word(fields, "priority", Priority::from_word)?,
            doomed: object(fields, "doomed", read_doomed)?,
            cross_hop: word(fields, "cross_hop", read_cross_hop)?,
            state: object(fields, "state", StateKeys::read)?.unwrap_or_default(),
            faults: Plan::new(fields.list("faults", read_fault)?),
        })
    }

    fn write(&self) -> Value {
        Object::new()
            .with("name", self.name.as_str())
            .with_some("place", self.place.as_deref())
            .with_some("deadline_ms", self.deadline.map(ms))
            .with_some("idempotent", self.idempotent.map(Idempotency::as_str))
            .with_some("pending", self.pending)
            .with_some("retry", self.retry.as_ref().map(write_retry))
            .with_some("budget", self.budget.as_ref().map(write_budget))
            .with_some("retry_throttle", self.retry_throttle.as_ref().map(write_retry_throttle))
            .with_some("breaker", self.breaker.as_ref().map(write_breaker))
            .with_some("bulkhead", self.bulkhead.as_ref().map(write_bulkhead))
            .with_some("rate", self.rate.as_ref().map(write_rate))
            .with_some("admission", self.admission.as_ref().map(write_admission))
            .with_some("priority", self.priority.map(Priority::as_str))
            .with_some("doomed", self.doomed.as_ref().map(write_doomed))
            .with_some("cross_hop", self.cross_hop.map(cross_hop_word))
            .with_some("state", self.state.write())
            .with_list("faults", self.faults.faults().iter().map(write_fault).collect())
            .into()
    }
}

fn object<T>(
    fields: &Fields<'_>,
    name: &str,
    read: fn(&Fields<'_>) -> Result<T, FormatError>,
) -> Result<Option<T>, FormatError> {
    fields.object(name)?.as_ref().map(read).transpose()
}

// === retry ===

fn read_retry(fields: &Fields<'_>) -> Result<RetrySettings, FormatError> {
    let rule = match (fields.text("retry_on")?, fields.text("retryable_codes")?) {
        (None, None) => RetryRule::Outcome,
        (_, Some(text)) => RetryRule::Codes(read_codes(text).ok_or_else(|| {
            FormatError::new(fields.path("retryable_codes"), "gRPC codes from 0 to 16, with commas")
        })?),
        (Some(text), None) => RetryRule::Named(Conditions::parse(text).map_err(|_| {
            FormatError::new(fields.path("retry_on"), "Istio's retryOn: conditions and status codes")
        })?),
    };
    Ok(RetrySettings {
        tries: fields.need("tries", fields.u32("tries")?)?.max(1),
        per_try: fields.ms("per_try_ms")?,
        backoff: match fields.object("backoff")? {
            None => Backoff::None,
            Some(backoff) => read_backoff(&backoff)?,
        },
        rule,
    })
}

fn write_retry(retry: &RetrySettings) -> Object {
    let (retry_on, codes) = match &retry.rule {
        RetryRule::Outcome => (None, None),
        RetryRule::Named(conditions) => (Some(write_conditions(conditions)), None),
        RetryRule::Codes(codes) => (None, Some(write_codes(*codes))),
    };
    Object::new()
        .with("tries", retry.tries)
        .with_some("per_try_ms", retry.per_try.map(ms))
        .with_some("backoff", write_backoff(retry.backoff))
        .with_some("retry_on", retry_on)
        .with_some("retryable_codes", codes)
}

fn read_backoff(fields: &Fields<'_>) -> Result<Backoff, FormatError> {
    let base = fields.need("base_ms", fields.ms("base_ms")?)?;
    let max = fields.need("max_ms", fields.ms("max_ms")?)?;
    match fields.need("kind", fields.text("kind")?)? {
        "envoy" => Ok(Backoff::Envoy { base, max }),
        "full" => Ok(Backoff::Full { base, max }),
        "equal" => Ok(Backoff::Equal { base, max }),
        "decorrelated" => Ok(Backoff::Decorrelated { base, max }),
        "grpc" => {
            let multiplier = fields.need("multiplier_millionths", fields.u64("multiplier_millionths")?)?;
            Ok(Backoff::Grpc { base, max, multiplier })
        }
        _ => Err(FormatError::new(fields.path("kind"), "envoy, full, equal, decorrelated or grpc")),
    }
}

fn write_backoff(backoff: Backoff) -> Option<Object> {
    let (kind, base, max) = match backoff {
        Backoff::None => return None,
        Backoff::Envoy { base, max } => ("envoy", base, max),
        Backoff::Full { base, max } => ("full", base, max),
        Backoff::Equal { base, max } => ("equal", base, max),
        Backoff::Decorrelated { base, max } => ("decorrelated", base, max),
        Backoff::Grpc { base, max, .. } => ("grpc", base, max),
    };
    let multiplier = match backoff {
        Backoff::Grpc { multiplier, .. } => Some(multiplier),
        _ => None,
    };
    let object = Object::new().with("kind", kind).with("base_ms", ms(base)).with("max_ms", ms(max));
    Some(object.with_some("multiplier_millionths", multiplier))
}

/// gRPC's codes by their numbers, with commas between; empty text is none of them.
fn read_codes(text: &str) -> Option<Codes> {
    let mut codes = Codes::NONE;
    for code in text.split(',').filter(|_| !text.is_empty()) {
        codes = codes.with(code.parse().ok().filter(|code| *code <= Codes::LAST)?);
    }
    Some(codes)
}

fn write_codes(codes: Codes) -> String {
    codes.iter().map(|code| code.to_string()).collect::<Vec<_>>().join(",")
}

/// Istio's own spelling: conditions and status codes, with commas between.
fn write_conditions(conditions: &Conditions) -> String {
    let words = conditions.iter().map(|condition| condition.as_str().to_owned());
    let codes = conditions.codes().iter().map(u16::to_string);
    words.chain(codes).collect::<Vec<_>>().join(",")
}

fn read_cross_hop(word: &str) -> Option<CrossHop> {
    [CrossHop::SecondTries, CrossHop::AnyTry, CrossHop::Ignored]
        .into_iter()
        .find(|cross_hop| cross_hop_word(*cross_hop) == word)
}

const fn cross_hop_word(cross_hop: CrossHop) -> &'static str {
    match cross_hop {
        CrossHop::SecondTries => "second-tries",
        CrossHop::AnyTry => "any-try",
        CrossHop::Ignored => "ignored",
    }
}

// === budget ===

fn read_budget(fields: &Fields<'_>) -> Result<BudgetSettings, FormatError> {
    Ok(BudgetSettings {
        ratio: fields.need("ratio", ratio(fields, "ratio")?)?,
        min_per_second: fields.u32("min_per_second")?.unwrap_or(0),
        window: fields.need("window_ms", fields.ms("window_ms")?)?,
        concurrent: match fields.object("concurrent")? {
            None => None,
            Some(fields) => Some(ConcurrentBudget {
                ratio: fields.need("ratio", ratio(&fields, "ratio")?)?,
                min: fields.u32("min")?.unwrap_or(0),
            }),
        },
    })
}

fn write_budget(budget: &BudgetSettings) -> Object {
    let concurrent = |concurrent: ConcurrentBudget| {
        Object::new().with("ratio", share(concurrent.ratio)).with("min", concurrent.min)
    };
    Object::new()
        .with("ratio", share(budget.ratio))
        .with("min_per_second", budget.min_per_second)
        .with("window_ms", ms(budget.window))
        .with_some("concurrent", budget.concurrent.map(concurrent))
}

// === retry throttle ===

fn read_retry_throttle(fields: &Fields<'_>) -> Result<RetryThrottleSettings, FormatError> {
    let count = |name| fields.need(name, fields.u32(name)?);
    Ok(RetryThrottleSettings {
        tokens_max: count("tokens_max_thousandths")?,
        ratio: count("ratio_thousandths")?,
    })
}

fn write_retry_throttle(throttle: &RetryThrottleSettings) -> Object {
    Object::new()
        .with("tokens_max_thousandths", throttle.tokens_max)
        .with("ratio_thousandths", throttle.ratio)
}

// === breaker ===

fn read_breaker(fields: &Fields<'_>) -> Result<BreakerSettings, FormatError> {
    let time = |name| fields.need(name, fields.ms(name)?);
    let count = |name| fields.need(name, fields.u32(name)?);
    Ok(BreakerSettings {
        window: time("window_ms")?,
        min_calls: count("min_calls")?,
        failure_ratio: ratio(fields, "failure_ratio")?,
        slow: match fields.object("slow")? {
            None => None,
            Some(fields) => Some(Slow {
                over: fields.need("over_ms", fields.ms("over_ms")?)?,
                ratio: fields.need("ratio", ratio(&fields, "ratio")?)?,
            }),
        },
        consecutive: fields.u32("consecutive")?,
        open: time("open_ms")?,
        open_max: time("open_max_ms")?,
        growth: count("growth")?,
        jitter: fields.need("jitter", ratio(fields, "jitter")?)?,
        probes: count("probes")?,
        probe_lease: time("probe_lease_ms")?,
        ramp: time("ramp_ms")?,
    })
}

fn write_breaker(breaker: &BreakerSettings) -> Object {
    let slow = |slow: Slow| Object::new().with("over_ms", ms(slow.over)).with("ratio", share(slow.ratio));
    Object::new()
        .with("window_ms", ms(breaker.window))
        .with("min_calls", breaker.min_calls)
        .with_some("failure_ratio", breaker.failure_ratio.map(share))
        .with_some("slow", breaker.slow.map(slow))
        .with_some("consecutive", breaker.consecutive)
        .with("open_ms", ms(breaker.open))
        .with("open_max_ms", ms(breaker.open_max))
        .with("growth", breaker.growth)
        .with("jitter", share(breaker.jitter))
        .with("probes", breaker.probes)
        .with("probe_lease_ms", ms(breaker.probe_lease))
        .with("ramp_ms", ms(breaker.ramp))
}

// === bulkhead and rate ===

fn read_bulkhead(fields: &Fields<'_>) -> Result<BulkheadSettings, FormatError> {
    Ok(BulkheadSettings {
        concurrent: fields.need("concurrent", fields.u32("concurrent")?)?,
        queue: fields.u32("queue")?.unwrap_or(0),
        wait: fields.ms("wait_ms")?.unwrap_or_default(),
    })
}

fn write_bulkhead(bulkhead: &BulkheadSettings) -> Object {
    Object::new()
        .with("concurrent", bulkhead.concurrent)
        .with("queue", bulkhead.queue)
        .with("wait_ms", ms(bulkhead.wait))
}

fn read_rate(fields: &Fields<'_>) -> Result<RateSettings, FormatError> {
    let count = |name| fields.need(name, fields.u32(name)?);
    Ok(RateSettings { per_second: count("per_second")?, burst: count("burst")? })
}

fn write_rate(rate: &RateSettings) -> Object {
    Object::new().with("per_second", rate.per_second).with("burst", rate.burst)
}

// === admission ===

fn read_admission(fields: &Fields<'_>) -> Result<AdmissionSettings, FormatError> {
    let count = |name| fields.need(name, fields.u32(name)?);
    Ok(AdmissionSettings {
        multiplier: count("multiplier_thousandths")?,
        window: fields.need("window_ms", fields.ms("window_ms")?)?,
        min_calls: count("min_calls")?,
        reject_max: fields.need("reject_max", ratio(fields, "reject_max")?)?,
    })
}

fn write_admission(admission: &AdmissionSettings) -> Object {
    Object::new()
        .with("multiplier_thousandths", admission.multiplier)
        .with("window_ms", ms(admission.window))
        .with("min_calls", admission.min_calls)
        .with("reject_max", share(admission.reject_max))
}

// === doomed ===

fn read_doomed(fields: &Fields<'_>) -> Result<DoomedSettings, FormatError> {
    Ok(DoomedSettings {
        min_calls: fields.need("min_calls", fields.u32("min_calls")?)?,
        let_through: fields.need("let_through", ratio(fields, "let_through")?)?,
        half_life: fields.need("half_life_ms", fields.ms("half_life_ms")?)?,
    })
}

fn write_doomed(doomed: &DoomedSettings) -> Object {
    Object::new()
        .with("min_calls", doomed.min_calls)
        .with("let_through", share(doomed.let_through))
        .with("half_life_ms", ms(doomed.half_life))
}

// === faults ===

fn read_fault(fields: &Fields<'_>) -> Result<Fault, FormatError> {
    let percent = match fields.number("percent")? {
        None => Percent::ALWAYS,
        Some(percent) => Percent::from_percent(percent)
            .ok_or_else(|| FormatError::new(fields.path("percent"), "a percentage, 0 to 100"))?,
    };
    let small = |name: &str, expected, range: std::ops::RangeInclusive<u32>| {
        let number = fields.need(name, fields.u32(name)?)?;
        if range.contains(&number) { Ok(number) } else { Err(FormatError::new(fields.path(name), expected)) }
    };
    let kind = match fields.need("kind", fields.text("kind")?)? {
        "delay" => Kind::Delay(fields.need("delay_ms", fields.ms("delay_ms")?)?),
        "abort" => Kind::Abort { status: small("status", "a status, 200 to 599", 200..=599)? as u16 },
        "abort-grpc" => Kind::AbortGrpc { code: small("code", "a gRPC code, 0 to 16", 0..=16)? as u8 },
        "drop-first" => Kind::DropFirst(fields.need("tries", fields.u32("tries")?)?),
        "drop" => Kind::Drop,
        _ => {
            let expected = "delay, abort, abort-grpc, drop-first or drop";
            return Err(FormatError::new(fields.path("kind"), expected));
        }
    };
    Ok(Fault { kind, percent })
}

fn write_fault(fault: &Fault) -> Value {
    let object = match fault.kind {
        Kind::Delay(delay) => Object::new().with("kind", "delay").with("delay_ms", ms(delay)),
        Kind::Abort { status } => Object::new().with("kind", "abort").with("status", status),
        Kind::AbortGrpc { code } => Object::new().with("kind", "abort-grpc").with("code", code),
        Kind::DropFirst(tries) => Object::new().with("kind", "drop-first").with("tries", tries),
        Kind::Drop => Object::new().with("kind", "drop"),
    };
    object.with("percent", number(f64::from(fault.percent.ppm()) / 1e4)).into()
}

// === shares and words ===

fn ratio(fields: &Fields<'_>, name: &str) -> Result<Option<Ratio>, FormatError> {
    let Some(value) = fields.number(name)? else { return Ok(None) };
    match Ratio::from_f64(value) {
        Some(ratio) => Ok(Some(ratio)),
        None => Err(FormatError::new(fields.path(name), "a share, 0 to 1")),
    }
}

fn share(ratio: Ratio) -> Value {
    number(ratio.as_f64())
}

fn word<T>(fields: &Fields<'_>, name: &str, read: fn(&str) -> Option<T>) -> Result<Option<T>, FormatError> {
    let Some(word) = fields.text(name)? else { return Ok(None) };
    match read(word) {
        Some(value) => Ok(Some(value)),
        None => Err(FormatError::new(fields.path(name), "one of the words of the format")),
    }
}
