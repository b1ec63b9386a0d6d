//! What a page is made from, as plain fields.

use crate::histogram::Histogram;
use crate::run::Attribution;
use crate::series::Series;
use std::time::Duration;

/// All that a page says.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The scenario's name.
    pub scenario: String,
    /// The design's name: its path as it was typed.
    pub design: String,
    /// What was simulated, in one line.
    pub about: String,
    /// One for each objective.
    pub verdicts: Vec<Verdict>,
    /// Everything that is compared.
    pub hero: Hero,
    /// What follows from it: a sentence each.
    pub conclusions: Vec<String>,
    /// How much of each run was not counted. Times of faults begin after it.
    pub warm_up: Duration,
    /// How long requests arrived after that.
    pub length: Duration,
    /// What went wrong, and when.
    pub faults: Vec<Fault>,
    /// The variants of the design, in the scenario's order.
    pub arms: Vec<Arm>,
    /// What `bowline check` has to say about the design; `None`: it was not asked.
    pub findings: Option<Vec<Finding>>,
    /// What the words of the page mean, exactly.
    pub definitions: Vec<Term>,
    /// What the model took for granted, and what it has not at all: a sentence each.
    pub assumptions: Vec<String>,
    /// How to do it again.
    pub reproduce: Reproduce,
}

/// What became of one objective.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// The objective, such as `acknowledged p99 within 300 ms`.
    pub objective: String,
    /// Which arm does best and by how much, or that none does outside the noise.
    pub best: String,
    /// Each arm in order: its value, and whether that is within the bound. `None`: nobody can say.
    pub arms: Vec<(String, Option<bool>)>,
}

/// The table of everything that is compared: a column for each arm.
#[derive(Clone, Debug, Default)]
pub struct Hero {
    /// What every figure is over: `all orders`.
    pub population: String,
    /// The rows.
    pub rows: Vec<Row>,
}

/// One thing that is compared.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// What.
    pub what: String,
    /// A cell for each arm.
    pub cells: Vec<Cell>,
}

/// One figure.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    /// The figure with its unit.
    pub text: String,
    /// Its uncertainty, with the sign: `±0.1`.
    pub margin: Option<String>,
    /// What is to be said about it.
    pub standing: Standing,
}

/// What is to be said about a figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    #[default]
    Plain,
    /// It is the best of its row, outside the noise.
    Best,
    /// It misses its objective.
    Missed,
}

/// Something that went wrong.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What, and to whom: `inventory crashes`.
    pub what: String,
    /// When, after the warm-up.
    pub at: Duration,
    /// Until when; `None`: to the end.
    pub until: Option<Duration>,
}

/// One variant of the design, and what came of it.
#[derive(Clone, Debug, Default)]
pub struct Arm {
    /// Its name.
    pub name: String,
    /// How its run ended, where that was not with everything done.
    pub censored: Option<String>,
    /// What happened, second by second, in the run with the first seed.
    pub series: Series,
    /// Requests that arrived in the measured window, over all seeds: what percentiles are of.
    pub arrived: u64,
    /// From arrival to acknowledgement, over all seeds.
    pub acknowledged: Histogram,
    /// From arrival to completion, over all seeds.
    pub completed: Histogram,
    /// From arrival to visibility, over all seeds.
    pub visible: Histogram,
    /// Deadlines and per-try times that its calls run into.
    pub timeouts: Vec<Timeout>,
    /// Where the time went.
    pub attribution: Attribution,
    /// Who asked whom how often.
    pub graph: Graph,
}

/// A time after which somebody stops waiting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timeout {
    /// How long.
    pub after: Duration,
    /// Whose, such as `a try of inventory.allocate`.
    pub what: String,
}

/// Who asked whom how often, for one request.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Who.
    pub nodes: Vec<Node>,
    /// Whom.
    pub links: Vec<Link>,
}

/// A service, a topic, or those who come from outside.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
    /// Something short about it, such as `62 % busy`; may be empty.
    pub note: String,
    /// Whether it is asked more than it can do.
    pub overloaded: bool,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// Those who come from outside.
    Entry,
    /// A service.
    Service,
    /// A topic.
    Topic,
}

/// Who asks whom.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Index of the node that asks.
    pub from: usize,
    /// Index of the node that is asked.
    pub to: usize,
    /// Tries for each request that came in from outside.
    pub tries: f64,
    /// Calls for each request that came in from outside; less than the tries where there were retries.
    pub calls: f64,
}

/// Something that `bowline check` found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The rule's id.
    pub rule: String,
    /// What is wrong.
    pub what: String,
    /// Where, as file:line:column.
    pub place: String,
    /// What to do.
    pub advice: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It will go wrong.
    Error,
    /// It can go wrong.
    Warning,
    /// It is good to know.
    Info,
}

/// What a word means.
#[derive(Clone, Debug)]
pub struct Term {
    /// The word.
    pub word: String,
    /// What it means.
    pub meaning: String,
}

/// How to do it again.
#[derive(Clone, Debug, Default)]
pub struct Reproduce {
    /// The command.
    pub command: String,
    /// Other things to know, such as the seeds, the design's digest and the version: name and value.
    pub facts: Vec<(String, String)>,
}
