//! How much the gate reads of one request, and how long it waits.

use std::time::Duration;

/// What a request may be at most. Sizes count bytes as they arrive, line ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The request line; 414 above it. RFC 9112 section 3 asks for at least 8,000.
    pub request_line_bytes_max: usize,
    /// One header line; 431 above it. Twice 8 KiB, where servers commonly end: a line that they take passes here.
    pub field_bytes_max: usize,
    /// Header lines; 431 above it. 100 is Envoy's default; at most 128 are read.
    pub fields_max: u32,
    /// The whole head; 431 above it. 60 KiB is Envoy's default.
    pub head_bytes_max: usize,
    /// A body, announced or chunked; 413 above it. 1 GiB: an upload larger than that belongs into parts,
    /// for it could never be sent again.
    pub body_bytes_max: u64,
    /// Chunk extensions of one body, together; 400 above it. Nobody uses them for anything but to hide
    /// work in, so enough for a signature a chunk over a few dozen chunks.
    pub extension_bytes_max: usize,
    /// Trailers of one body, together; 431 above it. Checksums and a gRPC status need some hundred bytes.
    pub trailer_bytes_max: usize,
    /// Trailer lines; 431 above it.
    pub trailers_max: u32,
    /// Requests sent ahead of their answers on one connection; 429 above it. Clients that pipeline send
    /// up to some tens; each one held is memory without an answer in sight.
    pub pipelined_max: u64,
    /// Whether CONNECT passes. Off: a gateway that tunnels for strangers is an open proxy. The mesh port turns it
    /// on and serves what follows itself.
    pub connect: bool,
    /// Whether `Upgrade: websocket` passes; it is granted by the callee's 101 alone. On: every browser's server has it,
    /// and no other protocol that is upgraded to is in use.
    pub websocket: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_line_bytes_max: 8 << 10,
            field_bytes_max: 16 << 10,
            fields_max: 100,
            head_bytes_max: 60 << 10,
            body_bytes_max: 1 << 30,
            extension_bytes_max: 4 << 10,
            trailer_bytes_max: 8 << 10,
            trailers_max: 32,
            pipelined_max: 100,
            connect: false,
            websocket: true,
        }
    }
}

/// How long the gate waits for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Patience {
    /// Between requests, nothing under way; then a plain close. A minute outlives the pools of most
    /// clients, so that they close first and never race us.
    pub idle: Duration,
    /// From the first byte of a head to its last; then 408. Ten seconds is a head of one packet lost
    /// and sent again three times.
    pub head: Duration,
    /// The slowest body that is read on; then 408. Counted only while we wait for the client.
    pub body: Pace,
    /// The slowest reader that is written to; then the connection is dropped. Counted only while the
    /// socket is full.
    pub reader: Pace,
    /// After a refusal, how long what still arrives is thrown away so that the client can read the answer
    /// (a close with unread bytes would reset the connection and take the answer with it).
    pub linger: Duration,
    /// How much is thrown away at most while lingering: what a client that never looks up has in flight.
    pub linger_bytes_max: usize,
}

/// The slowest progress that is tolerated: at least `bytes` in every `every`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Bytes expected in one interval.
    pub bytes: usize,
    /// The interval.
    pub every: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        // A kilobyte in twenty seconds: slower than any modem, faster than a client that drips a byte
        // now and then to hold a place.
        let pace = Pace { bytes: 1 << 10, every: Duration::from_secs(20) };
        Self {
            idle: Duration::from_secs(60),
            head: Duration::from_secs(10),
            body: pace,
            reader: pace,
            linger: Duration::from_secs(1),
            linger_bytes_max: 256 << 10,
        }
    }
}
