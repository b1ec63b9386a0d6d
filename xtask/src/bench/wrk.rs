//! wrk: as many HTTP/1.1 requests as a proxy can take.

use super::candidates::Candidate;
use super::machine::{LOAD_CORE, pinned};
use super::measure::Seen;
use crate::{Stop, run};
use std::path::Path;
use std::process::Command;

pub(super) fn command(root: &Path, candidate: &Candidate, connections: u32, seconds: f64) -> Command {
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c", &connections.to_string(), "-d", &format!("{seconds:.0}s"), "--latency"]);
    command.arg(format!("http://{}/api/x", candidate.address()));
    pinned(root, LOAD_CORE, &command)
}

pub(super) fn load(root: &Path, candidate: &Candidate, connections: u32, seconds: f64) -> Result<Seen, Stop> {
    let said = run::read(&mut command(root, candidate, connections, seconds))?;
    parse(&said).ok_or_else(|| Stop::Missing(format!("cannot read what wrk said:\n{said}")))
}

fn parse(text: &str) -> Option<Seen> {
    let after = |start: &str| text.lines().map(str::trim).find_map(|line| line.strip_prefix(start));
    let requests = text.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())?;
    let bad = after("Non-2xx or 3xx responses:").map_or(Some(0), |n| n.trim().parse().ok())?;
    let broken = after("Socket errors:").unwrap_or_default().split(',');
    let broken: u64 = broken.filter_map(|part| part.trim().rsplit(' ').next()?.parse::<u64>().ok()).sum();
    Some(Seen {
        requests,
        per_second: after("Requests/sec:")?.trim().parse().ok()?,
        p50_ms: millis(after("50%")?)?,
        p99_ms: millis(after("99%")?)?,
        failed: bad + broken,
    })
}

/// `1.10ms`, `870.00us`, `1.02s`.
fn millis(text: &str) -> Option<f64> {
    let text = text.trim();
    let (number, factor) = text
        .strip_suffix("us")
        .map(|number| (number, 1e-3))
        .or_else(|| text.strip_suffix("ms").map(|number| (number, 1.0)))
        .or_else(|| text.strip_suffix('s').map(|number| (number, 1e3)))?;
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "\
Running 4s test @ http://127.0.0.1:17003/api/x
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.61ms    1.20ms  25.17ms   91.31%
    Req/Sec    24.95k     1.45k   27.30k    75.00%
  Latency Distribution
     50%    2.45ms
     75%  980.00us
     90%    3.22ms
     99%    1.02s
  99402 requests in 4.00s, 112.63MB read
Requests/sec:  24830.57
Transfer/sec:     28.13MB
";

    #[test]
    fn what_wrk_says_is_read() {
        let seen = Seen { requests: 99_402, per_second: 24_830.57, p50_ms: 2.45, p99_ms: 1_020.0, failed: 0 };
        assert_eq!(parse(SAID), Some(seen));
        assert_eq!(millis("980.00us"), Some(0.98));
    }

    #[test]
    fn bad_answers_and_broken_connections_count_as_failed() {
        let text = format!(
            "{SAID}  Socket errors: connect 1, read 20, write 0, timeout 3\n  Non-2xx or 3xx responses: 400\n"
        );
        assert_eq!(parse(&text).expect("readable").failed, 424);
    }

    #[test]
    fn an_error_of_wrk_is_not_taken_for_figures() {
        assert_eq!(parse("unable to connect to 127.0.0.1:17003 Connection refused"), None);
    }
}
