//! Sockets that callers connect to.
//!
//! Each worker accepts on a socket of its own (`SO_REUSEPORT`), so that the kernel spreads connections
//! and no worker wakes for another's. Closing such a socket would drop the connections that wait in its
//! queue; a process that takes over is given the sockets themselves, and nothing is closed.

use crate::snapshot::Door;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};

/// The sockets of one door.
#[derive(Debug)]
pub struct Sockets {
    /// Where the requests that come in belong.
    pub door: Door,
    /// Listening sockets; best one for each worker.
    pub listeners: Vec<TcpListener>,
}

impl Sockets {
    /// Binds one socket for each of `workers` to `address`. Port 0 takes a free port, the same for all.
    ///
    /// # Errors
    /// The address is taken, or not ours.
    pub fn bind(door: Door, address: SocketAddr, workers: usize, backlog: u32) -> io::Result<Self> {
        let mut address = address;
        let mut listeners = Vec::with_capacity(workers);
        for _ in 0..workers.max(1) {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
            // A restarted process need not wait for its predecessor's connections to be forgotten.
            socket.set_reuse_address(true)?;
            socket.set_reuse_port(true)?;
            socket.bind(&address.into())?;
            socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
            socket.set_nonblocking(true)?;
            let listener = TcpListener::from(socket);
            address = listener.local_addr()?;
            listeners.push(listener);
        }
        Ok(Self { door, listeners })
    }

    /// Sockets that another process bound.
    ///
    /// # Errors
    /// They cannot be made non-blocking.
    pub fn adopt(door: Door, listeners: Vec<TcpListener>) -> io::Result<Self> {
        for listener in &listeners {
            listener.set_nonblocking(true)?;
        }
        Ok(Self { door, listeners })
    }

    /// Where they listen.
    ///
    /// # Errors
    /// There is none, or the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        match self.listeners.first() {
            Some(listener) => listener.local_addr(),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "no socket")),
        }
    }

    /// Copies of the sockets, which share their queues.
    ///
    /// # Errors
    /// The process has no more file descriptors.
    pub fn copies(&self) -> io::Result<Self> {
        let listeners = self.listeners.iter().map(TcpListener::try_clone).collect::<io::Result<_>>()?;
        Ok(Self { door: self.door, listeners })
    }

    /// One share for each of `workers`: every socket is somebody's, and everybody has one.
    pub(crate) fn shares(&self, workers: usize) -> io::Result<Vec<Vec<TcpListener>>> {
        let mut shares: Vec<Vec<TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
        let most = self.listeners.len().max(if self.listeners.is_empty() { 0 } else { workers });
        for turn in 0..most {
            shares[turn % workers].push(self.listeners[turn % self.listeners.len()].try_clone()?);
        }
        Ok(shares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_worker_accepts_and_no_socket_is_left_alone() {
        let shares = |sockets: usize, workers: usize| -> Vec<usize> {
            let bound = Sockets::bind(Door::Mesh, "127.0.0.1:0".parse().unwrap(), sockets, 16).unwrap();
            bound.shares(workers).unwrap().iter().map(Vec::len).collect()
        };
        assert_eq!(shares(2, 2), [1, 1]);
        assert_eq!(shares(1, 2), [1, 1]);
        assert_eq!(shares(3, 2), [2, 1]);
    }
}
