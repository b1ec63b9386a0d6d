//! What a cluster prints besides what is ours to read.

use crate::support::{read, refused, taken};

#[test]
fn a_list_is_opened_and_what_only_servers_write_is_passed_over() {
    let reading = taken(
        "apiVersion: v1
kind: List
metadata: { resourceVersion: '' }
items:
- apiVersion: networking.istio.io/v1alpha3
  kind: DestinationRule
  metadata:
    name: ratings
    namespace: bookinfo
    uid: 0b8ff9f4-3a4e-4a5e-8f0b-0d2c7e1f5d11
    resourceVersion: '123'
    generation: 4
    creationTimestamp: 2026-01-01T00:00:00Z
    selfLink: /apis/x
    finalizers: [a]
    ownerReferences: [ { kind: A } ]
    managedFields: [ { manager: kubectl, fieldsV1: { 'f:spec': {} } } ]
    annotations:
      kubectl.kubernetes.io/last-applied-configuration: '{\"a\": 1}'
  spec: { host: ratings }
  status: { conditions: [] }
- { apiVersion: apps/v1, kind: Deployment, metadata: { name: a }, spec: { replicas: 1 } }
- { apiVersion: apps/v1, kind: Deployment, metadata: { name: b } }
- { apiVersion: v1, kind: Service, metadata: { name: c }, spec: { ports: [] } }
- { apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: { name: d } }
- { apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: { name: e } }
",
    );
    assert_eq!(
        &*reading.documents.destination_rules[0].spec.host.place.resource,
        "DestinationRule bookinfo/ratings"
    );
    assert_eq!(&*reading.documents.destination_rules[0].spec.host.place.path, "spec.host");
    let notes: Vec<_> = reading.notes.iter().map(|note| (note.subject.as_str(), note.count)).collect();
    let expected =
        [("Deployment", 2), ("Gateway (gateway.networking.k8s.io)", 1), ("Service (v1)", 1), ("Sidecar", 1)];
    assert_eq!(notes, expected);
}

#[test]
fn json_is_read_too() {
    let reading = taken(
        "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"List\",\n\t\"items\": [\n\t\t{\"apiVersion\": \
         \"networking.istio.io/v1\", \"kind\": \"Gateway\",\n\t\t \"metadata\": {\"name\": \"door\"},\n\t\t \
         \"spec\": {\"servers\": [{\"port\": {\"number\": 80, \"name\": \"h\\u0074tp\", \"protocol\": \"HTTP\"},\n\
         \t\t \"hosts\": [\"*\"]}]}}\n\t]\n}\n",
    );
    assert_eq!(reading.documents.gateways.len(), 1);
}

#[test]
fn versions_and_kinds_that_nobody_knows_are_mistakes() {
    refused(
        "apiVersion: networking.istio.io/v2\nkind: Gateway\nmetadata: { name: a }\n",
        &["1:13 apiVersion [unknown-version] unknown version `v2` of networking.istio.io"],
    );
    refused(
        "apiVersion: bowline.dev/v1alpha1\nkind: Polcy\nmetadata: { name: a }\n",
        &["2:7 kind [unknown-kind] unknown kind `Polcy` of bowline.dev"],
    );
    refused(
        "kind: VirtualService\nmetadata: { name: a }\n",
        &["1:1 apiVersion [missing-field] no `apiVersion`"],
    );
    refused("apiVersion: v1\n", &["1:1 kind [missing-field] no `kind`"]);
    refused("- a\n- b\n", &["1:1  [wrong-type] a list"]);
}

#[test]
fn kinds_of_later_versions_are_noted() {
    let reading = taken("kind: Saga\nmetadata: { name: order }\nspec: { steps: [] }\n---\nkind: Contract\n");
    let notes: Vec<_> = reading.notes.iter().map(|n| (n.subject.as_str(), n.text.as_str())).collect();
    assert_eq!(notes, [("Contract", "not read by this version"), ("Saga", "not read by this version")]);
}

#[test]
fn two_documents_of_one_name_are_a_mistake_that_names_both() {
    let rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: { name: a }\nspec: { host: a }\n";
    let content = format!("{rule}---\n{}---\n{rule}", rule.replace("name: a", "name: a, namespace: other"));
    refused(&content, &["13:19 metadata.name [duplicate-name] a second DestinationRule default/a"]);
    let reading = read(&content);
    assert_eq!(reading.mistakes[0].also[0].line, 3);
}

#[test]
fn empty_documents_are_nothing() {
    let reading = taken("---\n---\n# only a comment\n---\n~\n...\n");
    assert!(reading.notes.is_empty());
    taken("");
}

/// What is told of one mistake, and the hint.
fn told(content: &str) -> (String, Option<String>) {
    let reading = read(content);
    let mistakes = bowline_design::resolve(&reading).err().unwrap_or_default();
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    (mistakes[0].found.clone(), mistakes[0].hint.clone())
}

#[track_caller]
fn hints(content: &str, found: &str, hint: &str) {
    assert_eq!(told(content), (found.to_owned(), Some(hint.to_owned())), "{content}");
}

#[test]
fn a_kind_or_a_group_of_istios_with_a_slip_in_it_is_no_kind_of_another_system() {
    let of = |version: &str, kind: &str| {
        format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{ name: a }}\nspec: {{ hosts: [ a ] }}\n")
    };
    hints(
        &of("networking.istio.io/v1", "VirtualServce"),
        "unknown kind `VirtualServce` of networking.istio.io",
        "did you mean VirtualService?",
    );
    hints(
        &of("networking.isto.io/v1", "VirtualService"),
        "unknown group `networking.isto.io`",
        "did you mean `networking.istio.io`?",
    );
    // Others have kinds of their own, and some of the same name.
    for (version, kind) in [
        ("networking.istio.io/v1", "Sidecar"),
        ("networking.istio.io/v1", "EnvoyFilter"),
        ("networking.istio.io/v1", "WorkloadEntry"),
        ("networking.istio.io/v1", "WorkloadGroup"),
        ("networking.istio.io/v1beta1", "ProxyConfig"),
        ("gateway.solo.io/v1", "VirtualService"),
        ("gateway.networking.k8s.io/v1", "Gateway"),
        ("networking.k8s.io/v1", "Gateway"),
        ("serving.knative.dev/v1", "Service"),
    ] {
        assert_eq!(taken(&of(version, kind)).notes.len(), 1, "{version} {kind}");
    }
}

#[test]
fn what_is_written_in_the_place_of_a_field_is_named() {
    hints(
        "apiVersoin: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: a }\nspec: { hosts: [ a ] }\n",
        "no `apiVersion`",
        "`apiVersoin` is read by nobody: did you mean `apiVersion`?",
    );
}

#[test]
fn quotes_around_a_number_tabs_and_words_of_retry_on_are_explained() {
    let route = |retries: &str| {
        format!(
            "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: a }}
spec: {{ hosts: [ a ], http: [ {{ route: [ {{ destination: {{ host: a }} }} ], retries: {{ {retries} }} }} ] }}
"
        )
    };
    hints(&route("attempts: \"3\""), "`3`", "in quotes it is text; take them away: 3");
    hints(
        &route("attempts: 3, retryOn: gateway-eror"),
        "the condition `gateway-eror`",
        "did you mean gateway-error?",
    );
    let (_, hint) = told("kind: Service\nmetadata:\n\tname: a\nspec: {}\n");
    assert_eq!(hint.as_deref(), Some("YAML is indented with spaces: put spaces in the place of each tab"));
}
