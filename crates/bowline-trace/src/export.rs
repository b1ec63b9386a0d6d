//! OTLP out: a batch in one request, over HTTP or over gRPC.

use crate::settings::{Protocol, Settings};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use std::fmt;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};

/// The way to a collector. Blocks: it has a thread of its own.
#[derive(Debug)]
pub(crate) enum Exporter {
    Http { agent: ureq::Agent, url: String },
    Grpc { runtime: tokio::runtime::Runtime, client: TraceServiceClient<Channel>, timeout: Duration },
}

/// A batch that the collector did not accept.
#[derive(Debug)]
pub(crate) struct ExportError(String);

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ExportError {}

impl Exporter {
    /// Nothing is connected yet: a collector may come later than we do.
    pub(crate) fn new(settings: &Settings) -> std::io::Result<Self> {
        let timeout = settings.timeout;
        if settings.protocol == Protocol::Http {
            let agent = ureq::Agent::config_builder().timeout_global(Some(timeout)).build().into();
            return Ok(Self::Http { agent, url: settings.endpoint.clone() });
        }
        let endpoint = Endpoint::from_shared(settings.endpoint.clone()).map_err(std::io::Error::other)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = {
            let _inside = runtime.enter();
            TraceServiceClient::new(endpoint.connect_timeout(timeout).connect_lazy())
        };
        Ok(Self::Grpc { runtime, client, timeout })
    }

    /// Sends a batch and waits until it is accepted. A batch that is refused is not sent again: whoever traces
    /// a system that is in trouble should not add to it.
    pub(crate) fn export(&mut self, batch: ExportTraceServiceRequest) -> Result<(), ExportError> {
        match self {
            Self::Http { agent, url } => agent
                .post(&*url)
                .header("content-type", "application/x-protobuf")
                .send(batch.encode_to_vec())
                .map(drop)
                .map_err(|error| ExportError(error.to_string())),
            Self::Grpc { runtime, client, timeout } => {
                let sent =
                    runtime.block_on(async { tokio::time::timeout(*timeout, client.export(batch)).await });
                match sent {
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err(status)) => Err(ExportError(format!("{:?}: {}", status.code(), status.message()))),
                    Err(_) => Err(ExportError(format!("no answer within {timeout:?}"))),
                }
            }
        }
    }
}
