//! Settings in words.

use crate::format::format_duration;
use crate::resolved::{Balancing, CheckedBy, HashBy, HealthCheck};
use crate::routing::{CalleeTls, Connections, IstioFault, Keepalive};
use bowline_fault::{Fault, Kind, Then};
use bowline_policy::balance::Algorithm;
use bowline_policy::{
    AdmissionSettings, Backoff, BreakerSettings, BudgetSettings, BulkheadSettings, DoomedSettings,
    HedgeAfter, HedgeSettings, OutlierSettings, Ratio, RetryRule,
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
        Backoff::Decorrelated { base, max } => {
            format!("{} to three times the last, at most {}", span(base), span(max))
        }
    }
}

pub(super) fn connections(kept: &Connections) -> String {
    let Connections { connect, idle, age, requests, streams, ping_after, ping_timeout, keepalive } = kept;
    let spans = [("made within", connect), ("idle for", idle), ("up to", age)];
    let mut parts: Vec<String> = spans
        .into_iter()
        .filter_map(|(word, length)| {
            let length = (*length)?;
            let length = if length == Duration::MAX { "ever".to_owned() } else { span(length) };
            Some(format!("{word} {length}"))
        })
        .collect();
    parts.extend(requests.map(|requests| format!("{requests} requests each")));
    parts.extend(streams.map(|streams| format!("{streams} at once over HTTP/2")));
    parts.extend(ping_after.map(|after| format!("pinged after {}", span(after))));
    parts.extend(ping_timeout.map(|within| format!("pings answered within {}", span(within))));
    parts.extend(keepalive.map(|keepalive| {
        let Keepalive { time, interval, probes } = keepalive;
        let after = time.map_or_else(String::new, |time| format!(" after {}", span(time)));
        let apart = interval.map_or_else(String::new, |interval| format!(", {} apart", span(interval)));
        let most = probes.map_or_else(String::new, |probes| format!(", {probes} at most"));
        format!("probed by the kernel{after}{apart}{most}")
    }));
    parts.join(", ")
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
        RetryRule::Named(conditions) => {
            let words = conditions.iter().map(|condition| condition.to_string());
            let named = words.chain(conditions.codes().iter().map(ToString::to_string));
            let named = named.collect::<Vec<_>>().join(",");
            if conditions.may_ask_again() { format!("{named}; a host may be asked again") } else { named }
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
    let errors = outlier.errors.as_ref().map(|errors| {
        let statuses: Vec<String> = errors.iter().map(|status| status.to_string()).collect();
        format!("answers of {}", statuses.join(" or "))
    });
    let counted = [
        (outlier.consecutive_5xx, errors.as_deref().unwrap_or("5xx")),
        (outlier.consecutive_gateway, "gateway errors"),
        (outlier.consecutive_local, "tries without an answer"),
    ];
    for (count, what) in counted {
        ways.extend(count.map(|count| format!("{count} {what} in a row")));
    }
    if let Some(rate) = &outlier.success_rate {
        ways.push(format!("successes {} deviations below the others'", rate.deviations));
    }
    if let Some(failures) = &outlier.failures {
        ways.push(format!(
            "{} failed of {} calls in {}",
            failures.share,
            failures.calls_min,
            span(outlier.interval)
        ));
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

#[cfg(test)]
mod tests {
    use super::*;
    use bowline_policy::outlier::{FailureShare, Statuses};

    #[test]
    fn how_connections_are_kept_is_told_by_what_is_asked_for() {
        let second = Duration::from_secs(1);
        let kept = Connections {
            connect: Some(second),
            idle: Some(Duration::MAX),
            requests: Some(9),
            keepalive: Some(Keepalive { time: Some(60 * second), interval: None, probes: Some(3) }),
            ..Connections::default()
        };
        let told = "made within 1s, idle for ever, 9 requests each, probed by the kernel after 1m, 3 at most";
        assert_eq!(connections(&kept), told);
        let kept = Connections {
            age: Some(60 * second),
            streams: Some(5),
            ping_after: Some(second),
            ping_timeout: Some(2 * second),
            ..Connections::default()
        };
        let told = "up to 1m, 5 at once over HTTP/2, pinged after 1s, pings answered within 2s";
        assert_eq!(connections(&kept), told);
    }

    #[test]
    fn what_puts_a_host_out_is_told_by_the_statuses_that_are_named() {
        let settings = OutlierSettings {
            errors: Some(Statuses::of([429, 503])),
            failures: Some(FailureShare::of(Ratio::percent(60))),
            ..OutlierSettings::ISTIO
        };
        let told = "after 5 answers of 429 or 503 in a row or 60 % failed of 50 calls in 10s for 30s and longer each time, at most 10 % of them";
        assert_eq!(outlier(&settings), told);
    }
}
