//! Settings in words.

use crate::format::format_duration;
use crate::resolved::{Balancing, CheckedBy, HashBy, HealthCheck};
use crate::routing::{CalleeTls, IstioFault};
use bowline_fault::{Fault, Kind, Then};
use bowline_model::describe::grpc_word;
use bowline_policy::balance::Algorithm;
use bowline_policy::{
    AdmissionSettings, Backoff, BreakerSettings, BudgetSettings, BulkheadSettings, DoomedSettings,
    HedgeAfter, HedgeSettings, OutlierSettings, Ratio, RetryRule, RetryThrottleSettings,
};
use std::time::Duration;

/// `300ms`.
pub(super) fn span(span: Duration) -> String {
    format_duration(span)
}

pub(super) fn backoff(backoff: Backoff) -> String {
    let growing =
        |jitter: &str, base, max| format!("{jitter} jitter, {} doubled up to {}", span(base), span(max));
    match backoff {
        Backoff::None => "none".to_owned(),
        Backoff::Envoy { base, max } => {
            let worst: Vec<String> = (1..=3).map(|retry| span(backoff.worst(retry))).collect();
            let _ = base;
            format!("up to {}, .. {}", worst.join(", "), span(max))
        }
        Backoff::Full { base, max } => growing("full", base, max),
        Backoff::Equal { base, max } => growing("equal", base, max),
        Backoff::Grpc { base, max, multiplier } => {
            let times = multiplier as f64 / 1e6;
            format!("{} times {times} each, at most {}, 20 % up or down", span(base), span(max))
        }
        Backoff::Decorrelated { base, max } => {
            format!("{} to three times the last, at most {}", span(base), span(max))
        }
    }
}

pub(super) fn check(check: &HealthCheck) -> String {
    let asked = match &check.by {
        CheckedBy::Http { path, host, good } => {
            let good: Vec<String> = good
                .iter()
                .map(|range| match (range.start(), range.end()) {
                    (first, last) if first == last => first.to_string(),
                    (first, last) => format!("{first}-{last}"),
                })
                .collect();
            format!("GET {path} of {host} is {}", good.join(", "))
        }
        CheckedBy::Grpc { service, .. } if service.is_empty() => "gRPC's health protocol".to_owned(),
        CheckedBy::Grpc { service, .. } => format!("gRPC's health protocol of {service}"),
    };
    let settings = check.settings;
    format!(
        "{asked}, every {} within {}; ill after {}, well after {}",
        span(settings.interval),
        span(settings.timeout),
        settings.unhealthy,
        settings.healthy
    )
}

pub(super) fn rule(rule: &RetryRule) -> String {
    match rule {
        RetryRule::Outcome => "refused; unknown where repeatable".to_owned(),
        RetryRule::Codes(codes) if codes.is_empty() => "no status".to_owned(),
        RetryRule::Codes(codes) => codes.iter().map(grpc_word).collect::<Vec<_>>().join(","),
        RetryRule::Named(conditions) => {
            let words = conditions.iter().map(|condition| condition.to_string());
            words.chain(conditions.codes().iter().map(ToString::to_string)).collect::<Vec<_>>().join(",")
        }
    }
}

pub(super) fn budget(budget: &BudgetSettings) -> String {
    let mut parts = Vec::new();
    // A share of everything is no limit: then the concurrent part alone was asked for.
    if budget.ratio < Ratio::ONE {
        parts.push(format!(
            "{} of calls + {}/s over {}",
            budget.ratio,
            budget.min_per_second,
            span(budget.window)
        ));
    }
    if let Some(concurrent) = &budget.concurrent {
        parts.push(format!("{} of calls under way, or {}", concurrent.ratio, concurrent.min));
    }
    parts.join("; ")
}

pub(super) fn retry_throttle(throttle: &RetryThrottleSettings) -> String {
    let tokens = |thousandths| f64::from(thousandths) / f64::from(RetryThrottleSettings::TOKEN);
    format!(
        "of {} tokens a failure takes 1 and a success gives {} back; no retry with {} or less",
        tokens(throttle.tokens_max),
        tokens(throttle.ratio),
        tokens(throttle.tokens_max) / 2.0
    )
}

pub(super) fn hedge(hedge: &HedgeSettings) -> String {
    let after = match hedge.after {
        HedgeAfter::Fixed(delay) => format!("after {}", span(delay)),
        HedgeAfter::Quantile { quantile, min_calls } => {
            format!("after the p{} of at least {min_calls} calls", f64::from(quantile.ppm()) / 1e4)
        }
    };
    let copies = match hedge.tries {
        2 => String::new(),
        tries => format!(", {tries} tries"),
    };
    if hedge.by_grpc {
        return format!("another try {after}{copies}, whether it may be repeated or not");
    }
    format!("another try {after}{copies}, for {} of calls at most", hedge.ratio)
}

pub(super) fn breaker(breaker: &BreakerSettings) -> String {
    let mut trips = Vec::new();
    if let Some(ratio) = breaker.failure_ratio {
        trips.push(format!("{ratio} failed"));
    }
    if let Some(slow) = &breaker.slow {
        trips.push(format!("{} over {}", slow.ratio, span(slow.over)));
    }
    if let Some(consecutive) = breaker.consecutive {
        trips.push(format!("{consecutive} failed in a row"));
    }
    let (window, open) = (span(breaker.window), span(breaker.open));
    format!(
        "opens for {open} at {} (of {} calls in {window} at least), then {} probes",
        trips.join(" or "),
        breaker.min_calls,
        breaker.probes
    )
}

pub(super) fn bulkhead(bulkhead: &BulkheadSettings) -> String {
    let queue = match bulkhead.queue {
        0 => "nobody waits".to_owned(),
        u32::MAX => "the rest wait".to_owned(),
        queue => format!("{queue} wait"),
    };
    // A day and more is "as long as the deadline allows".
    let wait = if bulkhead.queue == 0 || bulkhead.wait >= Duration::from_secs(86_400) {
        String::new()
    } else {
        format!(" up to {}", span(bulkhead.wait))
    };
    format!("{} at once, {queue}{wait}", bulkhead.concurrent)
}

pub(super) fn admission(admission: &AdmissionSettings) -> String {
    format!(
        "rejects what is beyond {} times the calls accepted in {} (of {} at least), at most {}",
        f64::from(admission.multiplier) / 1e3,
        span(admission.window),
        admission.min_calls,
        admission.reject_max
    )
}

pub(super) fn doomed(doomed: &DoomedSettings) -> String {
    format!(
        "shed when less is left than half of the tries take (of {} at least), {} let through",
        doomed.min_calls, doomed.let_through
    )
}

pub(super) fn balancing(balancing: &Balancing) -> String {
    let hashed = match &balancing.hash {
        None => "anything".to_owned(),
        Some(HashBy::Header(name)) => format!("header {name}"),
        Some(HashBy::Cookie(name)) => format!("cookie {name}"),
        Some(HashBy::Query(name)) => format!("query parameter {name}"),
        Some(HashBy::SourceIp) => "the caller's address".to_owned(),
    };
    let settings = &balancing.settings;
    let mut text = match settings.algorithm {
        Algorithm::RoundRobin => "in turn".to_owned(),
        Algorithm::PeakEwma(_) => "the sooner of two at random".to_owned(),
        Algorithm::LeastRequest => "the less busy of two at random".to_owned(),
        Algorithm::Random => "at random".to_owned(),
        Algorithm::RingHash { size_min } => format!("by {hashed}, on a ring of {size_min}"),
        Algorithm::Maglev { size } => format!("by {hashed}, in a Maglev table of {size}"),
    };
    if let Some(slow_start) = &settings.slow_start {
        text += &format!(", new ones slowly over {}", span(slow_start.window));
    }
    if settings.panic > Ratio::ZERO {
        text += &format!("; all of them when less than {} are well", settings.panic);
    }
    text
}

pub(super) fn outlier(outlier: &OutlierSettings) -> String {
    let mut ways = Vec::new();
    let counted = [
        (outlier.consecutive_5xx, "5xx"),
        (outlier.consecutive_gateway, "gateway errors"),
        (outlier.consecutive_local, "tries without an answer"),
    ];
    for (count, what) in counted {
        ways.extend(count.map(|count| format!("{count} {what} in a row")));
    }
    if let Some(rate) = &outlier.success_rate {
        ways.push(format!("successes {} deviations below the others'", rate.deviations));
    }
    if ways.is_empty() {
        return "never".to_owned();
    }
    let one = if outlier.one_always { ", or one" } else { "" };
    format!(
        "after {} for {} and longer each time, at most {} of them{one}",
        ways.join(" or "),
        span(outlier.base),
        outlier.out_max
    )
}

pub(super) fn fault(fault: Fault) -> String {
    let what = match fault.kind {
        Kind::Delay(delay) => format!("held back {}", span(delay)),
        Kind::Abort { status } => format!("answered {status}"),
        Kind::AbortGrpc { code } => format!("answered gRPC {code}"),
        Kind::DropFirst(first) => format!("the first {first} tries refused"),
        Kind::Drop => "refused".to_owned(),
    };
    format!("{what}, {}", fault.percent)
}

pub(super) fn istio_fault(fault: &IstioFault) -> String {
    let mut parts = Vec::new();
    if let Some((percent, delay)) = &fault.delay {
        parts.push(format!("held back {}, {percent}", span(*delay)));
    }
    match &fault.abort {
        Some((percent, Then::Abort { status })) => parts.push(format!("answered {status}, {percent}")),
        Some((percent, Then::AbortGrpc { code })) => parts.push(format!("answered gRPC {code}, {percent}")),
        _ => {}
    }
    parts.join("; ")
}

/// How TLS is spoken to a destination.
pub(super) fn callee_tls(tls: &CalleeTls) -> String {
    let mode = if tls.own.is_some() { "MUTUAL" } else { "SIMPLE" };
    let name = &tls.server_name;
    if tls.blind {
        return format!("{mode}, asked for as {name}; nothing is proved");
    }
    let proves = if tls.names.is_empty() { "that name".to_owned() } else { tls.names.join(" or ") };
    let trusted = tls.trusted.as_deref().unwrap_or("those whom the machine trusts");
    format!("{mode}, asked for as {name}; proves {proves} to {trusted}")
}
