//! The JSON Schema says what the reader takes.

use crate::support::{fixture, folder, taken};
use serde_json::Value;

#[test]
fn every_example_of_ours_is_read() {
    let reading = taken(&fixture("ours.yaml").text);
    assert_eq!((reading.documents.services.len(), reading.documents.policies.len()), (2, 1));
    let design = crate::support::design(&fixture("ours.yaml").text);
    assert_eq!((design.brokers.len(), design.topics.len(), design.subscriptions.len()), (1, 1, 1));
    assert_eq!(design.scenarios[0].faults.len(), 13);
    let arm = bowline_design::resolve_arm(&reading, Some("async")).expect("an arm");
    assert_eq!((arm.brokers.len(), arm.intakes.len(), arm.scenarios.len()), (2, 1, 1));
}

#[test]
fn the_schema_is_the_one_that_editors_have() {
    let schema = serde_json::to_string_pretty(&bowline_design::schema()).expect("JSON") + "\n";
    crate::rendering::golden(&folder("golden").join("schema.json"), &schema);
}

#[test]
fn every_reference_of_the_schema_leads_somewhere() {
    fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let schema = bowline_design::schema();
    let mut found = Vec::new();
    references(&schema, &mut found);
    assert!(found.len() > 30, "{}", found.len());
    for reference in found {
        let pointer = reference.trim_start_matches('#');
        assert!(schema.pointer(pointer).is_some_and(Value::is_object), "{reference}");
    }
}

/// Whatever the schema knows the reader knows, and the other way round: a field that is not in the
/// schema is refused by the reader, and the reader's refusal lists exactly the schema's fields.
#[test]
fn the_reader_and_the_schema_know_the_same_fields() {
    let schema = bowline_design::schema();
    let document = |kind: &str, spec: &str| format!("kind: {kind}\nmetadata: {{ name: p }}\nspec: {spec}\n");
    let patch = |patch: &str| {
        document("Overlay", &format!("{{ patches: [{{ kind: Policy, name: a, patch: {patch} }}] }}"))
    };
    for (spec, definition) in [
        (document("Policy", "{ nothing-like-it: 1 }"), "Policy"),
        (document("Policy", "{ breaker: { nothing-like-it: 1 } }"), "Breaker"),
        (document("Service", "{ nothing-like-it: 1 }"), "Service"),
        (document("Service", "{ operations: [{ name: a, nothing-like-it: 1 }] }"), "Operation"),
        (document("Broker", "{ nothing-like-it: 1 }"), "Broker"),
        (document("Broker", "{ rabbitmq: { nothing-like-it: 1 } }"), "BrokerUrl"),
        (document("Broker", "{ kafka: { nothing-like-it: 1 } }"), "Bootstrap"),
        (document("Topic", "{ nothing-like-it: 1 }"), "Topic"),
        (document("Topic", "{ needs: { nothing-like-it: 1 } }"), "RecordNeeds"),
        (document("Subscription", "{ nothing-like-it: 1 }"), "Subscription"),
        (document("Subscription", "{ deliver: { nothing-like-it: 1 } }"), "Deliver"),
        (document("Subscription", "{ deadLetter: { nothing-like-it: 1 } }"), "DeadLetter"),
        (document("Subscription", "{ retry: { nothing-like-it: 1 } }"), "Redelivery"),
        (document("Subscription", "{ lag: { nothing-like-it: 1 } }"), "Lag"),
        (document("Intake", "{ nothing-like-it: 1 }"), "Intake"),
        (document("Intake", "{ start: { nothing-like-it: 1 } }"), "Start"),
        (document("Intake", "{ start: { publish: { nothing-like-it: 1 } } }"), "PublishTo"),
        (document("Intake", "{ start: { call: { nothing-like-it: 1 } } }"), "CallTo"),
        (document("Intake", "{ otherwise: { nothing-like-it: 1 } }"), "Otherwise"),
        (document("Issuer", "{ nothing-like-it: 1 }"), "Issuer"),
        (document("Issuer", "{ keys: { nothing-like-it: 1 } }"), "IssuerKeys"),
        (document("Access", "{ nothing-like-it: 1 }"), "Access"),
        (document("Access", "{ from: [{ nothing-like-it: 1 }] }"), "AccessFrom"),
        (document("Access", "{ from: [{ jwt: { nothing-like-it: 1 } }] }"), "JwtFrom"),
        (document("Access", "{ may: [{ nothing-like-it: 1 }] }"), "AccessTo"),
        (document("Overlay", "{ nothing-like-it: 1 }"), "Overlay"),
        (document("Overlay", "{ patches: [{ nothing-like-it: 1 }] }"), "Patch"),
        (patch("{ nothing-like-it: 1 }"), "Merge"),
        (document("Scenario", "{ nothing-like-it: 1 }"), "Scenario"),
        (document("Scenario", "{ load: { nothing-like-it: 1 } }"), "Load"),
        (document("Scenario", "{ load: { arrivals: { nothing-like-it: 1 } } }"), "Shaped"),
        (document("Scenario", "{ load: { arrivals: { bursts: { nothing-like-it: 1 } } } }"), "Bursts"),
        (document("Scenario", "{ load: { arrivals: { ramp: { nothing-like-it: 1 } } } }"), "Ramp"),
        (document("Scenario", "{ load: { arrivals: { steps: [{ nothing-like-it: 1 }] } } }"), "Step"),
        (document("Scenario", "{ faults: [{ nothing-like-it: 1 }] }"), "Disturbance"),
        (document("Scenario", "{ faults: [{ crash: { nothing-like-it: 1 } }] }"), "Crash"),
        (document("Scenario", "{ faults: [{ pause: { nothing-like-it: 1 } }] }"), "Nothing"),
        (document("Scenario", "{ faults: [{ slow: { nothing-like-it: 1 } }] }"), "Slow"),
        (document("Scenario", "{ faults: [{ error: { nothing-like-it: 1 } }] }"), "ErrorAnswer"),
        (document("Scenario", "{ faults: [{ partition: { nothing-like-it: 1 } }] }"), "Partition"),
        (document("Scenario", "{ faults: [{ poison: { nothing-like-it: 1 } }] }"), "Portion"),
        (document("Scenario", "{ arms: [{ nothing-like-it: 1 }] }"), "Arm"),
        (document("Scenario", "{ objectives: { nothing-like-it: 1 } }"), "Objectives"),
        (document("Scenario", "{ network: { nothing-like-it: 1 } }"), "Network"),
        (document("Scenario", "{ machines: [{ nothing-like-it: 1 }] }"), "Machine"),
        ("testCases: [{ request: { authority: [a], nothing-like-it: 1 } }]\n".to_owned(), "TestRequest"),
    ] {
        let reading = crate::support::read(&spec);
        let refusal = reading.mistakes.iter().find(|m| m.code == "unknown-field").expect("a refusal");
        let mut read: Vec<&str> = refusal.expected.split('`').skip(1).step_by(2).collect();
        let fields = schema["$defs"][definition]["properties"].as_object().expect("fields");
        let mut known: Vec<&str> = fields.keys().map(String::as_str).collect();
        read.sort_unstable();
        known.sort_unstable();
        assert_eq!(read, known, "{definition}");
    }
}
