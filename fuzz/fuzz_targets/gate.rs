//! Arbitrary bytes, cut arbitrarily, before the gate.
//!
//! - However a stream is cut, the same bytes pass and the verdict is the same.
//! - What passes is what came, up to a point, and no head passes in part.
//! - Another parser, which reads with other eyes, finds the same requests in what passed, each as long.
#![no_main]

use bowline_proxy::gate::{Limits, Machine, Phase, Violation};
use libfuzzer_sys::fuzz_target;

/// What became of a stream.
#[derive(Debug, PartialEq)]
struct Verdict {
    passed: Vec<u8>,
    heads: u64,
    end: Result<Phase, Violation>,
}

/// A request in a stream: where it begins, where its head ends, and where it ends if it has.
#[derive(Debug)]
struct Span {
    start: usize,
    head_end: usize,
    end: Option<usize>,
}

fuzz_target!(|input: &[u8]| {
    // The first bytes choose limits and cuts; what is left is the stream.
    let Some((&[flags, a, b], stream)) = input.split_first_chunk() else { return };
    let limits = limits(flags);

    let whole = judge(&mut [stream].into_iter(), &limits);
    assert!(stream.starts_with(&whole.passed));
    let mut rest = stream;
    let mut sizes = [usize::from(a) + 1, usize::from(b) % 7 + 1].into_iter().cycle();
    let mut pieces = std::iter::from_fn(|| {
        let size = sizes.next()?.min(rest.len());
        let (piece, after) = rest.split_at(size);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    });
    assert_eq!(judge(&mut pieces, &limits), whole);
    assert_eq!(judge(&mut stream.chunks(1), &limits), whole);

    for span in spans(stream, &limits) {
        assert!(span.head_end <= whole.passed.len(), "the head of {span:?} did not pass whole");
        agree(&whole.passed, &span);
    }
});

fn limits(flags: u8) -> Limits {
    let mut limits = Limits::default();
    limits.connect = flags & 1 != 0;
    if flags & 2 != 0 {
        limits.request_line_bytes_max = 40;
        limits.field_bytes_max = 40;
        limits.head_bytes_max = 100;
        limits.fields_max = 5;
        limits.body_bytes_max = 20;
        limits.extension_bytes_max = 5;
        limits.trailer_bytes_max = 30;
        limits.trailers_max = 2;
        limits.pipelined_max = 4;
    }
    limits
}

fn judge<'a>(pieces: &mut dyn Iterator<Item = &'a [u8]>, limits: &Limits) -> Verdict {
    let mut machine = Machine::new(limits.clone());
    let mut passed = Vec::new();
    for piece in pieces {
        let judged = machine.feed(piece);
        passed.extend_from_slice(&judged.earlier);
        passed.extend_from_slice(&piece[..judged.now]);
        if let Some(violation) = judged.violation {
            return Verdict { passed, heads: machine.heads(), end: Err(violation) };
        }
    }
    Verdict { passed, heads: machine.heads(), end: Ok(machine.phase()) }
}

/// Where the gate sees requests, found by feeding it byte by byte.
fn spans(stream: &[u8], limits: &Limits) -> Vec<Span> {
    let mut machine = Machine::new(limits.clone());
    let mut spans: Vec<Span> = Vec::new();
    let mut start = 0;
    for (at, byte) in stream.iter().enumerate() {
        if machine.feed(std::slice::from_ref(byte)).violation.is_some() {
            break;
        }
        if spans.len() as u64 != machine.heads() {
            spans.push(Span { start, head_end: at + 1, end: None });
        }
        if machine.phase() == Phase::Between {
            start = at + 1;
            if let Some(span) = spans.last_mut() {
                span.end.get_or_insert(start);
            }
        }
        if machine.phase() == Phase::Tunnel {
            break;
        }
    }
    spans
}

/// Asserts that `httparse` reads the request at `span` as the gate did.
fn agree(stream: &[u8], span: &Span) {
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut fields);
    let parsed = request.parse(&stream[span.start..]);
    assert_eq!(parsed, Ok(httparse::Status::Complete(span.head_end - span.start)), "{span:?}");
    if request.method == Some("CONNECT") {
        return;
    }

    let values = |name: &str| -> Vec<&[u8]> {
        let named = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        named.map(|field| field.value).collect()
    };
    let body = &stream[span.head_end..];
    let length = match (values("content-length").as_slice(), values("transfer-encoding").as_slice()) {
        ([], []) => Some(0),
        ([length], []) => {
            let length: usize = std::str::from_utf8(length).unwrap().trim().parse().unwrap();
            (length <= body.len()).then_some(length)
        }
        ([], [coding]) => {
            assert!(coding.trim_ascii().eq_ignore_ascii_case(b"chunked"));
            chunked(body)
        }
        both => panic!("{both:?} passed"),
    };
    assert_eq!(length.map(|length| span.head_end + length), span.end, "{span:?}");
}

/// How long the chunked body at the start of `bytes` is, if all of it is there.
fn chunked(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let httparse::Status::Complete((line, size)) = httparse::parse_chunk_size(&bytes[at..]).unwrap()
        else {
            return None;
        };
        at += line;
        if size == 0 {
            let mut trailers = [httparse::EMPTY_HEADER; 64];
            return match httparse::parse_headers(&bytes[at..], &mut trailers).unwrap() {
                httparse::Status::Complete((length, _)) => Some(at + length),
                httparse::Status::Partial => None,
            };
        }
        at += usize::try_from(size).unwrap();
        let end = bytes.get(at..at + 2)?;
        assert_eq!(end, b"\r\n");
        at += 2;
    }
}
