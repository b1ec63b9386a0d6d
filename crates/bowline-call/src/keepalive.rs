//! Probes of the kernel's on connections over which nothing comes.
//!
//! Why they are off where nobody asks. A spare connection is looked at each second and a call has its deadline, so
//! nothing here waits for a probe; what probes are for is a box in between (a NAT, a firewall) that forgets connections
//! over which nothing comes for minutes.

use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

/// How the kernel asks silent peers whether they are there; what is absent is the system's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Keepalive {
    /// After this long a silence.
    pub time: Option<Duration>,
    /// This far apart.
    pub interval: Option<Duration>,
    /// So many without an answer end the connection.
    pub probes: Option<u32>,
}

impl Keepalive {
    /// Has the kernel do so for `stream`.
    pub(crate) fn apply(&self, stream: &TcpStream) -> io::Result<()> {
        let Self { time, interval, probes } = *self;
        let mut option = TcpKeepalive::new();
        if let Some(time) = time {
            option = option.with_time(time);
        }
        if let Some(interval) = interval {
            option = option.with_interval(interval);
        }
        if let Some(probes) = probes {
            option = option.with_retries(probes);
        }
        SockRef::from(stream).set_tcp_keepalive(&option)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn the_kernel_is_told_what_was_asked_for_and_keeps_its_own_where_nothing_was() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(!socket.keepalive().unwrap(), "nobody asked for it");
        let usual = socket.tcp_keepalive_interval().unwrap();

        let asked = Keepalive { time: Some(Duration::from_secs(61)), interval: None, probes: Some(3) };
        asked.apply(&stream).unwrap();
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(61));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), usual);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);

        let asked = Keepalive { interval: Some(Duration::from_secs(7)), ..Keepalive::default() };
        asked.apply(&stream).unwrap();
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(7));
    }
}
