//! Judges a connection by its frames: who makes work without asking for anything. Pure.
//!
//! HTTP/2 lets a client cause work with frames that no flow control counts (RFC 9113, 10.5). Each kind has a budget;
//! what ordinary traffic brings along is given back by that traffic, so that a busy connection never runs out and an
//! idle one cannot flood.

use super::frames::{Head, kind};
use super::limits::Limits;
use crate::gate::Reason;
use bowline_model::Instant;

/// Judges one connection by the frames that come and go.
#[derive(Debug)]
pub struct Judge {
    resets: Budget,
    settings: Budget,
    quiet: Budget,
    continuations_max: u32,
    /// CONTINUATION frames of the fields that are arriving; `None`: none are.
    continuations: Option<u32>,
}

/// So many at once, and so many a second for long.
#[derive(Debug)]
struct Budget {
    left: u32,
    max: u32,
    per_second: u32,
    /// Until when it was filled up.
    filled: Instant,
}

impl Judge {
    /// A judge of a connection that begins `now`.
    #[must_use]
    pub const fn new(limits: &Limits, now: Instant) -> Self {
        Self {
            resets: Budget::new(limits.resets_max, limits.resets_per_second, now),
            settings: Budget::new(limits.settings_max, limits.settings_per_second, now),
            quiet: Budget::new(limits.quiet_max, limits.quiet_per_second, now),
            continuations_max: limits.continuations_max,
            continuations: None,
        }
    }

    /// Whether the fields of a request have begun and not ended.
    #[must_use]
    pub const fn is_in_fields(&self) -> bool {
        self.continuations.is_some()
    }

    /// The client sends a frame.
    ///
    /// # Errors
    /// It is one too many.
    pub fn arrived(&mut self, frame: Head, now: Instant) -> Result<(), Reason> {
        let (spends, reason) = match frame.kind {
            kind::DATA if 0 < frame.length || frame.has(Head::END_STREAM) => {
                self.quiet.give(1);
                return Ok(());
            }
            kind::HEADERS => {
                self.quiet.give(1);
                self.continuations = (!frame.has(Head::END_HEADERS)).then_some(0);
                return Ok(());
            }
            kind::CONTINUATION => return self.continued(frame),
            kind::RST_STREAM => (&mut self.resets, Reason::ResetFlood),
            kind::SETTINGS => (&mut self.settings, Reason::SettingsFlood),
            kind::PING => (&mut self.quiet, Reason::PingFlood),
            _ => (&mut self.quiet, Reason::FrameFlood),
        };
        if spends.take(now) { Ok(()) } else { Err(reason) }
    }

    /// A frame is sent to the client.
    pub fn sent(&mut self, frame: Head) {
        match frame.kind {
            kind::DATA => self.quiet.give(2),
            // An answer has begun: to reset it now is to have changed one's mind.
            kind::HEADERS => self.resets.give(1),
            _ => (),
        }
    }

    fn continued(&mut self, frame: Head) -> Result<(), Reason> {
        // Outside of fields it is an error of the protocol, and found by who reads it.
        let Some(before) = self.continuations else { return Ok(()) };
        if self.continuations_max <= before {
            return Err(Reason::ContinuationFlood);
        }
        self.continuations = (!frame.has(Head::END_HEADERS)).then_some(before + 1);
        Ok(())
    }
}

impl Budget {
    const fn new(max: u32, per_second: u32, now: Instant) -> Self {
        Self { left: max, max, per_second, filled: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        if self.left == 0 {
            // Looked at only when it matters.
            let grown = now.since(self.filled).as_millis() * u128::from(self.per_second) / 1_000;
            if 0 < grown {
                self.filled = now;
                self.give(u32::try_from(grown).unwrap_or(u32::MAX));
            }
        }
        let some = 0 < self.left;
        self.left = self.left.saturating_sub(1);
        some
    }

    fn give(&mut self, some: u32) {
        self.left = self.left.saturating_add(some).min(self.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const PRIORITY: u8 = 2;
    const WINDOW_UPDATE: u8 = 8;
    const UNKNOWN: u8 = 0xfa;

    fn frame(kind: u8, flags: u8, length: u32) -> Head {
        Head { kind, flags, length, stream: 1 }
    }

    /// How many such frames in a row are let through, up to a hundred thousand.
    fn flood(frame: Head) -> (usize, Reason) {
        let mut judge = Judge::new(&Limits::default(), Instant::ZERO);
        let refused = (0..100_000).find_map(|count| {
            let reason = judge.arrived(frame, Instant::ZERO).err()?;
            Some((count, reason))
        });
        refused.expect("nothing is let through for ever")
    }

    #[test]
    fn every_kind_of_idle_work_has_an_end_and_a_name() {
        assert_eq!(flood(frame(kind::RST_STREAM, 0, 4)), (200, Reason::ResetFlood));
        assert_eq!(flood(frame(kind::SETTINGS, 0, 0)), (32, Reason::SettingsFlood));
        assert_eq!(flood(frame(kind::SETTINGS, 1, 0)), (32, Reason::SettingsFlood), "acknowledgements too");
        assert_eq!(flood(frame(kind::PING, 0, 8)), (1_000, Reason::PingFlood));
        for (kind, length) in
            [(kind::DATA, 0), (PRIORITY, 5), (WINDOW_UPDATE, 4), (kind::GOAWAY, 8), (UNKNOWN, 3)]
        {
            assert_eq!(flood(frame(kind, 0, length)), (1_000, Reason::FrameFlood), "{kind}");
        }
    }

    #[test]
    fn fields_may_come_in_a_few_frames() {
        let mut judge = Judge::new(&Limits::default(), Instant::ZERO);
        for _ in 0..3 {
            judge.arrived(frame(kind::HEADERS, 0, 10), Instant::ZERO).unwrap();
            for _ in 0..4 {
                judge.arrived(frame(kind::CONTINUATION, 0, 10), Instant::ZERO).unwrap();
                assert!(judge.is_in_fields());
            }
            judge.arrived(frame(kind::CONTINUATION, Head::END_HEADERS, 10), Instant::ZERO).unwrap();
            assert!(!judge.is_in_fields());
        }
        judge.arrived(frame(kind::HEADERS, 0, 10), Instant::ZERO).unwrap();
        let refused = (0..9).find_map(|count| {
            judge.arrived(frame(kind::CONTINUATION, 0, 0), Instant::ZERO).err().map(|reason| (count, reason))
        });
        assert_eq!(refused, Some((5, Reason::ContinuationFlood)));
    }

    #[test]
    fn what_traffic_brings_along_is_free() {
        let mut judge = Judge::new(&Limits::default(), Instant::ZERO);
        for _ in 0..50_000 {
            judge.arrived(frame(kind::HEADERS, Head::END_HEADERS, 10), Instant::ZERO).unwrap();
            judge.arrived(frame(kind::PING, 0, 8), Instant::ZERO).unwrap();
            judge.sent(frame(kind::HEADERS, Head::END_HEADERS, 10));
            judge.sent(frame(kind::DATA, Head::END_STREAM, 10));
            for _ in 0..2 {
                judge.arrived(frame(WINDOW_UPDATE, 0, 4), Instant::ZERO).unwrap();
            }
            judge.arrived(frame(kind::RST_STREAM, 0, 4), Instant::ZERO).unwrap();
        }
    }

    #[test]
    fn a_budget_grows_again_with_time_and_not_beyond_its_size() {
        let mut judge = Judge::new(&Limits::default(), Instant::ZERO);
        let reset = frame(kind::RST_STREAM, 0, 4);
        let mut now = Instant::ZERO;
        let count = |judge: &mut Judge, now| (0..).take_while(|_| judge.arrived(reset, now).is_ok()).count();
        assert_eq!(count(&mut judge, now), 200);
        now += Duration::from_millis(500);
        assert_eq!(count(&mut judge, now), 50);
        now += Duration::from_secs(3_600);
        assert_eq!(count(&mut judge, now), 200);
        for _ in 0..1_000 {
            now += Duration::from_millis(11);
            assert!(judge.arrived(reset, now).is_ok(), "just below the rate is let through for ever");
        }
    }
}
