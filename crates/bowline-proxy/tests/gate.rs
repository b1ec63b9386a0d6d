//! The gate in front of a real server: what a client sees, and what a handler is given.
//!
//! The table of [`strict`] is written to raw sockets, for a client library would not send most of it.
//! Time is tested over a pipe in memory, with the clock paused.

use bowline_call::Clock;
use bowline_proxy::Ending;
use bowline_proxy::gate::{Answering, GateHandle, Gated, Limits, Patience, Violation};
use bowline_proxy::http1::{self, Answers};
use bytes::Bytes;
use http::header::HeaderValue;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

// === the table ===

/// Bytes on a fresh connection, and what has to come of them.
struct Row {
    name: &'static str,
    sent: Vec<u8>,
    /// Every status on the connection, in order.
    statuses: &'static [u16],
    /// What handlers were given, in order.
    handled: &'static [&'static str],
}

fn row(
    name: &'static str,
    sent: impl Into<Vec<u8>>,
    statuses: &'static [u16],
    handled: &'static [&'static str],
) -> Row {
    Row { name, sent: sent.into(), statuses, handled }
}

/// A request that must never reach a handler, appended to what might smuggle it.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
/// The good end of a connection.
const LAST: &str = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

fn post(fields: &str, rest: &str) -> String {
    format!("POST /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n{rest}")
}

fn chunked(rest: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", rest)
}

/// What is refused. The first sixteen rows are where two servers were measured to disagree.
fn strict() -> Vec<Row> {
    let both = "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n";
    let never: &[&str] = &[];
    vec![
        row("length and coding", post(both, "0\r\n\r\n") + SMUGGLED, &[400], never),
        row("coding, and a length beyond a short chunk", post(both, "3\r\nab"), &[400], never),
        row(
            "two different lengths",
            post("Content-Length: 3\r\nContent-Length: 5\r\n", "abcde"),
            &[400],
            never,
        ),
        row("two equal lengths", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), &[400], never),
        row(
            "an unknown coding",
            post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n") + SMUGGLED,
            &[501],
            never,
        ),
        row("a space before the colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), &[400], never),
        row(
            "a chunk that ends in a bare line feed",
            chunked("3\r\nabc\n0\r\n\r\n") + SMUGGLED,
            &[400],
            &["POST /a chunk-end"],
        ),
        row(
            "a chunk extension that ends in a bare line feed",
            chunked("3;x\nabc\r\n0\r\n\r\n") + SMUGGLED,
            &[400],
            &["POST /a bare-lf"],
        ),
        row("a folded line", post("X: a\r\n b\r\n", ""), &[400], never),
        row("no host", "GET /a HTTP/1.1\r\n\r\n", &[400], never),
        row("two hosts", "GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", &[400], never),
        row("a null byte in a value", post("X: a\0b\r\n", ""), &[400], never),
        row("a bare carriage return in a value", post("X: a\rb\r\n", ""), &[400], never),
        row("a signed length", post("Content-Length: +3\r\n", "abc"), &[400], never),
        row(
            "a coding in HTTP/1.0",
            "POST /a HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &[400],
            never,
        ),
        row(
            "an unknown upgrade, then a request",
            post("Connection: Upgrade\r\nUpgrade: foo\r\n", SMUGGLED),
            &[501],
            never,
        ),
        // The same attacks in other clothes.
        row(
            "coding before length",
            post("Transfer-Encoding: chunked\r\nContent-Length: 6\r\n", "0\r\n\r\nG"),
            &[400],
            never,
        ),
        row(
            "two codings",
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"),
            &[400],
            never,
        ),
        row("a list of codings", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), &[501], never),
        row(
            "a coding behind a vertical tab",
            post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"),
            &[400],
            never,
        ),
        row(
            "a coding with an underscore",
            post("Transfer_Encoding: chunked\r\n", "0\r\n\r\n"),
            &[400],
            never,
        ),
        row("a length with an underscore", post("Content_Length: 3\r\n", "abc"), &[400], never),
        row("a list of lengths", post("Content-Length: 3, 3\r\n", "abc"), &[400], never),
        row("an empty length", post("Content-Length:\r\n", ""), &[400], never),
        row("a negative length", post("Content-Length: -1\r\n", ""), &[400], never),
        row("a length above 64 bits", post("Content-Length: 18446744073709551619\r\n", "abc"), &[400], never),
        row("a length with a space in it", post("Content-Length: 1 0\r\n", "abc"), &[400], never),
        row("a hexadecimal length", post("Content-Length: 0x3\r\n", "abc"), &[400], never),
        row(
            "a length in the Connection header",
            post("Connection: Content-Length\r\nContent-Length: 3\r\n", "abc"),
            &[400],
            never,
        ),
        row("a name folded away", "GET /a HTTP/1.1\r\n Host: a\r\n\r\n", &[400], never),
        row("a line without a colon", post("X\r\n", ""), &[400], never),
        row("a name that is not a token", post("X@Y: 1\r\n", ""), &[400], never),
        row("an empty name", post(": 1\r\n", ""), &[400], never),
        row("bare line feeds", "GET /a HTTP/1.1\nHost: a\n\n", &[400], never),
        row("a bare line feed at the end of the head", "GET /a HTTP/1.1\r\nHost: a\r\n\n", &[400], never),
        row("an empty host", "GET /a HTTP/1.1\r\nHost:\r\n\r\n", &[400], never),
        row("a host with a path", "GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n", &[400], never),
        row("a host with a user", "GET /a HTTP/1.1\r\nHost: x@a\r\n\r\n", &[400], never),
        row("a host with a wild port", "GET /a HTTP/1.1\r\nHost: a:99999\r\n\r\n", &[400], never),
        row("a host list", "GET /a HTTP/1.1\r\nHost: a, b\r\n\r\n", &[400], never),
        row("a target for another host", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", &[400], never),
        row("a target without a slash", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", &[400], never),
        row("a star without OPTIONS", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", &[400], never),
        row("a fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", &[400], never),
        row("a backslash", "GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", &[400], never),
        row("a byte above 127 in the target", b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", &[400], never),
        row("a null byte in the target", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", &[400], never),
        row("two spaces", "GET  /a HTTP/1.1\r\nHost: a\r\n\r\n", &[400], never),
        row("a tab for a space", "GET\t/a HTTP/1.1\r\nHost: a\r\n\r\n", &[400], never),
        row("a target with a space", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", &[400], never),
        row("a method that is not a token", "G{T /a HTTP/1.1\r\nHost: a\r\n\r\n", &[400], never),
        row("no version", "GET /a\r\n\r\n", &[400], never),
        row("a later version", "GET /a HTTP/1.2\r\nHost: a\r\n\r\n", &[505], never),
        row("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[505], never),
        row("a lower-case version", "GET /a http/1.1\r\nHost: a\r\n\r\n", &[400], never),
        row("a client that speaks TLS", b"\x16\x03\x01\x02\x00\x01\x00\n", &[400], never),
        row("two empty lines", "\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n", &[400], never),
        row("an unknown expectation", post("Expect: magic\r\n", ""), &[417], never),
        row("CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", &[501], never),
        row(
            "an upgrade to a web socket, and something else",
            post("Connection: Upgrade\r\nUpgrade: websocket, irc\r\n", ""),
            &[501],
            never,
        ),
        // Limits.
        row(
            "a long target",
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(9_000)),
            &[414],
            never,
        ),
        row("a long line", post(&format!("X: {}\r\n", "x".repeat(17_000)), ""), &[431], never),
        row("many lines", post(&"X: y\r\n".repeat(100), ""), &[431], never),
        row("a large head", post(&format!("X: {}\r\n", "x".repeat(10_000)).repeat(7), ""), &[431], never),
        row("a large body, announced", post("Content-Length: 1073741825\r\n", ""), &[413], never),
        // In bodies, where a handler already has the request.
        row(
            "a large body, in chunks",
            chunked("3\r\nabc\r\n40000000\r\n"),
            &[413],
            &["POST /a body-too-large"],
        ),
        row("a chunk size that overflows", chunked("fffffffffffffffff\r\n"), &[400], &["POST /a chunk-size"]),
        row("a chunk size with a sign", chunked("+3\r\nabc\r\n0\r\n\r\n"), &[400], &["POST /a chunk-size"]),
        row(
            "a chunk size with a prefix",
            chunked("0x3\r\nabc\r\n0\r\n\r\n"),
            &[400],
            &["POST /a chunk-size"],
        ),
        row("a chunk size with a space", chunked("3 \r\nabc\r\n0\r\n\r\n"), &[400], &["POST /a chunk-size"]),
        row("no chunk size", chunked("\r\nabc\r\n0\r\n\r\n"), &[400], &["POST /a chunk-size"]),
        row("a chunk longer than it says", chunked("3\r\nabcd\r\n0\r\n\r\n"), &[400], &["POST /a chunk-end"]),
        row("a chunk shorter than it says", chunked("4\r\nabc\r\n0\r\n\r\n"), &[400], &["POST /a chunk-end"]),
        row(
            "a control byte in a chunk extension",
            chunked("3;\0\r\nabc\r\n0\r\n\r\n"),
            &[400],
            &["POST /a chunk-extension"],
        ),
        row(
            "long chunk extensions",
            chunked(&format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(5_000))),
            &[400],
            &["POST /a chunk-line-too-long"],
        ),
        row("a framing trailer", chunked("0\r\nContent-Length: 3\r\n\r\n"), &[400], &["POST /a trailer"]),
        row("a folded trailer", chunked("0\r\nX: a\r\n b\r\n\r\n"), &[400], &["POST /a folded"]),
        row(
            "a trailer that ends in a bare line feed",
            chunked("0\r\nX: a\n\r\n") + SMUGGLED,
            &[400],
            &["POST /a bare-lf"],
        ),
        row(
            "trailers that end in a bare line feed",
            chunked("0\r\n\n") + SMUGGLED,
            &[400],
            &["POST /a bare-lf"],
        ),
        row(
            "many trailers",
            chunked(&format!("0\r\n{}\r\n", "X: y\r\n".repeat(33))),
            &[431],
            &["POST /a trailers-too-large"],
        ),
        // Behind good requests, which are answered first.
        row(
            "a good request, then a bad one",
            post("", "") + "GET /b HTTP/1.1\r\n\r\n" + SMUGGLED,
            &[200, 400],
            &["POST /a 0"],
        ),
        row(
            "a good body, then a bad request",
            post("Content-Length: 3\r\n", "abc\n") + SMUGGLED,
            &[200, 400],
            &["POST /a 3"],
        ),
        row(
            "a slow answer, then a bad request",
            "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n\0\n".to_owned() + SMUGGLED,
            &[200, 400],
            &["GET /slow 0"],
        ),
        row(
            "good chunks, then a bad request",
            chunked("3\r\nabc\r\n0\r\n\r\n") + "\n" + SMUGGLED,
            &[200, 400],
            &["POST /a 3"],
        ),
        row(
            "a good request, then a bad body",
            post("", "") + &chunked("x\r\n") + SMUGGLED,
            &[200, 400],
            &["POST /a 0", "POST /a chunk-size"],
        ),
        row(
            "a bad body that nobody reads",
            chunked("x\r\n").replace("/a", "/deaf") + SMUGGLED,
            &[200],
            &["POST /deaf -"],
        ),
    ]
}

/// What passes. Each ends with a request that closes the connection, so that its end is seen.
fn lawful() -> Vec<Row> {
    let last: &[&str] = &["POST /a 0", "GET /last 0"];
    let with_body: &[&str] = &["POST /a 5", "GET /last 0"];
    vec![
        row("one request after another", post("", LAST), &[200, 200], last),
        row(
            "a lower-case host with a port",
            "POST /a HTTP/1.1\r\nhost:a:8080\r\n\r\n".to_owned() + LAST,
            &[200, 200],
            last,
        ),
        row("a body by length", post("Content-Length: 5\r\n", "a\nb\r\n") + LAST, &[200, 200], with_body),
        row(
            "a body in chunks",
            chunked("3\r\nabc\r\n02\r\n\r\n\r\n0\r\n\r\n") + LAST,
            &[200, 200],
            with_body,
        ),
        row(
            "chunks with extensions and trailers",
            chunked("5;a=\"b c\";d\r\nabcde\r\n0;x\r\nX-Sum: 1\r\nX-Other:\r\n\r\n") + LAST,
            &[200, 200],
            with_body,
        ),
        row("an empty body in chunks", chunked("0\r\n\r\n") + LAST, &[200, 200], last),
        row(
            "an empty line before a request",
            "\r\n".to_owned() + &post("", "") + "\r\n" + LAST,
            &[200, 200],
            last,
        ),
        row(
            "an absolute target",
            "POST http://a/a HTTP/1.1\r\nHost: A:80\r\n\r\n".to_owned() + LAST,
            &[200, 200],
            last,
        ),
        row("HTTP/1.0 without a host", "POST /a HTTP/1.0\r\n\r\n", &[200], &["POST /a 0"]),
        row(
            "HEAD",
            "HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n".to_owned() + LAST,
            &[200, 200],
            &["HEAD /a 0", "GET /last 0"],
        ),
        row(
            "a star",
            "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".to_owned() + LAST,
            &[200, 200],
            &["OPTIONS * 0", "GET /last 0"],
        ),
        row(
            "a target as browsers send it",
            "GET /a|[b]{c}?q={d:`e`} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            &[200],
            &["GET /a|[b]{c} 0"],
        ),
        row(
            "large header lines",
            post(&format!("Cookie: {}\r\n", "x".repeat(16_000)).repeat(3), "") + LAST,
            &[200, 200],
            last,
        ),
        row("many header lines", post(&"X: y\r\n".repeat(99), "") + LAST, &[200, 200], last),
        row(
            "an expectation",
            post("Expect: 100-continue\r\nContent-Length: 5\r\n", "abcde") + LAST,
            &[100, 200, 200],
            with_body,
        ),
        row(
            "an offer of HTTP/2, not taken up",
            post("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", "")
                + LAST,
            &[200, 200],
            last,
        ),
        row("forty requests at once", post("", "").repeat(40) + LAST, &[200; 41], PIPELINED),
    ]
}

/// Forty posts and the last.
const PIPELINED: &[&str] = &{
    let mut handled = ["POST /a 0"; 41];
    handled[40] = "GET /last 0";
    handled
};

#[tokio::test]
async fn every_row_of_the_strict_table_is_refused_and_answered() {
    for row in strict() {
        check(&row, row.sent.len()).await;
    }
}

#[tokio::test]
async fn every_row_of_the_strict_table_is_refused_however_it_arrives() {
    for row in strict().iter().filter(|row| row.sent.len() < 400) {
        check(row, 1).await;
        check(row, 7).await;
    }
}

#[tokio::test]
async fn lawful_requests_pass() {
    for row in lawful() {
        check(&row, row.sent.len()).await;
    }
}

#[tokio::test]
async fn lawful_requests_pass_byte_by_byte() {
    for row in lawful().iter().filter(|row| row.sent.len() < 400) {
        check(row, 1).await;
    }
}

async fn check(row: &Row, piece: usize) {
    let seen = timeout(Duration::from_secs(10), over_tcp(&row.sent, piece)).await;
    let seen = seen.unwrap_or_else(|_| panic!("{}: the connection stays open", row.name));
    assert_eq!(statuses(&seen.answers), row.statuses, "{}: {}", row.name, seen.answers);
    assert_eq!(seen.handled, row.handled, "{}", row.name);
}

// === answers, whole and in order ===

#[tokio::test]
async fn a_refusal_waits_until_a_large_answer_is_through() {
    let sent = "GET /large HTTP/1.1\r\nHost: a\r\n\r\nGET /bad HTTP/1.1\r\n\r\n";
    let seen = over_tcp(sent.as_bytes(), sent.len()).await;
    assert_eq!(statuses(&seen.answers), [200, 400]);
    assert_eq!(seen.answers.matches('L').count(), LARGE);
    assert_eq!(seen.handled, ["GET /large 0"]);
}

#[tokio::test]
async fn a_refusal_is_seen_by_a_client_that_goes_on_sending() {
    let sent = post("X: a\0\r\nContent-Length: 200000\r\n", &"x".repeat(200_000));
    let seen = over_tcp(sent.as_bytes(), sent.len()).await;
    assert_eq!(statuses(&seen.answers), [400]);
    assert!(seen.answers.contains("connection: close"), "{}", seen.answers);
    assert!(seen.answers.ends_with("a control byte stands inside a line\n"), "{}", seen.answers);
}

#[tokio::test]
async fn an_early_answer_is_seen_by_a_client_that_goes_on_sending() {
    let sent = post("Content-Length: 200000\r\n", &"x".repeat(200_000)).replace("/a", "/deaf");
    let seen = over_tcp(sent.as_bytes(), sent.len()).await;
    assert_eq!(statuses(&seen.answers), [200]);
}

#[tokio::test]
async fn the_handle_tells_what_was_refused() {
    let seen = over_tcp(b"GET / HTTP/1.1\r\n\r\n", 100).await;
    assert_eq!(seen.violation.map(|violation| violation.reason.as_str()), Some("host-missing"));
    let seen = over_tcp(LAST.as_bytes(), 100).await;
    assert_eq!(seen.violation, None);
}

// === time ===

#[tokio::test(start_paused = true)]
async fn an_idle_client_is_let_go_without_a_word() {
    let seen = over_pipe(async |mut client, began| {
        let answers = read_all(&mut client).await;
        (answers, began.elapsed())
    });
    let ((answers, took), _) = seen.await;
    assert_eq!((answers.as_str(), took.as_secs()), ("", 60));
}

#[tokio::test(start_paused = true)]
async fn a_client_is_idle_only_once_it_is_answered() {
    let ((answers, took), handled) = over_pipe(async |mut client, began| {
        client.write_all(b"GET /sleep HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let answers = read_all(&mut client).await;
        (answers, began.elapsed())
    })
    .await;
    assert_eq!((statuses(&answers), took.as_secs()), (vec![200], 100 + 60));
    assert_eq!(handled, ["GET /sleep 0"]);
}

#[tokio::test(start_paused = true)]
async fn a_head_has_one_time_to_arrive_however_often_a_byte_of_it_comes() {
    let ((answers, took), handled) = over_pipe(async |mut client, began| {
        let (mut reader, mut writer) = tokio::io::split(&mut client);
        let drip = async {
            writer.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
            while writer.write_all(b"X: y\r\n").await.is_ok() {
                sleep(Duration::from_secs(3)).await;
            }
        };
        tokio::select! {
            answers = read_all(&mut reader) => (answers, began.elapsed()),
            () = drip => unreachable!("the client never ends"),
        }
    })
    .await;
    assert_eq!((statuses(&answers), took.as_secs()), (vec![408], 10));
    assert!(handled.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_given_up() {
    let ((answers, took), handled) = over_pipe(async |mut client, began| {
        let (mut reader, mut writer) = tokio::io::split(&mut client);
        let drip = async {
            writer.write_all(post("Content-Length: 100000\r\n", "").as_bytes()).await.unwrap();
            while writer.write_all(b"x").await.is_ok() {
                sleep(Duration::from_secs(3)).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answers = read_all(&mut reader) => (answers, began.elapsed()),
            () = drip => unreachable!("the client never ends"),
        }
    })
    .await;
    assert_eq!((statuses(&answers), took.as_secs()), (vec![408], 20));
    assert_eq!(handled, ["POST /a body-too-slow"]);
}

#[tokio::test(start_paused = true)]
async fn a_body_at_a_fair_pace_may_take_its_time() {
    let (answers, handled) = over_pipe(async |mut client, _| {
        client.write_all(post("Content-Length: 20480\r\n", "").as_bytes()).await.unwrap();
        for _ in 0..10 {
            sleep(Duration::from_secs(15)).await;
            client.write_all(&[b'x'; 2048]).await.unwrap();
        }
        client.write_all(LAST.as_bytes()).await.unwrap();
        read_all(&mut client).await
    })
    .await;
    assert_eq!(statuses(&answers), [200, 200]);
    assert_eq!(handled, ["POST /a 20480", "GET /last 0"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_dropped() {
    let (took, _) = over_pipe(async |mut client, began| {
        client.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        sleep(Duration::from_secs(90)).await;
        let answers = read_all(&mut client).await;
        assert!(answers.len() < LARGE, "all of it was written");
        began.elapsed()
    })
    .await;
    assert_eq!(took.as_secs(), 90);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_takes_its_request_along() {
    let ((), handled) = over_pipe(async |mut client, _| {
        client.write_all(b"GET /sleep HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        sleep(Duration::from_secs(1)).await;
    })
    .await;
    assert!(handled.is_empty(), "{handled:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_noticed_behind_a_bad_request_that_it_sent_ahead() {
    let ((), handled) = over_pipe(async |mut client, _| {
        client.write_all(b"GET /sleep HTTP/1.1\r\nHost: a\r\n\r\nGET /bad HTTP/1.1\r\n\r\n").await.unwrap();
        sleep(Duration::from_secs(1)).await;
    })
    .await;
    assert!(handled.is_empty(), "{handled:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_ahead_of_an_answer_is_answered_after_it() {
    for piece in [1, 7, 1000] {
        let (answers, handled) = over_pipe(async |mut client, _| {
            client.write_all(b"GET /sleep HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            let ahead = post("Content-Length: 20000\r\n", &"x".repeat(20_000));
            let (mut reader, mut writer) = tokio::io::split(client);
            let write = async {
                for piece in [ahead.as_bytes(), LAST.as_bytes()].concat().chunks(piece) {
                    sleep(Duration::from_millis(1)).await;
                    writer.write_all(piece).await.unwrap();
                }
            };
            tokio::join!(read_all(&mut reader), write).0
        })
        .await;
        assert_eq!(statuses(&answers), [200, 200, 200], "{piece}");
        assert_eq!(handled, ["GET /sleep 0", "POST /a 20000", "GET /last 0"], "{piece}");
    }
}

// === the server ===

const LARGE: usize = 4 << 20;

#[derive(Debug)]
struct Seen {
    answers: String,
    handled: Vec<String>,
    violation: Option<Violation>,
}

type Handled = Rc<RefCell<Vec<String>>>;

/// Writes `sent` to a server behind the gate, `piece` bytes at a time, and reads to the end.
async fn over_tcp(sent: &[u8], piece: usize) -> Seen {
    let handled = Handled::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let local = LocalSet::new();
    let server = local.spawn_local({
        let handled = Rc::clone(&handled);
        async move {
            let (socket, _) = listener.accept().await.unwrap();
            serve(socket, handled).await
        }
    });
    let client = async {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.set_nodelay(true).unwrap();
        let (mut reader, mut writer) = client.split();
        let write = async {
            for piece in sent.chunks(piece) {
                // The server may have closed its side already; what it said is what counts.
                if writer.write_all(piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(read_all(&mut reader), write).0
    };
    let (answers, violation) = local
        .run_until(async move {
            let answers = client.await;
            (answers, server.await.unwrap())
        })
        .await;
    Seen { answers, handled: handled.take(), violation }
}

/// Lets `client` talk to a server behind the gate through memory; also answers what was handled.
async fn over_pipe<R>(
    client: impl AsyncFnOnce(tokio::io::DuplexStream, tokio::time::Instant) -> R,
) -> (R, Vec<String>) {
    let handled = Handled::default();
    let (ours, theirs) = tokio::io::duplex(16 << 10);
    let local = LocalSet::new();
    let server = local.spawn_local(serve(theirs, Rc::clone(&handled)));
    let result = local.run_until(async move {
        let result = client(ours, tokio::time::Instant::now()).await;
        server.await.unwrap();
        result
    });
    (result.await, handled.take())
}

async fn serve(io: impl AsyncRead + AsyncWrite + Unpin + 'static, handled: Handled) -> Option<Violation> {
    let (gated, gate) = Gated::new(io, Clock::start(), Limits::default(), Patience::default());
    let server = Server { gate, handled };
    http1::serve(gated, &server).await;
    server.gate.violation()
}

struct Server {
    gate: GateHandle,
    handled: Handled,
}

impl Answers for Server {
    type Body = Held;

    fn answer(&self, request: Request<http1::Body>) -> impl Future<Output = Response<Held>> {
        answer(request, self.gate.clone(), self.gate.answering(), Rc::clone(&self.handled))
    }

    fn date(&self) -> Option<HeaderValue> {
        None
    }

    fn ending(&self) -> Ending {
        Ending::None
    }

    fn listen(&self, _: &Context<'_>) {}
}

async fn answer(
    request: Request<http1::Body>,
    gate: GateHandle,
    answering: Answering,
    handled: Handled,
) -> Response<Held> {
    let what = format!("{} {}", request.method(), request.uri().path());
    let path = request.uri().path().to_owned();
    let mut status = StatusCode::OK;
    let body = match path.as_str() {
        "/deaf" => "-".to_owned(),
        _ => match request.into_body().collect().await {
            Ok(body) => body.to_bytes().len().to_string(),
            Err(error) => {
                let violation = Violation::find(&*error).expect("no body fails for another reason");
                assert_eq!(gate.violation(), Some(violation));
                status = StatusCode::from_u16(violation.reason.status()).unwrap();
                violation.reason.as_str().to_owned()
            }
        },
    };
    match path.as_str() {
        "/slow" => sleep(Duration::from_millis(30)).await,
        "/sleep" => sleep(Duration::from_secs(100)).await,
        _ => (),
    }
    handled.borrow_mut().push(format!("{what} {body}"));
    let text = if path == "/large" { "L".repeat(LARGE) } else { "ok\n".to_owned() };
    let mut response = Response::new(Held { text: Full::from(text), _answering: answering });
    *response.status_mut() = status;
    response
}

/// An answer's body that tells the gate when it is through.
struct Held {
    text: Full<Bytes>,
    _answering: Answering,
}

impl Body for Held {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.text).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.text.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.text.size_hint()
    }
}

// === the client ===

async fn read_all(io: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    io.read_to_end(&mut bytes).await.expect("the connection is closed, not reset");
    String::from_utf8(bytes).unwrap()
}

/// The status of every answer in `answers`.
fn statuses(answers: &str) -> Vec<u16> {
    // Sentences speak of HTTP/1.1, too, but no number follows there.
    answers.split("HTTP/1.").filter_map(|answer| answer.get(2..5)?.parse().ok()).collect()
}
