//! Why a design could not be made to run.

use crate::data::DataError;
use crate::ports::{self, PortOwner};
use std::fmt;
use std::io;
use std::net::SocketAddr;

/// Why a design could not be made to run.
#[derive(Debug)]
pub enum UpError {
    /// The data folder.
    Data(DataError),
    /// A port is taken, or cannot be listened at.
    Port {
        /// What wants it.
        what: String,
        /// Where.
        address: SocketAddr,
        /// Who has it, as far as that can be seen.
        owner: Option<PortOwner>,
        /// The flag that moves it.
        flag: String,
        /// What the system said.
        source: io::Error,
    },
    /// The local API would be open to the network, and nobody has said who may ask it.
    Open(SocketAddr),
    /// A service cannot be built or started.
    Service(Box<dyn std::error::Error + Send + Sync>),
    /// The predecessor did not hand over.
    HandOver(io::Error),
    /// The system refused something.
    System(io::Error),
}

impl UpError {
    pub(crate) fn port(what: &str, address: SocketAddr, flag: &str, source: io::Error) -> Self {
        let owner = ports::owner(address);
        Self::Port { what: what.to_owned(), address, owner, flag: flag.to_owned(), source }
    }
}

impl fmt::Display for UpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(error) => error.fmt(f),
            Self::Port { what, address, owner, flag, .. } => {
                write!(f, "{what} cannot listen at {address}")?;
                match owner {
                    Some(owner) => write!(f, ": {owner} has it; stop that, or move {what} with {flag}"),
                    None => write!(f, "; move it with {flag}"),
                }
            }
            Self::Open(address) => write!(
                f,
                "the local API at {address} would be open to whoever reaches this machine; say who may ask it with \
                 --api-tokens FILE, or let it listen at 127.0.0.1"
            ),
            Self::Service(error) => error.fmt(f),
            Self::HandOver(_) => f.write_str("the process that runs did not hand over; it goes on as before"),
            Self::System(_) => f.write_str("the system refused what running a design needs"),
        }
    }
}

impl std::error::Error for UpError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Data(error) => std::error::Error::source(error),
            Self::Port { source, .. } | Self::HandOver(source) | Self::System(source) => Some(source),
            Self::Open(_) => None,
            Self::Service(error) => error.source(),
        }
    }
}
