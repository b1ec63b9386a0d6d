//! One design made to run.
//!
//! [`up::run`] starts what the design names (services, gateway, mesh, local API), watches it, reloads the
//! design when its files change, hands its sockets to a successor, drains and stops.
//!
//! In reading order:
//! - [`source`]: from a path to texts; [`data`]: the data folder and who owns it
//! - [`roles`]: which parts run
//! - [`services`]: the design's programs, started and watched; [`child`]: why they die with us;
//!   `last_words`: what a dead one said; [`cargo`]: how they are built; [`ports`]: who has a port
//! - [`up`]: all of it in order; [`handover`]: how a successor takes over
//! - [`api`]: the local API; [`faults`], [`links`], [`story`]: what it serves; [`traces`]: spans, if asked for

pub mod api;
pub mod cargo;
pub mod child;
pub mod clock;
pub mod data;
pub mod faults;
pub mod handover;
mod last_words;
pub mod links;
pub mod ports;
pub mod roles;
pub mod services;
pub mod source;
pub mod story;
pub mod traces;
pub mod up;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where the local API and the metrics listen unless told otherwise.
pub const API_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9470);

/// Where the mesh listens unless told otherwise: the port of Istio's outbound listener.
pub const MESH_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 15001);
