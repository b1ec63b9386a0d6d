//! What two proxies made of one request, side by side.

use super::draw::{self, Action, Ask, Draw, Rule};
use super::istio;
use super::play::Seen;
use std::fmt::Write as _;

/// One request through both.
pub(super) struct Case<'d> {
    pub(super) draw: &'d Draw,
    pub(super) ask: &'d Ask,
    pub(super) envoy: Seen,
    pub(super) bowline: Seen,
}

/// A difference that we want, and why.
pub(super) struct Intended {
    pub(super) name: &'static str,
    pub(super) reason: &'static str,
    pub(super) applies: fn(&Case<'_>) -> bool,
}

/// The differences that we want. Each is told with how often it was met; together they may explain 5 % of
/// what is played.
pub(super) const INTENDED: &[Intended] = &[Intended {
    name: "fault switches tries off",
    reason: "Istio documents that neither timeout nor retries hold beside a fault; its Envoys do not know",
    applies: |case| {
        case.rule().is_some_and(|rule| {
            let only_delays = rule.fault.as_ref().is_some_and(|fault| fault.abort.is_none());
            only_delays && case.bowline.tries.len() <= case.envoy.tries.len()
        })
    },
}];

impl Case<'_> {
    /// Whether something differs that nobody wanted.
    pub(super) fn is_unexplained(&self) -> bool {
        !self.differences().is_empty() && !INTENDED.iter().any(|one| (one.applies)(self))
    }

    /// The rule that it met, if it met one.
    fn rule(&self) -> Option<&Rule> {
        let (_, at) = self.envoy.headers.iter().find(|(name, _)| name == draw::RULE)?;
        self.draw.rules.get(at.parse::<usize>().ok()?)
    }

    /// The destinations of its rule, where chance decides between several.
    fn by_chance(&self) -> Option<Vec<usize>> {
        let Action::Route { to, .. } = &self.rule()?.action else { return None };
        let likely: Vec<usize> = to.iter().filter(|to| to.weight > 0).map(|to| to.service).collect();
        (likely.len() > 1).then_some(likely)
    }

    /// What is not the same, each as a line; empty where all is.
    pub(super) fn differences(&self) -> Vec<String> {
        let (envoy, bowline) = (&self.envoy, &self.bowline);
        let mut out = Vec::new();
        let mut note = |what: &str, envoy: String, bowline: String| {
            if envoy != bowline {
                out.push(format!("{what}: Envoy {envoy}, Bowline {bowline}"));
            }
        };
        note("status", envoy.status.to_string(), bowline.status.to_string());
        note("tries", envoy.tries.len().to_string(), bowline.tries.len().to_string());
        if let Some(to) = self.by_chance() {
            // Each draws for itself: what the destinations have in common is all that can be compared.
            let places = |seen: &Seen| seen.tries.iter().all(|this| to.contains(&this.service));
            note("one of the destinations", places(envoy).to_string(), places(bowline).to_string());
            return out;
        }
        if envoy.is_answered() || bowline.is_answered() {
            note("body", format!("{:?}", envoy.body), format!("{:?}", bowline.body));
        }
        note("answer's headers", format!("{:?}", envoy.headers), format!("{:?}", bowline.headers));
        for (at, (a, b)) in envoy.tries.iter().zip(&bowline.tries).enumerate() {
            note(&format!("try {}", at + 1), format!("{a:?}"), format!("{b:?}"));
        }
        out
    }

    /// The whole case, for whoever has to understand it.
    pub(super) fn story(&self) -> String {
        let mut text = String::new();
        let Ask { method, target, authority, headers, .. } = self.ask;
        let _ = writeln!(text, "draw {}: {method} {target} host {authority} {headers:?}", self.draw.seed);
        let _ = writeln!(text, "  script {}", self.ask.script_text());
        for rule in &self.draw.rules {
            let _ = writeln!(text, "  {}", istio::rule(rule));
        }
        for line in self.differences() {
            let _ = writeln!(text, "  {line}");
        }
        text
    }
}
