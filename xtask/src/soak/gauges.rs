//! What `/metrics` says is held.

use crate::{Stop, clock};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// Zero when no request is under way: callers' connections, and all that calls and tries hold.
pub(super) const OF_CALLS: &[&str] = &[
    "bowline_connections_open",
    "bowline_tunnels_open",
    "bowline_tls_handshakes_open",
    "bowline_bulkhead_running",
    "bowline_bulkhead_waiting",
    "bowline_breaker_probes_out",
    "bowline_budget_calls_running",
    "bowline_budget_retries_running",
    "bowline_hedges_running",
    "bowline_host_pending",
];
/// Zero when callees are gone besides.
pub(super) const OF_CONNECTIONS: &[&str] = &["bowline_endpoint_connections"];

/// Those of these gauges that are not zero, once all are or `within` is over. One that is not told is not zero: nobody
/// would notice that it has another name by now.
pub(super) fn not_zero(api: u16, gauges: &[&str], within: Duration) -> Result<Vec<(String, f64)>, Stop> {
    let mut held = Ok(Vec::new());
    clock::wait_until(within, || {
        held = page(api).map(|page| held_of(&page, gauges));
        matches!(&held, Ok(held) if held.is_empty())
    });
    held.map_err(|e| Stop::Broken(format!("the gateway does not answer at its API any more: {e}")))
}

fn held_of(page: &str, gauges: &[&str]) -> Vec<(String, f64)> {
    let mut held = Vec::new();
    for gauge in gauges {
        if !page.contains(&format!("# TYPE {gauge} gauge")) {
            held.push(((*gauge).to_owned(), f64::NAN));
        }
        for line in page.lines().filter(|line| line.starts_with(gauge)) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let value = value.parse().unwrap_or(f64::NAN);
            if name.get(gauge.len()..).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
                && value != 0.0
            {
                held.push((name.to_owned(), value));
            }
        }
    }
    held
}

fn page(api: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, api))?;
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: 127.0.0.1:{api}\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_zero_and_what_is_not_told_is_held() {
        let page = "# TYPE a gauge\na{x=\"1\"} 0\na{x=\"2\"} 3\n# TYPE ab gauge\nab 5\n# TYPE c gauge\n";
        let names = |gauges| held_of(page, gauges).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(&["a"]), ["a{x=\"2\"}"]);
        assert_eq!(names(&["c"]), [""; 0]);
        assert_eq!(names(&["d"]), ["d"]);
    }
}
