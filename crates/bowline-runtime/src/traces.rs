//! Traces, where they are built in (feature `trace`) and asked for.

use bowline::link::format::TrailReport;
use bowline_proxy::Recorder;
use std::io;
use std::sync::Arc;

#[cfg(feature = "trace")]
pub use bowline_trace::Settings;

/// No traces are built in, so there is nothing to set.
#[cfg(not(feature = "trace"))]
#[derive(Clone, Debug)]
pub enum Settings {}

/// How long the last spans may take when a process ends: a collector that is there takes milliseconds.
#[cfg(feature = "trace")]
const PART_WITHIN: std::time::Duration = std::time::Duration::from_secs(2);

/// What sends the spans of a running design.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    #[cfg(feature = "trace")]
    tracer: Option<Arc<bowline_trace::Tracer>>,
}

impl Traces {
    /// Starts it, if it is asked for.
    #[cfg(feature = "trace")]
    pub(crate) fn start(settings: Option<&Settings>) -> io::Result<Self> {
        let tracer = settings.cloned().map(bowline_trace::Tracer::start).transpose()?;
        Ok(Self { tracer: tracer.map(Arc::new) })
    }

    #[cfg(not(feature = "trace"))]
    pub(crate) fn start(_: Option<&Settings>) -> io::Result<Self> {
        Ok(Self::default())
    }

    /// Who is to be told of requests.
    #[cfg(feature = "trace")]
    pub(crate) fn recorder(&self) -> Option<Arc<dyn Recorder>> {
        self.tracer.clone().map(|tracer| tracer as Arc<dyn Recorder>)
    }

    #[cfg(not(feature = "trace"))]
    pub(crate) fn recorder(&self) -> Option<Arc<dyn Recorder>> {
        None
    }

    /// Tells what the guards of `service` told, where their traces are recorded.
    #[cfg(feature = "trace")]
    pub(crate) fn told(&self, service: &str, trails: &[TrailReport]) {
        if let Some(tracer) = &self.tracer {
            for trail in trails.iter().filter(|trail| trail.sampled) {
                // A library of another version may tell of no span.
                if let Some(call) = call(service, trail) {
                    tracer.called(call);
                }
            }
        }
    }

    #[cfg(not(feature = "trace"))]
    pub(crate) fn told(&self, _: &str, _: &[TrailReport]) {}

    /// Sends what waits. Blocks for a moment.
    pub(crate) fn end(&self) {
        #[cfg(feature = "trace")]
        if let Some(tracer) = &self.tracer {
            tracer.stop(PART_WITHIN);
        }
    }
}

/// What a guard told, as a span's makings.
#[cfg(feature = "trace")]
fn call(service: &str, trail: &TrailReport) -> Option<bowline_trace::GuardCall> {
    use std::time::Duration;
    let decision = |line: &bowline::link::format::Line| bowline_trace::GuardDecision {
        at: Duration::from_micros(line.at_us),
        word: line.word.clone(),
        numbers: line.numbers.clone(),
        words: line.words.clone(),
    };
    Some(bowline_trace::GuardCall {
        service: service.to_owned(),
        name: trail.name.clone(),
        trace: u128::from_str_radix(&trail.trace, 16).ok()?,
        span: u64::from_str_radix(&trail.span, 16).ok()?,
        parent: trail.parent.as_deref().and_then(|parent| u64::from_str_radix(parent, 16).ok()),
        at: bowline_model::WallTime::from_unix_nanos(trail.at_unix_us.saturating_mul(1_000)),
        took: Duration::from_micros(trail.took_us),
        outcome: trail.outcome.clone(),
        end: trail.end.clone(),
        tries: trail.tries,
        values: trail.values.clone(),
        untold: trail.dropped,
        decisions: trail.lines.iter().map(decision).collect(),
    })
}
