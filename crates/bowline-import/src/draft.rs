//! A design on its way out: what importers fill in, and how it is written.
//!
//! Why text and not documents: a person goes on from here, and the remarks (how many samples, what was
//! assumed) belong beside the values they are about.

use crate::names::Names;
use bowline_design::format::format_duration;
use std::fmt::Write;
use std::time::Duration;

/// The first port of the placeholders: above what people use, below where systems hand out ports.
const FIRST_PORT: usize = 20_001;

/// How long a scenario's load lasts: long enough for a p99 of anything that comes a few times a second.
const LOAD_FOR: &str = "1m";

/// A design.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// Remarks at the top.
    pub(crate) head: Vec<String>,
    pub(crate) services: Vec<Service>,
    pub(crate) topics: Vec<String>,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) scenarios: Vec<Scenario>,
}

/// A service; its name fits.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) grpc: bool,
    pub(crate) replicas: u32,
    pub(crate) operations: Vec<Operation>,
    pub(crate) remark: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Operation {
    pub(crate) name: String,
    /// Method and path.
    pub(crate) http: Option<(String, String)>,
    pub(crate) grpc: Option<String>,
    pub(crate) takes: Option<Takes>,
    pub(crate) does: Vec<Work>,
    pub(crate) remark: Option<String>,
}

/// Own time, without what is waited for.
#[derive(Debug)]
pub(crate) struct Takes {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) samples: u64,
    pub(crate) remark: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Work {
    /// Work of its own.
    Own(Duration),
    /// `service.operation`.
    Call(String),
    /// A topic.
    Publish(String),
    Parallel(Vec<Work>),
    /// Shares, which add up to 1, and what is done.
    Choice(Vec<(f64, Vec<Work>)>),
}

#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) name: String,
    pub(crate) topic: String,
    pub(crate) group: String,
    /// `service.operation`.
    pub(crate) deliver: String,
}

#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    /// `service.operation`.
    pub(crate) operation: String,
    /// Such as `100/s`.
    pub(crate) rate: String,
    pub(crate) remark: Option<String>,
    pub(crate) latency: Option<Duration>,
    /// Services that answer this share, in percent, with 500.
    pub(crate) errors: Vec<(String, f64)>,
}

impl Draft {
    /// The design's text.
    pub(crate) fn write(&self) -> String {
        let mut out = String::new();
        for line in &self.head {
            let _ = writeln!(out, "# {}", one_line(line));
        }
        let mut documents: Vec<String> =
            self.services.iter().enumerate().map(|(index, service)| service.write(index)).collect();
        if !self.topics.is_empty() {
            documents.push(
                "kind: Broker\nmetadata: { name: broker }\nspec: { embedded: {} }          # put yours here\n"
                    .to_owned(),
            );
        }
        for topic in &self.topics {
            documents.push(format!(
                "kind: Topic\nmetadata: {{ name: {0} }}\nspec: {{ broker: broker }}\n",
                word(topic)
            ));
        }
        documents.extend(self.subscriptions.iter().map(Subscription::write));
        documents.extend(self.scenarios.iter().map(Scenario::write));
        for (index, document) in documents.iter().enumerate() {
            if index > 0 {
                out.push_str("---\n");
            }
            out.push_str("apiVersion: bowline.dev/v1alpha1\n");
            out.push_str(document);
        }
        out
    }
}

impl Service {
    fn write(&self, index: usize) -> String {
        let mut out = String::from("kind: Service\n");
        let _ = writeln!(out, "metadata: {{ name: {} }}{}", word(&self.name), remark(self.remark.as_deref()));
        out.push_str("spec:\n");
        if self.grpc {
            out.push_str("  protocol: grpc\n");
        }
        let _ =
            writeln!(out, "  endpoints: [ {{ address: \"127.0.0.1:{}\" }} ]", (FIRST_PORT + index) % 65_536);
        if self.replicas > 1 {
            let _ = writeln!(out, "  replicas: {}", self.replicas);
        }
        if !self.operations.is_empty() {
            out.push_str("  operations:\n");
        }
        for operation in &self.operations {
            operation.write(self.grpc, &mut out);
        }
        out
    }
}

impl Operation {
    fn write(&self, grpc: bool, out: &mut String) {
        let _ = writeln!(out, "  - name: {}{}", word(&self.name), remark(self.remark.as_deref()));
        match (&self.grpc, &self.http) {
            (Some(method), _) if grpc => {
                let _ = writeln!(out, "    grpc: {}", word(method));
            }
            (_, Some((method, path))) => {
                let _ = writeln!(out, "    http: {{ method: {}, path: {} }}", word(method), word(path));
            }
            _ => {}
        }
        if let Some(takes) = &self.takes {
            let (p50, p99) = (takes.p50.max(Duration::from_nanos(1)), takes.p99);
            let (p50, p99) = (format_duration(p50), format_duration(p99.max(p50)));
            let remark = remark(takes.remark.as_deref());
            let _ =
                writeln!(out, "    takes: {{ p50: {p50}, p99: {p99}, samples: {} }}{remark}", takes.samples);
        }
        if !self.does.is_empty() {
            out.push_str("    does:\n");
            write_all(&self.does, 4, out);
        }
    }
}

fn write_all(works: &[Work], indent: usize, out: &mut String) {
    for work in works {
        let _ = write!(out, "{:indent$}- ", "");
        match work {
            Work::Own(span) => {
                let _ = writeln!(out, "work: {}", format_duration(*span));
            }
            Work::Call(to) => {
                let _ = writeln!(out, "call: {}", word(to));
            }
            Work::Publish(topic) => {
                let _ = writeln!(out, "publish: {}", word(topic));
            }
            Work::Parallel(works) => {
                out.push_str("parallel:\n");
                write_all(works, indent + 2, out);
            }
            Work::Choice(branches) => {
                out.push_str("choice:\n");
                for (share, works) in branches {
                    let _ = writeln!(out, "{:indent$}  - weight: {share}", "");
                    if !works.is_empty() {
                        let _ = writeln!(out, "{:indent$}    does:", "");
                        write_all(works, indent + 4, out);
                    }
                }
            }
        }
    }
}

impl Subscription {
    fn write(&self) -> String {
        format!(
            "kind: Subscription\nmetadata: {{ name: {} }}\nspec: {{ topic: {}, group: {}, deliver: {{ operation: {} }} }}\n",
            word(&self.name),
            word(&self.topic),
            word(&self.group),
            word(&self.deliver)
        )
    }
}

impl Scenario {
    fn write(&self) -> String {
        let mut out = format!("kind: Scenario\nmetadata: {{ name: {} }}\nspec:\n", word(&self.name));
        let _ = writeln!(
            out,
            "  load: {{ operation: {}, rate: {}, for: {LOAD_FOR} }}{}",
            word(&self.operation),
            self.rate,
            remark(self.remark.as_deref())
        );
        if !self.errors.is_empty() {
            out.push_str("  faults:\n");
        }
        for (service, percent) in &self.errors {
            let service = word(service);
            let _ = writeln!(
                out,
                "  - {{ at: 0s, service: {service}, error: {{ status: 500, percent: {percent} }} }}"
            );
        }
        if let Some(latency) = self.latency {
            let _ = writeln!(out, "  network: {{ latency: {} }}", format_duration(latency));
        }
        out
    }
}

/// Names of scenarios: one for each way in.
pub(crate) fn scenario_name(names: &mut Names, ways: usize, operation: &str) -> String {
    if ways == 1 { names.give("load", "load") } else { names.give(&format!("load {operation}"), "load") }
}

/// A share as it is written: six digits are more than any number of samples is good for.
pub(crate) fn rounded(share: f64) -> f64 {
    (share * 1e6).round() / 1e6
}

/// A word of YAML, in quotes unless it surely means itself.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    // What YAML 1.1 takes for something else, numbers and dates aside: those do not begin with a letter.
    let means_more = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let itself = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(plain)
        && !means_more.contains(&text.to_ascii_lowercase().as_str());
    if itself { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

fn remark(text: Option<&str>) -> String {
    text.map_or_else(String::new, |text| format!("   # {}", one_line(text)))
}

/// A stranger's text in a comment must not end the comment.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}') {
                ' '
            } else {
                c
            }
        })
        .collect()
}
