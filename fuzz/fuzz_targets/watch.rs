//! Arbitrary bytes, cut arbitrarily, before the watch around HTTP/2.
//!
//! - However a stream is cut, the same frames are seen and the verdict is the same, about the same frame.
//! - Frames are where another reading, which has the whole stream, finds them, and so are the codes in them.
//! - What passes never exceeds a budget by more than traffic gave back, and nothing is refused before its budget is
//!   spent.
#![no_main]

use bowline_model::Instant;
use bowline_proxy::gate::Reason;
use bowline_proxy::http2::frames::{Head, Seen, kind};
use bowline_proxy::http2::{Frames, Judge, Limits};
use libfuzzer_sys::fuzz_target;

/// How long the preface is that no frame is in (RFC 9113, 3.4).
const PREFACE: u32 = 24;

/// What became of a stream.
#[derive(Debug, PartialEq)]
struct Verdict {
    seen: Vec<Seen>,
    /// Where it was refused, and why.
    refused: Option<(usize, Reason)>,
}

fuzz_target!(|input: &[u8]| {
    // The first bytes choose limits, cuts and what is answered meanwhile; what is left is the stream.
    let Some((&[flags, a, b, answers], stream)) = input.split_first_chunk() else { return };
    let limits = limits(flags);

    let whole = watch(&mut [stream].into_iter(), &limits, answers);
    let mut rest = stream;
    let mut sizes = [usize::from(a) + 1, usize::from(b) % 7 + 1].into_iter().cycle();
    let mut pieces = std::iter::from_fn(|| {
        let size = sizes.next()?.min(rest.len());
        let (piece, after) = rest.split_at(size);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    });
    same(&watch(&mut pieces, &limits, answers), &whole);
    same(&watch(&mut stream.chunks(1), &limits, answers), &whole);

    let (expected, starts) = read(stream);
    assert!(expected.starts_with(&whole.seen), "{:?} is not the beginning of {expected:?}", whole.seen);
    let frames = whole.seen.iter().filter(|seen| matches!(seen, Seen::Frame(_))).count();
    match whole.refused {
        None => assert_eq!(whole.seen, expected),
        // The last frame that was seen is the one that was refused, and all before it passed.
        Some((passed, _)) => assert_eq!(passed, starts[frames - 1]),
    }
    keeps_books(&whole, &limits, answers);
});

fn limits(flags: u8) -> Limits {
    let mut limits = Limits::default();
    if flags & 1 != 0 {
        (limits.resets_max, limits.settings_max, limits.quiet_max, limits.continuations_max) = (2, 2, 3, 1);
    }
    limits
}

/// Follows a stream up to its end or to what is refused of it. No time passes: what comes back to a budget comes by
/// traffic. After each frame that passes the proxy may answer something, as `answers` says in its bits.
fn watch<'a>(pieces: &mut dyn Iterator<Item = &'a [u8]>, limits: &Limits, answers: u8) -> Verdict {
    let mut frames = Frames::after(PREFACE);
    let mut judge = Judge::new(limits, Instant::ZERO);
    let (mut seen, mut passed, mut count) = (Vec::new(), 0, 0);
    for piece in pieces {
        let fed = frames.feed(piece, |one| {
            seen.push(one);
            let Seen::Frame(frame) = one else { return Ok(()) };
            judge.arrived(frame, Instant::ZERO)?;
            for sent in answered(answers, count) {
                judge.sent(sent);
            }
            count += 1;
            Ok(())
        });
        match fed {
            Ok(()) => passed += piece.len(),
            Err((before, reason)) => {
                return Verdict { seen, refused: Some((passed + before, reason)) };
            }
        }
    }
    Verdict { seen, refused: None }
}

/// What is sent after the frame with this number.
fn answered(answers: u8, number: u32) -> impl Iterator<Item = Head> {
    let bits = answers >> (2 * (number % 4));
    let head = |kind| Head { kind, flags: 0, length: 1, stream: 1 };
    let fields = (bits & 1 != 0).then(|| head(kind::HEADERS));
    fields.into_iter().chain((bits & 2 != 0).then(|| head(kind::DATA)))
}

/// Asserts that cutting changed nothing. Of a frame whose head came in two pieces the first has passed already.
fn same(cut: &Verdict, whole: &Verdict) {
    assert_eq!(cut.seen, whole.seen);
    match (cut.refused, whole.refused) {
        (Some((cut, why)), Some((whole, expected))) => {
            assert_eq!(why, expected);
            assert!((whole..whole + 9).contains(&cut), "refused at {cut} and at {whole}");
        }
        (cut, whole) => assert_eq!(cut, whole),
    }
}

/// The frames of a stream and where they begin, read with all of it there.
fn read(stream: &[u8]) -> (Vec<Seen>, Vec<usize>) {
    let (mut seen, mut starts) = (Vec::new(), Vec::new());
    let mut at = PREFACE as usize;
    while let Some(&[a, b, c, kind, flags, s1, s2, s3, s4]) = stream.get(at..at + 9) {
        let length = u32::from_be_bytes([0, a, b, c]);
        let stream_id = u32::from_be_bytes([s1 & 0x7f, s2, s3, s4]);
        let head = Head { kind, flags, length, stream: stream_id };
        seen.push(Seen::Frame(head));
        starts.push(at);
        let payload = stream.get(at + 9..).and_then(|rest| rest.get(..length as usize));
        let code = match (kind, payload) {
            (kind::RST_STREAM, Some(&[a, b, c, d])) => Some([a, b, c, d]),
            (kind::GOAWAY, Some(&[_, _, _, _, a, b, c, d, ..])) => Some([a, b, c, d]),
            _ => None,
        };
        seen.extend(code.map(|code| Seen::Code(head, u32::from_be_bytes(code))));
        at += 9 + length as usize;
    }
    (seen, starts)
}

/// Asserts that each budget was kept and none was closed early, by counting anew.
fn keeps_books(verdict: &Verdict, limits: &Limits, answers: u8) {
    let heads: Vec<Head> = verdict
        .seen
        .iter()
        .filter_map(|seen| if let Seen::Frame(head) = seen { Some(*head) } else { None })
        .collect();
    let passed = heads.len() - usize::from(verdict.refused.is_some());
    let (mut resets, mut settings, mut quiet) = (limits.resets_max, limits.settings_max, limits.quiet_max);
    // CONTINUATION frames behind the fields that have begun.
    let mut behind: Option<u32> = None;
    for (number, head) in heads.iter().enumerate() {
        let done = match head.kind {
            kind::DATA if head.length > 0 || head.has(Head::END_STREAM) => {
                quiet = (quiet + 1).min(limits.quiet_max);
                Ok(())
            }
            kind::HEADERS => {
                quiet = (quiet + 1).min(limits.quiet_max);
                behind = (!head.has(Head::END_HEADERS)).then_some(0);
                Ok(())
            }
            kind::CONTINUATION => match behind {
                Some(count) if count == limits.continuations_max => Err(Reason::ContinuationFlood),
                Some(count) => {
                    behind = (!head.has(Head::END_HEADERS)).then_some(count + 1);
                    Ok(())
                }
                None => Ok(()),
            },
            kind::RST_STREAM => spend(&mut resets, Reason::ResetFlood),
            kind::SETTINGS => spend(&mut settings, Reason::SettingsFlood),
            kind::PING => spend(&mut quiet, Reason::PingFlood),
            _ => spend(&mut quiet, Reason::FrameFlood),
        };
        match done {
            Ok(()) => assert!(number < passed, "{head:?}, the {number}th, was refused early"),
            Err(reason) => {
                assert_eq!(verdict.refused.map(|(_, why)| why), Some(reason), "{head:?}, the {number}th");
                return;
            }
        }
        for sent in answered(answers, number as u32) {
            match sent.kind {
                kind::HEADERS => resets = (resets + 1).min(limits.resets_max),
                _ => quiet = (quiet + 2).min(limits.quiet_max),
            }
        }
    }
    assert!(verdict.refused.is_none(), "{:?}: nothing was spent", verdict.refused);
}

fn spend(budget: &mut u32, reason: Reason) -> Result<(), Reason> {
    *budget = budget.checked_sub(1).ok_or(reason)?;
    Ok(())
}
