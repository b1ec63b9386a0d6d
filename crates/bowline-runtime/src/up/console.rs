//! The local API's socket: bound first, served when that is right, handed on with everything else.

use super::{Options, UpError};
use crate::api::{self, Running, ScopedTokens};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// The local API's socket, and who serves it.
#[derive(Debug)]
pub(super) struct Console {
    pub(super) address: SocketAddr,
    /// Goes to a successor; the API itself is served from a copy.
    pub(super) listener: TcpListener,
    /// Tokens that it demands.
    tokens: Option<Arc<ScopedTokens>>,
    serving: Option<JoinHandle<()>>,
}

impl Console {
    /// Listens, or goes on at the socket that a predecessor handed over. Off loopback it does so with tokens alone:
    /// whoever reaches it could put faults into every call.
    pub(super) fn bind(options: &Options, taken: Option<TcpListener>) -> Result<Self, UpError> {
        let listener = match taken {
            Some(listener) => listener,
            None => TcpListener::bind(options.api)
                .map_err(|source| UpError::port("api", options.api, "--api ADDR", source))?,
        };
        let address = listener.local_addr().map_err(UpError::System)?;
        let tokens = options.api_tokens.clone().map(Arc::new);
        if tokens.is_none() && !address.ip().to_canonical().is_loopback() {
            return Err(UpError::Open(address));
        }
        Ok(Self { address, listener, tokens, serving: None })
    }

    /// Answers from now on.
    pub(super) fn open(&mut self, running: &Arc<Running>) -> Result<(), UpError> {
        if self.serving.is_none() {
            let (running, copy) = (Arc::clone(running), self.listener.try_clone().map_err(UpError::System)?);
            let tokens = self.tokens.clone();
            self.serving = Some(tokio::task::spawn_local(async move {
                if let Err(error) = api::serve(running, copy, tokens).await {
                    tracing::error!(%error, "the local API stopped");
                }
            }));
        }
        Ok(())
    }

    /// Accepts no more: the successor does, on the same socket. What remains ends with its last answer.
    pub(super) fn part(self, running: &Running) -> Option<JoinHandle<()>> {
        running.close_api();
        self.serving
    }
}
