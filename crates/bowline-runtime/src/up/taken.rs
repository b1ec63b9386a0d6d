//! What a process begins with: the data folder, or what its predecessor hands over.

use super::programs::Programs;
use super::{Options, UpError};
use crate::data::DataFolder;
use crate::handover::{self, Offer};
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;

/// What a leash is called among the sockets of a hand-over.
pub(super) const LEASH: &str = "leash";

/// The data folder, or what was taken over from the process that has it.
pub(super) struct Taken {
    pub(super) data: Option<DataFolder>,
    pub(super) offer: Offer,
    pub(super) sockets: Vec<(String, TcpListener)>,
    pub(super) api: Option<TcpListener>,
    /// Connections to processes that keep services for us; closing one ends what it keeps.
    pub(super) leashes: Vec<UnixStream>,
}

impl Taken {
    /// Takes the data folder, or asks the process that has it where this one is to replace it.
    pub(super) fn new(options: &Options) -> Result<Self, UpError> {
        let nothing = |data| Self {
            data,
            offer: Offer::default(),
            sockets: Vec::new(),
            api: None,
            leashes: Vec::new(),
        };
        if !options.replace {
            return Ok(nothing(Some(DataFolder::take(&options.data).map_err(UpError::Data)?)));
        }
        let (offer, fds, leash) = match handover::ask(&options.data) {
            Ok(asked) => asked,
            // Nobody runs: there is nothing to replace, and starting is what was wanted.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                return Ok(nothing(Some(DataFolder::take(&options.data).map_err(UpError::Data)?)));
            }
            Err(error) => return Err(UpError::HandOver(error)),
        };
        let mut taken = nothing(None);
        for (name, fd) in offer.sockets.iter().zip(fds) {
            match name.as_str() {
                "api" => taken.api = Some(TcpListener::from(fd)),
                LEASH => taken.leashes.push(UnixStream::from(fd)),
                _ => taken.sockets.push((name.clone(), TcpListener::from(fd))),
            }
        }
        taken.leashes.push(leash);
        taken.offer = offer;
        Ok(taken)
    }

    /// Tells the predecessor that this process accepts, and takes the data folder.
    pub(super) fn finish(mut self, options: &Options, programs: &Programs) -> Result<DataFolder, UpError> {
        if let Some(data) = self.data.take() {
            return Ok(data);
        }
        // The last one is the predecessor's own.
        if let Some(leash) = programs.leashes().last() {
            handover::accepted(leash).map_err(UpError::HandOver)?;
        }
        DataFolder::wait(&options.data).map_err(UpError::Data)
    }
}
