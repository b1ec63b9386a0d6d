//! What a design says that may stay as it is, and why.
//!
//! Why in the design and not in a file of its own: the reason belongs beside what it excuses, moves with it and is
//! reviewed with it. Why a reason is demanded: without one, nobody dares to take the exception away again. What is
//! excused is still found, counted and shown; an exception that excuses nothing is told, because it would hide the
//! next finding that nobody has thought about.

use crate::finding::Finding;
use crate::rules;
use bowline_design::kinds::Documents;
use bowline_design::{ALLOW, Mistake, Place};

/// One line of an annotation `bowline.dev/allow`: `RULE: reason`, or `RULE at PATH: reason`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The rule, `T03`.
    pub rule: &'static str,
    /// The field of the resource that it is about, with everything in it; `None`: the whole resource.
    pub at: Option<String>,
    /// Why.
    pub reason: String,
    /// Where it is written. Its resource is the one that is excused.
    pub place: Place,
}

/// A finding that the design excuses.
#[derive(Clone, Debug, PartialEq)]
pub struct Excused {
    /// What was found.
    pub finding: Finding,
    /// What excuses it.
    pub by: Exception,
}

impl Exception {
    /// Whether it excuses what a rule finds at a place.
    #[must_use]
    pub fn excuses(&self, rule: &str, place: &Place) -> bool {
        let within = |at: &str| {
            let rest = place.path.strip_prefix(at);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.rule == rule && self.place.resource == place.resource && self.at.as_deref().is_none_or(within)
    }
}

/// The exceptions of all documents, and what is wrong with those that are none.
pub(crate) fn read(documents: &Documents) -> (Vec<Exception>, Vec<Mistake>) {
    let (mut exceptions, mut mistakes) = (Vec::new(), Vec::new());
    for written in documents.metas().filter_map(|meta| meta.annotations.get(ALLOW)) {
        let mistake = |code, found, expected| Mistake::new(code, &written.place, found, expected);
        let mut lines = written.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
        if lines.peek().is_none() {
            mistakes.push(mistake("bad-exception", "an exception of nothing".to_owned(), FORM.to_owned()));
        }
        for line in lines {
            match one(line, &written.place) {
                Ok(exception) => exceptions.push(exception),
                Err(Wrong { code, found, expected }) => mistakes.push(mistake(code, found, expected)),
            }
        }
    }
    (exceptions, mistakes)
}

/// The one of several exceptions that excuses what a rule finds at a place: the one that is about the least.
pub(crate) fn excuse(exceptions: &[Exception], rule: &str, place: &Place) -> Option<usize> {
    let excuses = exceptions.iter().enumerate().filter(|(_, exception)| exception.excuses(rule, place));
    let length = |exception: &Exception| exception.at.as_deref().map_or(0, str::len);
    // Of two that say the same, the first: the other is told as one that excuses nothing.
    excuses.min_by_key(|(_, exception)| std::cmp::Reverse(length(exception))).map(|(index, _)| index)
}

/// Findings that stay, those that are excused, and exceptions that excuse nothing.
pub(crate) fn apply(
    exceptions: Vec<Exception>,
    found: Vec<Finding>,
) -> (Vec<Finding>, Vec<Excused>, Vec<Exception>) {
    let (mut findings, mut excused) = (Vec::new(), Vec::new());
    let mut used = vec![false; exceptions.len()];
    for finding in found {
        match excuse(&exceptions, finding.rule, &finding.place) {
            Some(index) => {
                used[index] = true;
                excused.push(Excused { finding, by: exceptions[index].clone() });
            }
            None => findings.push(finding),
        }
    }
    let idle = exceptions.into_iter().zip(used).filter(|(_, used)| !used).map(|(exception, _)| exception);
    (findings, excused, idle.collect())
}

/// What an exception looks like.
const FORM: &str = "`RULE: why`, or `RULE at PATH: why`, a line each";

/// Why a line is no exception.
struct Wrong {
    code: &'static str,
    found: String,
    expected: String,
}

fn one(line: &str, place: &Place) -> Result<Exception, Wrong> {
    let (head, reason) = match line.split_once(':') {
        Some((head, reason)) => (head, reason.trim()),
        None => (line, ""),
    };
    let (name, at) = match *head.split_whitespace().collect::<Vec<_>>().as_slice() {
        [name] => (name, None),
        [name, "at", path] => (name, Some(path.to_owned())),
        _ => {
            let found = format!("`{line}`");
            return Err(Wrong { code: "bad-exception", found, expected: FORM.to_owned() });
        }
    };
    let Some(rule) = rules::rule(name) else {
        let known: Vec<&str> = rules::all().iter().map(|rule| rule.id).collect();
        let (found, expected) = (format!("an exception of `{name}`"), format!("one of {}", known.join(", ")));
        return Err(Wrong { code: "unknown-rule", found, expected });
    };
    if reason.is_empty() {
        let found = format!("an exception of {} without a reason", rule.id);
        return Err(Wrong { code: "bad-exception", found, expected: format!("`{head}: why`") });
    }
    Ok(Exception { rule: rule.id, at, reason: reason.to_owned(), place: place.clone() })
}
