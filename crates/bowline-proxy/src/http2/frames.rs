//! Follows the frames in a stream of bytes, without keeping them. Pure.
//!
//! Nine bytes say what a frame is and how long (RFC 9113, 4.1); of the rest only the error codes of RST_STREAM and
//! GOAWAY are looked at.

/// What begins each frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// How many bytes follow.
    pub length: u32,
    /// Its stream; 0 is the connection.
    pub stream: u32,
}

/// What was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A frame begins.
    Frame(Head),
    /// The error code in a RST_STREAM or a GOAWAY that just ended.
    Code(Head, u32),
}

/// The types of frames that matter here (RFC 9113, section 6).
pub mod kind {
    #![expect(missing_docs, reason = "the names are the protocol's own")]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const CONTINUATION: u8 = 9;
}

impl Head {
    /// On DATA and HEADERS: nothing of this stream follows.
    pub const END_STREAM: u8 = 1;
    /// On HEADERS and CONTINUATION: no CONTINUATION follows.
    pub const END_HEADERS: u8 = 4;

    /// Whether `flag` is set.
    #[must_use]
    pub const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn parse(bytes: [u8; 9]) -> Self {
        let [a, b, c, kind, flags, s1, s2, s3, s4] = bytes;
        Self {
            kind,
            flags,
            length: u32::from_be_bytes([0, a, b, c]),
            // The first bit is reserved.
            stream: u32::from_be_bytes([s1, s2, s3, s4]) & (u32::MAX >> 1),
        }
    }

    const fn has_code(&self) -> bool {
        matches!((self.kind, self.length), (kind::RST_STREAM, 4) | (kind::GOAWAY, 8..))
    }
}

/// Follows the frames of one direction of a connection.
#[derive(Debug)]
pub struct Frames {
    head: [u8; 9],
    /// How many bytes of the head are here; all nine, while the payload passes.
    have: usize,
    frame: Head,
    /// What is left of the payload.
    left: u32,
    code: u32,
}

impl Frames {
    /// Of a direction that begins with `skip` bytes that are no frame.
    #[must_use]
    pub const fn after(skip: u32) -> Self {
        let frame = Head { kind: u8::MAX, flags: 0, length: skip, stream: 0 };
        Self { head: [0; 9], have: if skip == 0 { 0 } else { 9 }, frame, left: skip, code: 0 }
    }

    /// Whether the next byte begins a frame.
    #[must_use]
    pub const fn is_between(&self) -> bool {
        self.have == 0
    }

    /// The frame of which a part is still to come, if its head is here.
    #[must_use]
    pub const fn inside(&self) -> Option<&Head> {
        if self.have == 9 { Some(&self.frame) } else { None }
    }

    /// Follows the next `bytes` and tells what it sees.
    ///
    /// # Errors
    /// What `tell` answers: with it how many of the bytes came before the frame that it is about. Nothing is to be fed
    /// after that.
    pub fn feed<E>(
        &mut self,
        bytes: &[u8],
        mut tell: impl FnMut(Seen) -> Result<(), E>,
    ) -> Result<(), (usize, E)> {
        let mut at = 0;
        while at < bytes.len() {
            if self.have == 9 {
                at += self.pass(&bytes[at..]);
                if self.left == 0 {
                    self.have = 0;
                    if self.frame.has_code() {
                        tell(Seen::Code(self.frame, self.code)).map_err(|error| (at, error))?;
                    }
                }
                continue;
            }
            let start = at;
            let some = (9 - self.have).min(bytes.len() - at);
            self.head[self.have..self.have + some].copy_from_slice(&bytes[at..at + some]);
            self.have += some;
            at += some;
            if self.have == 9 {
                self.frame = Head::parse(self.head);
                self.left = self.frame.length;
                self.code = 0;
                tell(Seen::Frame(self.frame)).map_err(|error| (start, error))?;
                if self.left == 0 {
                    self.have = 0;
                }
            }
        }
        Ok(())
    }

    /// Passes over some of a payload; how much.
    fn pass(&mut self, bytes: &[u8]) -> usize {
        let some = bytes.len().min(self.left as usize);
        if self.frame.has_code() {
            // Four bytes: the first of a RST_STREAM, those behind the last stream of a GOAWAY.
            let from = if self.frame.kind == kind::GOAWAY { 4 } else { 0 };
            let passed = (self.frame.length - self.left) as usize;
            for (index, byte) in bytes[..some].iter().enumerate() {
                if (from..from + 4).contains(&(passed + index)) {
                    self.code = self.code << 8 | u32::from(*byte);
                }
            }
        }
        self.left -= some as u32;
        some
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    fn seen(frames: &mut Frames, bytes: &[u8], all: &mut Vec<Seen>) {
        let fed = frames.feed(bytes, |seen| {
            all.push(seen);
            Ok::<(), Infallible>(())
        });
        assert_eq!(fed, Ok(()));
    }

    proptest! {
        #[test]
        fn frames_are_found_however_the_bytes_are_cut(
            drawn in prop::collection::vec((0..12_u8, any::<u8>(), any::<u32>(), 0..40_usize), 0..8),
            skip in 0..30_u32,
            size in 1..20_usize,
        ) {
            let mut bytes = vec![b'x'; skip as usize];
            let mut expected = Vec::new();
            for (kind, flags, stream, length) in drawn {
                let payload: Vec<u8> = (0..length as u8).collect();
                bytes.extend(frame(kind, flags, stream, &payload));
                let stream = stream & 0x7fff_ffff;
                let head = Head { kind, flags, length: length as u32, stream };
                expected.push(Seen::Frame(head));
                match (kind, length) {
                    (kind::RST_STREAM, 4) => expected.push(Seen::Code(head, 0x0001_0203)),
                    (kind::GOAWAY, 8..) => expected.push(Seen::Code(head, 0x0405_0607)),
                    _ => (),
                }
            }
            let mut found = Vec::new();
            let mut frames = Frames::after(skip);
            for piece in bytes.chunks(size) {
                seen(&mut frames, piece, &mut found);
            }
            prop_assert_eq!(found, expected);
            prop_assert!(frames.is_between());
        }
    }

    #[test]
    fn what_is_refused_begins_where_its_frame_does_unless_that_began_earlier() {
        let mut bytes = frame(kind::DATA, 0, 1, b"abc");
        let first = bytes.len();
        bytes.extend(frame(kind::PING, 0, 0, b"12345678"));
        let refuse = |seen| match seen {
            Seen::Frame(Head { kind: kind::PING, .. }) => Err(()),
            _ => Ok(()),
        };
        assert_eq!(Frames::after(0).feed(&bytes, refuse), Err((first, ())));
        let mut frames = Frames::after(0);
        assert_eq!(frames.feed(&bytes[..first + 2], refuse), Ok(()));
        assert_eq!(frames.feed(&bytes[first + 2..], refuse), Err((0, ())));
    }
}
