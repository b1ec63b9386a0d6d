//! Arbitrary bytes, cut arbitrarily, as an answer.
//!
//! - However a stream is cut, the same answer is heard, and it ends at the same byte.
//! - Another parser, which reads with other eyes, finds the same head, the same body and the same end.
//! - No line of a head or of trailers ends in a bare line feed.
#![no_main]

use bowline_call::fuzzing::{End, Heard, hear};
use httparse::Status;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // The first bytes choose the request and the cuts; what is left is the stream.
    let Some((&[flags, a, b], stream)) = input.split_first_chunk() else { return };
    let to_head = flags & 1 != 0;

    let whole = hear([stream], to_head);
    let mut rest = stream;
    let mut sizes = [usize::from(a) + 1, usize::from(b) % 7 + 1].into_iter().cycle();
    let pieces = std::iter::from_fn(|| {
        let size = sizes.next()?.min(rest.len());
        let (piece, after) = rest.split_at(size);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    });
    assert_eq!(hear(pieces, to_head), whole);
    assert_eq!(hear(stream.chunks(1), to_head), whole);

    if let Some(heard) = whole {
        agree(stream, &heard, to_head);
    }
});

/// Asserts that `httparse` reads the answer as it was heard.
fn agree(mut stream: &[u8], heard: &Heard, to_head: bool) {
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let (code, version, fields) = loop {
        let mut answer = httparse::Response::new(&mut fields);
        let Ok(Status::Complete(length)) = answer.parse(stream) else { panic!("{heard:?} has no head") };
        let (head, after) = stream.split_at(length);
        assert!(crlf(head), "{}", head.escape_ascii());
        stream = after;
        let (code, version) = (answer.code.unwrap(), answer.version.unwrap());
        assert_ne!(code, 101, "nobody asked to switch");
        if !(100..200).contains(&code) {
            let fields = answer.headers.iter().map(|field| (field.name.to_ascii_lowercase(), field.value));
            break (code, version, fields.collect::<Vec<_>>());
        }
    };
    assert_eq!(heard.status, code);
    let values = |name: &str| -> Vec<&[u8]> {
        fields.iter().filter(|(own, _)| own == name).map(|(_, value)| value.trim_ascii()).collect()
    };
    for (name, value) in &heard.fields {
        assert!(fields.iter().any(|(own, given)| own == name && given == value), "{name} was not there");
    }
    for (name, value) in &fields {
        // Of equal lengths one is passed on, and `05` equals `5`.
        let same = |given: &[u8]| match name.as_str() {
            "content-length" => number(given.trim_ascii()) == number(value.trim_ascii()),
            _ => given == *value,
        };
        assert!(heard.fields.iter().any(|(own, given)| own == name && same(given)), "{name} is gone");
    }

    let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
    let length = lengths.first().map(|first| {
        assert!(lengths.iter().all(|other| number(other) == number(first)), "{lengths:?}");
        number(first)
    });
    assert!(lengths.is_empty() || codings.is_empty(), "both passed");
    let (body, end, closes) = if to_head || matches!(code, 204 | 304) {
        (Vec::new(), Some(0), false)
    } else if let Some(length) = length {
        let here = usize::try_from(length).unwrap_or(usize::MAX).min(stream.len());
        (stream[..here].to_vec(), (here as u64 == length).then_some(here), false)
    } else if let [coding] = codings.as_slice() {
        assert!(version == 1 && coding.eq_ignore_ascii_case(b"chunked"));
        let (body, end) = chunked(stream, heard);
        (body, end, false)
    } else {
        assert!(codings.is_empty(), "{codings:?}");
        (stream.to_vec(), None, true)
    };
    assert!(!(closes && heard.keeps));
    assert_eq!(heard.body, body);
    match heard.end {
        End::Through(behind) => assert_eq!(Some(stream.len() - behind), end),
        End::More => assert_eq!(end, None),
        End::Malformed => assert!(!codings.is_empty(), "only chunks can be malformed"),
    }
}

fn number(digits: &[u8]) -> u64 {
    assert!(digits.iter().all(u8::is_ascii_digit));
    std::str::from_utf8(digits).unwrap().parse().unwrap()
}

/// Whether every line feed follows a carriage return.
fn crlf(bytes: &[u8]) -> bool {
    bytes.iter().enumerate().all(|(at, byte)| *byte != b'\n' || (at > 0 && bytes[at - 1] == b'\r'))
}

/// The chunked body at the start of `bytes` as far as it was heard, and its length if all of it is there.
fn chunked(bytes: &[u8], heard: &Heard) -> (Vec<u8>, Option<usize>) {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let (line, size) = match httparse::parse_chunk_size(&bytes[at..]) {
            Ok(Status::Complete(line)) => line,
            Ok(Status::Partial) => return (body, None),
            Err(_) => {
                assert_ne!(heard.end, End::More, "what cannot be a chunk is not waited for");
                assert_eq!(heard.end, End::Malformed);
                return (body, None);
            }
        };
        if heard.end == End::Malformed && body.len() == heard.body.len() {
            // Stricter than the other parser; what came before was the same.
            return (body, None);
        }
        at += line;
        if size == 0 {
            let mut trailers = [httparse::EMPTY_HEADER; 64];
            return match httparse::parse_headers(&bytes[at..], &mut trailers) {
                Ok(Status::Complete((length, fields))) => {
                    if let End::Through(_) = heard.end {
                        assert!(crlf(&bytes[at..at + length]));
                        assert_eq!(fields.len(), heard.trailers.len());
                    }
                    (body, Some(at + length))
                }
                Ok(Status::Partial) => (body, None),
                Err(_) => {
                    assert!(!matches!(heard.end, End::Through(_)));
                    (body, None)
                }
            };
        }
        let here = usize::try_from(size).unwrap_or(usize::MAX).min(bytes.len() - at);
        body.extend_from_slice(&bytes[at..at + here]);
        at += here;
        match &bytes[at..bytes.len().min(at + 2)] {
            b"\r\n" if here as u64 == size => at += 2,
            [] | b"\r" => return (body, None),
            _ if here as u64 == size => {
                assert_eq!(heard.end, End::Malformed);
                return (body, None);
            }
            _ => return (body, None),
        }
    }
}
