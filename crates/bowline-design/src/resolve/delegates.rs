//! Rules that leave the decision to another VirtualService.
//!
//! One level, as in Istio: each rule of the delegate becomes a rule of the root, under the root's
//! conditions and its own at once; what it does not say itself it takes from the root's rule.

use super::findings::Findings;
use crate::kinds::common::StringMatch;
use crate::kinds::virtual_service::{HttpMatch, HttpRoute};
use crate::kinds::{Doc, Documents, VirtualService};
use crate::mistake::Spot;
use std::collections::BTreeMap;

/// The most conditions that a rule of the root and one of the delegate may have together. They
/// multiply; a rule that asks for more was not written by a person.
const BLOCKS_MAX: usize = 4_096;

/// The rules of a VirtualService with their index, its delegates' in the place of those that delegate.
pub(super) fn expanded(
    root: &Doc<VirtualService>,
    documents: &Documents,
    findings: &mut Findings,
) -> Vec<(usize, Spot<HttpRoute>)> {
    let mut rules = Vec::new();
    for (index, rule) in root.spec.http.iter().enumerate() {
        let Some(delegate) = &rule.delegate else {
            rules.push((index, rule.clone()));
            continue;
        };
        let name = delegate.name.as_ref().map_or("", |name| name.value.as_str());
        let namespace =
            delegate.namespace.as_ref().map_or(root.meta.namespace.as_str(), |it| it.value.as_str());
        let is_it = |document: &&Doc<VirtualService>| {
            document.meta.name == name && document.meta.namespace == namespace
        };
        let Some(target) = documents.virtual_services.iter().find(is_it) else {
            let text = "a delegate that does not exist; the rule is left out";
            findings.note(format!("VirtualService {namespace}/{name}"), text, &delegate.place);
            continue;
        };
        for theirs in &target.spec.http {
            if rule.matches.len().saturating_mul(theirs.matches.len()) > BLOCKS_MAX {
                let found = format!("{} conditions times {}", rule.matches.len(), theirs.matches.len());
                let expected = format!("at most {BLOCKS_MAX} together");
                findings.mistake("too-many-conditions", &theirs.place, found, expected, None);
                continue;
            }
            match merged(rule, theirs) {
                Some(route) => rules.push((index, route)),
                None => {
                    let text =
                        "no request can meet the root's conditions and the delegate's; the rule is left out";
                    findings.note(format!("VirtualService {namespace}/{name}"), text, &theirs.place);
                }
            }
        }
    }
    rules
}

fn merged(root: &Spot<HttpRoute>, theirs: &Spot<HttpRoute>) -> Option<Spot<HttpRoute>> {
    let mut rule = theirs.clone();
    let own = &mut rule.value;
    if !root.matches.is_empty() && !theirs.matches.is_empty() {
        let pairs =
            root.matches.iter().flat_map(|root| theirs.matches.iter().map(move |theirs| (root, theirs)));
        own.matches = pairs.filter_map(|(root, theirs)| both(root, theirs)).collect();
        if own.matches.is_empty() {
            return None;
        }
    } else if theirs.matches.is_empty() {
        own.matches = root.matches.clone();
    }
    own.delegate = None;
    macro_rules! inherit {
        ($($field:ident),+) => { $(if own.$field.is_none() { own.$field = root.$field.clone(); })+ };
    }
    inherit!(
        name,
        rewrite,
        timeout,
        retries,
        fault,
        mirror,
        mirror_percent,
        mirror_percentage,
        cors_policy,
        headers
    );
    if own.mirrors.is_empty() {
        own.mirrors = root.mirrors.clone();
    }
    Some(rule)
}

/// Both blocks at once, where a request can meet both.
fn both(root: &Spot<HttpMatch>, theirs: &Spot<HttpMatch>) -> Option<Spot<HttpMatch>> {
    let mut block = theirs.clone();
    let own = &mut block.value;
    own.uri = narrower(root.uri.as_ref(), theirs.uri.as_ref())?;
    own.scheme = narrower(root.scheme.as_ref(), theirs.scheme.as_ref())?;
    own.method = narrower(root.method.as_ref(), theirs.method.as_ref())?;
    own.authority = narrower(root.authority.as_ref(), theirs.authority.as_ref())?;
    own.headers = union(&root.headers, &theirs.headers)?;
    own.without_headers = union(&root.without_headers, &theirs.without_headers)?;
    own.query_params = union(&root.query_params, &theirs.query_params)?;
    if let (Some(root), Some(theirs)) = (&root.port, &theirs.port)
        && root.value != theirs.value
    {
        return None;
    }
    own.port = own.port.clone().or_else(|| root.port.clone());
    // Which proxies a block is for is the root's to say (Istio refuses it in a delegate).
    own.gateways.clone_from(&root.gateways);
    own.source_labels.clone_from(&root.source_labels);
    own.source_namespace.clone_from(&root.source_namespace);
    Some(block)
}

/// The delegate's matcher, where it lies within the root's; `None` where no text meets both.
#[expect(clippy::option_option, reason = "no matcher at all and no text that meets both are two answers")]
fn narrower(
    root: Option<&Spot<StringMatch>>,
    theirs: Option<&Spot<StringMatch>>,
) -> Option<Option<Spot<StringMatch>>> {
    let (Some(root), Some(theirs)) = (root, theirs) else { return Some(theirs.or(root).cloned()) };
    let within = match (&root.value, &theirs.value) {
        (StringMatch::Prefix(root), StringMatch::Prefix(theirs) | StringMatch::Exact(theirs)) => {
            theirs.starts_with(root.as_str())
        }
        (StringMatch::Exact(root), StringMatch::Exact(theirs))
        | (StringMatch::Regex(root), StringMatch::Regex(theirs)) => root == theirs,
        _ => false,
    };
    within.then(|| Some(theirs.clone()))
}

type Matchers = BTreeMap<String, Spot<Option<StringMatch>>>;

fn union(root: &Matchers, theirs: &Matchers) -> Option<Matchers> {
    let mut all = root.clone();
    for (name, spot) in theirs {
        if let Some(known) = root.get(name)
            && !within(known.value.as_ref(), spot.value.as_ref())
        {
            return None;
        }
        all.insert(name.clone(), spot.clone());
    }
    Some(all)
}

fn within(root: Option<&StringMatch>, theirs: Option<&StringMatch>) -> bool {
    match (root, theirs) {
        (None, _) => true,
        (Some(StringMatch::Prefix(root)), Some(StringMatch::Prefix(theirs) | StringMatch::Exact(theirs))) => {
            theirs.starts_with(root.as_str())
        }
        (Some(StringMatch::Exact(root)), Some(StringMatch::Exact(theirs)))
        | (Some(StringMatch::Regex(root)), Some(StringMatch::Regex(theirs))) => root == theirs,
        _ => false,
    }
}
