//! Annotations of our own. One that nobody knows is a mistake: it would ask for something and get nothing.

use super::findings::{Findings, did_you_mean};
use super::listeners::{FORWARD_CLIENT_CERT, TRUST_CALLERS};
use super::routes::FAULTS_INSIDE_TRY;
use crate::kinds::{Doc, Documents, Meta};
use std::collections::HashSet;

/// What every annotation of our own begins with.
const OURS: &str = "bowline.dev/";

/// On any kind: what `bowline check` is to find and not to complain of, with the reason, a line each.
/// Whoever knows the rules reads it.
pub const ALLOW: &str = "bowline.dev/allow";

/// On a Gateway: what `bowline up` says there is to try, a line each. Any text.
pub const TRY: &str = "bowline.dev/try";

/// Looks through the annotations of all documents.
pub(super) fn check(documents: &Documents, findings: &mut Findings) {
    fn metas<T>(documents: &[Doc<T>]) -> impl Iterator<Item = &Meta> {
        documents.iter().map(|document| &document.meta)
    }
    let mut seen = HashSet::new();
    let mut each = |meta: &Meta, known: &'static [&'static str]| {
        if seen.insert(std::ptr::from_ref(meta)) {
            of_one(meta, known, findings);
        }
    };
    metas(&documents.virtual_services).for_each(|meta| each(meta, &[ALLOW, FAULTS_INSIDE_TRY]));
    metas(&documents.gateways).for_each(|meta| each(meta, &[ALLOW, FORWARD_CLIENT_CERT, TRUST_CALLERS, TRY]));
    // No other kind has one of its own.
    documents.metas().for_each(|meta| each(meta, &[ALLOW]));
}

fn of_one(meta: &Meta, known: &'static [&'static str], findings: &mut Findings) {
    for (name, value) in meta.annotations.iter().filter(|(name, _)| name.starts_with(OURS)) {
        if !known.contains(&name.as_str()) {
            let found = format!("the annotation `{name}`, which means nothing here");
            let hint = did_you_mean(name, known.iter().copied());
            findings.mistake("unknown-annotation", &value.place, found, known.join(", "), hint);
        } else if ![ALLOW, TRY].contains(&name.as_str()) && **value != "true" && **value != "false" {
            let found = format!("`{name}: {}`", value.value);
            findings.mistake("bad-annotation", &value.place, found, "\"true\" or \"false\"", None);
        }
    }
}
