//! R01: retries at several layers multiply the load on whoever is at the end of the path.

use super::Rule;
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};
use crate::graph::{Call, Graph, Loads, Node, Start};
use crate::layer::{self, Lowered};
use crate::words::{counted, factor};
use bowline_design::Place;

/// How many times its usual load an operation may get when everything fails. Four is what one layer of
/// Istio's `attempts: 3` makes; a second layer is above it.
const AMPLIFICATION_MAX: f64 = 4.0;

/// So many layers are lowered to mend one finding; a design that needs more is not mended by a small edit.
const EDITS_MAX: usize = 16;

pub(super) const RULE: Rule = Rule {
    id: "R01",
    title: "retry amplification",
    about: "When an operation at the end of a path fails, every layer in front of it retries, and the tries multiply:\n\
        three layers of three tries ask it 27 times for each request. That is how a short overload becomes one that\n\
        does not end. The limit is 4 times the usual load, summed over all paths of one request.\n\
        Only tries that may follow work done are counted: a refused connection costs the callee nothing. A retry\n\
        budget bounds a layer at 1 + its ratio (its floor matters at low rates alone), and every Policy that asks\n\
        for retries has one.\n\
        Error: the factor follows from the design. It is reached when an operation fails and nobody in between\n\
        catches that.\n\
        The edits lower the tries of the layers that have the most, until what remains is within the limit.",
    check,
};

/// An operation that gets too much, by a request from `start`.
struct Overload {
    start: Start,
    node: Node,
    factor: f64,
}

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let graph = &asked.graph;
    // One finding for each layer that is to be lowered: it is one cause, however many operations feel it.
    let mut causes: Vec<(Place, Vec<Overload>)> = Vec::new();
    for start in graph.starts() {
        let loads = graph.loads(start, &|call| tries(graph, call, &[]));
        for (node, load) in loads.iter().filter(|(_, load)| is_too_much(load.factor())) {
            let place = cause(graph, &loads, node);
            let overload = Overload { start, node, factor: load.factor() };
            match causes.iter_mut().find(|(known, _)| *known == place) {
                Some((_, overloads)) => overloads.push(overload),
                None => causes.push((place, vec![overload])),
            }
        }
    }
    causes.into_iter().filter_map(|(place, overloads)| finding(graph, place, &overloads)).collect()
}

/// A hair above the limit is floating-point dust.
fn is_too_much(factor: f64) -> bool {
    factor > AMPLIFICATION_MAX * (1.0 + 1e-9)
}

/// How much a call multiplies, once `lowered` is done.
fn tries(graph: &Graph<'_>, call: &Call<'_>, lowered: &[Lowered]) -> f64 {
    let tries = layer::tries(call.settings, graph.operation(call.to));
    let place = call.settings.retry.tries.from.place();
    let now = lowered.iter().filter(|lowered| Some(&lowered.place) == place).map(|lowered| lowered.tries);
    layer::load(call.settings, now.fold(tries, u32::min))
}

/// The place of the layer that multiplies most on the worst path to an operation; the outermost of several,
/// as the layer nearest to the callee is the one to keep.
fn cause(graph: &Graph<'_>, loads: &Loads, node: Node) -> Place {
    let path = loads.worst_path(graph, node);
    let most = path.iter().rev().max_by(|a, b| tries(graph, a, &[]).total_cmp(&tries(graph, b, &[])));
    let written = most.map(|call| call.settings.retry.tries.from.place().unwrap_or(call.place));
    written.unwrap_or(&graph.operation(node).place).clone()
}

fn finding(graph: &Graph<'_>, place: Place, overloads: &[Overload]) -> Option<Finding> {
    let worst = overloads.iter().max_by(|a, b| a.factor.total_cmp(&b.factor))?;
    let loads = graph.loads(worst.start, &|call| tries(graph, call, &[]));
    let (load, path) = (loads.get(worst.node)?, loads.worst_path(graph, worst.node));
    let name = graph.name(worst.node);
    let here = path.iter().find(|call| call.settings.retry.tries.from.place() == Some(&place));
    let product = path.iter().map(|call| factor(tries(graph, call, &[]))).collect::<Vec<_>>().join(" x ");
    // Where several paths lead there, their sum is what counts; the worst of them is shown.
    let paths = if load.is_one_path() { "" } else { ", and the other paths" };
    let usual = if load.usual == 1.0 { "once".to_owned() } else { format!("{} times", factor(load.usual)) };
    let edits = mended(graph, overloads);
    Some(Finding {
        rule: RULE.id,
        severity: Severity::Error,
        what: format!(
            "when {name} fails, one request may ask it {} times instead of {usual}",
            factor(load.asked)
        ),
        place,
        label: here.map_or_else(
            || "this call is tried again".to_owned(),
            |call| format!("this layer makes {}", counted(call.settings.retry.tries.value, "try", "tries")),
        ),
        path: graph.stations(&path),
        formula: format!(
            "{product}{paths}: {} times the usual load > {AMPLIFICATION_MAX}",
            factor(load.factor())
        ),
        advice: match edits.len() {
            0 => "retry at one layer of the path, or give a layer a retry budget".to_owned(),
            _ => {
                "retry at one layer of the path: lower this one as suggested, or give a layer a retry budget"
                    .to_owned()
            }
        },
        edits,
    })
}

/// Lowers the layers with the most tries until nothing is overloaded; no edits where that cannot be done.
fn mended(graph: &Graph<'_>, overloads: &[Overload]) -> Vec<Edit> {
    let mut lowered: Vec<Lowered> = Vec::new();
    for _ in 0..=EDITS_MAX {
        let Some((factor, loads, node)) = worst_left(graph, overloads, &lowered) else {
            return lowered.into_iter().map(|lowered| lowered.edit).collect();
        };
        let path = loads.worst_path(graph, node);
        let Some(next) = lower_one(graph, &path, factor, &lowered) else { return Vec::new() };
        lowered.retain(|known| known.place != next.place);
        lowered.push(next);
    }
    Vec::new()
}

/// Of the operations that still get too much, the one that gets most.
fn worst_left(graph: &Graph<'_>, overloads: &[Overload], lowered: &[Lowered]) -> Option<(f64, Loads, Node)> {
    let of_one_start = overloads.chunk_by(|a, b| a.start == b.start).filter_map(|overloads| {
        let loads = graph.loads(overloads[0].start, &|call| tries(graph, call, lowered));
        let factors =
            overloads.iter().filter_map(|overload| Some((loads.get(overload.node)?.factor(), overload.node)));
        let (factor, node) = factors.max_by(|a, b| a.0.total_cmp(&b.0))?;
        is_too_much(factor).then_some((factor, loads, node))
    });
    of_one_start.max_by(|a, b| a.0.total_cmp(&b.0))
}

/// Lowers that layer of a path which multiplies most and can be lowered, as far as `excess` asks.
fn lower_one(graph: &Graph<'_>, path: &[&Call<'_>], excess: f64, lowered: &[Lowered]) -> Option<Lowered> {
    let mut layers: Vec<&&Call<'_>> = path.iter().collect();
    layers.sort_by(|a, b| tries(graph, b, lowered).total_cmp(&tries(graph, a, lowered)));
    layers.into_iter().find_map(|call| {
        let now = tries(graph, call, lowered);
        let wanted = (now * AMPLIFICATION_MAX / excess).floor().max(1.0) as u32;
        let next = layer::lowered(&call.settings.retry, wanted)?;
        let after = tries(graph, call, std::slice::from_ref(&next));
        (after < now).then_some(next)
    })
}
