//! What one HTTP/2 connection may do, and how long it lives.

use std::time::Duration;

/// What one HTTP/2 connection may do, beyond what the gate allows every request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Streams at once; more are refused (REFUSED_STREAM, `too-many-streams`). 100, the least that RFC 9113 section
    /// 6.5.2 recommends, and what Go, nginx (128) and Envoy's guide to edges use.
    pub streams_max: u32,
    /// What a request's body may be ahead of its callee, for each stream. 256 KiB: some 250 Mbit/s at 10 ms.
    pub window_bytes: u32,
    /// The same for all streams of a connection together, which bounds its memory. 1 MiB.
    pub connection_window_bytes: u32,
    /// What one stream may have waiting for the socket. 64 KiB, one read from a callee.
    pub send_buffer_bytes: usize,
    /// CONTINUATION frames behind one HEADERS frame (`continuation-flood`). 5: with frames of 16 KiB they carry more
    /// than `head_bytes_max`, and a client has no reason to make them smaller.
    pub continuations_max: u32,
    /// Streams reset before their answer began, in a burst (`reset-flood`, CVE-2023-44487). 200: whoever drops all it
    /// has under way, twice. Each answer gives one back.
    pub resets_max: u32,
    /// .. and for long. 100 a second: the attack runs at thousands.
    pub resets_per_second: u32,
    /// SETTINGS frames in a burst (`settings-flood`). 32: one at the start, a few while a client sizes its windows.
    pub settings_max: u32,
    /// .. and for long. 1 a second.
    pub settings_per_second: u32,
    /// Frames that carry nothing, in a burst: PING (`ping-flood`), empty DATA, PRIORITY, WINDOW_UPDATE and unknown
    /// ones (`frame-flood`). 1,000. Each frame of a request gives one back, each DATA frame of an answer two: gRPC
    /// measures its line with a PING for each frame, and a reader may update two windows.
    pub quiet_max: u32,
    /// .. and for long. 100 a second.
    pub quiet_per_second: u32,
    /// Requests of one connection that the protocol itself refuses, until it is closed. 100: a client that breaks HTTP/2
    /// so often does so always.
    pub malformed_max: usize,
    /// A connection without a stream is closed after this long, with GOAWAY, which loses no request. 5 minutes: gRPC
    /// channels pause for longer than browsers' connections.
    pub idle: Duration,
    /// A connection is closed with GOAWAY after this long; its streams finish. 1 hour: callers that never reconnect
    /// would stay with one worker and one instance for ever, whatever was added beside it.
    pub age: Duration,
    /// By how many percent the age differs from connection to connection, so that they do not all come back at once.
    /// 10.
    pub age_jitter_percent: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            streams_max: 100,
            window_bytes: 256 << 10,
            connection_window_bytes: 1 << 20,
            send_buffer_bytes: 64 << 10,
            continuations_max: 5,
            resets_max: 200,
            resets_per_second: 100,
            settings_max: 32,
            settings_per_second: 1,
            quiet_max: 1_000,
            quiet_per_second: 100,
            malformed_max: 100,
            idle: Duration::from_secs(300),
            age: Duration::from_secs(3_600),
            age_jitter_percent: 10,
        }
    }
}
