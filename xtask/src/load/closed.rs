//! Closed loop: every connection sends its next request when its last one is answered, until so many
//! were sent in all. An exact number, for dividing a count of instructions by it.

use super::connection::{Connection, Progress};
use crate::clock;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use serde_json::{Value, json};
use std::io;
use std::net::SocketAddr;

pub(super) fn run(target: &SocketAddr, connections: usize, requests: u64) -> io::Result<Value> {
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut all = Vec::with_capacity(connections);
    let start = clock::now();
    let (mut sent, mut answered, mut failed) = (0, 0, 0);
    for index in 0..connections {
        let mut connection = Connection::open(target)?;
        epoll::add(&poll, &connection.stream, EventData::new_u64(index as u64), EventFlags::IN)?;
        if sent < requests {
            connection.send()?;
            sent += 1;
        }
        all.push(connection);
    }
    let mut events = Vec::with_capacity(256);
    while answered < requests {
        events.clear();
        match epoll::wait(&poll, spare_capacity(&mut events), None) {
            Ok(_) => (),
            Err(rustix::io::Errno::INTR) => continue,
            Err(e) => return Err(e.into()),
        }
        for event in &events {
            let index = usize::try_from(event.data.u64()).unwrap_or_default();
            if let Progress::Whole { good } = all[index].read()? {
                answered += 1;
                failed += u64::from(!good);
                if sent < requests {
                    all[index].send()?;
                    sent += 1;
                }
            }
        }
    }
    Ok(json!({ "requests": answered, "failed": failed, "seconds": start.elapsed().as_secs_f64() }))
}
