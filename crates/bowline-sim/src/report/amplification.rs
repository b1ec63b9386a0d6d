//! How often each part was asked for one request: who asks whom, the wider the more often.
//!
//! Nodes lie in ranks, whoever is asked below whoever asks. Lines run straight between ranks and bend only where
//! they pass one, so percentages suffice to place them on any width.

use super::page::{Arm, Graph, Link, Node, NodeKind, Page};
use super::scale;
use super::words;
use maud::{Markup, html};

/// From rank to rank.
const RANK: f64 = 84.0;
/// A node's height.
const BOX: f64 = 38.0;
/// Room above the first rank.
const TOP: f64 = 4.0;
/// More nodes are listed, not drawn: nobody finds anything in such a picture.
const NODES_MAX: usize = 40;
/// Nodes beside each other: four names fit on a phone. What is more goes into a row of its own.
const BESIDE_MAX: usize = 4;
/// The room of a line that passes, where a node's is one.
const BEND: f64 = 0.3;
/// Tries for each call from which on a line is drawn in the colour of trouble: a fifth more than asked for, which
/// is what a retry budget usually allows.
const AMPLIFIED: f64 = 1.2;

/// The section with a graph for each arm.
pub(super) fn section(page: &Page) -> Markup {
    html! {
        section aria-labelledby="amplification" {
            h2 #amplification { "Who is asked how often" }
            p {
                "Tries for each request from outside; the wider, the more. "
                span.missed { "Dashed red" } ": more than " (words::digits(AMPLIFIED)) " tries a call, or more work than the asked can do."
            }
            div.graphs {
                @for (index, arm) in page.arms.iter().enumerate() {
                    figure {
                        figcaption { h3 { (arm.name) } }
                        @if arm.graph.nodes.len() <= NODES_MAX { (drawing(index, &arm.graph)) }
                    }
                }
            }
            (table(page))
        }
    }
}

/// Where everything lies: rows of places, each a node or a bend of a line that passes.
struct Layout {
    ranks: Vec<Vec<Place>>,
    rank_of: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Node(usize),
    /// A link, by its index.
    Bend(usize),
}

impl Place {
    const fn room(self) -> f64 {
        match self {
            Self::Node(_) => 1.0,
            Self::Bend(_) => BEND,
        }
    }
}

impl Layout {
    fn of(graph: &Graph) -> Self {
        let rank_of = rows(&ranks(graph));
        let depth = rank_of.iter().max().map_or(0, |rank| rank + 1);
        let mut ranks: Vec<Vec<Place>> = vec![Vec::new(); depth];
        for (node, rank) in rank_of.iter().enumerate() {
            ranks[*rank].push(Place::Node(node));
        }
        for (index, link) in graph.links.iter().enumerate() {
            let passed = (rank_of[link.from] + 1)..rank_of[link.to].max(rank_of[link.from] + 1);
            for rank in passed {
                ranks[rank].push(Place::Bend(index));
            }
        }
        let mut layout = Self { ranks, rank_of };
        layout.untangle(graph);
        layout
    }

    /// Puts each place below the middle of those that lead to it (Sugiyama's barycentres). Twice is enough for
    /// graphs that a person draws.
    fn untangle(&mut self, graph: &Graph) {
        for _ in 0..2 {
            for rank in 1..self.ranks.len() {
                let mut placed: Vec<(f64, Place)> = self.ranks[rank]
                    .iter()
                    .map(|place| (self.middle_above(*place, rank, graph), *place))
                    .collect();
                placed.sort_by(|a, b| a.0.total_cmp(&b.0));
                self.ranks[rank] = placed.into_iter().map(|(_, place)| place).collect();
            }
        }
    }

    fn middle_above(&self, place: Place, rank: usize, graph: &Graph) -> f64 {
        let above: Vec<f64> = match place {
            Place::Bend(link) => vec![self.x(self.at(link, rank - 1, graph))],
            Place::Node(node) => {
                let leading = graph.links.iter().enumerate().filter(|(_, link)| link.to == node);
                let from_above = leading.filter(|(_, link)| self.rank_of[link.from] < rank);
                from_above.map(|(index, _)| self.x(self.at(index, rank - 1, graph))).collect()
            }
        };
        // What nobody leads to goes to the middle.
        if above.is_empty() { 0.5 } else { above.iter().sum::<f64>() / above.len() as f64 }
    }

    /// Where a link passes a rank.
    fn at(&self, link: usize, rank: usize, graph: &Graph) -> (usize, Place) {
        let Link { from, to, .. } = graph.links[link];
        let place = match rank {
            rank if rank == self.rank_of[from] => Place::Node(from),
            rank if rank == self.rank_of[to] => Place::Node(to),
            _ => Place::Bend(link),
        };
        (rank, place)
    }

    /// The middle of a place, as a share of the width.
    fn x(&self, (rank, place): (usize, Place)) -> f64 {
        let places = &self.ranks[rank];
        let before: f64 = places.iter().take_while(|each| **each != place).map(|each| each.room()).sum();
        (before + place.room() / 2.0) / self.room(rank)
    }

    fn room(&self, rank: usize) -> f64 {
        self.ranks[rank].iter().map(|place| place.room()).sum()
    }

    fn y(rank: usize) -> f64 {
        TOP + rank as f64 * RANK
    }
}

/// A node's rank: one below the lowest of those that ask it. Links that would close a circle do not count.
fn ranks(graph: &Graph) -> Vec<usize> {
    let mut ranks = vec![0; graph.nodes.len()];
    // Without a circle this is stable after as many rounds as there are nodes; with one it is cut there.
    for _ in 0..graph.nodes.len() {
        let mut moved = false;
        for link in &graph.links {
            let below = ranks[link.from] + 1;
            if link.from != link.to && ranks[link.to] < below && below < graph.nodes.len() {
                ranks[link.to] = below;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    ranks
}

/// Rows in place of ranks: a rank with more than [`BESIDE_MAX`] nodes takes several, evenly filled.
fn rows(ranks: &[usize]) -> Vec<usize> {
    let depth = ranks.iter().max().map_or(0, |rank| rank + 1);
    let (mut rows, mut next) = (vec![0; ranks.len()], 0);
    for rank in 0..depth {
        let nodes: Vec<usize> = (0..ranks.len()).filter(|node| ranks[*node] == rank).collect();
        let needed = nodes.len().div_ceil(BESIDE_MAX).max(1);
        let each = nodes.len().div_ceil(needed).max(1);
        for (position, node) in nodes.into_iter().enumerate() {
            rows[node] = next + position / each;
        }
        next += needed;
    }
    rows
}

fn drawing(index: usize, graph: &Graph) -> Markup {
    let layout = Layout::of(graph);
    let height = Layout::y(layout.ranks.len().saturating_sub(1)) + BOX + 6.0;
    html! {
        svg.chart.graph role="img" aria-labelledby={ "g" (index) " h" (index) } width="100%" height=(scale::place(height)) {
            title #{ "g" (index) } { "Who asks whom" }
            desc #{ "h" (index) } { (described(graph)) }
            @for (number, link) in graph.links.iter().enumerate() { (segments(number, link, graph, &layout)) }
            @for (rank, places) in layout.ranks.iter().enumerate() {
                @for place in places {
                    @if let Place::Node(node) = place {
                        (node_box(&graph.nodes[*node], layout.x((rank, *place)), Layout::y(rank), layout.room(rank)))
                    }
                }
            }
            @for (number, link) in graph.links.iter().enumerate() { (label(number, link, graph, &layout)) }
        }
    }
}

fn is_strained(link: &Link, graph: &Graph) -> bool {
    graph.nodes[link.to].overloaded || link.calls * AMPLIFIED < link.tries
}

/// The line of a link, a piece for each rank that it goes down.
fn segments(number: usize, link: &Link, graph: &Graph, layout: &Layout) -> Markup {
    let (first, last) = (layout.rank_of[link.from], layout.rank_of[link.to]);
    let class = if is_strained(link, graph) { "strained" } else { "calm" };
    let width = scale::place(stroke(link));
    html! {
        @if first < last {
            @for rank in first..last {
                @let (from, to) = (layout.at(number, rank, graph), layout.at(number, rank + 1, graph));
                line.link.(class) x1=(scale::percent(layout.x(from))) x2=(scale::percent(layout.x(to)))
                    y1=(scale::place(Layout::y(rank) + BOX)) y2=(scale::place(Layout::y(rank + 1))) stroke-width=(width) {}
                @if let (_, Place::Bend(_)) = to {
                    @let x = scale::percent(layout.x(to));
                    line.link.(class) x1=(x) x2=(x) y1=(scale::place(Layout::y(rank + 1))) y2=(scale::place(Layout::y(rank + 1) + BOX)) stroke-width=(width) {}
                }
            }
        } @else {
            // Upward: from whoever asks, back to someone above.
            @let (from, to) = ((first, Place::Node(link.from)), (last, Place::Node(link.to)));
            line.link.(class) x1=(scale::percent(layout.x(from))) x2=(scale::percent(layout.x(to)))
                y1=(scale::place(Layout::y(first))) y2=(scale::place(Layout::y(last) + BOX)) stroke-width=(width) {}
        }
    }
}

/// How many tries, where the line arrives: there the lines of one node are farthest apart from each other.
fn label(number: usize, link: &Link, graph: &Graph, layout: &Layout) -> Markup {
    let (first, last) = (layout.rank_of[link.from], layout.rank_of[link.to]);
    let before = if first < last { last - 1 } else { first };
    let from = if first < last { layout.at(number, before, graph) } else { (first, Place::Node(link.from)) };
    let (from, to) = (layout.x(from), layout.x((last, Place::Node(link.to))));
    // Nearer to the end than to the beginning, so that labels of a fan lie beside each other.
    let share = 0.6;
    let (top, bottom) = (Layout::y(before) + BOX, Layout::y(last));
    // Beside a wide line, on a thin one.
    let width = stroke(link);
    let (aside, anchor) = if 5.0 < width { (width / 2.0 + 4.0, "start") } else { (0.0, "middle") };
    html! {
        text.letter x=(scale::percent(from + (to - from) * share)) dx=(scale::place(aside))
            y=(scale::place(top + (bottom - top) * share + 4.0)) text-anchor=(anchor) { (words::digits(link.tries)) }
    }
}

/// A try a request is two pixels wide; beyond eight nothing more is to be seen.
const fn stroke(link: &Link) -> f64 {
    (link.tries * 2.0).clamp(0.7, 16.0)
}

fn node_box(node: &Node, middle: f64, top: f64, room: f64) -> Markup {
    // A gap between neighbours, and no node wider than a name needs.
    let width = (0.94 / room).min(0.44);
    let class = match node.kind {
        NodeKind::Entry => "entry",
        NodeKind::Service => "service",
        NodeKind::Topic => "topic",
    };
    let name_at = if node.note.is_empty() { top + 23.0 } else { top + 16.0 };
    html! {
        rect.node.(class).overloaded[node.overloaded] x=(scale::percent(middle - width / 2.0)) y=(scale::place(top))
            width=(scale::percent(width)) height=(scale::place(BOX)) rx=(if node.kind == NodeKind::Topic { "19" } else { "4" }) {}
        text.name x=(scale::percent(middle)) y=(scale::place(name_at)) text-anchor="middle" { (node.name) }
        @if !node.note.is_empty() {
            text.tick x=(scale::percent(middle)) y=(scale::place(top + 31.0)) text-anchor="middle" { (node.note) }
        }
    }
}

fn described(graph: &Graph) -> String {
    let each = |link: &Link| {
        let (from, to) = (&graph.nodes[link.from].name, &graph.nodes[link.to].name);
        format!("{from} asks {to} {} times", words::digits(link.tries))
    };
    format!("For each request: {}.", graph.links.iter().map(each).collect::<Vec<_>>().join("; "))
}

fn table(page: &Page) -> Markup {
    html! {
        details {
            summary { "The tries" }
            div.wide tabindex="0" role="region" aria-label="Who is asked how often" {
                table {
                    thead {
                        tr {
                            @for head in ["arm", "asks", "is asked", "calls a request", "tries a request", "tries a call"] {
                                th scope="col" { (head) }
                            }
                        }
                    }
                    tbody { @for arm in &page.arms { (lines(arm)) } }
                }
            }
        }
    }
}

fn lines(arm: &Arm) -> Markup {
    let name = |index: usize| &arm.graph.nodes[index].name;
    html! {
        @for link in &arm.graph.links {
            tr {
                th scope="row" { (arm.name) }
                td { (name(link.from)) }
                td { (name(link.to)) }
                td { (words::digits(link.calls)) }
                td { (words::digits(link.tries)) }
                td { (if link.calls == 0.0 { "none".to_owned() } else { words::digits(link.tries / link.calls) }) }
            }
        }
    }
}
