//! What a service does: steps after one another, and lists of steps at once.

use super::fields::Fields;
use super::{OPERATION, Reading};
use crate::draft::{Operation, Work, rounded};
use crate::note::shorten;
use bowline_design::yaml::{Node, Shape};

/// Steps of one script, those done at once included.
const STEPS_MAX: usize = 10_000;

impl Reading {
    pub(super) fn script(&mut self, node: Node<'_>) -> Vec<Work> {
        match node.shape() {
            Shape::Nothing => return Vec::new(),
            Shape::List => {}
            Shape::Scalar | Shape::Map => {
                self.mistake(node, "no list of steps", "a list of `sleep`, `call`, and lists of them");
                return Vec::new();
            }
        }
        let steps: usize = node.items().map(|step| step.items().count().max(1)).sum();
        if steps > STEPS_MAX {
            let expected = format!("at most {STEPS_MAX} in one script");
            self.mistake(node, format!("{steps} steps"), &expected);
            return Vec::new();
        }
        node.items().filter_map(|step| self.step(step)).collect()
    }

    fn step(&mut self, node: Node<'_>) -> Option<Work> {
        if node.shape() != Shape::List {
            return self.command(node);
        }
        let mut at_once = Vec::new();
        for command in node.items() {
            if command.shape() == Shape::List {
                // `validate` in isotope's convert/pkg/graph/validation.go.
                self.mistake(
                    command,
                    "a list at once within a list at once",
                    "commands; isotope nests no deeper",
                );
                continue;
            }
            at_once.extend(self.command(command));
        }
        match at_once.len() {
            0 | 1 => at_once.pop(),
            _ => Some(Work::Parallel(at_once)),
        }
    }

    fn command(&mut self, node: Node<'_>) -> Option<Work> {
        let fields = Fields::of(node, "`sleep: 10ms` or `call: SERVICE`", self)?;
        match fields.only() {
            Some(("sleep", value)) => self.sleep(value),
            Some(("call", value)) => self.call(value),
            Some((other, value)) => {
                let found = format!("the command `{}`", shorten(other));
                self.mistake(value, found, "`sleep` or `call`");
                None
            }
            None => {
                self.mistake(node, "several commands in one step, or none", "one: `sleep` or `call`");
                None
            }
        }
    }

    fn call(&mut self, node: Node<'_>) -> Option<Work> {
        if let Some(service) = node.text() {
            return self.callee(node, service).map(Work::Call);
        }
        let mut fields = Fields::of(node, "the name of a service, or a mapping with `service`", self)?;
        fields.known(&["service", "probability"]);
        fields.noted("size", "not written: sizes are not modelled", self);
        fields.noted("payloadSize", "not written: sizes are not modelled", self);
        fields.noted("hostname", "not written: a call goes to the service itself", self);
        fields.noted("call-override", "not written: a call goes to the service itself", self);
        fields.finish(self);
        let Some(service) = fields.get("service").and_then(Node::text) else {
            self.mistake(node, "a call without `service`", "the name of a service");
            return None;
        };
        let call = Work::Call(self.callee(node, service)?);
        let percent = fields.get("probability").map_or(Some(100), |node| self.probability(node))?;
        Some(match percent {
            100 => call,
            percent => {
                let share = rounded(f64::from(percent) / 100.0);
                Work::Choice(vec![(share, vec![call]), (rounded(1.0 - share), Vec::new())])
            }
        })
    }

    /// A whole percent. Zero is always, as if it were absent, and so is more than 100: `shouldSkipRequest` in
    /// isotope's service/pkg/srv/executable.go skips a call where `rand.Intn(100) < 100 - Probability`, and
    /// never where it is 0.
    fn probability(&mut self, node: Node<'_>) -> Option<u8> {
        match node.text().and_then(|text| text.parse::<i64>().ok()) {
            Some(0) => {
                self.notes.add(
                    "probability",
                    "0 means always to isotope, and is written so",
                    Some(node.place()),
                );
                Some(100)
            }
            Some(percent @ 1..=100) => u8::try_from(percent).ok(),
            Some(101..) => {
                self.notes.add("probability", "above 100 means always", Some(node.place()));
                Some(100)
            }
            _ => {
                self.mistake(node, "no probability", "a whole percent from 0 to 100");
                None
            }
        }
    }

    fn callee(&mut self, node: Node<'_>, service: &str) -> Option<String> {
        match self.names.get(service) {
            Some(name) => Some(format!("{name}.{OPERATION}")),
            None => {
                let found = format!("a call to `{}`, which is no service of the graph", shorten(service));
                self.mistake(node, found, "the name of a service in `services`");
                None
            }
        }
    }
}

/// What `operations` call, added to `called`.
pub(super) fn callees(operations: &[Operation], called: &mut std::collections::BTreeSet<String>) {
    fn within(works: &[Work], called: &mut std::collections::BTreeSet<String>) {
        for work in works {
            match work {
                Work::Call(to) => {
                    called.insert(to.clone());
                }
                Work::Parallel(works) => within(works, called),
                Work::Choice(branches) => branches.iter().for_each(|(_, works)| within(works, called)),
                Work::Own(_) | Work::Publish(_) => {}
            }
        }
    }
    operations.iter().for_each(|operation| within(&operation.does, called));
}
