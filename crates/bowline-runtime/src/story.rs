//! One past request as a story: what was decided, when, by which number, and where that was written.
//!
//! The gateway's own decisions and those that linked libraries told of the same trace stand in one
//! story, in the order of time.

use bowline::link::format::TrailReport;
use bowline_design::Design;
use bowline_design::routing::Table;
use bowline_model::decision::{Decision, DeniedWhy, GiveUp};
use bowline_model::describe::{describe, span, word};
use bowline_proxy::Record;
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Duration;

/// The story of one request, and the trails that libraries told of its trace.
#[derive(Debug)]
pub struct Story<'a> {
    /// The gateway's record.
    pub record: &'a Record,
    /// What libraries told, with the service that told it.
    pub linked: Vec<(String, TrailReport)>,
    /// The design that holds now, for the places of values.
    pub design: &'a Design,
}

/// The story of a trace that the gateway kept nothing of: it saw one good answer, and what is worth
/// telling happened in a library behind it.
#[must_use]
pub fn behind_the_gateway(trace: &str, linked: &[(String, TrailReport)]) -> Value {
    let mut text = format!("  trace {trace}     the gateway saw a plain good answer; behind it\n");
    let first = linked.iter().map(|(_, trail)| trail.at_unix_ms).min().unwrap_or_default();
    for (service, trail) in linked {
        told(&mut text, service, trail, Duration::from_millis(trail.at_unix_ms - first));
    }
    let decisions = |trail: &TrailReport, offset: u64| -> Vec<Value> {
        let line = |told: &bowline::link::format::Line| json!({"at_us": offset * 1_000 + told.at_us, "word": told.word, "text": told.text});
        trail.lines.iter().map(line).collect()
    };
    let linked: Vec<Value> = linked
        .iter()
        .map(|(service, trail)| {
            json!({
                "service": service, "name": trail.name, "outcome": trail.outcome, "end": trail.end, "tries": trail.tries,
                "took_us": trail.took_us, "values": trail.values, "decisions": decisions(trail, trail.at_unix_ms - first),
            })
        })
        .collect();
    json!({"trace": trace, "linked": linked, "text": text})
}

impl Story<'_> {
    /// For a person.
    #[must_use]
    pub fn text(&self) -> String {
        let record = self.record;
        let mut text = format!(
            "  {} {}     {} after {}",
            record.method,
            record.target,
            record.status,
            span(record.took)
        );
        if let Some(through) = record.through.filter(|through| record.took + NOTICEABLE < *through) {
            let _ = write!(text, ", all of it after {}", span(through));
        }
        let _ = write!(text, " over {}", record.protocol());
        if let Some(callee) = record.callee_protocol().filter(|callee| *callee != record.protocol()) {
            let _ = write!(text, ", then {callee}");
        }
        if record.flag != bowline_proxy::Flag::None {
            let _ = write!(text, " ({})", record.flag);
        }
        match &record.route {
            Some(route) => {
                let _ = write!(text, "     route {} ({})", route.name, route.place);
            }
            None => text.push_str("     no route"),
        }
        if let Some(place) = self.deadline_place() {
            let _ = write!(text, "     deadline from {place}");
        }
        text.push('\n');
        if let Some(caller) = &record.caller {
            let _ = writeln!(text, "            by {caller}, which it has proved");
        }
        let calls = record.destination.as_deref().unwrap_or("nowhere");
        if record.flag == bowline_proxy::Flag::NoTls {
            let _ = writeln!(
                text,
                "            no tls to {calls}: a file that it needs cannot be used; /readyz and the log say which"
            );
        }
        for (at, decision) in record.trail.decisions() {
            line(&mut text, at.since(record.began), &self.words(decision, calls));
        }
        if record.trail.dropped() > 0 {
            let _ = writeln!(text, "          and {} more decisions", record.trail.dropped());
        }
        for (service, trail) in &self.linked {
            told(&mut text, service, trail, self.offset(trail));
        }
        let _ = writeln!(text, "\n  trace {:032x}     id {}", record.trace, record.id);
        text
    }

    /// For a program; the text for a person is in it.
    #[must_use]
    pub fn json(&self) -> Value {
        let record = self.record;
        let calls = record.destination.as_deref().unwrap_or("nowhere");
        let decisions: Vec<Value> = record
            .trail
            .decisions()
            .iter()
            .map(|(at, decision)| {
                let at = at.since(record.began).as_micros() as u64;
                json!({"at_us": at, "word": word(decision), "text": self.words(decision, calls)})
            })
            .collect();
        let linked: Vec<Value> = self
            .linked
            .iter()
            .map(|(service, trail)| {
                let offset = self.offset(trail);
                let lines: Vec<Value> = trail
                    .lines
                    .iter()
                    .map(|told| {
                        let at = offset + Duration::from_micros(told.at_us);
                        json!({"at_us": at.as_micros() as u64, "word": told.word, "text": told.text})
                    })
                    .collect();
                json!({
                    "service": service, "name": trail.name, "outcome": trail.outcome, "end": trail.end,
                    "tries": trail.tries, "took_us": trail.took_us, "values": trail.values, "decisions": lines,
                })
            })
            .collect();
        json!({
            "id": record.id.to_string(),
            "at_unix_ms": record.at.as_unix_nanos() / 1_000_000,
            "method": record.method.as_str(),
            "target": &*record.target,
            "authority": &*record.authority,
            "status": record.status,
            "flag": record.flag.as_str(),
            "took_us": record.took.as_micros() as u64,
            "through_us": record.through.map(|through| through.as_micros() as u64),
            "protocol": record.protocol(),
            "callee_protocol": record.callee_protocol(),
            "listener": &*record.listener,
            "caller": record.caller.as_deref(),
            "access": record.access.as_ref().map(|rule| json!({"name": &*rule.name, "place": rule.place.to_json()})),
            "route": record.route.as_ref().map(|route| json!({"name": &*route.name, "place": route.place.to_json()})),
            "destination": record.destination.as_deref(),
            "trace": format!("{:032x}", record.trace),
            "decisions": decisions,
            "linked": linked,
            "text": self.text(),
        })
    }

    /// A decision in plain words, with the endpoint's address and, where there is one, what to do.
    fn words(&self, decision: &Decision, calls: &str) -> String {
        let host = match decision {
            Decision::TryStarted { host, .. }
            | Decision::HostPicked { host, .. }
            | Decision::HostEjected { host, .. }
            | Decision::HostSpared { host, .. } => self.record.hosts.get(usize::from(*host)),
            _ => None,
        };
        let to = host.map_or_else(|| calls.to_owned(), |host| format!("{calls} {host}"));
        let words = describe(decision).to_host(&to).to_string();
        match decision {
            Decision::GaveUp { reason: GiveUp::NotSafe, .. } => with_hint(&words, calls),
            Decision::AccessGranted { .. } => match &self.record.access {
                Some(rule) => format!("let through to {calls} by {} ({})", rule.name, rule.place),
                None => words,
            },
            Decision::AccessDenied { why } => {
                let who = self.record.caller.as_deref().unwrap_or("a caller who proved nothing");
                match why {
                    DeniedWhy::NobodyMay => format!("not let through: no Access lets anybody call {calls}"),
                    _ => format!("not let through: no Access lets {who} call {calls}"),
                }
            }
            _ => words,
        }
    }

    /// When a linked call began, after the gateway's request did. Both clocks are this machine's.
    fn offset(&self, trail: &TrailReport) -> Duration {
        let began = self.record.at.as_unix_nanos() / 1_000_000;
        Duration::from_millis(trail.at_unix_ms.saturating_sub(began))
    }

    /// Where the deadline that held is written: `Policy default/payments (design/policies.yaml:8)`.
    fn deadline_place(&self) -> Option<String> {
        let destination = self.record.destination.as_deref()?;
        let (service, operation) =
            destination.split_once('.').map_or((destination, None), |(s, o)| (s, Some(o)));
        let service = self.design.services.iter().find(|known| *known.name == *service)?;
        let operation = operation.and_then(|operation| service.operation_named(operation));
        let route = self.record.route.as_ref()?;
        let settings = self
            .design
            .listeners
            .iter()
            .map(|listener| &listener.table)
            .chain([&self.design.mesh])
            .flat_map(Table::hosts)
            .flat_map(|host| &host.routes)
            .find(|known| known.place == route.place)
            .and_then(|route| {
                route.destinations().iter().map(|each| &each.call(operation).settings).next()
            })?;
        let (_, deadline) = settings.deadline()?;
        let place = deadline.from.place()?;
        Some(format!("{} ({place})", place.resource))
    }
}

/// An answer that takes this much longer than its head is one that somebody waits for.
const NOTICEABLE: Duration = Duration::from_millis(10);

/// What one guard told of one call, `offset` after the story's beginning.
fn told(text: &mut String, service: &str, trail: &TrailReport, offset: Duration) {
    let values =
        if trail.values.is_empty() { String::new() } else { format!("     values from {}", trail.values) };
    let after = span(Duration::from_micros(trail.took_us));
    let TrailReport { name, outcome, end, .. } = trail;
    let _ = writeln!(text, "\n  {service} -> {name}     {outcome} after {after}: {end}{values}");
    for told in &trail.lines {
        line(text, offset + Duration::from_micros(told.at_us), &with_hint(&told.text, name));
    }
}

/// Says what would make the repeat safe, where safety is why there was none.
fn with_hint(words: &str, calls: &str) -> String {
    if !words.contains(GiveUp::NotSafe.as_str()) {
        return words.to_owned();
    }
    let operation = if calls.contains('.') { calls.to_owned() } else { format!("an operation of {calls}") };
    format!("{words}          <- declare {operation} `idempotent: by-key` if it honours Idempotency-Key")
}

fn line(text: &mut String, at: Duration, words: &str) {
    let _ = writeln!(text, "{:>7.1} ms  {words}", at.as_secs_f64() * 1e3);
}
