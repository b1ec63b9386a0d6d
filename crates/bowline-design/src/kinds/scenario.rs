//! Our Scenario: a load, what goes wrong under it, and the variants of the design that bear it.

use crate::kinds::Meta;
use crate::kinds::policy::ratio;
use crate::kinds::values::{Amount, Nothing, Rate, at_least_one, longer_than_zero, percent as in_percent};
use crate::mistake::{Mistakes, Place, Spot};
use crate::read::documents::{Group, Kind, OURS};
use crate::read::names::{is_label, quoted};
use crate::read::reader::{Read, Reader, word};
use crate::read::record::{either, record};
use crate::read::shape::Shape;
use crate::read::tree::{Node, Value};
use std::time::Duration;

/// Runs of one arm with different random numbers. A hundred halve the uncertainty of twenty-five.
const SEEDS_MAX: u32 = 1_000;

/// How long a run may be, warm-up and all. Staying within a week keeps every count far from its limit.
const LENGTH_MAX: Duration = Duration::from_secs(7 * 86_400);

/// How much slower `slow` can make a service.
const FACTOR_MAX: f64 = 1_000_000.0;

record! {
    /// A load, what goes wrong under it, and the variants of the design that bear it.
    pub struct Scenario {
        /// What is asked, and how often.
        pub load: Spot<Load>,
        /// How long it runs before anything is counted. Times in the scenario begin after it.
        pub warm_up: Option<Spot<Duration>>,
        /// How many times each arm runs, with other random numbers each time; 20 when absent.
        pub seeds: Option<Spot<u32>>,
        /// What goes wrong.
        pub faults: Vec<Spot<Disturbance>>,
        /// The variants of the design; the design as it is when absent.
        pub arms: Vec<Spot<Arm>>,
        /// What each arm has to keep.
        pub objectives: Option<Spot<Objectives>>,
        /// What lies between the services.
        pub network: Option<Spot<Network>>,
        /// Services that share a machine's cores; every replica has a machine of its own when absent.
        pub machines: Vec<Spot<Machine>>,
    }
}

record! {
    /// What is asked, and how often: one of `intake`, `operation` and `route`.
    pub struct Load {
        /// An Intake.
        pub intake: Option<Spot<String>>,
        /// An operation, `service.operation`.
        pub operation: Option<Spot<String>>,
        /// A route of a VirtualService, by its name.
        pub route: Option<Spot<String>>,
        /// When requests arrive, whatever became of those before; poisson when absent.
        pub arrivals: Option<Spot<Arrivals>>,
        /// How many arrive.
        pub rate: Option<Spot<Rate>>,
        /// For how long.
        pub length as "for": Spot<Duration>,
    } checked by check_load
}

/// When requests arrive. Open loop: nobody waits for an answer before asking.
#[derive(Clone, Debug)]
pub enum Arrivals {
    /// By chance, independently of one another.
    Poisson,
    /// At even distances.
    Constant,
    /// Many at once, again and again, on top of what arrives by chance.
    Bursts(Bursts),
    /// More and more by chance, or less and less.
    Ramp(Ramp),
    /// By chance, at one rate after the other.
    Steps(Vec<Spot<Step>>),
    /// Exactly then.
    Trace(Spot<Trace>),
}

/// Written as a word, or as a mapping with one field.
impl Read for Arrivals {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        if matches!(node.value, Value::Map(_)) {
            return Shaped::read(node, reader).map(|shaped| match shaped {
                Shaped::Bursts(bursts) => Self::Bursts(bursts),
                Shaped::Ramp(ramp) => Self::Ramp(ramp),
                Shaped::Steps(steps) => Self::Steps(steps),
                Shaped::Trace(trace) => Self::Trace(trace),
            });
        }
        if let Some(text @ ("bursts" | "ramp" | "steps" | "trace")) = node.text() {
            let place = reader.place(node.extent);
            let example = match text {
                "bursts" => "{ bursts: { size: 200, every: 10s } }",
                "ramp" => "{ ramp: { to: 1600/s, over: 5m } }",
                "steps" => "{ steps: [ { at: 60s, rate: 1600/s } ] }",
                _ => "{ trace: arrivals.txt }",
            };
            let found = format!("{} without what belongs to it", quoted(text));
            reader.mistakes().add("bad-value", &place, found, format!("`arrivals: {example}`"));
            return None;
        }
        let even = word(node, reader, &[("poisson", false), ("constant", true)])?;
        Some(if even { Self::Constant } else { Self::Poisson })
    }

    fn shape() -> Shape {
        Shape::AnyOf(vec![Shape::Words(&["poisson", "constant"]), Shaped::shape()])
    }
}

either! {
    /// Arrivals of a shape.
    pub enum Shaped {
        /// Many at once, again and again.
        Bursts(Bursts) = "bursts",
        /// More and more, or less and less.
        Ramp(Ramp) = "ramp",
        /// One rate after the other.
        Steps(Vec<Spot<Step>>) = "steps",
        /// Exactly then.
        Trace(Spot<Trace>) = "trace",
    }
}

record! {
    /// Many at once, again and again.
    pub struct Bursts {
        /// How many at once.
        pub size: Spot<u32>,
        /// From one burst to the next; the first comes after this long.
        pub every: Spot<Duration>,
    } checked by check_bursts
}

record! {
    /// From the load's rate to another one, evenly; it stays there.
    pub struct Ramp {
        /// The rate at the end.
        pub to: Spot<Rate>,
        /// How long it takes; all the time when absent.
        pub over: Option<Spot<Duration>>,
    } checked by check_ramp
}

record! {
    /// Another rate, from some time on.
    pub struct Step {
        /// From when on.
        pub at: Spot<Duration>,
        /// The rate.
        pub rate: Spot<Rate>,
    }
}

/// Arrivals that were recorded.
#[derive(Clone, Debug)]
pub enum Trace {
    /// In a file, which the program reads: one time since the start a line.
    File(String),
    /// Here: times since the start.
    Times(Vec<Spot<Duration>>),
}

impl Read for Trace {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::List(_) => Vec::read(node, reader).map(Self::Times),
            Value::Scalar(_) | Value::Map(_) => String::read(node, reader).map(Self::File),
        }
    }

    fn shape() -> Shape {
        Shape::AnyOf(vec![Shape::Text, Shape::List(Box::new(Shape::Duration))])
    }
}

record! {
    /// Something that goes wrong for a while: when, where, and exactly one of the fields after `to`.
    pub struct Disturbance {
        /// When it begins, counted from the end of the warm-up.
        pub at: Spot<Duration>,
        /// For how long; to the end when absent.
        pub length as "for": Option<Spot<Duration>>,
        /// The service it is about.
        pub service: Option<Spot<String>>,
        /// The topic it is about.
        pub topic: Option<Spot<String>>,
        /// The subscription it is about.
        pub subscription: Option<Spot<String>>,
        /// The broker it is about.
        pub broker: Option<Spot<String>>,
        /// The caller, where it is about calls between two services.
        pub from: Option<Spot<String>>,
        /// The callee, where it is about calls between two services.
        pub to: Option<Spot<String>>,
        /// All processes of the service are gone, with what they were doing, and are started again when
        /// it is over.
        pub crash: Option<Spot<Crash>>,
        /// All processes of the service stand still, and go on when it is over.
        pub pause: Option<Spot<Nothing>>,
        /// The service takes longer.
        pub slow: Option<Spot<Slow>>,
        /// Calls are answered with an error instead of being worked on.
        pub error: Option<Spot<ErrorAnswer>>,
        /// The first so many tries of every call seem refused.
        pub drop_first: Option<Spot<u32>>,
        /// What is sent arrives nowhere, and nobody is told.
        pub blackhole: Option<Spot<Nothing>>,
        /// Connections are reset after the request was sent.
        pub reset: Option<Spot<Nothing>>,
        /// What `from` sends does not reach `to`.
        pub partition: Option<Spot<Partition>>,
        /// The broker cannot be reached; what it has confirmed it keeps.
        pub broker_down: Option<Spot<Nothing>>,
        /// Bowline itself is down: no gateway, no mesh, no embedded broker.
        pub bowline_down: Option<Spot<Nothing>>,
        /// Consumers take records and do not come back with them.
        pub consumer_stuck: Option<Spot<Nothing>>,
        /// A share of records can never be processed.
        pub poison: Option<Spot<Portion>>,
        /// A share of records is delivered a second time.
        pub duplicate: Option<Spot<Portion>>,
    } checked by check_disturbance
}

record! {
    /// How a crashed service comes back.
    pub struct Crash {
        /// How long it takes from being started again to being ready; no time when absent.
        pub restart: Option<Spot<Duration>>,
    }
}

record! {
    /// How slow a service gets.
    pub struct Slow {
        /// So many times as long.
        pub factor: Spot<f64>,
    } checked by check_slow
}

record! {
    /// An error instead of an answer.
    pub struct ErrorAnswer {
        /// Its HTTP status; 503 when absent.
        pub status: Option<Spot<u32>>,
        /// The share of calls that get it, from 0 to 100; all when absent.
        pub percent: Option<Spot<f64>>,
    } checked by check_error
}

record! {
    /// How far two services cannot reach one another.
    pub struct Partition {
        /// Whether `to` cannot reach `from` either, so that answers are lost, too; true when absent.
        pub both: Option<Spot<bool>>,
    }
}

record! {
    /// A share of records.
    pub struct Portion {
        /// From 0 to 100.
        pub percent: Spot<f64>,
    } checked by check_portion
}

record! {
    /// One variant of the design.
    pub struct Arm {
        /// Its name in the report.
        pub name: Spot<String>,
        /// The Overlay that makes it; the design as it is when absent.
        pub overlay: Option<Spot<String>>,
    } checked by check_arm
}

record! {
    /// What an arm has to keep. A request is acknowledged when its asker has an answer, completed when
    /// all that it asked for is done, and visible when others can see that.
    pub struct Objectives {
        /// Half of all requests are acknowledged within this.
        pub ack_p50 as "ack.p50": Option<Spot<Duration>>,
        /// 90 of 100 are acknowledged within this.
        pub ack_p90 as "ack.p90": Option<Spot<Duration>>,
        /// 99 of 100 are acknowledged within this.
        pub ack_p99 as "ack.p99": Option<Spot<Duration>>,
        /// 999 of 1000 are acknowledged within this.
        pub ack_p999 as "ack.p99.9": Option<Spot<Duration>>,
        /// All are acknowledged within this.
        pub ack_max as "ack.max": Option<Spot<Duration>>,
        /// Half of all requests are completed within this.
        pub completion_p50 as "completion.p50": Option<Spot<Duration>>,
        /// 90 of 100 are completed within this.
        pub completion_p90 as "completion.p90": Option<Spot<Duration>>,
        /// 99 of 100 are completed within this.
        pub completion_p99 as "completion.p99": Option<Spot<Duration>>,
        /// 999 of 1000 are completed within this.
        pub completion_p999 as "completion.p99.9": Option<Spot<Duration>>,
        /// All are completed within this.
        pub completion_max as "completion.max": Option<Spot<Duration>>,
        /// Half of all requests are visible within this.
        pub visible_p50 as "visible.p50": Option<Spot<Duration>>,
        /// 90 of 100 are visible within this.
        pub visible_p90 as "visible.p90": Option<Spot<Duration>>,
        /// 99 of 100 are visible within this.
        pub visible_p99 as "visible.p99": Option<Spot<Duration>>,
        /// 999 of 1000 are visible within this.
        pub visible_p999 as "visible.p99.9": Option<Spot<Duration>>,
        /// All are visible within this.
        pub visible_max as "visible.max": Option<Spot<Duration>>,
        /// At most so many requests fail.
        pub failed: Option<Spot<Amount>>,
        /// At most so many requests are accepted and lost.
        pub lost: Option<Spot<Amount>>,
        /// At most so many requests have their effect more than once.
        pub duplicated: Option<Spot<Amount>>,
        /// At most so many records are processed before an earlier one of their key.
        pub reordered: Option<Spot<Amount>>,
        /// At most so many requests are neither done nor given up when the run ends.
        pub stuck: Option<Spot<Amount>>,
        /// What is read is never older than this.
        pub staleness: Option<Spot<Duration>>,
        /// After the last fault things are back to normal within this.
        pub recovery: Option<Spot<Duration>>,
        /// There are never more records waiting than this.
        pub backlog: Option<Spot<u64>>,
        /// A request costs at most so many times the work that it costs when nothing goes wrong.
        pub work: Option<Spot<f64>>,
    } checked by check_objectives
}

record! {
    /// What lies between the services.
    pub struct Network {
        /// How long a message is under way from one service to another; no time when absent.
        pub latency: Option<Spot<Duration>>,
        /// The share of messages that never arrive, from 0 to 1; none when absent.
        pub loss: Option<Spot<f64>>,
        /// How long a broker takes to confirm a record; no time when absent.
        pub confirm: Option<Spot<Duration>>,
    } checked by check_network
}

record! {
    /// A machine that services share.
    pub struct Machine {
        /// How many of its requests are worked on at once, whoever is asked.
        pub cores: Spot<u32>,
        /// The services on it, with all of their replicas.
        pub services: Vec<Spot<String>>,
    } checked by check_machine
}

impl Kind for Scenario {
    const KIND: &'static str = "Scenario";
    const GROUP: Group = OURS;

    fn check(_: &Meta, spec: &Self, _: &Place, mistakes: &mut Mistakes) {
        at_least_one(spec.seeds.as_ref(), mistakes);
        if let Some(many) = spec.seeds.as_ref().filter(|seeds| seeds.value > SEEDS_MAX) {
            mistakes.add(
                "too-large",
                &many.place,
                format!("{} seeds", many.value),
                format!("at most {SEEDS_MAX}"),
            );
        }
        let length = spec.load.length.value;
        let warm_up = spec.warm_up.as_ref().map_or(Duration::ZERO, |warm_up| warm_up.value);
        if length.saturating_add(warm_up) > LENGTH_MAX {
            let place = if warm_up > length { spec.warm_up.as_ref().map(|it| &it.place) } else { None };
            let place = place.unwrap_or(&spec.load.length.place);
            mistakes.add("too-large", place, "a run of more than a week", "at most 168h, warm-up and all");
        }
        if let (Some(warm_up), Some(trace)) = (&spec.warm_up, traced(&spec.load)) {
            let mistake = mistakes.add("conflict", &warm_up.place, "a warm-up before a trace", "none");
            mistake.also(trace.clone()).hint("nothing arrives before a trace begins");
        }
        for fault in spec.faults.iter().filter(|fault| fault.at.value >= length) {
            let found = "a fault that begins when the run is over";
            let expected = format!("a time before {}", crate::format::format_duration(length));
            mistakes.add("bad-value", &fault.at.place, found, expected).also(spec.load.length.place.clone());
        }
        find_same_arms(&spec.arms, mistakes);
    }
}

/// Where a load's trace stands, if it has one.
fn traced(load: &Load) -> Option<&Place> {
    match load.arrivals.as_deref() {
        Some(Arrivals::Trace(trace)) => Some(&trace.place),
        _ => None,
    }
}

fn find_same_arms(arms: &[Spot<Arm>], mistakes: &mut Mistakes) {
    const ARMS_MAX: usize = 32;
    if let Some(more) = arms.get(ARMS_MAX) {
        let found = format!("{} arms", arms.len());
        mistakes.add("too-large", &more.place, found, format!("at most {ARMS_MAX}"));
        return;
    }
    for (index, second) in arms.iter().enumerate() {
        if let Some(first) = arms[..index].iter().find(|first| first.name.value == second.name.value) {
            let found = format!("a second arm {}", quoted(&second.name));
            let mistake = mistakes.add("duplicate-name", &second.name.place, found, "one of each name");
            mistake.also(first.name.place.clone());
            continue;
        }
        let overlay = |arm: &Arm| arm.overlay.as_ref().map(|overlay| overlay.value.clone());
        if let Some(first) = arms[..index].iter().find(|first| overlay(first) == overlay(second)) {
            let found = match overlay(second) {
                Some(name) => format!("a second arm with the overlay {}", quoted(&name)),
                None => "a second arm that is the design as it is".to_owned(),
            };
            let place = second.overlay.as_ref().map_or(&second.place, |overlay| &overlay.place);
            mistakes.add("conflict", place, found, "arms that differ").also(first.place.clone());
        }
    }
}

fn check_load(load: &Load, place: &Place, mistakes: &mut Mistakes) {
    let entries = [&load.intake, &load.operation, &load.route];
    let mut named = entries.iter().filter_map(|entry| entry.as_ref());
    match (named.next(), named.next()) {
        (None, _) => {
            let expected = "one of `intake`, `operation` and `route`";
            mistakes.add("missing-field", place, "a load on nothing", expected);
        }
        (Some(first), Some(second)) => {
            let found = "a load on two things";
            let expected = "one of `intake`, `operation` and `route`";
            mistakes.add("conflict", &second.place, found, expected).also(first.place.clone());
        }
        (Some(_), None) => {}
    }
    longer_than_zero(Some(&load.length), mistakes);
    check_arrivals(load, place, mistakes);
}

fn check_arrivals(load: &Load, place: &Place, mistakes: &mut Mistakes) {
    let (rate, length) = (load.rate.as_ref(), load.length.value);
    let zero = rate.filter(|rate| rate.value.is_zero());
    let arrivals = load.arrivals.as_ref().map_or(&Arrivals::Poisson, |arrivals| &arrivals.value);
    match (arrivals, rate) {
        (Arrivals::Trace(trace), Some(rate)) => {
            let mistake = mistakes.add("conflict", &rate.place, "a rate beside a trace", "one of the two");
            mistake.also(trace.place.clone());
        }
        (Arrivals::Poisson | Arrivals::Constant | Arrivals::Ramp(_) | Arrivals::Steps(_), None) => {
            mistakes.add("missing-field", place, "a load without a rate", "`rate`, such as 800/s");
        }
        _ => {}
    }
    // Something has to arrive at some time.
    let nothing = match arrivals {
        Arrivals::Poisson | Arrivals::Constant => zero.is_some(),
        Arrivals::Ramp(ramp) => zero.is_some() && ramp.to.value.is_zero(),
        Arrivals::Steps(steps) => zero.is_some() && steps.iter().all(|step| step.rate.value.is_zero()),
        Arrivals::Bursts(_) | Arrivals::Trace(_) => false,
    };
    if let Some(zero) = zero.filter(|_| nothing) {
        mistakes.add("bad-value", &zero.place, "a load of nothing", "a rate above 0");
    }
    match arrivals {
        Arrivals::Poisson | Arrivals::Constant => {}
        Arrivals::Bursts(Bursts { every, .. }) => within(every, "a first burst", load, mistakes),
        Arrivals::Ramp(Ramp { over: Some(over), .. }) if over.value > length => {
            let mistake =
                mistakes.add("bad-value", &over.place, "a ramp longer than the run", "at most that");
            mistake.also(load.length.place.clone());
        }
        Arrivals::Ramp(_) => {}
        Arrivals::Steps(steps) => {
            if let (None, Some(arrivals)) = (steps.first(), &load.arrivals) {
                mistakes.add("missing-field", &arrivals.place, "steps without a step", "one at least");
            }
            in_order(steps.iter().map(|step| &step.at), "a step", load, mistakes);
        }
        Arrivals::Trace(trace) => match &trace.value {
            Trace::File(_) => {}
            Trace::Times(times) => {
                if times.is_empty() {
                    mistakes.add("missing-field", &trace.place, "a trace of nothing", "one time at least");
                }
                in_order(times.iter(), "an arrival", load, mistakes);
            }
        },
    }
}

/// Demands a time before the end of the run.
fn within(time: &Spot<Duration>, what: &str, load: &Load, mistakes: &mut Mistakes) {
    if time.value >= load.length.value {
        let found = format!("{what} when the run is over");
        let mistake = mistakes.add("bad-value", &time.place, found, "a time before its end");
        mistake.also(load.length.place.clone());
    }
}

/// Demands times that go forward, all of them before the end of the run; says the first that does not.
fn in_order<'t>(
    times: impl Iterator<Item = &'t Spot<Duration>>,
    what: &str,
    load: &Load,
    mistakes: &mut Mistakes,
) {
    let mut last: Option<&Spot<Duration>> = None;
    for time in times {
        if let Some(last) = last.filter(|last| last.value > time.value) {
            let found = format!("{what} before the one before it");
            mistakes.add("bad-value", &time.place, found, "times in their order").also(last.place.clone());
            return;
        }
        if time.value >= load.length.value {
            within(time, what, load, mistakes);
            return;
        }
        last = Some(time);
    }
}

fn check_bursts(bursts: &Bursts, _: &Place, mistakes: &mut Mistakes) {
    at_least_one(Some(&bursts.size), mistakes);
    longer_than_zero(Some(&bursts.every), mistakes);
}

fn check_ramp(ramp: &Ramp, _: &Place, mistakes: &mut Mistakes) {
    longer_than_zero(ramp.over.as_ref(), mistakes);
}

/// What a fault may be about.
#[derive(Clone, Copy)]
enum About {
    Service,
    ServiceOrCalls,
    Calls,
    Broker,
    Bowline,
    Consumers,
    Records,
}

fn check_disturbance(fault: &Disturbance, place: &Place, mistakes: &mut Mistakes) {
    longer_than_zero(fault.length.as_ref(), mistakes);
    if let Some(none) = fault.drop_first.as_ref().filter(|first| first.value == 0) {
        mistakes.add("bad-value", &none.place, "0", "at least 1");
    }
    let effects = [
        ("crash", fault.crash.is_some(), About::Service),
        ("pause", fault.pause.is_some(), About::Service),
        ("slow", fault.slow.is_some(), About::Service),
        ("error", fault.error.is_some(), About::ServiceOrCalls),
        ("dropFirst", fault.drop_first.is_some(), About::ServiceOrCalls),
        ("blackhole", fault.blackhole.is_some(), About::ServiceOrCalls),
        ("reset", fault.reset.is_some(), About::ServiceOrCalls),
        ("partition", fault.partition.is_some(), About::Calls),
        ("brokerDown", fault.broker_down.is_some(), About::Broker),
        ("bowlineDown", fault.bowline_down.is_some(), About::Bowline),
        ("consumerStuck", fault.consumer_stuck.is_some(), About::Consumers),
        ("poison", fault.poison.is_some(), About::Records),
        ("duplicate", fault.duplicate.is_some(), About::Records),
    ];
    let mut set = effects.iter().filter(|(_, set, _)| *set);
    match (set.next(), set.next()) {
        (None, _) => {
            let expected = "one of crash, pause, slow, error, dropFirst, blackhole, reset, partition, \
                            brokerDown, bowlineDown, consumerStuck, poison and duplicate";
            mistakes.add("missing-field", place, "a fault that does nothing", expected);
        }
        (Some((first, ..)), Some((second, ..))) => {
            let found = format!("`{first}` and `{second}` in one entry");
            let mistake = mistakes.add("conflict", place, found, "one of them");
            mistake.hint("give each an entry of its own");
        }
        (Some((name, _, about)), None) => check_target(fault, name, *about, place, mistakes),
    }
}

fn check_target(fault: &Disturbance, effect: &str, about: About, place: &Place, mistakes: &mut Mistakes) {
    let Disturbance { service, topic, subscription, broker, from, to, .. } = fault;
    let targets = [
        ("service", service),
        ("topic", topic),
        ("subscription", subscription),
        ("broker", broker),
        ("from", from),
        ("to", to),
    ];
    let named: Vec<&str> = targets.iter().filter(|(_, name)| name.is_some()).map(|(name, _)| *name).collect();
    let (fits, expected) = match about {
        About::Service => (named == ["service"], "`service`"),
        About::ServiceOrCalls => {
            (named == ["service"] || named == ["from", "to"], "`service`, or `from` and `to`")
        }
        About::Calls => (named == ["from", "to"], "`from` and `to`"),
        About::Broker => (named == ["broker"], "`broker`"),
        About::Bowline => (named.is_empty(), "no target"),
        About::Consumers => (
            named == ["subscription"] || named == ["topic"] || named == ["service"],
            "`subscription`, or `topic` or `service` for all of its consumers",
        ),
        About::Records => (named == ["topic"] || named == ["subscription"], "`topic` or `subscription`"),
    };
    if !fits {
        let found = match named.as_slice() {
            [] => format!("`{effect}` of nothing"),
            named => format!("`{effect}` with `{}`", named.join("` and `")),
        };
        let code = if named.is_empty() { "missing-field" } else { "conflict" };
        mistakes.add(code, place, found, expected);
    } else if let (Some(from), Some(to)) = (from, to)
        && from.value == to.value
    {
        mistakes
            .add("conflict", &to.place, "calls from a service to itself", "two services")
            .also(from.place.clone());
    }
}

fn check_slow(slow: &Slow, _: &Place, mistakes: &mut Mistakes) {
    let factor = &slow.factor;
    if !(1.0..=FACTOR_MAX).contains(&factor.value) {
        let mistake = mistakes.add(
            "bad-value",
            &factor.place,
            format!("a factor of {}", factor.value),
            format!("1 to {FACTOR_MAX}"),
        );
        if factor.value <= 0.0 {
            mistake.hint("to stop it altogether, say `pause: {}`");
        }
    }
}

fn check_error(error: &ErrorAnswer, _: &Place, mistakes: &mut Mistakes) {
    if let Some(status) = error.status.as_ref().filter(|status| !(400..=599).contains(&status.value)) {
        mistakes.add("bad-value", &status.place, format!("the status {}", status.value), "400 to 599");
    }
    in_percent(error.percent.as_ref(), mistakes);
}

fn check_portion(portion: &Portion, _: &Place, mistakes: &mut Mistakes) {
    in_percent(Some(&portion.percent), mistakes);
}

fn check_arm(arm: &Arm, _: &Place, mistakes: &mut Mistakes) {
    if !is_label(&arm.name) {
        let found = format!("the arm {}", quoted(&arm.name));
        mistakes.add("bad-name", &arm.name.place, found, "letters, digits and `-`, at most 63");
    }
}

fn check_objectives(objectives: &Objectives, _: &Place, mistakes: &mut Mistakes) {
    if let Some(work) = objectives.work.as_ref().filter(|work| work.value <= 0.0) {
        let found = format!("{} times the work", work.value);
        mistakes.add("bad-value", &work.place, found, "more than 0; 1 is no more than needed");
    }
}

fn check_network(network: &Network, _: &Place, mistakes: &mut Mistakes) {
    ratio(network.loss.as_ref(), true, mistakes);
}

fn check_machine(machine: &Machine, place: &Place, mistakes: &mut Mistakes) {
    at_least_one(Some(&machine.cores), mistakes);
    if machine.services.is_empty() {
        mistakes.add("missing-field", place, "a machine without services", "one at least");
    }
}
