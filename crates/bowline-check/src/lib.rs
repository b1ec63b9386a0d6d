//! What can be seen to go wrong before anything runs.
//!
//! [`check`] walks the design's graph (entries, operations, the calls between them, and the routes that
//! govern them) and answers with findings. Each names its place, the path that leads there, the formula
//! with its numbers and the smallest edit that mends it. A rule says **error** only where the design
//! proves it and **warning** where it may be so: a rule that is clever and wrong costs more trust than
//! it earns. A test applies every suggested edit and checks again.
//!
//! In reading order:
//! - [`finding`]: [`Finding`], [`Severity`], [`Edit`]
//! - `graph`: who calls whom
//! - `worst`: the longest that a call's tries may take
//! - [`rules`]: one file each

pub mod finding;
mod graph;
pub mod rules;
mod worst;

pub use finding::{Edit, Finding, Severity};
pub use rules::{Rule, all, rule};

use bowline_design::Design;
use bowline_design::kinds::Documents;
use graph::Graph;

/// Everything that the rules find in a design, the gravest first and then in the order of the texts.
///
/// `documents` are what the design was resolved from: a few rules ask what was written and what is a
/// default.
#[must_use]
pub fn check(design: &Design, documents: &Documents) -> Vec<Finding> {
    let asked = Asked { design, documents, graph: Graph::new(design) };
    let mut findings: Vec<Finding> = all().iter().flat_map(|rule| (rule.check)(&asked)).collect();
    findings.sort_by(|a, b| {
        let place = |finding: &Finding| (finding.place.file.clone(), finding.place.line, finding.place.column);
        b.severity.cmp(&a.severity).then_with(|| place(a).cmp(&place(b))).then_with(|| a.rule.cmp(b.rule))
    });
    findings.dedup_by(|a, b| a.rule == b.rule && a.place == b.place && a.path == b.path);
    findings
}

/// What every rule is asked about.
#[derive(Debug)]
pub struct Asked<'d> {
    design: &'d Design,
    documents: &'d Documents,
    graph: Graph<'d>,
}
