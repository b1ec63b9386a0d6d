//! What an error tells about its try, found by walking down its causes.
//!
//! Why by walking: clients wrap their errors several times and each in its own way, while what decides,
//! "was anything sent?", lies at the bottom and has a type of its own.

use crate::outcome::Seen;
use bowline_model::decision::TryEnd;
use std::error::Error as StdError;
use std::io;

/// That surely nothing took effect, if any of the causes proves it.
pub(crate) fn surely_not_sent(error: &(dyn StdError + 'static)) -> Option<Seen> {
    causes(error).find_map(|cause| {
        if let Some(cause) = cause.downcast_ref::<io::Error>() {
            return is_connect(cause.kind()).then(Seen::connect_failed);
        }
        #[cfg(feature = "reqwest")]
        if let Some(cause) = cause.downcast_ref::<reqwest::Error>() {
            return cause.is_connect().then(Seen::connect_failed);
        }
        #[cfg(feature = "tonic")]
        if cause.is::<tonic::ConnectError>() {
            return Some(Seen::connect_failed());
        }
        #[cfg(feature = "tonic")]
        if let Some(cause) = cause.downcast_ref::<h2::Error>() {
            return is_stream_refused(cause).then_some(Seen::ended(TryEnd::StreamRefused));
        }
        None
    })
}

/// Whether a tonic client gave up by itself: its channel reads the `grpc-timeout` that goes out with a request, and
/// its timer may be over a moment before the guard's.
#[cfg(feature = "tonic")]
pub(crate) fn ran_out_of_time(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(<dyn StdError + 'static>::is::<tonic::TimeoutExpired>)
}

/// How a try ended whose effect is unknown.
pub(crate) fn end_of(error: &(dyn StdError + 'static)) -> TryEnd {
    causes(error)
        .find_map(|cause| {
            #[cfg(feature = "reqwest")]
            if let Some(cause) = cause.downcast_ref::<reqwest::Error>() {
                return cause.is_timeout().then_some(TryEnd::TimedOut);
            }
            #[cfg(feature = "tonic")]
            if cause.is::<tonic::TimeoutExpired>() {
                return Some(TryEnd::TimedOut);
            }
            match cause.downcast_ref::<io::Error>()?.kind() {
                io::ErrorKind::TimedOut => Some(TryEnd::TimedOut),
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof => Some(TryEnd::Reset),
                _ => None,
            }
        })
        .unwrap_or(TryEnd::Raised)
}

/// Kinds that only an attempt to connect can have.
const fn is_connect(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::AddrNotAvailable
    )
}

/// RFC 9113 section 8.7: REFUSED_STREAM, and a stream above the last one that a GOAWAY names, were not
/// processed. h2 hands a GOAWAY's error to those streams alone.
#[cfg(feature = "tonic")]
fn is_stream_refused(error: &h2::Error) -> bool {
    error.reason() == Some(h2::Reason::REFUSED_STREAM) || (error.is_go_away() && error.is_remote())
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    // Sixteen causes: more than any client wraps, and a cycle would otherwise be an endless loop.
    std::iter::successors(Some(error), |error| (**error).source()).take(16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt;

    #[derive(Debug)]
    struct Wrapped(io::Error);

    impl fmt::Display for Wrapped {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("client error")
        }
    }

    impl StdError for Wrapped {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn the_cause_at_the_bottom_decides() {
        let refused = Wrapped(io::ErrorKind::ConnectionRefused.into());
        assert_eq!(surely_not_sent(&refused), Some(Seen::connect_failed()));
        let reset = Wrapped(io::ErrorKind::ConnectionReset.into());
        assert_eq!(surely_not_sent(&reset), None);
        assert_eq!(end_of(&reset), TryEnd::Reset);
    }
}
