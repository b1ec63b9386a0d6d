//! What the loads of scenarios do to the variants that their arms are.
//!
//! An overlay may bound a queue or take the bound away, so that what a load does to the design says nothing about what it
//! does to an arm. A variant does not run before somebody makes it the design, so what is found in one is a warning at
//! most, and without edits: they would change the design that does run. What is wrong with the design as
//! well is told once, there.

use crate::finding::{Finding, Severity};
use crate::{Asked, rules};
use bowline_design::kinds::Documents;
use bowline_design::{Design, Reading, resolve_arm};
use std::collections::BTreeSet;

/// What the rules over loads find in the arms with an overlay, besides what is `known`.
pub(crate) fn check(design: &Design, documents: &Documents, known: &[Finding]) -> Vec<Finding> {
    let arms = design.scenarios.iter().flat_map(|scenario| &scenario.arms);
    let overlays: BTreeSet<&str> = arms.filter_map(|arm| arm.overlay.as_deref()).collect();
    let mut found: Vec<Finding> = Vec::new();
    for overlay in overlays {
        for finding in with(design, documents, overlay) {
            let is_it = |other: &Finding| (other.rule, &other.place) == (finding.rule, &finding.place);
            if !known.iter().chain(&found).any(is_it) {
                found.push(finding);
            }
        }
    }
    found
}

/// The same with one overlay.
fn with(known: &Design, documents: &Documents, overlay: &str) -> Vec<Finding> {
    let reading = Reading { documents: documents.clone(), mistakes: Vec::new(), notes: Vec::new() };
    let applied = documents.applied.iter().find(|applied| applied.full_name() == overlay);
    let (Some(applied), Ok(mut design)) = (applied, resolve_arm(&reading, Some(overlay))) else {
        return Vec::new();
    };
    design.take_traces(known);
    let documents = documents.overlaid(&applied.documents);
    let asked = Asked::about(&design, &documents, Some(overlay));
    let findings = rules::over_loads().iter().flat_map(|rule| (rule.check)(&asked));
    findings
        .map(|finding| Finding {
            severity: finding.severity.min(Severity::Warning),
            edits: Vec::new(),
            ..finding
        })
        .collect()
}
