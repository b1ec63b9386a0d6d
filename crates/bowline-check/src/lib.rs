//! What can be seen to go wrong before anything runs.
//!
//! [`check`] walks the design's graph (entries, operations, the calls between them, and the routes that
//! govern them) and answers with findings. Each names its place, the path that leads there, the formula
//! with its numbers and the smallest edits that mend it. A rule says **error** only where the design
//! proves it and **warning** where it may be so: a rule that is clever and wrong costs more trust than
//! it earns. A test applies every suggested edit and checks again.
//!
//! In reading order:
//! - [`finding`]: [`Finding`] and [`Severity`]; [`edit`]: [`Edit`]; [`exceptions`]: [`Exception`], what may stay
//! - `graph`: who calls whom, callers before callees; the least time that everything takes, the time that
//!   callers leave, and how often one request asks each operation
//! - `met`: the calls that need no graph; `assumed`: gateways that are only named; `arms`:
//!   what loads do to the variants of the design
//! - `tries`: the longest that a call's tries may take; `timeouts`: whether one follows a timeout; `layer`: tries that may follow work done; `mend`:
//!   how tries are made to fit; `traffic`: what the design's scenarios ask of each operation; `storm`: whether retries
//!   keep themselves going
//! - `waited`: the operations whose end somebody waits for
//! - [`sarif`]: a review in the format that code hosts take
//! - [`rules`]: one file each; `words`: how numbers are written
//!
//! ```
//! use bowline_design::{Text, read, resolve};
//!
//! let text = "apiVersion: networking.istio.io/v1
//! kind: VirtualService
//! metadata: { name: inventory }
//! spec:
//!   hosts: [ inventory ]
//!   http:
//!   - route: [ { destination: { host: inventory } } ]
//!     retries: { attempts: 3, perTryTimeout: 2s }
//! ";
//! let reading = read(&[Text { name: "routes.yaml".into(), text: text.to_owned() }]);
//! let design = resolve(&reading).unwrap();
//! let findings = bowline_check::check(&design, &reading.documents);
//! assert_eq!(findings[0].rule, "T02");
//! assert_eq!(findings[0].formula, "4 x 2 s + 25 ms + 75 ms + 175 ms = 8.275 s; timeout: none");
//! ```

mod arms;
mod assumed;
pub mod edit;
pub mod exceptions;
pub mod finding;
mod graph;
mod layer;
mod mend;
mod met;
pub mod rules;
pub mod sarif;
mod storm;
mod timeouts;
mod traffic;
mod tries;
mod waited;
mod words;

pub use edit::Edit;
pub use exceptions::{Exception, Excused};
pub use finding::{Finding, Severity};
pub use rules::{Rule, all, rule};

use bowline_design::kinds::Documents;
use bowline_design::{Design, Mistake, Place};
use graph::{Graph, Left, Node};
use met::Met;
use std::collections::BTreeMap;
use std::time::Duration;
use traffic::Traffic;

/// What the rules find in a design, and what the design itself excuses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Review {
    /// What nothing excuses, the gravest first and then in the order of the texts.
    pub findings: Vec<Finding>,
    /// What is excused, in the same order.
    pub excused: Vec<Excused>,
    /// Exceptions that excuse nothing.
    pub idle: Vec<Exception>,
}

/// What the rules find, with the design's exceptions applied.
///
/// # Errors
/// Exceptions that cannot be: of a rule that does not exist, or without a reason.
pub fn review(design: &Design, documents: &Documents) -> Result<Review, Vec<Mistake>> {
    let (exceptions, mistakes) = exceptions::read(documents);
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let (findings, excused, idle) = exceptions::apply(exceptions, check(design, documents));
    Ok(Review { findings, excused, idle })
}

/// Everything that the rules find in a design, excused or not, the gravest first and then in the order of the
/// texts.
///
/// `documents` are what the design was resolved from: a few rules ask what was written and what is a
/// default. Rules of gateways that the documents only name are looked at, too: an export of routes need
/// not have them. A load whose arrivals stand in a file counts where somebody has read it into the design's scenario.
#[must_use]
pub fn check(design: &Design, documents: &Documents) -> Vec<Finding> {
    let mut assumed = assumed::with_gateways(documents);
    if let Some(assumed) = &mut assumed {
        assumed.take_traces(design);
    }
    let asked = Asked::about(assumed.as_ref().unwrap_or(design), documents, None);
    let mut findings: Vec<Finding> = all().iter().flat_map(|rule| (rule.check)(&asked)).collect();
    findings.extend(arms::check(design, documents, &findings));
    findings.sort_by(|a, b| {
        let place =
            |finding: &Finding| (finding.place.file.clone(), finding.place.line, finding.place.column);
        b.severity.cmp(&a.severity).then_with(|| place(a).cmp(&place(b))).then_with(|| a.rule.cmp(b.rule))
    });
    findings
}

/// What every rule is asked about.
#[derive(Debug)]
pub(crate) struct Asked<'d> {
    design: &'d Design,
    documents: &'d Documents,
    graph: Graph<'d>,
    /// What each operation's callers leave it.
    left: BTreeMap<Node, Left>,
    /// What each operation is told of that.
    told: BTreeMap<Node, Left>,
    met: Vec<Met<'d>>,
    /// What the scenarios ask.
    traffic: Vec<Traffic<'d>>,
    exceptions: Vec<Exception>,
}

impl<'d> Asked<'d> {
    fn about(design: &'d Design, documents: &'d Documents, overlay: Option<&'d str>) -> Self {
        let graph = Graph::new(design);
        let (left, told, traffic) = (graph.left(), graph.told(), traffic::all(design, &graph, overlay));
        let (exceptions, _) = exceptions::read(documents);
        Self { design, documents, left, told, graph, met: met::all(design), traffic, exceptions }
    }

    /// Which exception excuses what a rule finds at a place: a rule that tells several places in one finding does
    /// not take together what is excused and what is not.
    fn excuse(&self, rule: &str, place: &Place) -> Option<usize> {
        exceptions::excuse(&self.exceptions, rule, place)
    }

    /// What an operation is known to need for an answer, so that nearly every call gets one.
    fn needs(&self, node: Node) -> Duration {
        let takes = self.graph.operation(node).takes.as_ref();
        self.graph.least(node).half.max(takes.map_or(Duration::ZERO, |takes| takes.value.p99))
    }
}
