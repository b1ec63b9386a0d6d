//! The upstream and the load generators of the benchmarks.
//!
//! They speak as much HTTP/1.1 as the benchmarks need and no more, over `epoll`, one thread each: on
//! a core that they share, every microsecond they take is one that the proxy is not loaded with.
//!
//! - [`upstream`]: answers every request with 1 KiB
//! - [`open`]: so many requests a second whatever comes back; latency from the intended send time
//! - [`answering`]: a callee of its own port, for comparisons and conformance
//! - [`fixed`]: a callee of a fixed capacity, with a queue without an end
//! - [`hosts`], [`replay`]: hosts of which one is bad, and arrivals that a seed draws; [`heads`]: what they say
//! - [`closed`]: so many requests in all, a fixed number in flight; for counting instructions
//! - [`connection`]: one keep-alive connection and its one request in flight

pub(crate) mod answering;
mod closed;
mod connection;
pub(crate) mod fixed;
mod heads;
pub(crate) mod hosts;
mod open;
pub(crate) mod replay;
pub(crate) mod upstream;

use crate::Stop;
use serde_json::Value;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// `xtask load open|closed TARGET CONNECTIONS ..`; ends in one line of JSON.
pub(crate) fn main(args: &[String]) -> Result<(), Stop> {
    let report = match args.split_first().map(|(how, rest)| (how.as_str(), rest)) {
        Some(("open", [target, connections, rate, seconds, warm_up, within @ ..])) if within.len() < 2 => {
            let within = match within {
                [millis] => Duration::from_millis(number(millis)?),
                _ => Duration::MAX,
            };
            open::run(
                &number::<SocketAddr>(target)?,
                number(connections)?,
                number(rate)?,
                number(seconds)?,
                number(warm_up)?,
                within,
            )
        }
        Some(("closed", [target, connections, requests])) => {
            closed::run(&number::<SocketAddr>(target)?, number(connections)?, number(requests)?)
        }
        _ => {
            let usage = "xtask load open TARGET CONNECTIONS RATE SECONDS WARM_UP [WITHIN_MS] | closed TARGET CONNECTIONS REQUESTS";
            return Err(Stop::Usage(usage.to_owned()));
        }
    };
    let report: Value = report.map_err(|e| Stop::Missing(format!("the load generator failed: {e}")))?;
    println!("{report}");
    Ok(())
}

fn number<T: FromStr>(text: &str) -> Result<T, Stop> {
    text.parse().map_err(|_| Stop::Usage(format!("cannot read `{text}`")))
}

/// The value below which this share of the sorted values lies; 0 of none.
pub(crate) fn percentile(sorted: &[u64], share: f64) -> u64 {
    if sorted.is_empty() {
        return 0;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of a slice")]
    let index = ((sorted.len() - 1) as f64 * share).round() as usize;
    sorted[index.min(sorted.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn upstream() -> SocketAddr {
        let listener = upstream::bind(&"127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let address = listener.local_addr().expect("bound");
        thread::spawn(move || upstream::serve(&listener));
        address
    }

    #[test]
    fn a_closed_loop_sends_exactly_what_it_was_told() {
        let report = closed::run(&upstream(), 4, 101).expect("the upstream answers");
        assert_eq!(report["requests"], 101);
        assert_eq!(report["failed"], 0);
    }

    #[test]
    fn an_open_loop_sends_at_its_rate() {
        let report = open::run(&upstream(), 4, 500, 0.4, 0.1, Duration::MAX).expect("the upstream answers");
        assert_eq!(report["requests"], 250);
        assert_eq!((&report["failed"], &report["good"]), (&0.into(), &200.into()));
        assert!(report["p50_us"].as_u64().expect("a number") > 0);
    }

    #[test]
    fn percentiles_are_values_that_were_there() {
        let values: Vec<u64> = (1..=101).collect();
        assert_eq!(percentile(&values, 0.5), 51);
        assert_eq!(percentile(&values, 1.0), 101);
        assert_eq!(percentile(&[], 0.5), 0);
    }
}
