//! Up the link: what the guards of one process counted and decided.

use super::json::{Fields, FormatError, Object, message};
use bowline_model::Instant;
use bowline_model::decision::{Decision, FaultKind, TryEnd};
use bowline_model::describe::{describe, span, word};
use serde_json::Value;
use std::fmt;
use std::time::Duration;

/// What one process tells: counters of all its guards, and the trails since the report before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The service, where the process knows its name; the token tells in any case.
    pub service: Option<String>,
    /// The process's id.
    pub process: u32,
    /// Trails that came while the queue was full, since the process began.
    pub trails_dropped: u64,
    /// One for each guard.
    pub guards: Vec<GuardReport>,
    /// Calls, in the order they ended.
    pub trails: Vec<TrailReport>,
}

/// What one guard counted since its process began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GuardReport {
    /// The guard's name.
    pub name: String,
    /// The revision of the design that governs it; none where the code's values do.
    pub revision: Option<String>,
    /// Calls begun.
    pub calls: u64,
    /// Tries sent.
    pub tries: u64,
    /// Retries by the reason that allowed them.
    pub retries: Vec<(String, u64)>,
    /// Calls by the reason that ended them.
    pub ends: Vec<(String, u64)>,
    /// The breaker's state, if it has a breaker.
    pub breaker: Option<String>,
    /// Calls under way, if it has a bulkhead.
    pub running: Option<u32>,
    /// How many calls took how long: each upper end in microseconds with the calls between it and the end
    /// before, then those that took `longer`.
    pub took: Vec<(String, u64)>,
    /// How long all of them took together.
    pub took_us: u64,
}

/// One call: its end, and every decision on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrailReport {
    /// The trace it belongs to, 32 hexadecimal digits: what joins it with the gateway's trail.
    pub trace: String,
    /// Its own span in that trace, 16 hexadecimal digits; those of its tries follow from it
    /// ([`bowline_model::TraceContext::of_try`]).
    pub span: String,
    /// The span that caused it, where the request being served brought one along.
    pub parent: Option<String>,
    /// Whether the trace is recorded by whoever records.
    pub sampled: bool,
    /// The guard's name.
    pub name: String,
    /// When it began, in milliseconds since 1970-01-01 UTC.
    pub at_unix_ms: u64,
    /// The same in microseconds.
    pub at_unix_us: u64,
    /// How long it took.
    pub took_us: u64,
    /// Why no further try was made.
    pub end: String,
    /// What the last try did to the world.
    pub outcome: String,
    /// Tries sent.
    pub tries: u32,
    /// Where its values came from: `design/policies.yaml:8`, or `code`.
    pub values: String,
    /// Decisions that did not fit.
    pub dropped: u32,
    /// The decisions in order.
    pub lines: Vec<Line>,
}

/// One decision of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// How long after the call began.
    pub at_us: u64,
    /// Its kind, one word: `try-ended`.
    pub word: String,
    /// The decision in plain words: `try 1 timed out after 80 ms: outcome unknown`.
    pub text: String,
    /// The numbers that decided it, each with its unit in its name.
    pub numbers: Vec<(String, u64)>,
    /// The words that decided it, each under what it says: `outcome`, `reason`.
    pub words: Vec<(String, String)>,
}

impl Report {
    /// Reads a message.
    ///
    /// # Errors
    /// The first place that does not follow the format.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let value = message(bytes)?;
        let fields = Fields::of(&value, "")?;
        Ok(Self {
            service: fields.text("service")?.map(str::to_owned),
            process: fields.u32("process")?.unwrap_or(0),
            trails_dropped: fields.u64("trails_dropped")?.unwrap_or(0),
            guards: fields.list("guards", GuardReport::read)?,
            trails: fields.list("trails", TrailReport::read)?,
        })
    }

    /// Writes the message.
    #[must_use]
    pub fn to_json(&self) -> String {
        Value::from(
            Object::new()
                .with("version", super::VERSION)
                .with_some("service", self.service.as_deref())
                .with("process", self.process)
                .with("trails_dropped", self.trails_dropped)
                .with_list("guards", self.guards.iter().map(GuardReport::write).collect())
                .with_list("trails", self.trails.iter().map(TrailReport::write).collect()),
        )
        .to_string()
    }
}

impl GuardReport {
    fn read(fields: &Fields<'_>) -> Result<Self, FormatError> {
        Ok(Self {
            name: fields.need("name", fields.text("name")?)?.to_owned(),
            revision: fields.text("revision")?.map(str::to_owned),
            calls: fields.u64("calls")?.unwrap_or(0),
            tries: fields.u64("tries")?.unwrap_or(0),
            retries: fields.counts("retries")?,
            ends: fields.counts("ends")?,
            breaker: fields.text("breaker")?.map(str::to_owned),
            running: fields.u32("running")?,
            took: fields.counts("took")?,
            took_us: fields.u64("took_us")?.unwrap_or(0),
        })
    }

    fn write(&self) -> Value {
        Object::new()
            .with("name", self.name.as_str())
            .with_some("revision", self.revision.as_deref())
            .with("calls", self.calls)
            .with("tries", self.tries)
            .with_counts("retries", &self.retries)
            .with_counts("ends", &self.ends)
            .with_some("breaker", self.breaker.as_deref())
            .with_some("running", self.running)
            .with_counts("took", &self.took)
            .with("took_us", self.took_us)
            .into()
    }
}

impl TrailReport {
    fn read(fields: &Fields<'_>) -> Result<Self, FormatError> {
        let text = |name| Ok(fields.text(name)?.unwrap_or_default().to_owned());
        Ok(Self {
            trace: text("trace")?,
            span: text("span")?,
            parent: fields.text("parent")?.map(str::to_owned),
            sampled: fields.boolean("sampled")?.unwrap_or(false),
            name: fields.need("name", fields.text("name")?)?.to_owned(),
            at_unix_ms: fields.u64("at_unix_ms")?.unwrap_or(0),
            at_unix_us: fields.u64("at_unix_us")?.unwrap_or(0),
            took_us: fields.u64("took_us")?.unwrap_or(0),
            end: text("end")?,
            outcome: text("outcome")?,
            tries: fields.u32("tries")?.unwrap_or(0),
            values: text("values")?,
            dropped: fields.u32("dropped")?.unwrap_or(0),
            lines: fields.list("lines", Line::read)?,
        })
    }

    fn write(&self) -> Value {
        Object::new()
            .with("trace", self.trace.as_str())
            .with("span", self.span.as_str())
            .with_some("parent", self.parent.as_deref())
            .with("sampled", self.sampled)
            .with("name", self.name.as_str())
            .with("at_unix_ms", self.at_unix_ms)
            .with("at_unix_us", self.at_unix_us)
            .with("took_us", self.took_us)
            .with("end", self.end.as_str())
            .with("outcome", self.outcome.as_str())
            .with("tries", self.tries)
            .with("values", self.values.as_str())
            .with("dropped", self.dropped)
            .with_list("lines", self.lines.iter().map(Line::write).collect())
            .into()
    }
}

/// As `bowline explain` prints it: what came of the call, then each decision with its time.
///
/// ```
/// use bowline::link::format::{Line, TrailReport};
///
/// let trail = TrailReport {
///     name: "inventory".into(),
///     end: "not safe to repeat".into(),
///     outcome: "unknown".into(),
///     took_us: 80_400,
///     tries: 1,
///     values: "design/policies.yaml:8".into(),
///     lines: vec![
///         Line { text: "deadline 300 ms (policy)".into(), ..Line::default() },
///         Line { at_us: 300, text: "try 1 -> inventory, 80 ms at most".into(), ..Line::default() },
///         Line { at_us: 80_400, text: "try 1 timed out after 80 ms: outcome unknown".into(), ..Line::default() },
///         Line { at_us: 80_400, text: "no retry: not safe to repeat".into(), ..Line::default() },
///     ],
///     ..TrailReport::default()
/// };
/// assert_eq!(trail.to_string(), "\
/// inventory   not safe to repeat after 80 ms   1 try, outcome unknown   values from design/policies.yaml:8
///      0.0 ms  deadline 300 ms (policy)
///      0.3     try 1 -> inventory, 80 ms at most
///     80.4     try 1 timed out after 80 ms: outcome unknown
///     80.4     no retry: not safe to repeat");
/// ```
impl fmt::Display for TrailReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, end, outcome, tries, values, .. } = self;
        let took = span(Duration::from_micros(self.took_us));
        let noun = if *tries == 1 { "try" } else { "tries" };
        write!(f, "{name}   {end} after {took}   {tries} {noun}, outcome {outcome}   values from {values}")?;
        for (index, line) in self.lines.iter().enumerate() {
            let unit = if index == 0 { "ms" } else { "  " };
            write!(f, "\n  {:>4}.{} {unit}  {}", line.at_us / 1_000, line.at_us / 100 % 10, line.text)?;
        }
        if self.dropped > 0 {
            write!(f, "\n  and {} decisions more than a trail keeps", self.dropped)?;
        }
        Ok(())
    }
}

impl Line {
    /// The line of `decision`, made at `at` in a call that began at `began` and goes to `name`.
    #[must_use]
    pub fn of(at: Instant, began: Instant, name: &str, decision: &Decision) -> Self {
        Self {
            at_us: micros(at.since(began)),
            word: word(decision).to_owned(),
            text: describe(decision).to_host(name).to_string(),
            numbers: numbers(decision).into_iter().map(|(name, number)| (name.to_owned(), number)).collect(),
            words: words(decision)
                .into_iter()
                .map(|(name, word)| (name.to_owned(), word.to_owned()))
                .collect(),
        }
    }

    fn read(fields: &Fields<'_>) -> Result<Self, FormatError> {
        Ok(Self {
            at_us: fields.u64("at_us")?.unwrap_or(0),
            word: fields.need("word", fields.text("word")?)?.to_owned(),
            text: fields.need("text", fields.text("text")?)?.to_owned(),
            numbers: fields.counts("numbers")?,
            words: fields.texts("words")?,
        })
    }

    fn write(&self) -> Value {
        Object::new()
            .with("at_us", self.at_us)
            .with("word", self.word.as_str())
            .with("text", self.text.as_str())
            .with_counts("numbers", &self.numbers)
            .with_texts("words", &self.words)
            .into()
    }
}

/// The numbers that decided, each with its unit in its name. What has no end has no number.
fn numbers(decision: &Decision) -> Vec<(&'static str, u64)> {
    let us = |name, span: Duration| (span < ENDLESS).then(|| (name, micros(span)));
    let is = |name, number: u32| Some((name, u64::from(number)));
    let numbers = match *decision {
        Decision::DeadlineSet { remaining, .. } => vec![us("remaining_us", remaining)],
        Decision::Queued { ahead, wait, .. } => vec![is("ahead", ahead), us("wait_us", wait)],
        Decision::Admitted { running } => vec![is("running", running)],
        Decision::Doomed { remaining, median } => {
            vec![us("remaining_us", remaining), us("median_us", median)]
        }
        Decision::Throttled { requests, accepts } => {
            vec![is("requests", requests), is("accepts", accepts)]
        }
        Decision::BreakerPassed { failures, calls, .. } => vec![is("failures", failures), is("calls", calls)],
        Decision::BreakerRefused { retry_after, .. } => vec![us("retry_after_us", retry_after)],
        Decision::FaultInjected { number, fault } => {
            let detail = match fault {
                FaultKind::Delay(delay) => us("delay_us", delay),
                FaultKind::Abort(status) => is("status", status.into()),
                FaultKind::Drop => None,
            };
            vec![is("try", number), detail]
        }
        Decision::TryStarted { number, host, within } => {
            vec![is("try", number), is("host", host.into()), us("within_us", within)]
        }
        Decision::TryEnded { number, end, took, .. } => {
            let detail = match end {
                TryEnd::Answered { status } => is("status", status.into()),
                TryEnd::AnsweredGrpc { code, .. } => is("code", code.into()),
                _ => None,
            };
            vec![is("try", number), us("took_us", took), detail]
        }
        Decision::RetryScheduled { number, after, .. } => vec![is("try", number), us("after_us", after)],
        Decision::HedgePlanned { after } => vec![us("after_us", after)],
        Decision::HedgeSent { number, waited } => vec![is("try", number), us("waited_us", waited)],
        Decision::GaveUp { remaining, .. } => vec![us("remaining_us", remaining)],
        // What has no numbers, and decisions of a later model.
        _ => Vec::new(),
    };
    numbers.into_iter().flatten().collect()
}

/// The words that decided, each under what it says.
fn words(decision: &Decision) -> Vec<(&'static str, &'static str)> {
    match *decision {
        Decision::DeadlineSet { by, .. } => vec![("by", by.as_str())],
        Decision::BreakerPassed { state, .. } | Decision::BreakerRefused { state, .. } => {
            vec![("state", state.as_str())]
        }
        Decision::BreakerMoved { from, to, why } => {
            vec![("from", from.as_str()), ("to", to.as_str()), ("why", why.as_str())]
        }
        Decision::FaultInjected { fault, .. } => vec![("fault", fault.as_str())],
        Decision::TryEnded { outcome, end, .. } => {
            vec![("end", end.as_str()), ("outcome", outcome.as_str())]
        }
        Decision::RetryScheduled { why, .. } => vec![("why", why.as_str())],
        Decision::GaveUp { reason, .. } => vec![("reason", reason.as_str())],
        // What has no words, and decisions of a later model.
        _ => Vec::new(),
    }
}

/// A year: no number that anybody chose is longer.
const ENDLESS: Duration = Duration::from_secs(365 * 86_400);

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
