//! A new process takes the place of a running one without a failed request.
//!
//! Why the sockets themselves are passed: a second listener with SO_REUSEPORT would split new
//! connections between the two processes, and closing the old one drops those that wait in its queue.
//! A passed socket *is* the old queue, so nothing in it is lost.
//!
//! The order, over a Unix socket in the data folder:
//!
//! 1. The new process has already read and validated its design. It connects and says [`HELLO`].
//! 2. The old one answers with one line of JSON, [`Offer`], and the sockets beside it, in its order.
//! 3. The new one starts to accept and says [`READY`]. Until then the old one goes on accepting, so
//!    a new process that dies here costs nothing.
//! 4. The old one drains, and stays on as *steward* of the services it started: they would die with
//!    it. The connection is the leash: when its other end closes (the new process stopped, or died),
//!    the steward stops the services and ends. A third process is handed the leash too.

use crate::faults::Injected;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use std::io::{self, BufRead, BufReader, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the new process says first. The number is the protocol's version.
pub const HELLO: &str = "bowline hand over 1\n";

/// What the new process says when it accepts connections.
pub const READY: &str = "ready\n";

/// The most sockets in one hand-over: the kernel passes at most 253 with one message (SCM_MAX_FD).
pub const SOCKETS_MAX: usize = 253;

/// How long either side waits for the other's next word. The slow part, validating the design, is
/// over before the first one.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is handed over, besides the sockets.
#[derive(Debug, Default, PartialEq)]
pub struct Offer {
    /// What each socket listens for, in the order of the sockets: a listener's address, or `api`.
    pub sockets: Vec<String>,
    /// The services that run, with the token each was given and a digest of how it was started.
    pub services: Vec<Kept>,
    /// What is broken on purpose, and stays so.
    pub faults: Vec<Injected>,
}

/// A service that goes on running over a hand-over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The service.
    pub name: String,
    /// Its identity at the local API.
    pub token: String,
    /// What it was started with; another command means that it must be started anew.
    pub command: String,
}

/// Where a process listens for its successor.
#[must_use]
pub fn path(data: &Path) -> PathBuf {
    data.join("handover.sock")
}

/// Asks the running process for its sockets.
///
/// # Errors
/// Nobody listens, the other side is of another version, or it did not answer in time.
pub fn ask(data: &Path) -> io::Result<(Offer, Vec<OwnedFd>, UnixStream)> {
    let mut stream = UnixStream::connect(path(data))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(HELLO.as_bytes())?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut first = [0_u8; 1];
    let got = recvmsg(&stream, &mut [IoSliceMut::new(&mut first)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    if got.bytes == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the running process closed the hand-over"));
    }
    let mut sockets = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            sockets.extend(fds);
        }
    }
    let mut line = vec![first[0]];
    BufReader::with_capacity(1, &stream).read_until(b'\n', &mut line)?;
    let offer = Offer::parse(&line)?;
    if offer.sockets.len() != sockets.len() {
        return Err(malformed("as many sockets as names"));
    }
    stream.set_read_timeout(None)?;
    Ok((offer, sockets, stream))
}

/// Tells the old process that this one accepts connections now.
///
/// # Errors
/// The old process is gone.
pub fn accepted(mut stream: &UnixStream) -> io::Result<()> {
    stream.write_all(READY.as_bytes())
}

/// Answers one asker; returns when it accepts connections.
///
/// # Errors
/// The asker is of another version or went away. Nothing is lost then: this process still has its
/// sockets and goes on.
pub fn answer(stream: &UnixStream, offer: &Offer, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    expect(stream, HELLO)?;
    let line = offer.to_line();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(sockets)) {
        return Err(malformed("at most 253 sockets"));
    }
    let (first, rest) = line.as_bytes().split_at(1);
    sendmsg(stream.as_fd(), &[IoSlice::new(first)], &mut control, SendFlags::NOSIGNAL)?;
    (&*stream).write_all(rest)?;
    // However long its services take: this process goes on until then, and hears if the other dies.
    stream.set_read_timeout(None)?;
    expect(stream, READY)
}

// === impl Offer ===

impl Offer {
    fn to_line(&self) -> String {
        let services: Vec<_> = self
            .services
            .iter()
            .map(|kept| serde_json::json!({"name": kept.name, "token": kept.token, "command": kept.command}))
            .collect();
        let faults: Vec<_> = self.faults.iter().map(Injected::to_json).collect();
        let offer = serde_json::json!({"sockets": self.sockets, "services": services, "faults": faults});
        let mut line = offer.to_string();
        line.push('\n');
        line
    }

    fn parse(line: &[u8]) -> io::Result<Self> {
        let value: serde_json::Value =
            serde_json::from_slice(line).map_err(|_| malformed("a line of JSON"))?;
        let word = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let list = |name: &str| value[name].as_array().cloned().unwrap_or_default();
        let kept = |value: &serde_json::Value| {
            Some(Kept {
                name: word(&value["name"])?,
                token: word(&value["token"])?,
                command: word(&value["command"])?,
            })
        };
        Ok(Self {
            sockets: list("sockets").iter().filter_map(word).collect(),
            services: list("services").iter().filter_map(kept).collect(),
            // A process that knows none of them offers none.
            faults: list("faults").iter().filter_map(|fault| Injected::from_json(fault).ok()).collect(),
        })
    }
}

fn expect(mut stream: &UnixStream, word: &'static str) -> io::Result<()> {
    let mut heard = vec![0_u8; word.len()];
    stream.read_exact(&mut heard)?;
    if heard == word.as_bytes() { Ok(()) } else { Err(malformed(word.trim_end())) }
}

fn malformed(expected: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the hand-over expected {expected}; is the other process of another version?"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_connection_that_waits_in_the_queue_is_served_by_the_new_process() {
        let folder = std::env::temp_dir().join(format!("bowline-handover-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let leash = UnixListener::bind(path(&folder)).unwrap();
        let old = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = old.local_addr().unwrap();
        let waiting = TcpStream::connect(addr).unwrap();

        let kept = Kept { name: "orders".into(), token: "t".into(), command: "shop orders".into() };
        let fault = Injected::from_json(&serde_json::json!({"target": "orders", "error": 503})).unwrap();
        let offer = Offer { sockets: vec![addr.to_string()], services: vec![kept], faults: vec![fault] };
        let asked = std::thread::spawn({
            let folder = folder.clone();
            move || {
                let (offer, mut sockets, stream) = ask(&folder).unwrap();
                accepted(&stream).unwrap();
                (offer, TcpListener::from(sockets.pop().unwrap()))
            }
        });
        let (stream, _) = leash.accept().unwrap();
        answer(&stream, &offer, &[old.as_fd()]).unwrap();
        drop(old);

        let (got, new) = asked.join().unwrap();
        assert_eq!(got, offer);
        let (_, peer) = new.accept().unwrap();
        assert_eq!(peer, waiting.local_addr().unwrap());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn an_asker_of_another_version_is_refused_and_nothing_is_lost() {
        let (here, mut there) = UnixStream::pair().unwrap();
        there.write_all(b"bowline hand over 9\n").unwrap();
        let error = answer(&here, &Offer::default(), &[]).unwrap_err();
        assert!(error.to_string().contains("another version"), "{error}");
    }
}
