//! Overlays: a variant of a design is what the documents say once they are patched.

use crate::rendering::golden;
use crate::support::{finds, folder, read, said, taken, text};
use bowline_design::resolved::Idempotency;
use bowline_design::{Design, read as read_all, resolve, resolve_arm};
use proptest::prelude::*;
use std::time::Duration;

const BASE: &str = "kind: Service
metadata: { name: payment }
spec:
  replicas: 2
  concurrency: 64
  operations: [ { name: authorize, idempotent: by-key }, { name: capture } ]
---
kind: Policy
metadata: { name: payments }
spec:
  targets: [ { service: payment } ]
  deadline: 300ms
  retry: { tries: 3, perTry: 80ms }
---
";

fn overlay(spec: &str) -> String {
    format!("{BASE}kind: Overlay\nmetadata: {{ name: other }}\nspec:\n{spec}")
}

#[track_caller]
fn arm(yaml: &str) -> Design {
    let reading = taken(yaml);
    resolve(&reading).unwrap_or_else(|mistakes| panic!("{}", said(yaml, &mistakes)));
    resolve_arm(&reading, Some("other")).unwrap_or_else(|mistakes| panic!("{}", said(yaml, &mistakes)))
}

#[test]
fn a_patch_changes_what_it_names_and_nothing_else() {
    let yaml = overlay(
        "  patches:
  - kind: Service
    name: payment
    patch:
      spec:
        replicas: null
        queue: 40
        operations: [ { name: authorize, idempotent: true } ]
  - { kind: Policy, name: payments, patch: { spec: { retry: { tries: 1 } } } }
",
    );
    let arm = arm(&yaml);
    let payment = &arm.services[0];
    assert_eq!((payment.replicas.value, payment.concurrency.as_ref().unwrap().value), (1, 64));
    assert_eq!(payment.queue.as_ref().unwrap().value, 40);
    assert_eq!(payment.operations.len(), 1);
    assert_eq!(payment.operations[0].idempotent.value, Idempotency::Yes);
    let tries = |design: &Design| design.services[0].operations[0].settings.retry.tries.value;
    let base = resolve_arm(&taken(&yaml), None).unwrap();
    assert_eq!(base.services[0].operations.len(), 2);
    assert_eq!((tries(&base), tries(&arm)), (3, 1));
    assert_eq!(base.services[0].replicas.value, 2);
}

#[test]
fn what_comes_from_a_patch_stands_where_the_patch_stands() {
    let base = text("base.yaml", BASE);
    let other = text(
        "other.yaml",
        "kind: Overlay
metadata: { name: other }
spec:
  patches:
  - { kind: Policy, name: payments, patch: { spec: { deadline: 150ms } } }
",
    );
    let reading = read_all(&[base, other]);
    let policy = &reading.documents.applied[0].documents.policies[0].spec;
    let deadline = policy.deadline.as_ref().unwrap();
    assert_eq!(deadline.value, Duration::from_millis(150));
    assert_eq!((&*deadline.place.file, deadline.place.line, deadline.place.column), ("other.yaml", 5, 64));
    assert_eq!(
        (&*deadline.place.resource, &*deadline.place.path),
        ("Policy default/payments", "spec.deadline")
    );
    let retry = policy.retry.as_ref().unwrap();
    assert_eq!((&*retry.place.file, retry.place.line), ("base.yaml", 13));
}

#[test]
fn an_overlay_adds_documents() {
    let arm = arm(&overlay(
        "  add:
  - kind: Broker
    metadata: { name: main }
    spec: { embedded: {} }
  - kind: Topic
    metadata: { name: events }
    spec: { broker: main }
",
    ));
    assert_eq!((arm.brokers.len(), arm.topics.len(), arm.services.len()), (1, 1, 1));
}

#[test]
fn items_of_a_list_are_patched_as_any_document() {
    let list = "kind: ServiceList
items:
- kind: Service
  metadata: { name: payment, namespace: shop }
  spec: { replicas: 2 }
---
kind: Overlay
metadata: { name: other, namespace: ops }
spec: { patches: [ { kind: Service, name: payment, namespace: shop, patch: { spec: { replicas: 3 } } } ] }
";
    let reading = taken(list);
    for name in ["other", "ops/other"] {
        assert_eq!(resolve_arm(&reading, Some(name)).unwrap().services[0].replicas.value, 3);
    }
}

#[test]
fn overlays_that_make_no_sense_are_refused() {
    for (spec, found) in [
        (
            "  patches: [ { kind: Service, name: paymnt, patch: {} } ]\n",
            "spec.patches.name: a patch of Service default/paymnt, which does not exist",
        ),
        (
            "  patches: [ { kind: Servise, name: payment, patch: {} } ]\n",
            "spec.patches.kind: a patch of kind `Servise`",
        ),
        (
            "  patches: [ { kind: Scenario, name: s, patch: {} } ]\n",
            "spec.patches.kind: a patch of kind `Scenario`",
        ),
        (
            "  patches: [ { kind: Service, name: payment, patch: { kind: Policy } } ]\n",
            "spec.patches[0].patch.kind: unknown field `kind`",
        ),
        (
            "  patches: [ { kind: Service, name: payment, patch: { metadata: { name: x } } } ]\n",
            "spec.patches[0].patch.metadata.name: a patch of `name`",
        ),
        (
            "  patches: [ { kind: Service, name: payment, patch: { spec: null } } ]\n",
            "spec.patches[0].patch.spec: nothing",
        ),
        (
            "  patches: [ { kind: Service, name: payment, patch: { spec: { replicas: 1, replicas: 2 } } } ]\n",
            "spec.patches[0].patch.spec.replicas: `replicas` a second time",
        ),
        ("  add: [ { metadata: { name: a } } ]\n", "spec.add[0]: a mapping"),
        (
            "  add: [ { kind: Service, metadata: { name: payment }, spec: {} } ]\n",
            "spec.add[0]: a second Service default/payment",
        ),
        (
            "  add: [ { kind: Overlay, metadata: { name: more }, spec: {} } ]\n",
            "spec.add[0]: a document of kind `Overlay` in an overlay",
        ),
        (
            "  add: [ { kind: Service, metadata: { name: a }, spec: { replica: 1 } } ]\n",
            "spec.replica: unknown field `replica`",
        ),
    ] {
        let path = found.replace("spec.patches.", "spec.patches[0].");
        finds(&overlay(spec), &[&path]);
    }
}

#[test]
fn one_field_is_patched_once() {
    let patch = |spec: &str| format!("  - {{ kind: Policy, name: payments, patch: {{ spec: {spec} }} }}\n");
    let two = |first: &str, second: &str| overlay(&format!("  patches:\n{}{}", patch(first), patch(second)));
    taken(&two("{ deadline: 1s }", "{ retry: { tries: 1 } }"));
    taken(&two("{ retry: { perTry: 1s } }", "{ retry: { tries: 1 } }"));
    for (first, second, path) in [
        ("{ deadline: 1s }", "{ deadline: 2s }", "spec.deadline"),
        ("{ retry: null }", "{ retry: { tries: 1 } }", "spec.retry.tries"),
        ("{ retry: { tries: 1 } }", "{ retry: null }", "spec.retry.tries"),
    ] {
        let mistakes = read(&two(first, second)).mistakes;
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert_eq!((mistakes[0].code, mistakes[0].also.len()), ("said-twice", 1));
        assert!(mistakes[0].found.contains(path), "{}", mistakes[0].found);
        assert_ne!(mistakes[0].place.line, mistakes[0].also[0].line);
    }
}

#[test]
fn what_is_wrong_only_with_an_overlay_names_both_places() {
    let base = text("design/base.yaml", BASE);
    let overlays = "kind: Overlay
metadata: { name: typo }
spec:
  patches:
  - kind: Policy
    name: payments
    patch: { spec: { deadlin: 1s } }
---
kind: Overlay
metadata: { name: gone }
spec:
  patches:
  - kind: Policy
    name: payments
    patch: { spec: { targets: null } }
---
kind: Overlay
metadata: { name: nobody }
spec:
  patches:
  - kind: Policy
    name: paymnts
    patch: { spec: { deadline: 1s } }
";
    let dangling = "kind: Overlay
metadata: { name: dangling }
spec:
  patches:
  - kind: Policy
    name: payments
    patch: { spec: { targets: [ { operation: payment.authorise } ] } }
";
    let mut told = String::new();
    for content in [overlays, dangling] {
        let texts = [base.clone(), text("design/overlays.yaml", content)];
        let mistakes = resolve(&read_all(&texts)).unwrap_err();
        for mistake in &mistakes {
            told += &mistake.render(&texts, false);
            told += "\n";
        }
    }
    golden(&folder("golden").join("overlays.txt"), &told);
}

#[test]
fn an_overlay_that_nobody_wrote_is_named() {
    let reading = taken(&overlay("  {}\n"));
    let mistakes = resolve_arm(&reading, Some("othr")).unwrap_err();
    assert_eq!(
        (mistakes[0].code, mistakes[0].hint.as_deref()),
        ("unknown-overlay", Some("did you mean `other`?"))
    );
}

#[test]
fn a_design_has_so_many_overlays_and_no_more() {
    let many: String =
        (0..40).map(|n| format!("---\nkind: Overlay\nmetadata: {{ name: o{n} }}\nspec: {{}}\n")).collect();
    let reading = read(&(BASE.to_owned() + &many));
    assert_eq!(reading.mistakes.iter().map(|m| &*m.found).collect::<Vec<_>>(), ["40 overlays"]);
}

/// A fault's target may exist in one arm only; in the others the fault has nothing to be about.
#[test]
fn a_fault_may_be_about_what_only_one_arm_has() {
    let yaml = overlay("  add: [ { kind: Broker, metadata: { name: main }, spec: { embedded: {} } } ]\n")
        + "---
kind: Scenario
metadata: { name: down }
spec:
  load: { operation: payment.authorize, rate: 1/s, for: 1m }
  faults: [ { at: 1s, broker: main, brokerDown: {} } ]
  arms: [ { name: sync }, { name: async, overlay: other } ]
";
    let base = resolve(&taken(&yaml)).unwrap();
    assert_eq!((base.scenarios[0].faults.len(), arm(&yaml).scenarios[0].faults.len()), (0, 1));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    /// Patches that repeat what is there, or say nothing, change nothing.
    #[test]
    fn an_empty_overlay_is_the_base(
        fixture in prop::sample::select(vec!["ours.yaml", "istio-samples/bookinfo__networking__virtual-service-reviews-80-20.yaml"]),
        empty in prop::sample::select(vec!["{}", "{ patches: [] }", "{ add: [] }", "{ patches: [], add: [] }"]),
        name in "[a-z]{1,8}",
    ) {
        let content = crate::support::fixture(fixture).text;
        let base = taken(&content);
        let name = format!("zz-{name}");
        let reading = taken(&format!("{content}\n---\nkind: Overlay\nmetadata: {{ name: {name} }}\nspec: {empty}\n"));
        let mut base = resolve_arm(&base, None).unwrap();
        let mut arm = resolve_arm(&reading, Some(&name)).unwrap();
        // No scenario has an arm with it.
        base.scenarios.clear();
        prop_assert!(arm.scenarios.is_empty());
        arm.scenarios.clear();
        prop_assert_eq!(format!("{base:?}"), format!("{arm:?}"));
    }

    #[test]
    fn a_number_that_is_patched_is_the_number_that_is_read(replicas in 1_u32..1_000, tries in 1_u32..9) {
        let yaml = overlay(&format!(
            "  patches:\n  - {{ kind: Service, name: payment, patch: {{ spec: {{ replicas: {replicas} }} }} }}\n  - {{ kind: Policy, name: payments, patch: {{ spec: {{ retry: {{ tries: {tries} }} }} }} }}\n"
        ));
        let reading = taken(&yaml);
        let changed = &reading.documents.applied[0].documents;
        prop_assert_eq!(changed.services[0].spec.replicas.as_ref().unwrap().value, replicas);
        prop_assert_eq!(changed.policies[0].spec.retry.as_ref().unwrap().tries.as_ref().unwrap().value, tries);
        prop_assert_eq!(resolve_arm(&reading, Some("other")).unwrap().services[0].replicas.value, replicas);
    }
}
