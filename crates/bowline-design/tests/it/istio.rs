//! Istio's kinds, read as Istio reads them.

use crate::support::{fixture, folder, line, refused, taken};
use std::collections::BTreeMap;

/// Every file of Istio's samples, and what is wrong with it: Istio takes them all.
#[test]
fn istios_own_samples_are_read_whole() {
    let mut kinds = BTreeMap::new();
    let mut files: Vec<_> = std::fs::read_dir(folder("fixtures/istio-samples"))
        .expect("the samples")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    files.sort();
    assert_eq!(files.len(), 31, "a sample came or went: look at it");
    for file in files {
        let text = fixture(&format!("istio-samples/{file}"));
        let reading = bowline_design::read(std::slice::from_ref(&text));
        let rendered: String =
            reading.mistakes.iter().map(|m| m.render(std::slice::from_ref(&text), false)).collect();
        assert!(reading.mistakes.is_empty(), "{rendered}");
        let documents = &reading.documents;
        for (kind, count) in [
            ("VirtualService", documents.virtual_services.len()),
            ("DestinationRule", documents.destination_rules.len()),
            ("ServiceEntry", documents.service_entries.len()),
            ("Gateway", documents.gateways.len()),
        ] {
            *kinds.entry(kind).or_insert(0) += count;
        }
        assert!(reading.notes.is_empty(), "{file}: {:?}", reading.notes);
    }
    let counted: Vec<_> = kinds.into_iter().collect();
    assert_eq!(counted, [("DestinationRule", 13), ("Gateway", 9), ("ServiceEntry", 5), ("VirtualService", 31)]);
}

#[test]
fn the_articles_virtual_service_is_refused_for_its_two_faults() {
    let text = fixture("article/virtual-service.yaml");
    let found: Vec<String> = bowline_design::read(&[text]).mistakes.iter().map(line).collect();
    assert_eq!(
        found,
        [
            "1:1 metadata.name [missing-field] no `metadata.name`",
            "3:1 spec.hosts [missing-field] no `hosts`, and no other VirtualService delegates to it",
        ]
    );
}

#[test]
fn the_articles_virtual_service_loads_once_it_is_complete() {
    let text = fixture("article/virtual-service-complete.yaml");
    let reading = bowline_design::read(&[text]);
    assert!(reading.mistakes.is_empty(), "{:?}", reading.mistakes);
    let retries = reading.documents.virtual_services[0].spec.http[0].retries.as_ref().expect("retries");
    let attempts = retries.attempts.as_ref().expect("attempts");
    assert_eq!(attempts.value, 3);
    assert_eq!((attempts.place.line, attempts.place.column), (13, 17));
    assert_eq!(&*attempts.place.path, "spec.http[0].retries.attempts");
    assert_eq!(&*attempts.place.resource, "VirtualService default/inventory-service");
}
