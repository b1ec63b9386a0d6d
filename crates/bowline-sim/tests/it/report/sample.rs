//! Pages to look at: their figures are made up, and plausible.

use bowline_sim::histogram::Histogram;
use bowline_sim::report::{
    Arm, Cell, Fault, Finding, Graph, Hero, Link, Node, NodeKind, Page, Reproduce, Row, Severity, Standing,
    Term, Timeout, Verdict,
};
use bowline_sim::run::{Attribution, Cause};
use bowline_sim::series::{Point, Series};
use std::time::Duration;

const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;

/// One arm, five seconds, one service.
pub(crate) fn small() -> Page {
    let points = (0..6).map(|second| Point {
        offered: 10,
        answered: if second == 3 { 4 } else { 10 },
        failed: if second == 3 { 6 } else { 0 },
        completed: 10,
        tries: if second == 3 { 25 } else { 10 },
        queue: second,
        breakers_open: u32::from(second == 4),
        ..Point::default()
    });
    let arm = Arm {
        name: "sync".to_owned(),
        series: Series { seconds: 1, points: points.collect() },
        arrived: 106,
        acknowledged: spread(&[(90, 5 * MS), (9, 20 * MS), (1, 300 * MS)]),
        completed: spread(&[(90, 5 * MS), (9, 20 * MS), (1, 300 * MS)]),
        visible: spread(&[(90, 5 * MS), (9, 20 * MS), (1, 300 * MS)]),
        timeouts: vec![timeout(300, "the deadline of orders.place")],
        attribution: attribution(&[
            (Cause::Work, 4, 20),
            (Cause::TimeoutWait, 0, 250),
            (Cause::Queue, 1, 30),
        ]),
        graph: Graph {
            nodes: vec![
                node("clients", NodeKind::Entry, "", false),
                node("orders", NodeKind::Service, "8 % busy", false),
            ],
            links: vec![Link { from: 0, to: 1, tries: 1.25, calls: 1.0 }],
        },
        censored: None,
    };
    Page {
        scenario: "outage".to_owned(),
        design: "design/".to_owned(),
        about: "5 s of 10 requests/s, orders down 3..4 s, 1 seed, 1 arm".to_owned(),
        verdicts: vec![Verdict {
            objective: "failed: 0".to_owned(),
            best: String::new(),
            arms: vec![("10 %".to_owned(), Some(false))],
        }],
        hero: Hero {
            population: "all requests".to_owned(),
            rows: vec![Row { what: "failed".to_owned(), cells: vec![cell("10 %", "±2", Standing::Missed)] }],
        },
        warm_up: Duration::from_secs(1),
        length: Duration::from_secs(5),
        faults: vec![fault("orders is down", 2, 3)],
        arms: vec![arm],
        findings: Some(Vec::new()),
        definitions: vec![term("failed", "answered with an error, or not before the deadline.")],
        assumptions: vec!["Messages take 0.5 ms each way.".to_owned()],
        reproduce: Reproduce {
            command: "bowline simulate design/ outage --seeds 1 --seed 7".to_owned(),
            facts: vec![("seed".to_owned(), "7".to_owned())],
        },
        ..Page::default()
    }
}

/// Three arms, ten minutes, five services: what a page usually looks like.
pub(crate) fn large() -> Page {
    let names = ["sync", "async", "hybrid"];
    Page {
        scenario: "black-friday".to_owned(),
        design: "examples/shop/design".to_owned(),
        about: "600 s of 800 orders/s, inventory down 60..70 s, 20 seeds, 3 arms".to_owned(),
        verdicts: verdicts(),
        hero: hero(),
        conclusions: vec![
            "needs: order `answerWithin 300 ms, loss none, staleness 60 s`: async and hybrid meet them; hybrid answers 98.3 % with a final result.".to_owned(),
            "Not the whole story: under broker-down async and hybrid fail what sync survives.".to_owned(),
        ],
        warm_up: Duration::from_secs(30),
        length: Duration::from_secs(600),
        faults: vec![fault("inventory crashes", 60, 70), fault("payment is slow, x4", 300, 330)],
        arms: names.into_iter().enumerate().map(|(index, name)| arm(index, name)).collect(),
        findings: Some(vec![
            Finding {
                severity: Severity::Warning,
                rule: "T08".to_owned(),
                what: "if tries time out, only 1 of 4 tries of ratings fits into the route's timeout".to_owned(),
                place: "design/routes.yaml:212:9".to_owned(),
                advice: "lower perTryTimeout to 680 ms and all four fit, or say attempts: 1".to_owned(),
            },
            Finding {
                severity: Severity::Error,
                rule: "R02".to_owned(),
                what: "retries multiply: 3 x 3 tries reach inventory.allocate".to_owned(),
                place: "design/policies.yaml:14:3".to_owned(),
                advice: "retry in one layer only".to_owned(),
            },
        ]),
        definitions: vec![
            term("acknowledged", "the asker has a good answer, final or 202."),
            term("back to normal", "the p99 of each second is within the untriggered run's band, and stays there for 30 s."),
            term("metastable", "not back within 5 drain times after the trigger is gone. A run that ends before is censored."),
        ],
        assumptions: vec![
            "Messages take 0.5 ms each way between any two processes: the design does not say.".to_owned(),
            "Garbage collection, CPU throttling, cold starts and connection set-up are not modelled.".to_owned(),
            "Equal decisions, not equal outcomes: the policies are production's own, the services are distributions.".to_owned(),
        ],
        reproduce: Reproduce {
            command: "bowline simulate examples/shop/design black-friday --seeds 20 --seed 7".to_owned(),
            facts: vec![
                ("seeds".to_owned(), "20, from 7".to_owned()),
                ("design".to_owned(), "fnv1a 8c1f20e96b4d3a57".to_owned()),
                ("bowline".to_owned(), "0.1.0".to_owned()),
            ],
        },
    }
}

fn verdicts() -> Vec<Verdict> {
    let verdict = |objective: &str, best: &str, arms: [(&str, Option<bool>); 3]| Verdict {
        objective: objective.to_owned(),
        best: best.to_owned(),
        arms: arms.into_iter().map(|(value, met)| (value.to_owned(), met)).collect(),
    };
    let (yes, no) = (Some(true), Some(false));
    vec![
        verdict(
            "acknowledged p99 ≤ 300 ms",
            "async by 121 ms ±14",
            [("0.14 s", yes), ("3.1 ms", yes), ("52 ms", yes)],
        ),
        verdict(
            "completion p99 ≤ 30 s",
            "sync by 8.7 s ±0.2",
            [("0.14 s", yes), ("8.8 s", yes), ("22 s", yes)],
        ),
        verdict("failed: 0", "async and hybrid, alike", [("1.7 %", no), ("0", yes), ("0", yes)]),
        verdict("lost: 0", "no difference", [("0", yes), ("0", yes), ("0", yes)]),
        verdict(
            "back to normal ≤ 60 s",
            "sync by 39 s ±2",
            [("1 s", yes), ("40 s", yes), ("not seen", None)],
        ),
    ]
}

fn hero() -> Hero {
    let row = |what: &str, cells: [(&str, &str, Standing); 3]| Row {
        what: what.to_owned(),
        cells: cells.into_iter().map(|(text, margin, standing)| cell(text, margin, standing)).collect(),
    };
    use Standing::{Best, Missed, Plain};
    Hero {
        population: "all orders".to_owned(),
        rows: vec![
            row(
                "acknowledged in 300 ms",
                [("98.3 %", "±0.1", Plain), ("100 %", "", Best), ("100 %", "", Best)],
            ),
            row(
                "completed: p50",
                [("6 ms", "±0.1", Plain), ("6 ms", "±0.1", Plain), ("6 ms", "±0.1", Plain)],
            ),
            row(
                "completed: p99",
                [("0.14 s", "±0.01", Best), ("8.8 s", "±0.1", Plain), ("22 s", "±0.4", Plain)],
            ),
            row("failed", [("1.7 %", "±0.1", Missed), ("0", "", Best), ("0", "", Best)]),
            row("worst staleness", [("0", "", Best), ("10 s", "±0.1", Plain), ("42 s", "±1", Plain)]),
            row("back to normal after", [("1 s", "±0", Best), ("40 s", "±2", Plain), ("41 s", "±2", Plain)]),
            row("work per order", [("0.98", "", Plain), ("1.00", "", Plain), ("1.00", "", Plain)]),
            row("most waiting", [("40", "", Plain), ("7,951", "±80", Plain), ("7,951", "±80", Plain)]),
            row("lost", [("0", "", Plain), ("0", "", Plain), ("0", "", Plain)]),
            row("duplicated", [("0", "", Plain), ("0", "", Plain), ("0", "", Plain)]),
            row("objectives met", [("4 of 5", "", Plain), ("5 of 5", "", Plain), ("5 of 5", "", Plain)]),
        ],
    }
}

fn arm(index: usize, name: &str) -> Arm {
    let spreads: [&[(u64, u64)]; 3] = [
        &[(6_000, 6 * MS), (3_000, 12 * MS), (800, 40 * MS), (150, 120 * MS), (40, 300 * MS), (10, 310 * MS)],
        &[(9_000, 2 * MS), (900, 3 * MS), (99, 5 * MS), (1, 30 * MS)],
        &[(6_000, 6 * MS), (3_000, 12 * MS), (700, 40 * MS), (300, 50 * MS)],
    ];
    let completed: [&[(u64, u64)]; 3] = [
        spreads[0],
        &[(8_000, 6 * MS), (1_500, 30 * MS), (400, 4 * S), (100, 10 * S)],
        &[(8_000, 7 * MS), (1_700, 30 * MS), (200, 12 * S), (100, 40 * S)],
    ];
    Arm {
        name: name.to_owned(),
        censored: (index == 2).then(|| "its time was over before everything was done".to_owned()),
        series: series(index),
        arrived: if index == 0 { 10_173 } else { 10_000 },
        acknowledged: spread(spreads[index]),
        completed: spread(completed[index]),
        visible: spread(completed[index]),
        timeouts: vec![
            timeout(300, "the deadline of orders.place"),
            timeout(120, "a try of inventory.allocate"),
            timeout(100, "a try of payment.authorize"),
        ],
        attribution: match index {
            0 => attribution(&[
                (Cause::Work, 5, 20),
                (Cause::Queue, 1, 41),
                (Cause::TimeoutWait, 0, 61),
                (Cause::Backoff, 0, 9),
                (Cause::Breaker, 0, 3),
                (Cause::Retry, 0, 6),
                (Cause::Network, 1, 1),
            ]),
            1 => attribution(&[(Cause::Broker, 2, 4), (Cause::Network, 1, 1)]),
            _ => attribution(&[
                (Cause::Work, 5, 10),
                (Cause::Queue, 1, 20),
                (Cause::Bulkhead, 0, 8),
                (Cause::Broker, 0, 10),
                (Cause::Network, 1, 1),
            ]),
        },
        graph: graph(index),
    }
}

fn series(index: usize) -> Series {
    let mut points = Vec::new();
    let mut backlog = 0_u64;
    for second in 0..660_u64 {
        // No generator: a wobble that looks like one.
        let offered = if second < 630 { 800 + (second * second * 7_919 % 61) - 30 } else { 0 };
        let down = (90..100).contains(&second);
        let mut point = Point { offered, tries: offered * 3, worked: offered * 3, ..Point::default() };
        match (index, down) {
            (0, true) => {
                point.failed = offered;
                point.tries = offered * 7;
                point.queue = 40;
                point.breakers_open = u32::from(91 < second);
            }
            (0, false) => {
                point.answered = offered;
                point.completed = offered;
                point.queue = second % 7;
                point.breakers_open = u32::from((330..338).contains(&second));
            }
            (_, true) => {
                backlog += offered;
                point.accepted = offered;
            }
            (_, false) => {
                let done = (offered + 200).min(offered + backlog);
                backlog = (backlog + offered).saturating_sub(done);
                point.completed = done;
                (point.answered, point.accepted) = if index == 2 { (offered, 0) } else { (0, offered) };
                point.queue = second % 9;
            }
        }
        point.backlog = backlog;
        point.lag_ns = backlog * S / 800;
        points.push(point);
    }
    Series { seconds: 1, points }
}

fn graph(index: usize) -> Graph {
    let mut nodes = vec![
        node("clients", NodeKind::Entry, "", false),
        node("orders", NodeKind::Service, "21 % busy", false),
        node("payment", NodeKind::Service, "64 % busy", false),
        node("inventory", NodeKind::Service, "132 % asked", index == 0),
        node("notification", NodeKind::Service, "9 % busy", false),
    ];
    let mut links = vec![Link { from: 0, to: 1, tries: 1.0, calls: 1.0 }];
    if index == 0 {
        links.push(Link { from: 1, to: 2, tries: 1.05, calls: 1.0 });
        links.push(Link { from: 1, to: 3, tries: 3.7, calls: 1.0 });
        links.push(Link { from: 1, to: 4, tries: 1.0, calls: 1.0 });
        links.push(Link { from: 3, to: 4, tries: 0.1, calls: 0.1 });
    } else {
        nodes.push(node("order-events", NodeKind::Topic, "7,951 waiting", false));
        links.push(Link { from: 1, to: 2, tries: 1.0, calls: 1.0 });
        links.push(Link { from: 1, to: 5, tries: 1.0, calls: 1.0 });
        links.push(Link { from: 5, to: 3, tries: 1.02, calls: 1.0 });
        links.push(Link { from: 5, to: 4, tries: 1.0, calls: 1.0 });
    }
    Graph { nodes, links }
}

fn node(name: &str, kind: NodeKind, note: &str, overloaded: bool) -> Node {
    Node { name: name.to_owned(), kind, note: note.to_owned(), overloaded }
}

/// So many requests up to so many nanoseconds, evenly from what came before.
fn spread(parts: &[(u64, u64)]) -> Histogram {
    let mut histogram = Histogram::default();
    let mut from = parts[0].1 / 4;
    for (count, to) in parts {
        for step in 1..=*count {
            histogram.add(from + (to - from.min(*to)) * step / count);
        }
        from = *to;
    }
    histogram
}

fn attribution(parts: &[(Cause, u64, u64)]) -> Attribution {
    let mut attribution = Attribution::default();
    for (cause, p50, p99) in parts {
        attribution.p50[*cause as usize] = p50 * MS;
        attribution.p99[*cause as usize] = p99 * MS;
    }
    attribution
}

fn cell(text: &str, margin: &str, standing: Standing) -> Cell {
    let margin = (!margin.is_empty()).then(|| margin.to_owned());
    Cell { text: text.to_owned(), margin, standing }
}

fn fault(what: &str, at: u64, until: u64) -> Fault {
    Fault { what: what.to_owned(), at: Duration::from_secs(at), until: Some(Duration::from_secs(until)) }
}

fn timeout(millis: u64, what: &str) -> Timeout {
    Timeout { after: Duration::from_millis(millis), what: what.to_owned() }
}

fn term(word: &str, meaning: &str) -> Term {
    Term { word: word.to_owned(), meaning: meaning.to_owned() }
}
