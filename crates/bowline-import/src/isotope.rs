//! A service graph of isotope, Istio's benchmark: services that call one another as a script says.
//!
//! Its semantics are those of istio/tools, directory `isotope`: `convert/pkg/graph` reads the file,
//! `service/pkg/srv/handler.go` and `executable.go` act on it. Its reader passes over fields that it does not
//! know; here each is noted with its place.
//!
//! Why a fault for `errorRate`: isotope answers that share of requests with 500 before the script runs, which
//! is what a scenario's `error` does.

mod fields;
mod script;
mod sleep;

use crate::draft::{Draft, Operation, Scenario, Service, scenario_name};
use crate::names::Names;
use crate::note::Notes;
use crate::{Imported, Note};
use bowline_design::yaml::{self, Node, Shape};
use bowline_design::{Mistake, Text};
use fields::Fields;
use std::collections::{BTreeMap, BTreeSet};

/// Services of one graph: ten times isotope's own largest.
const SERVICES_MAX: usize = 10_000;

/// Each service answers one thing.
const OPERATION: &str = "serve";

/// The load of the scenario: isotope's graph says none.
const RATE: &str = "100/s";

/// Scenarios written, one for each entry point.
const SCENARIOS_MAX: usize = 20;

/// Reads a service graph.
///
/// # Errors
/// All that is wrong with it: it is no YAML, it is no service graph, or isotope itself would refuse it.
pub fn isotope(text: &Text) -> Result<Imported, Vec<Mistake>> {
    let (documents, mut mistakes) = yaml::parse(text);
    let mut reading = Reading { notes: Notes::default(), mistakes: Vec::new(), names: BTreeMap::new() };
    let roots: Vec<Node<'_>> = documents.roots().filter(|root| root.shape() != Shape::Nothing).collect();
    let mut draft = Draft::default();
    match roots.as_slice() {
        [root] => draft = reading.graph(*root),
        [] if mistakes.is_empty() => {
            let place = bowline_design::Place {
                file: text.name.clone(),
                line: 1,
                column: 1,
                end: (1, 2),
                resource: "".into(),
                path: "".into(),
            };
            mistakes.push(Mistake::new(
                "missing-field",
                &place,
                "nothing",
                "a service graph with `services:`",
            ));
        }
        [] => {}
        [_, second, ..] => {
            let found = "a second document";
            mistakes.push(Mistake::new("conflict", &second.place(), found, "one service graph in a file"));
        }
    }
    mistakes.append(&mut reading.mistakes);
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let operations = draft.services.iter().map(|service| service.operations.len()).sum();
    let notes: Vec<Note> = reading.notes.into_list();
    Ok(Imported {
        design: draft.write(),
        notes,
        services: draft.services.len(),
        operations,
        scenarios: draft.scenarios.into_iter().map(|scenario| scenario.name).collect(),
    })
}

/// A graph being read.
struct Reading {
    notes: Notes,
    mistakes: Vec<Mistake>,
    /// isotope's name of each service, and the design's.
    names: BTreeMap<String, String>,
}

/// What holds for services that do not say.
#[derive(Default)]
struct Defaults<'t> {
    fields: Option<Fields<'t>>,
}

impl Reading {
    fn mistake(&mut self, node: Node<'_>, found: impl Into<String>, expected: &str) -> &mut Mistake {
        self.mistakes.push(Mistake::new("isotope", &node.place(), found, expected));
        let last = self.mistakes.len() - 1;
        &mut self.mistakes[last]
    }

    fn graph(&mut self, root: Node<'_>) -> Draft {
        let Some(mut fields) = Fields::of(root, "a service graph", self) else { return Draft::default() };
        fields.known(&["apiVersion", "kind", "services", "defaults"]);
        if let Some(node) = fields.get("default") {
            let text = "not read, as isotope does not: it reads `defaults`";
            self.notes.add("default", text, Some(node.place()));
            fields.known(&["default"]);
        }
        let mut defaults = Defaults::default();
        if let Some(node) = fields.get("defaults").filter(|node| node.shape() != Shape::Nothing) {
            defaults.fields = Fields::of(node, "a mapping of defaults", self);
        }
        if let Some(fields) = &mut defaults.fields {
            fields.known(&["type", "numReplicas", "errorRate", "script"]);
            sizes(fields, &["requestSize", "responseSize"], self);
            rbac(fields, self);
            fields.finish(self);
        }
        let services = fields.get("services").filter(|node| node.shape() == Shape::List);
        let Some(services) = services else {
            self.mistake(root, "no list of `services`", "a service graph with `services:`");
            return Draft::default();
        };
        fields.finish(self);
        self.services(services, &defaults)
    }

    fn services(&mut self, list: Node<'_>, defaults: &Defaults<'_>) -> Draft {
        let count = list.items().count();
        if count == 0 || count > SERVICES_MAX {
            let expected = format!("1 to {SERVICES_MAX} services");
            self.mistake(list, format!("{count} services"), &expected);
            return Draft::default();
        }
        let mut names = Names::default();
        let mut all = Vec::with_capacity(count);
        for item in list.items() {
            let Some(mut fields) = Fields::of(item, "a service", self) else { continue };
            fields.known(&["name"]);
            let name = fields.get("name").and_then(Node::text).unwrap_or_default();
            if name.is_empty() {
                self.mistake(item, "a service without a name", "`name`, which isotope requires");
                continue;
            }
            let given = names.give(name, "service");
            if self.names.insert(name.to_owned(), given.clone()).is_some() {
                let found = format!("a second service `{}`", crate::note::shorten(name));
                self.mistake(item, found, "one service of each name");
                continue;
            }
            if given != name {
                let text = format!("called `{given}` in the design");
                self.notes.add(name, text, fields.get("name").map(Node::place));
            }
            all.push((given, fields));
        }
        let mut draft = Draft {
            head: vec!["Imported from an isotope service graph. Endpoints are placeholders.".to_owned()],
            ..Draft::default()
        };
        let (mut entries, mut errors, mut called) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (name, mut fields) in all {
            let service = self.service(&name, &mut fields, defaults, &mut errors);
            if self.is_entry(&mut fields) {
                entries.push(name);
            }
            fields.finish(self);
            script::callees(&service.operations, &mut called);
            draft.services.push(service);
        }
        if entries.is_empty() {
            let uncalled = draft.services.iter().map(|service| &service.name);
            let uncalled = uncalled.filter(|name| !called.contains(&format!("{name}.{OPERATION}")));
            entries = uncalled.cloned().collect();
            let text = "no service has it; the load begins where nobody else calls";
            self.notes.add("isEntrypoint", text, None);
            if entries.is_empty() {
                entries.extend(draft.services.first().map(|service| service.name.clone()));
            }
        }
        self.scenarios(&entries, &errors, &mut draft);
        draft
    }

    fn service(
        &mut self,
        name: &str,
        fields: &mut Fields<'_>,
        defaults: &Defaults<'_>,
        errors: &mut Vec<(String, f64)>,
    ) -> Service {
        fields.known(&["type", "numReplicas", "errorRate", "script", "isEntrypoint"]);
        sizes(fields, &["responseSize"], self);
        rbac(fields, self);
        for place in ["namespace", "cluster"] {
            fields.noted(place, "not written: the design has one namespace", self);
        }
        let or_default =
            |field: &str| fields.get(field).or_else(|| defaults.fields.as_ref().and_then(|it| it.get(field)));
        let (protocol, replicas) = (or_default("type"), or_default("numReplicas"));
        let (error_rate, script) = (or_default("errorRate"), or_default("script"));
        let grpc = match protocol.map(|node| (node, node.text())) {
            None | Some((_, Some("http" | "HTTP"))) => false,
            Some((node, Some("grpc" | "gRPC" | "GRPC"))) => {
                let text = "its operation has no method yet: isotope names none";
                self.notes.add("type: grpc", text, Some(node.place()));
                true
            }
            Some((node, _)) => {
                self.mistake(node, "an unknown type", "`http` or `grpc`");
                false
            }
        };
        let replicas = replicas.map_or(1, |node| self.replicas(node));
        let percent = error_rate.map_or(0.0, |node| self.percent(node));
        if percent > 0.0 {
            errors.push((name.to_owned(), percent));
        }
        let does = script.map(|node| self.script(node)).unwrap_or_default();
        let operation = Operation {
            name: OPERATION.to_owned(),
            // `buildRequest` in isotope's service/pkg/srv/request.go.
            http: (!grpc).then(|| ("GET".to_owned(), "/".to_owned())),
            // One that does nothing would be given a time that was assumed.
            does: if does.is_empty() {
                vec![crate::draft::Work::Own(std::time::Duration::ZERO)]
            } else {
                does
            },
            ..Operation::default()
        };
        Service { name: name.to_owned(), grpc, replicas, operations: vec![operation], remark: None }
    }

    fn is_entry(&mut self, fields: &mut Fields<'_>) -> bool {
        let Some(node) = fields.get("isEntrypoint") else { return false };
        node.truth().unwrap_or_else(|| {
            self.mistake(node, "neither true nor false", "true or false");
            false
        })
    }

    fn replicas(&mut self, node: Node<'_>) -> u32 {
        match node.text().and_then(|text| text.parse::<u32>().ok()) {
            Some(0) => {
                self.notes.add("numReplicas", "0 is written as 1", Some(node.place()));
                1
            }
            Some(count) if count <= i32::MAX as u32 => count,
            _ => {
                self.mistake(node, "no number of replicas", "a whole number from 0 to 2147483647");
                1
            }
        }
    }

    /// A percentage: text with `%`, or a number from 0 to 1 (`FromString` and `FromFloat64` in isotope's
    /// convert/pkg/graph/pct/percentage.go).
    fn percent(&mut self, node: Node<'_>) -> f64 {
        let text = node.text().unwrap_or_default();
        let percent = match text.split_once('%') {
            Some((number, _)) => number.trim().parse::<f64>().ok(),
            None => text.parse::<f64>().ok().map(|share| share * 100.0),
        };
        match percent.filter(|percent| (0.0..=100.0).contains(percent)) {
            Some(percent) => crate::draft::rounded(percent),
            None => {
                self.mistake(node, "no percentage", "text such as 0.1%, or a number from 0 to 1");
                0.0
            }
        }
    }

    fn scenarios(&mut self, entries: &[String], errors: &[(String, f64)], draft: &mut Draft) {
        let text = format!("the graph says no load: {RATE} stands for it in the scenarios");
        self.notes.add("load", text, None);
        let left_out = entries.len().saturating_sub(SCENARIOS_MAX);
        self.notes.count("isEntrypoint", "no scenario was written for it", left_out as u64, None);
        let mut names = Names::default();
        for entry in entries.iter().take(SCENARIOS_MAX) {
            draft.scenarios.push(Scenario {
                name: scenario_name(&mut names, entries.len(), entry),
                operation: format!("{entry}.{OPERATION}"),
                rate: RATE.to_owned(),
                remark: Some("assumed: the graph says no load".to_owned()),
                latency: None,
                errors: errors.to_vec(),
            });
        }
    }
}

/// Sizes cost nothing in a simulation, and are no part of a design.
fn sizes(fields: &mut Fields<'_>, names: &[&'static str], reading: &mut Reading) {
    for name in names {
        fields.noted(name, "not written: sizes are not modelled", reading);
    }
}

fn rbac(fields: &mut Fields<'_>, reading: &mut Reading) {
    fields.noted("numRbacPolicies", "not written: access is no part of a design", reading);
}
