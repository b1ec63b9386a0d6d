//! Values of Istio's fields that cannot be.

use crate::support::refused;

/// A rule for `shop` with this traffic policy.
fn policy(policy: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{ name: shop }}\n\
         spec:\n  host: shop\n  trafficPolicy: {policy}\n"
    )
}

#[test]
fn the_kernel_takes_whole_seconds_and_so_many_probes() {
    for (keepalive, found) in [
        ("time: 500ms", "6:67 spec.trafficPolicy.connectionPool.tcp.tcpKeepalive.time [bad-value] 500ms"),
        ("interval: 0s", "6:71 spec.trafficPolicy.connectionPool.tcp.tcpKeepalive.interval [bad-value] 0s"),
        ("time: 10h", "6:67 spec.trafficPolicy.connectionPool.tcp.tcpKeepalive.time [bad-value] 10h"),
        (
            "probes: 128",
            "6:69 spec.trafficPolicy.connectionPool.tcp.tcpKeepalive.probes [bad-value] 128 probes",
        ),
    ] {
        refused(
            &policy(&format!("{{ connectionPool: {{ tcp: {{ tcpKeepalive: {{ {keepalive} }} }} }} }}")),
            &[found],
        );
    }
}

#[test]
fn pings_need_both_their_times() {
    for (pings, field) in [("interval: 5s", "timeout"), ("timeout: 5s", "interval")] {
        let found = format!(
            "6:62 spec.trafficPolicy.connectionPool.http.http2KeepAlive [istio-refuses] `http2KeepAlive` without `{field}`"
        );
        refused(
            &policy(&format!("{{ connectionPool: {{ http: {{ http2KeepAlive: {{ {pings} }} }} }} }}")),
            &[&found],
        );
    }
}
