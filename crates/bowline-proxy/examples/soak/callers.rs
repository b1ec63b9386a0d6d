//! Who asks, as fast as there are answers, on connections that stay until they are cut.

use crate::callees::{BODY, MESSAGE};
use crate::cuts::Cuts;
use crate::now;
use crate::told::{End, Kind, Told};
use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{sleep, timeout};

/// Connections over HTTP/1.1.
const HTTP1: usize = 24;
/// Connections over HTTP/2, and as many for gRPC.
const HTTP2: usize = 3;
/// Requests at once on each of those.
const STREAMS: usize = 8;
/// How long a caller waits for an answer: the design's deadline, and as long again for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(10);
/// Before a connection is tried again that was refused.
const REFUSED: Duration = Duration::from_millis(20);

/// Starts all; each ends soon after `over`.
pub(crate) fn start(
    gateway: SocketAddr,
    over: Instant,
    cuts: &Rc<Cuts>,
    told: &Rc<Told>,
) -> Vec<JoinHandle<()>> {
    let one = |kind: Kind| {
        let (cuts, told) = (Rc::clone(cuts), Rc::clone(told));
        spawn_local(async move {
            while now() < over {
                connection(gateway, kind, over, &cuts, &told).await;
            }
        })
    };
    let kinds = [(Kind::Http1, HTTP1), (Kind::Http2, HTTP2), (Kind::Grpc, HTTP2)];
    kinds.iter().flat_map(|(kind, count)| std::iter::repeat_n(*kind, *count)).map(one).collect()
}

/// The requests of one connection that are under way: when each was sent.
#[derive(Default)]
struct UnderWay(RefCell<BTreeMap<u64, Instant>>);

impl UnderWay {
    fn begin(&self, number: u64) -> Instant {
        let sent = now();
        self.0.borrow_mut().insert(number, sent);
        sent
    }

    fn end(&self, number: u64) {
        self.0.borrow_mut().remove(&number);
    }
}

/// One connection, until it is cut, ends by itself, or the time is over.
async fn connection(gateway: SocketAddr, kind: Kind, over: Instant, cuts: &Rc<Cuts>, told: &Rc<Told>) {
    let Ok(stream) = TcpStream::connect(gateway).await else { return sleep(REFUSED).await };
    let _ = stream.set_nodelay(true);
    let Ok(cuttable) = cuts.watch(&stream) else { return };
    let under_way = UnderWay::default();
    tokio::select! {
        () = async { match kind {
            Kind::Http1 => http1(stream, over, &under_way, told).await,
            Kind::Http2 | Kind::Grpc => http2(stream, kind, over, &under_way, told).await,
        } } => (),
        () = cuttable.cut() => {
            for sent in under_way.0.borrow().values() {
                told.ended(kind, *sent, End::Cut);
            }
        }
    }
}

async fn http1(mut stream: TcpStream, over: Instant, under_way: &UnderWay, told: &Told) {
    let mut buffer = Vec::with_capacity(4_096);
    let mut number = 0;
    while now() < over {
        number += 1;
        let sent = under_way.begin(number);
        let end = match timeout(PATIENCE, ask1(&mut stream, &mut buffer)).await {
            Ok(end) => end,
            Err(_) => End::Lost(format!("no answer within {PATIENCE:?}")),
        };
        under_way.end(number);
        let goes_on = matches!(end, End::Good | End::Failed(_));
        told.ended(Kind::Http1, sent, end);
        if !goes_on || buffer.starts_with(CLOSES) {
            return;
        }
    }
}

/// What [`ask1`] leaves in the buffer where the answer was the connection's last.
const CLOSES: &[u8] = b"closes";

async fn ask1(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> End {
    const REQUEST: &[u8] = b"GET /one/x HTTP/1.1\r\nhost: soak.test\r\n\r\n";
    if let Err(error) = stream.write_all(REQUEST).await {
        return End::Lost(format!("not sent: {error}"));
    }
    buffer.clear();
    let (head, length) = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            let Some(length) = length else { return End::Lost(format!("no length: {head}")) };
            buffer.drain(..end + 4);
            break (head, length);
        }
        match stream.read_buf(buffer).await {
            Ok(0) => return End::Lost("closed without an answer".to_owned()),
            Ok(_) => (),
            Err(error) => return End::Lost(format!("no answer: {error}")),
        }
    };
    while buffer.len() < length {
        match stream.read_buf(buffer).await {
            Ok(1..) => (),
            Ok(0) => return End::Broken("closed within an answer".to_owned()),
            Err(error) => return End::Broken(format!("within an answer: {error}")),
        }
    }
    let end = match head.get(9..12) {
        Some("200") if **buffer == BODY => End::Good,
        Some("200") => End::Lost(format!("another answer of {} bytes", buffer.len())),
        _ => End::Failed(head.clone()),
    };
    buffer.clear();
    if head.contains("connection: close") {
        buffer.extend_from_slice(CLOSES);
    }
    end
}

async fn http2(stream: TcpStream, kind: Kind, over: Instant, under_way: &UnderWay, told: &Told) {
    let Ok((send, connection)) = h2::client::handshake(stream).await else { return };
    let asking = async {
        // All end when the connection does, and none before the time is over.
        let streams = (0..STREAMS as u64).map(|index| {
            let send = send.clone();
            ask_again(send, kind, index << 32, over, under_way, told)
        });
        all(streams.collect()).await;
        drop(send);
    };
    // Once all have their answers there is nothing to wait for; until then the connection has to be driven.
    tokio::select! {
        biased;
        () = asking => (),
        () = async { drop(connection.await); std::future::pending().await } => (),
    }
}

/// Waits for all of them.
async fn all(futures: Vec<impl Future<Output = ()>>) {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).map(Some).collect();
    std::future::poll_fn(|cx| {
        for slot in &mut futures {
            if slot.as_mut().is_some_and(|future| future.as_mut().poll(cx).is_ready()) {
                *slot = None;
            }
        }
        if futures.iter().all(Option::is_none) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

async fn ask_again(
    mut send: SendRequest<Bytes>,
    kind: Kind,
    first: u64,
    over: Instant,
    under_way: &UnderWay,
    told: &Told,
) {
    let mut number = first;
    while now() < over {
        // A connection that says it takes no more has done nothing wrong.
        match send.ready().await {
            Ok(ready) => send = ready,
            Err(_) => return,
        }
        number += 1;
        let sent = under_way.begin(number);
        let end = match timeout(PATIENCE, ask2(&mut send, kind)).await {
            Ok(end) => end,
            Err(_) => Some(End::Lost(format!("no answer within {PATIENCE:?}"))),
        };
        under_way.end(number);
        match end {
            Some(end) => told.ended(kind, sent, end),
            // Never sent.
            None => return,
        }
    }
}

/// One request; `None` where the connection did not take it.
async fn ask2(send: &mut SendRequest<Bytes>, kind: Kind) -> Option<End> {
    let is_grpc = kind == Kind::Grpc;
    let request = if is_grpc {
        let request = Request::post("http://soak.test/soak.Two/Ask");
        request.header("content-type", "application/grpc").header("te", "trailers").body(())
    } else {
        Request::get("http://soak.test/two/x").body(())
    };
    let (answer, mut body) = send.send_request(request.ok()?, !is_grpc).ok()?;
    if is_grpc && let Err(error) = body.send_data(Bytes::from_static(&MESSAGE), true) {
        return Some(ended_by(&error));
    }
    match read(answer, is_grpc).await {
        Ok(end) => Some(end),
        // The peer surely did nothing with it.
        Err(error) if error.reason() == Some(h2::Reason::REFUSED_STREAM) && error.is_remote() => None,
        Err(error) if error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR) => None,
        Err(error) => Some(ended_by(&error)),
    }
}

fn ended_by(error: &h2::Error) -> End {
    if error.is_reset() { End::Broken(error.to_string()) } else { End::Lost(error.to_string()) }
}

async fn read(answer: h2::client::ResponseFuture, is_grpc: bool) -> Result<End, h2::Error> {
    let (head, mut stream) = answer.await?.into_parts();
    let mut body = Vec::with_capacity(BODY.len());
    while let Some(data) = stream.data().await {
        let data = data?;
        stream.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    let trailers = stream.trailers().await?;
    if head.status != 200 {
        return Ok(End::Failed(format!("{} {:?}", head.status, head.headers)));
    }
    let expected: &[u8] = if is_grpc { &MESSAGE } else { &BODY };
    if !is_grpc {
        return Ok(if body == expected { End::Good } else { End::Lost(format!("{} bytes", body.len())) });
    }
    let told = trailers.as_ref().unwrap_or(&head.headers);
    Ok(match told.get("grpc-status").map(http::HeaderValue::as_bytes) {
        Some(b"0") if body == expected => End::Good,
        Some(b"0") | None => End::Lost(format!("{} bytes and {told:?}", body.len())),
        Some(_) => End::Failed(format!("{told:?}")),
    })
}
