//! Traces, where they are built in (feature `trace`) and asked for.

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
#[derive(Debug, Default)]
pub(crate) struct Traces {
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

    /// Sends what waits. Blocks for a moment.
    pub(crate) fn end(&self) {
        #[cfg(feature = "trace")]
        if let Some(tracer) = &self.tracer {
            tracer.stop(PART_WITHIN);
        }
    }
}
