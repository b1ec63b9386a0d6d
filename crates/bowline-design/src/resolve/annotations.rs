//! Annotations of our own. One that nobody knows is a mistake: it would ask for something and get nothing.

use super::findings::{Findings, did_you_mean};
use super::listeners::TRUST_CALLERS;
use super::routes::FAULTS_INSIDE_TRY;
use crate::kinds::{Documents, Meta};

/// What every annotation of our own begins with.
const OURS: &str = "bowline.dev/";

/// On a Gateway: what `bowline up` says there is to try, a line each. Any text.
pub const TRY: &str = "bowline.dev/try";

/// Looks through the annotations of all documents.
pub(super) fn check(documents: &Documents, findings: &mut Findings) {
    let metas = |known: &'static [&'static str], metas: Vec<&Meta>, findings: &mut Findings| {
        metas.into_iter().for_each(|meta| of_one(meta, known, findings));
    };
    metas(&[FAULTS_INSIDE_TRY], documents.virtual_services.iter().map(|it| &it.meta).collect(), findings);
    metas(&[TRUST_CALLERS, TRY], documents.gateways.iter().map(|it| &it.meta).collect(), findings);
    metas(&[], documents.destination_rules.iter().map(|it| &it.meta).collect(), findings);
    metas(&[], documents.service_entries.iter().map(|it| &it.meta).collect(), findings);
    metas(&[], documents.services.iter().map(|it| &it.meta).collect(), findings);
    metas(&[], documents.policies.iter().map(|it| &it.meta).collect(), findings);
}

fn of_one(meta: &Meta, known: &'static [&'static str], findings: &mut Findings) {
    for (name, value) in meta.annotations.iter().filter(|(name, _)| name.starts_with(OURS)) {
        if !known.contains(&name.as_str()) {
            let found = format!("the annotation `{name}`, which means nothing here");
            let expected = match known {
                [] => "no annotation of ours: this kind has none".to_owned(),
                known => known.join(", "),
            };
            findings.mistake(
                "unknown-annotation",
                &meta.place,
                found,
                expected,
                did_you_mean(name, known.iter().copied()),
            );
        } else if name != TRY && value != "true" && value != "false" {
            let found = format!("`{name}: {value}`");
            findings.mistake("bad-annotation", &meta.place, found, "\"true\" or \"false\"", None);
        }
    }
}
