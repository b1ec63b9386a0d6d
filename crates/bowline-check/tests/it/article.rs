//! The article's own snippets, and the shop that grew out of them.

use crate::support::{check, check_texts, file, folder};

const ARTICLE: &str = "../bowline-design/tests/fixtures/article";

#[test]
fn the_articles_retries_may_take_8_275_seconds_and_nothing_bounds_them() {
    let texts = [file(format!("{ARTICLE}/virtual-service-complete.yaml"))];
    let found = check_texts(
        &texts,
        &[
            "T02 warning spec.http[0]: 4 tries of inventory-service with their back-off may take 8.275 s, and nothing in the \
           design bounds them",
        ],
    );
    assert_eq!(found[0].formula, "4 x 2 s + 25 ms + 75 ms + 175 ms = 8.275 s; timeout: none");
    assert_eq!(
        found[0].advice,
        "add `timeout: 8.3s` to the route, or less if its callers wait less; as written a try that times out is not \
         followed by another: Istio's default retryOn does not name it"
    );
    assert!(found[0].mended(&texts).unwrap()[0].text.contains("  - timeout: 8.3s\n    route:\n"));
}

#[test]
fn the_articles_breaker_names_no_minimum_volume() {
    let found = check(
        "
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: { name: inventory }
spec:
  endpoints: [ { address: \"127.0.0.1:7103\" } ]
  operations: [ { name: stock, http: { method: GET, path: /inventory/stock } } ]
---
apiVersion: bowline.dev/v1alpha1
kind: Policy
metadata: { name: stock }
spec:
  targets: [ { operation: inventory.stock } ]
  breaker: { failureRatio: 0.5, open: 10s }
",
        &["B01 info spec.breaker: the breaker of Policy stock names no minimum volume"],
    );
    assert_eq!(found[0].formula, "20 calls in 10 s = 2 calls/s: fewer than that never trip its ratio");
}

#[test]
fn the_articles_virtual_service_lacks_a_name_and_hosts_and_is_not_loaded() {
    let reading = bowline_design::read(&[file(format!("{ARTICLE}/virtual-service.yaml"))]);
    let found: Vec<(&str, &str)> =
        reading.mistakes.iter().map(|mistake| (&*mistake.place.path, &*mistake.found)).collect();
    assert_eq!(
        found,
        [
            ("metadata.name", "no `metadata.name`"),
            ("spec.hosts", "no `hosts`, and no other VirtualService delegates to it")
        ]
    );
}

/// With the 300 ms that the article gives payment as the deadline of everything behind the order, its
/// retries do not fit: which is why the shop gives each its own.
#[test]
fn under_the_articles_300_ms_none_of_its_tries_fits() {
    check(
        "
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: { name: orders }
spec:
  endpoints: [ { address: \"127.0.0.1:7101\" } ]
  operations: [ { name: place, http: { method: POST, path: /orders }, does: [ { call: inventory.stock } ] } ]
---
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: { name: inventory }
spec:
  endpoints: [ { address: \"127.0.0.1:7103\" } ]
  operations: [ { name: stock, http: { method: GET, path: /stock } } ]
---
apiVersion: bowline.dev/v1alpha1
kind: Policy
metadata: { name: orders }
spec: { targets: [ { operation: orders.place } ], deadline: 300ms }
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: shop }
spec: { servers: [ { port: { number: 8080, name: http, protocol: HTTP }, hosts: [ \"*\" ] } ] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders }
spec: { hosts: [ \"*\" ], gateways: [ shop ], http: [ { route: [ { destination: { host: orders } } ], retries: { attempts: 0 } } ] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: inventory }
spec:
  hosts: [ inventory ]
  http: [ { route: [ { destination: { host: inventory } } ], retries: { attempts: 3, perTryTimeout: 2s } } ]
",
        &[
            "T02 warning spec.http[0]: 4 tries of inventory with their back-off may take 8.275 s, and nothing in the design \
             bounds them",
            "T01 warning spec.http[0].retries.perTryTimeout: if each takes as long as it may, none of 4 tries of inventory.stock fits into the 300 ms that gateway \
             shop waits",
        ],
    );
}

#[test]
fn the_shop_has_no_findings() {
    check_texts(&folder("../../examples/shop/design"), &[]);
}
