//! What HTTP/2 lets a client do at our cost: each has an end, a code and a count.

use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, Framer, GOAWAY, HEADERS, PING, PRIORITY, RST_STREAM,
    SETTINGS, fields, frame, request,
};
use crate::support::{Callee, Do, World, eventually, route};
use std::time::Duration;

const PROTOCOL_ERROR: u32 = 1;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

async fn world(callee: &Callee) -> World {
    World::start(&route(&[callee.address], ""))
}

async fn counted(world: &World, reason: &str, at_least: f64) {
    let label = format!("reason=\"{reason}\"");
    eventually(reason, || at_least <= world.metric("bowline_gate_refusals_total", &[&label])).await;
}

/// The connection is told to calm down, and ends.
async fn is_calmed(framer: &mut Framer) {
    let goaway = framer.next(GOAWAY).await.expect("a GOAWAY");
    assert_eq!(goaway.code(), ENHANCE_YOUR_CALM);
    while framer.receive().await.is_some() {}
}

#[tokio::test]
async fn floods_of_frames_end_the_connection() {
    let callee = Callee::friendly().await;
    let world = world(&callee).await;
    let post = || frame(HEADERS, END_HEADERS, 1, &request("POST", &[]));
    for (reason, before, flood) in [
        ("ping-flood", Vec::new(), frame(PING, 0, 0, b"12345678")),
        ("settings-flood", Vec::new(), frame(SETTINGS, 0, 0, &[])),
        ("frame-flood", post(), frame(DATA, 0, 1, &[])),
        ("frame-flood", Vec::new(), frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])),
        ("frame-flood", Vec::new(), frame(0xfa, 0, 0, b"abc")),
    ] {
        let mut framer = Framer::connect(&world, &[]).await;
        framer.write(&before).await;
        framer.write(&flood.repeat(2_000)).await;
        is_calmed(&mut framer).await;
        counted(&world, reason, 1.0).await;
    }
    counted(&world, "frame-flood", 3.0).await;
    eventually("their places are free", || world.metric("bowline_connections_open", &[]) == 0.0).await;
}

#[tokio::test]
async fn streams_opened_and_reset_at_once_end_the_connection() {
    let callee = Callee::start(|_| Do::Hang).await;
    let world = world(&callee).await;
    let mut framer = Framer::connect(&world, &[]).await;
    let head = request("GET", &[]);
    for stream in (1..1_000).step_by(2) {
        let open = frame(HEADERS, END_HEADERS | END_STREAM, stream, &head);
        framer.write(&[open, frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())].concat()).await;
    }
    is_calmed(&mut framer).await;
    counted(&world, "reset-flood", 1.0).await;
    assert!(callee.count() <= 201, "{}", callee.count());
}

#[tokio::test]
async fn a_caller_that_cancels_now_and_then_is_left_alone() {
    let callee = Callee::friendly().await;
    let world = world(&callee).await;
    let mut framer = Framer::connect(&world, &[]).await;
    for stream in (1..1_200).step_by(2) {
        framer.send(HEADERS, END_HEADERS | END_STREAM, stream, &request("GET", &[])).await;
        let head = framer.next(HEADERS).await.expect("an answer");
        assert_eq!(head.stream, stream);
        framer.send(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()).await;
    }
}

#[tokio::test]
async fn fields_in_ever_more_frames_end_the_connection() {
    let callee = Callee::friendly().await;
    let world = world(&callee).await;
    let mut framer = Framer::connect(&world, &[]).await;
    framer.send(HEADERS, END_STREAM, 1, &request("GET", &[])).await;
    framer.write(&frame(CONTINUATION, 0, 1, &fields(&[("x", "1")])).repeat(50)).await;
    is_calmed(&mut framer).await;
    counted(&world, "continuation-flood", 1.0).await;
    assert_eq!(callee.count(), 0);
}

#[tokio::test]
async fn streams_beyond_the_settings_are_refused_and_the_others_go_on() {
    let callee = Callee::start(|_| Do::Hang).await;
    let world = World::start_with(&route(&[callee.address], ""), 1, |config| {
        config.limits.http2.streams_max = 4;
    });
    let mut framer = Framer::connect(&world, &[]).await;
    let settings = framer.next(SETTINGS).await.unwrap();
    assert!(settings.payload.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 4]), "it is announced");
    // Who has not acknowledged the settings does not know them yet.
    framer.send(SETTINGS, 1, 0, &[]).await;
    for stream in [1, 3, 5, 7, 9] {
        framer.send(HEADERS, END_HEADERS | END_STREAM, stream, &request("GET", &[])).await;
    }
    let refused = framer.next(RST_STREAM).await.unwrap();
    assert_eq!((refused.stream, refused.code()), (9, REFUSED_STREAM));
    counted(&world, "too-many-streams", 1.0).await;
    eventually("the others are under way", || callee.count() == 4).await;
}

/// What comes back on a stream: the status, or the code of its reset.
async fn fate(framer: &mut Framer, stream: u32) -> Result<u16, u32> {
    loop {
        let Frame { kind, stream: of, payload, .. } = framer.receive().await.expect("an answer or a reset");
        match kind {
            HEADERS if of == stream => return Ok(status(&payload)),
            RST_STREAM if of == stream => return Err(u32::from_be_bytes(payload[..4].try_into().unwrap())),
            GOAWAY => panic!("stream {stream}: the connection was given up"),
            _ => (),
        }
    }
}

/// The status that a block of fields begins with, by its index or as a literal (RFC 7541, appendix A).
fn status(block: &[u8]) -> u16 {
    match block {
        // The table's new size comes first.
        [0x20..=0x3f, rest @ ..] => status(rest),
        [index @ 0x88..=0x8e, ..] => [200, 204, 206, 304, 400, 404, 500][usize::from(index - 0x88)],
        // A literal with the name of index 8, its value in Huffman's code or plain.
        [0x08 | 0x48, length, rest @ ..] if length & 0x80 == 0 => {
            std::str::from_utf8(&rest[..usize::from(*length)]).unwrap().parse().unwrap()
        }
        [0x08 | 0x48, length, rest @ ..] => huffman_digits(&rest[..usize::from(length & 0x7f)]),
        other => panic!("{other:x?}"),
    }
}

/// Three digits in Huffman's code: `0` to `2` have five bits, the others six (RFC 7541, appendix B).
fn huffman_digits(bytes: &[u8]) -> u16 {
    let bits: u32 = bytes.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte));
    let (mut left, mut number) = (bytes.len() as u32 * 8, 0);
    for _ in 0..3 {
        let five = bits >> (left - 5) & 31;
        let digit = if five < 3 {
            left -= 5;
            five
        } else {
            left -= 6;
            (bits >> left & 63) - 0x19 + 3
        };
        number = number * 10 + digit as u16;
    }
    number
}

#[tokio::test]
async fn what_breaks_the_protocol_is_reset_and_the_connection_goes_on() {
    let callee = Callee::friendly().await;
    let world = world(&callee).await;
    let mut framer = Framer::connect(&world, &[]).await;
    let bad: [(&str, &[(&str, &str)]); 10] = [
        ("no path", &[(":method", "GET"), (":scheme", "http"), (":authority", "a")]),
        ("an empty path", &[(":method", "GET"), (":scheme", "http"), (":path", ""), (":authority", "a")]),
        ("no method", &[(":scheme", "http"), (":path", "/"), (":authority", "a")]),
        (
            "two paths",
            &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":path", "/b"), (":authority", "a")],
        ),
        (
            "a pseudo-header of answers",
            &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":status", "200")],
        ),
        (
            "a pseudo-header behind fields",
            &[(":method", "GET"), (":scheme", "http"), ("x", "1"), (":path", "/")],
        ),
        (
            "a field of the connection",
            &[
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/"),
                (":authority", "a"),
                ("connection", "close"),
            ],
        ),
        (
            "a transfer coding",
            &[
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/"),
                (":authority", "a"),
                ("transfer-encoding", "chunked"),
            ],
        ),
        (
            "a TE",
            &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a"), ("te", "gzip")],
        ),
        (
            "an extended CONNECT",
            &[
                (":method", "CONNECT"),
                (":scheme", "http"),
                (":path", "/"),
                (":authority", "a"),
                (":protocol", "websocket"),
            ],
        ),
    ];
    let mut stream = 1;
    for (name, list) in bad {
        framer.send(HEADERS, END_HEADERS | END_STREAM, stream, &fields(list)).await;
        assert_eq!(fate(&mut framer, stream).await, Err(PROTOCOL_ERROR), "{name}");
        stream += 2;
    }
    counted(&world, "stream-malformed", 10.0).await;

    // Less, and more, than was announced.
    for (length, data) in [("5", &b"abc"[..]), ("2", b"abc")] {
        framer.send(HEADERS, END_HEADERS, stream, &request("POST", &[("content-length", length)])).await;
        framer.send(DATA, END_STREAM, stream, data).await;
        assert_eq!(fate(&mut framer, stream).await, Err(PROTOCOL_ERROR), "{length}");
        stream += 2;
    }
    framer.send(HEADERS, END_HEADERS | END_STREAM, stream, &request("GET", &[])).await;
    assert_eq!(fate(&mut framer, stream).await, Ok(200), "a good one behind them");
    assert_eq!(callee.hits().iter().filter(|hit| hit.message.start.starts_with("GET")).count(), 1);
}

#[tokio::test]
async fn what_the_gate_refuses_in_http1_is_answered_alike() {
    let callee = Callee::friendly().await;
    let world = world(&callee).await;
    let mut framer = Framer::connect(&world, &[]).await;
    let many: Vec<_> = std::iter::repeat_n(("x", "1"), 120).collect();
    let long = "a".repeat(17 << 10);
    let plain = |path| vec![(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "a")];
    let with = |more: &[(&'static str, &'static str)]| [plain("/"), more.to_vec()].concat();
    let mut stream = 1;
    for (reason, status, list) in [
        ("target", 400, plain("/a\\b")),
        ("host-missing", 400, vec![(":method", "GET"), (":scheme", "http"), (":path", "/")]),
        ("host-mismatch", 400, with(&[("host", "b")])),
        ("host", 400, vec![(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "a,b")]),
        ("lookalike", 400, with(&[("content_length", "1")])),
        ("length-repeated", 400, with(&[("content-length", "0"), ("content-length", "0")])),
        ("too-many-fields", 431, [plain("/"), many.clone()].concat()),
        ("connect", 501, vec![(":method", "CONNECT"), (":authority", "a:80")]),
        ("expectation", 417, with(&[("expect", "tea")])),
    ] {
        framer.send(HEADERS, END_HEADERS | END_STREAM, stream, &fields(&list)).await;
        assert_eq!(fate(&mut framer, stream).await, Ok(status), "{reason}");
        counted(&world, reason, 1.0).await;
        stream += 2;
    }
    // Fields that do not fit into one frame.
    for (reason, list) in [
        ("field-too-long", [plain("/"), vec![("x", &*long)]].concat()),
        ("head-too-large", [plain("/"), vec![("x", &long[..16_000]); 5]].concat()),
    ] {
        let block = fields(&list);
        let mut pieces = block.chunks(16_384).peekable();
        framer.send(HEADERS, END_STREAM, stream, pieces.next().unwrap()).await;
        while let Some(piece) = pieces.next() {
            let flags = if pieces.peek().is_none() { END_HEADERS } else { 0 };
            framer.send(CONTINUATION, flags, stream, piece).await;
        }
        assert_eq!(fate(&mut framer, stream).await, Ok(431), "{reason}");
        counted(&world, reason, 1.0).await;
        stream += 2;
    }
    assert_eq!(callee.count(), 0);
}

#[tokio::test]
async fn a_frame_out_of_place_or_with_a_name_in_upper_case_ends_the_connection() {
    let callee = Callee::friendly().await;
    let world = world(&callee).await;
    let upper = request("GET", &[("X-A", "1")]);
    for bad in [
        frame(DATA, 0, 5, b"abc"),
        frame(SETTINGS, 0, 0, &[1]),
        frame(HEADERS, END_HEADERS, 2, &[0x82]),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, &upper),
    ] {
        let mut framer = Framer::connect(&world, &[]).await;
        framer.write(&bad).await;
        assert_ne!(framer.next(GOAWAY).await.expect("a GOAWAY").code(), 0);
        while framer.receive().await.is_some() {}
    }
    counted(&world, "frame-malformed", 4.0).await;
    assert_eq!(callee.count(), 0);
}

// === slowness ===

fn impatient(callee: &Callee) -> World {
    World::start_with(&route(&[callee.address], ""), 1, |config| {
        let patience = &mut config.limits.patience;
        patience.head = Duration::from_millis(60);
        patience.body.every = Duration::from_millis(60);
        patience.reader.every = Duration::from_millis(60);
    })
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let callee = Callee::start(|_| Do::Hang).await;
    let world = impatient(&callee);
    let mut framer = Framer::connect(&world, &[]).await;
    framer.send(HEADERS, END_HEADERS, 1, &request("POST", &[])).await;
    assert_eq!(fate(&mut framer, 1).await, Ok(408));
    counted(&world, "body-too-slow", 1.0).await;
}

#[tokio::test]
async fn a_frame_that_does_not_end_is_not_waited_for() {
    let callee = Callee::start(|_| Do::Hang).await;
    let world = impatient(&callee);
    let whole = frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("GET", &[]));
    let unended = frame(HEADERS, END_STREAM, 1, &request("GET", &[]));
    let data = [frame(HEADERS, END_HEADERS, 1, &request("POST", &[])), frame(DATA, 0, 1, &[0; 100])].concat();
    for (reason, bytes) in [
        ("head-too-slow", &whole[..5]),
        ("head-too-slow", &whole[..20]),
        ("head-too-slow", &*unended),
        ("body-too-slow", &data[..data.len() - 50]),
    ] {
        let mut framer = Framer::connect(&world, &[]).await;
        framer.write(bytes).await;
        is_calmed(&mut framer).await;
        counted(&world, reason, 1.0).await;
    }
    counted(&world, "head-too-slow", 3.0).await;
}

#[tokio::test]
async fn a_window_that_stays_shut_costs_its_stream() {
    let callee = Callee::start(|_| Do::Answer(200, "y".repeat(100_000))).await;
    let world = impatient(&callee);
    // SETTINGS_INITIAL_WINDOW_SIZE of nothing, and of a few bytes.
    for window in [0, 10] {
        let mut framer = Framer::connect(&world, &[(4, window)]).await;
        framer.send(HEADERS, END_HEADERS | END_STREAM, 1, &request("GET", &[])).await;
        let reset = framer.next(RST_STREAM).await.expect("a reset");
        assert_eq!((reset.stream, reset.code()), (1, CANCEL));
    }
    counted(&world, "reader-too-slow", 2.0).await;
}

#[tokio::test]
async fn a_caller_that_does_not_read_its_socket_is_dropped() {
    let callee = Callee::start(|_| Do::Answer(200, "y".repeat(1 << 20))).await;
    let world = impatient(&callee);
    // Windows as large as they can be: only the socket is in the way.
    let mut framer = Framer::connect(&world, &[(4, u32::MAX >> 1)]).await;
    framer.send(8, 0, 0, &((u32::MAX >> 1) - 65_535).to_be_bytes()).await;
    for stream in (1..60).step_by(2) {
        framer.send(HEADERS, END_HEADERS | END_STREAM, stream, &request("GET", &[])).await;
    }
    counted(&world, "reader-too-slow", 1.0).await;
    eventually("its place is free", || world.metric("bowline_connections_open", &[]) == 0.0).await;
}
