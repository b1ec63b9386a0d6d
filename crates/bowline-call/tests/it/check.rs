//! Whether an endpoint is well, asked over a connection of its own.

use crate::http2::local;
use crate::peer::{DATA, END_HEADERS, END_STREAM, HEADERS, OK, Peer, field};
use bowline_call::check::{self, Question, Symptom};
use bowline_call::{Clock, Transport};
use bowline_model::decision::TryEnd;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, spawn_local};

/// Longer than any answer of these tests takes.
const PATIENCE: Duration = Duration::from_secs(15);

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

fn asking(
    question: Question,
    address: String,
    transport: Transport,
    timeout: Duration,
) -> JoinHandle<Result<(), Symptom>> {
    spawn_local(async move { check::ask(&question, &address, &transport, timeout, Clock::start(), 1).await })
}

fn get() -> Question {
    Question::Http {
        path: "/ready?deep".to_owned(),
        host: "stock.test".to_owned(),
        good: vec![200..=299, 404..=404],
    }
}

/// What comes of an answer over HTTP/1.1, and the request that it answers.
async fn answered(answer: &str) -> (Result<(), Symptom>, String) {
    let (listener, address) = listen().await;
    let asking = asking(get(), address, Transport::PLAIN, PATIENCE);
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_buf(&mut request).await.unwrap();
    }
    stream.write_all(answer.as_bytes()).await.unwrap();
    let went = asking.await.unwrap();
    // The connection was for this check alone.
    assert_eq!(stream.read_buf(&mut request).await.unwrap_or_default(), 0);
    (went, String::from_utf8(request).unwrap())
}

#[tokio::test]
async fn an_expected_status_is_well_and_another_is_not() {
    local(async {
        let (went, request) = answered("HTTP/1.1 204 No Content\r\n\r\n").await;
        assert_eq!(went, Ok(()));
        assert!(request.starts_with("GET /ready?deep HTTP/1.1\r\nhost: stock.test\r\n"), "{request}");
        let (went, _) = answered("HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\nnone").await;
        assert_eq!(went, Ok(()));
        let (went, _) = answered("HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(went, Err(Symptom::Status(503)));
        let (went, _) = answered("SSH-2.0-OpenSSH\r\n\r\n").await;
        assert_eq!(went, Err(Symptom::NoAnswer(TryEnd::Malformed)));
    })
    .await;
}

#[tokio::test]
async fn nobody_there_and_nothing_said_are_no_answer() {
    local(async {
        let (listener, address) = listen().await;
        let silent =
            asking(get(), address.clone(), Transport::PLAIN, Duration::from_millis(1)).await.unwrap();
        let late = [TryEnd::DeadlineExceeded, TryEnd::ConnectFailed].map(|end| Err(Symptom::NoAnswer(end)));
        assert!(late.contains(&silent), "{silent:?}");
        drop(listener);
        let gone = asking(get(), address, Transport::PLAIN, PATIENCE).await.unwrap();
        assert_eq!(gone, Err(Symptom::NoAnswer(TryEnd::ConnectFailed)));
    })
    .await;
}

/// What comes of an answer of the health protocol: a message, and a status behind it.
async fn served(message: &[u8], status: &str) -> Result<(), Symptom> {
    let (listener, address) = listen().await;
    let question = Question::Grpc { host: "stock.test".to_owned(), service: "a.B".to_owned() };
    let asking = asking(question, address, Transport::H2C, PATIENCE);
    let mut peer = Peer::accept(&listener, &[]).await;
    let stream = peer.expect(HEADERS).await;
    let mut asked = Vec::new();
    loop {
        let frame = peer.next().await.unwrap();
        if frame.kind == DATA {
            asked.extend(frame.payload);
        }
        if frame.flags & END_STREAM != 0 {
            break;
        }
    }
    assert_eq!(asked, b"\0\0\0\0\x05\x0a\x03a.B");
    let head = [OK, &field("content-type", "application/grpc")].concat();
    if message.is_empty() {
        let head = [head, field("grpc-status", status)].concat();
        peer.send(HEADERS, END_HEADERS | END_STREAM, stream, &head).await;
    } else {
        peer.send(HEADERS, END_HEADERS, stream, &head).await;
        peer.send(DATA, 0, stream, message).await;
        peer.send(HEADERS, END_HEADERS | END_STREAM, stream, &field("grpc-status", status)).await;
    }
    asking.await.unwrap()
}

#[tokio::test]
async fn a_grpc_server_is_well_that_says_serving_and_no_other() {
    local(async {
        assert_eq!(served(b"\0\0\0\0\x02\x08\x01", "0").await, Ok(()));
        assert_eq!(served(b"\0\0\0\0\x02\x08\x02", "0").await, Err(Symptom::NotServing(2)));
        assert_eq!(served(b"\0\0\0\0\0", "0").await, Err(Symptom::NotServing(0)));
        assert_eq!(served(b"\0\0\0\0\x02\x08\x01", "14").await, Err(Symptom::GrpcCode(14)));
        assert_eq!(served(b"", "12").await, Err(Symptom::GrpcCode(12)), "unimplemented");
        assert_eq!(served(b"\0\0\0\0\x05hello", "0").await, Err(Symptom::Senseless));
    })
    .await;
}
