//! Other people's Istio: what is said is true, and what is not known is not said.

use crate::support::{check, check_texts, file, findings, folder, line};
use bowline_design::{read, resolve};

/// What a `kubectl get -A -o yaml` of four namespaces prints: 37 resources, none of them a Gateway.
const EXPORT: &str = "tests/fixtures/export.yaml";

#[test]
fn an_export_from_a_cluster_is_told_what_is_true_and_nothing_else() {
    let texts = [file(EXPORT)];
    let reading = read(&texts);
    assert_eq!((reading.documents.count(), reading.documents.namespaces()), (22, 4));
    let not_read: Vec<_> = reading.notes.iter().map(|note| (&*note.subject, note.count)).collect();
    assert_eq!(not_read, [("Deployment", 9), ("HTTPRoute", 4), ("Service (v1)", 2)]);
    check_texts(
        &texts,
        &[
            // productpage (behind a gateway that the export names and does not have) and details: neither has a
            // timeout, and Istio has none by itself.
            "T02 warning spec.http[0]: calls of 2 routes of 2 VirtualServices in bookinfo may take for ever: nothing in \
             the design sets a deadline",
            // shop/checkout-routes, a delegate, retries any method after 5xx and reset. Its 3 x 1.5 s + 100 ms fit
            // into 5 s.
            "R05 warning spec.http[0].retries.retryOn: a POST by checkout may be sent again after `5xx`, when the first \
             try may have had its effect",
            // cart retries and has no timeout: a finding of its own, for its tries add up.
            "T02 warning spec.http[0]: 4 tries of cart with their back-off may take 4.275 s, and nothing in the design \
             bounds them",
            // search: each try may take the whole second.
            "T03 warning spec.http[0].retries.perTryTimeout: a try of search may take 1 s, the whole call 1 s: after a \
             timeout no try follows",
            // fraud says `attempts: 0` and no timeout.
            "T02 warning spec.http[0]: a call of fraud may take for ever: nothing in the design sets a deadline",
            // ratings: 4 tries of 2 s under 3 s, by Istio's default retryOn, after which no timeout is followed.
            "T08 info spec.http[0].retries.perTryTimeout: if each try takes as long as it may, only 1 of 4 tries of primary fits \
             into its 3 s",
            // catalog retries GET alone after gateway-error, which nobody's budget bounds; its DestinationRule has room for
            // one. checkout and cart are R05's, or are retried after refusals.
            "R04 info spec.http[0].retries.attempts: when calls of catalog[0] fail, nothing bounds how many are made again",
            // Nothing else of reviews (10 s and Istio's own retries, which are after refusals), catalog (GET alone, and
            // 3 x 600 ms + 100 ms fit into 2 s), payment (2 s), the redirect of web, ledger (a fault: Istio drops its
            // timeout and retries, and so what they add up to), egress-tls (no HTTP).
        ],
    );
}

/// Istio's samples bound nothing: each route without a timeout is said to have none, and nothing else is
/// said of any of them. Of those with a fault only the route without the fault counts.
#[test]
fn of_istios_samples_only_missing_timeouts_are_told() {
    let one =
        |route: &str| format!("a call of {route} may take for ever: nothing in the design sets a deadline");
    let of_one = |count, name: &str| {
        format!("calls of {count} routes of {name} may take for ever: nothing in the design sets a deadline")
    };
    let several = |count, of| {
        format!(
            "calls of {count} routes of {of} VirtualServices in default may take for ever: nothing in the design sets a deadline"
        )
    };
    let expected = [
        ("bookinfo__networking__egress-rule-google-apis.yaml", one("rewrite-port-for-googleapis")),
        // The route with the abort is an experiment; the one beside it is for everybody else.
        ("bookinfo__networking__fault-injection-details-v1.yaml", one("details[1]")),
        ("bookinfo__networking__virtual-service-all-v1.yaml", several(4, 4)),
        ("bookinfo__networking__virtual-service-details-v2.yaml", one("details")),
        ("bookinfo__networking__virtual-service-ratings-db.yaml", several(2, 2)),
        ("bookinfo__networking__virtual-service-ratings-mysql-vm.yaml", several(2, 2)),
        ("bookinfo__networking__virtual-service-ratings-mysql.yaml", several(2, 2)),
        ("bookinfo__networking__virtual-service-ratings-test-abort.yaml", one("ratings[1]")),
        ("bookinfo__networking__virtual-service-ratings-test-delay.yaml", one("ratings[1]")),
        ("bookinfo__networking__virtual-service-reviews-50-v3.yaml", one("reviews")),
        ("bookinfo__networking__virtual-service-reviews-80-20.yaml", one("reviews")),
        ("bookinfo__networking__virtual-service-reviews-90-10.yaml", one("reviews")),
        ("bookinfo__networking__virtual-service-reviews-jason-v2-v3.yaml", of_one(2, "reviews")),
        ("bookinfo__networking__virtual-service-reviews-test-v2.yaml", of_one(2, "reviews")),
        ("bookinfo__networking__virtual-service-reviews-v2-v3.yaml", one("reviews")),
        ("bookinfo__networking__virtual-service-reviews-v3.yaml", one("reviews")),
        // Behind HTTPS: xDS, whose streams are right to have none, and a webhook.
        ("multicluster__expose-istiod-https.yaml", of_one(2, "istiod-vs")),
        // The others have no HTTP routes, or routes of a gateway that is there: ours stamps a deadline.
    ];
    let mut told = Vec::new();
    for text in folder("../bowline-design/tests/fixtures/istio-samples") {
        if resolve(&read(std::slice::from_ref(&text))).is_err() {
            continue;
        }
        let found = findings(std::slice::from_ref(&text));
        let lines: Vec<String> = found.iter().map(line).collect();
        check_texts(std::slice::from_ref(&text), &lines.iter().map(String::as_str).collect::<Vec<_>>());
        told.extend(found.into_iter().map(|finding| (text.name.to_string(), finding.rule, finding.what)));
    }
    let expected: Vec<_> = expected.into_iter().map(|(file, what)| (file.to_owned(), "T02", what)).collect();
    assert_eq!(told, expected);
}

/// A gateway that answers by HTTPS, and sends everybody else there: as most are in production. Its rules are looked
/// at although this version does not serve them; one that sends requests on by HTTP, too, stays what it is.
#[test]
fn rules_behind_https_are_looked_at() {
    let design = |plain: &str| {
        format!(
            "apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{ name: front }}
spec:
  selector: {{ istio: ingressgateway }}
  servers:
  - port: {{ number: 80, name: http, protocol: HTTP }}
    hosts: [ api.example.com ]{plain}
  - port: {{ number: 443, name: https, protocol: HTTPS }}
    hosts: [ api.example.com ]
    tls: {{ mode: SIMPLE, credentialName: api }}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: crm }}
spec:
  hosts: [ api.example.com ]
  gateways: [ front ]
  http:
  - route: [ {{ destination: {{ host: crm }} }} ]
    timeout: 10s
    retries: {{ attempts: 3, perTryTimeout: 2s, retryOn: 5xx }}
"
        )
    };
    let repeats = [
        "R05 warning spec.http[0].retries.retryOn: a POST by crm may be sent again after `5xx`, when the first try may \
         have had its effect",
    ];
    check(&design("\n    tls: { httpsRedirect: true }"), &repeats);
    check(&design(""), &repeats);
}
