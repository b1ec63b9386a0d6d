//! Where callers come in: bound before anything runs, opened once everything does.

use super::{Event, Options, UpError, door_named};
use crate::api::{Running, locked};
use crate::roles::Role;
use bowline_design::Design;
use bowline_design::resolved::Listener;
use bowline_proxy::{Door, Limits, Sockets};
use std::net::{SocketAddr, TcpListener};

/// The doors of a running design.
#[derive(Debug, Default)]
pub(super) struct Doors {
    /// Bound, and not opened yet.
    bound: Vec<(String, Sockets)>,
}

impl Doors {
    /// Binds every door of the design, or adopts the sockets that a predecessor handed over.
    pub(super) fn bind(
        options: &Options,
        design: &Design,
        workers: usize,
        taken: &mut Vec<(String, TcpListener)>,
    ) -> Result<Self, UpError> {
        let mut doors = Self::default();
        for (door, name, address) in wanted(options, design) {
            let own: Vec<TcpListener> = taken
                .extract_if(.., |(named, _)| door_named(named) == Some(door))
                .map(|(_, listener)| listener)
                .collect();
            let sockets = match own.is_empty() {
                false => Sockets::adopt(door, own).map_err(UpError::System)?,
                true => bind(door, &name, address, workers, false)?,
            };
            doors.bound.push((name, sockets));
        }
        Ok(doors)
    }

    /// Accepts at every door that is bound.
    pub(super) fn open(&mut self, running: &Running, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), UpError> {
        for (name, sockets) in self.bound.drain(..) {
            let door = sockets.door;
            let address = sockets.address().map_err(UpError::System)?;
            running.proxy.listen(sockets).map_err(UpError::System)?;
            let design = running.proxy.design();
            let is_secure =
                |listener: &Listener| Door::Gateway(listener.bind) == door && listener.tls.is_some();
            let tls = design.listeners.iter().any(is_secure);
            tell(Event::Door { name: &name, address, tls });
            locked(&running.doors).push((door, name, address));
        }
        Ok(())
    }

    /// Binds the doors that a new design has, before anything else of it holds: where one cannot be had, the design
    /// changes nothing.
    pub(super) fn prepare(
        options: &Options,
        design: &Design,
        workers: usize,
        running: &Running,
    ) -> Result<Prepared, UpError> {
        let wanted = wanted(options, design);
        let open: Vec<(Door, String, SocketAddr)> = locked(&running.doors).clone();
        let is_wanted = |door: Door| wanted.iter().any(|(wanted, ..)| *wanted == door);
        let (_, closes): (Vec<_>, Vec<_>) = open.iter().cloned().partition(|(door, ..)| is_wanted(*door));
        let mut opens = Self::default();
        for (door, name, address) in &wanted {
            if open.iter().any(|(known, ..)| known == door) {
                continue;
            }
            // Who moves to another address of the same port is in nobody's way but its own.
            let own = closes.iter().any(|(.., closing)| closing.port() == address.port());
            opens.bound.push((name.clone(), bind(*door, name, *address, workers, own)?));
        }
        Ok(Prepared { opens, closes })
    }
}

/// What a new design does to the doors: those that it adds are bound already.
pub(super) struct Prepared {
    opens: Doors,
    closes: Vec<(Door, String, SocketAddr)>,
}

impl Prepared {
    /// Opens the doors that the new design has and closes those that it has not.
    pub(super) fn follow(
        mut self,
        running: &Running,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), UpError> {
        self.opens.open(running, tell)?;
        for (door, name, address) in self.closes {
            running.proxy.stop_listening(door);
            locked(&running.doors).retain(|(known, ..)| *known != door);
            tell(Event::DoorClosed(&name, address));
        }
        Ok(())
    }
}

/// A door by the word that goes over a hand-over; [`door_named`] reads it.
pub(super) fn name(door: Door) -> String {
    match door {
        Door::Gateway(address) => format!("gateway {address}"),
        Door::Mesh => "mesh".to_owned(),
    }
}

/// The doors that these roles of the design want: which, what people call it, where.
fn wanted(options: &Options, design: &Design) -> Vec<(Door, String, SocketAddr)> {
    let mut wanted: Vec<(Door, String, SocketAddr)> = Vec::new();
    if options.roles.has(Role::Gateway) {
        for listener in &design.listeners {
            let door = Door::Gateway(listener.bind);
            // Servers for HTTPS share an address.
            if wanted.iter().any(|(known, ..)| *known == door) {
                continue;
            }
            let moved = options.ports.iter().find(|(from, _)| *from == listener.bind.port());
            let port = moved.map_or(listener.bind.port(), |(_, to)| *to);
            let alone = design.listeners.iter().all(|other| other.bind == listener.bind);
            let name = if alone { "gateway".to_owned() } else { format!("gateway {}", listener.name) };
            wanted.push((door, name, SocketAddr::new(listener.bind.ip(), port)));
        }
    }
    if options.roles.has(Role::Mesh) {
        wanted.push((Door::Mesh, "mesh".to_owned(), options.mesh));
    }
    wanted
}

/// `own`: the port is ours already, by a door that closes.
fn bind(door: Door, name: &str, address: SocketAddr, workers: usize, own: bool) -> Result<Sockets, UpError> {
    let refused = |source| {
        let flag = match door {
            Door::Gateway(design) => format!("--port {}={}", design.port(), free_port(address)),
            Door::Mesh => "--mesh ADDR".to_owned(),
        };
        UpError::port(name, address, &flag, source)
    };
    // SO_REUSEPORT would share the port with another process of ours without a word; ask first.
    if address.port() != 0 && !own {
        TcpListener::bind(address).map_err(refused)?;
    }
    Sockets::bind(door, address, workers, Limits::default().backlog).map_err(refused)
}

/// A port that is free now, for the message that says how to move a door: not far from the one that is
/// taken, for people to recognize.
fn free_port(taken: SocketAddr) -> u16 {
    let near = taken.port().checked_add(10_000).unwrap_or(10_000);
    let is_free = |port: &u16| TcpListener::bind((taken.ip(), *port)).is_ok();
    (near..near.saturating_add(100)).find(is_free).unwrap_or(near)
}
