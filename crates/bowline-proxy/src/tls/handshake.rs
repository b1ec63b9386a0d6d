//! One handshake, within its time.

use super::Ending;
use super::secured::{Secured, Terms};
use crate::connection::Control;
use crate::gate::{self, Part, Reason, Violation};
use crate::protocol::Protocol;
use crate::snapshot::{Door, Guard};
use crate::sniff::Rewound;
use crate::worker::Worker;
use rustls::HandshakeKind;
use rustls::server::Acceptor;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

/// The first byte of a TLS record that holds a handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

/// `unrecognized_name`, fatal, as a record of its own (RFC 8446, 6; RFC 6066, 3).
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// `internal_error`, fatal, likewise.
const INTERNAL_ERROR: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];

/// A connection under TLS, at its beginning.
pub(crate) struct Begun {
    pub(crate) io: TlsStream<Rewound<TcpStream>>,
    /// What was agreed on; `None`: the caller does not know that one can agree.
    pub(crate) speaks: Option<Protocol>,
    pub(crate) secured: Secured,
    /// Full or resumed.
    pub(crate) ending: Ending,
}

/// Makes a handshake, or says why there is none; the caller is told, too, and had time to read it.
pub(crate) async fn begin(
    worker: &Worker,
    door: Door,
    stream: TcpStream,
    control: &Control,
) -> Result<Begun, Ending> {
    let limits = &worker.shared().limits;
    let mut making = pin!(tokio::time::timeout(limits.handshake, make(worker, door, Rewound::new(stream))));
    let made = poll_fn(|cx| {
        if control.ending() == crate::ending::Ending::Now {
            return Poll::Ready(None);
        }
        control.listen(cx);
        making.as_mut().poll(cx).map(Some)
    })
    .await;
    let Failed { ending, told } = match made {
        Some(Ok(Ok(begun))) => return Ok(begun),
        Some(Ok(Err(failed))) => failed,
        Some(Err(_)) => return Err(Ending::TooSlow),
        None => return Err(Ending::Closed),
    };
    if let Some(mut io) = told {
        let (clock, patience) = (worker.clock(), &limits.patience);
        if ending == Ending::PlainHttp {
            let violation = Violation { reason: Reason::PlainHttp, part: Part::Head };
            worker.shared().metrics.violated(violation.reason);
            gate::refuse(&mut io, violation, clock, patience).await;
        } else {
            gate::part(&mut io, clock, patience).await;
        }
    }
    Err(ending)
}

/// A handshake that was not made.
struct Failed {
    ending: Ending,
    /// The socket, where something was said on it that the caller should get to read.
    told: Option<Rewound<TcpStream>>,
}

impl Failed {
    const fn silent(ending: Ending) -> Self {
        Self { ending, told: None }
    }

    fn telling(error: &io::Error, begun: bool, told: Option<Rewound<TcpStream>>) -> Self {
        let ending = Ending::of(error, begun);
        Self { ending, told: told.filter(|_| ending != Ending::Closed) }
    }
}

async fn make(worker: &Worker, door: Door, mut io: Rewound<TcpStream>) -> Result<Begun, Failed> {
    let Some(first) = io.first().await else { return Err(Failed::silent(Ending::Closed)) };
    // Every method of HTTP begins so.
    if first != HANDSHAKE && first.is_ascii_uppercase() {
        return Err(Failed { ending: Ending::PlainHttp, told: Some(io) });
    }
    let mut acceptor = LazyConfigAcceptor::new(Acceptor::default(), io);
    let mut start = match (&mut acceptor).await {
        Ok(start) => start,
        Err(error) => return Err(Failed::telling(&error, false, acceptor.take_io())),
    };
    let server_name: Option<Box<str>> = start.client_hello().server_name().map(Box::from);
    let guard = worker.snapshot().guard(door, server_name.as_deref()).cloned();
    let refused = match guard {
        Some(Guard::Tls(server)) => Ok(server),
        Some(Guard::Broken) => Err((Ending::NotReady, INTERNAL_ERROR)),
        Some(Guard::Plain) | None => Err((Ending::UnknownName, UNRECOGNIZED_NAME)),
    };
    let server = match refused {
        Ok(server) => server,
        Err((ending, alert)) => {
            let _ = start.io.write_all(&alert).await;
            return Err(Failed { ending, told: Some(start.io) });
        }
    };
    let accepting = start.into_stream(Arc::clone(server.config())).into_fallible();
    let io = accepting.await.map_err(|(error, io)| Failed::telling(&error, true, Some(io)))?;
    let session = io.get_ref().1;
    let speaks = match session.alpn_protocol() {
        Some(b"h2") => Some(Protocol::Http2),
        Some(_) => Some(Protocol::Http1),
        None => None,
    };
    let ending = match session.handshake_kind() {
        Some(HandshakeKind::Resumed) => Ending::Resumed,
        _ => Ending::Full,
    };
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    let secured = Secured::new(Terms { server_name, digest: server.terms() }, certificate);
    Ok(Begun { io, speaks, secured, ending })
}
