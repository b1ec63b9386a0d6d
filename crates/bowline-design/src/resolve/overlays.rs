//! The variants of a design: the documents with an overlay applied, worked out like any others.

use super::findings::did_you_mean;
use super::settle;
use crate::Reading;
use crate::kinds::overlay::Applied;
use crate::mistake::{Mistake, Place};
use crate::resolved::Design;

/// Works out one variant of the design: with the overlay called `name` or `namespace/name`, or, without
/// one, the design as it is. A name alone means the overlay in `default`, or else the only one of that name.
///
/// # Errors
/// Everything that keeps it from being used, and an overlay that does not exist.
pub fn resolve_arm(reading: &Reading, overlay: Option<&str>) -> Result<Design, Vec<Mistake>> {
    let Some(name) = overlay else { return settle(reading, None) };
    match named(reading, name) {
        Some(applied) => settle(reading, Some(applied)).map_err(|mistakes| with(applied, reading, mistakes)),
        // What was not read well was not applied.
        None if !reading.mistakes.is_empty() => Err(reading.mistakes.clone()),
        None => Err(vec![unknown(reading, name)]),
    }
}

/// Demands that every overlay of a design without mistakes leads to one without mistakes.
pub(super) fn check(reading: &Reading) -> Result<(), Vec<Mistake>> {
    let wrong = |applied: &Applied| {
        let mistakes = settle(reading, Some(applied)).err().unwrap_or_default();
        with(applied, reading, mistakes)
    };
    let mistakes: Vec<Mistake> = reading.documents.applied.iter().flat_map(wrong).collect();
    if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
}

fn named<'r>(reading: &'r Reading, name: &str) -> Option<&'r Applied> {
    let all = &reading.documents.applied;
    let mut alike = all.iter().filter(|applied| applied.name == name);
    let exact = all.iter().find(|applied| applied.is(name, "default"));
    exact.or_else(|| alike.next().filter(|_| alike.next().is_none()))
}

/// What is only wrong with an overlay names the overlay.
fn with(applied: &Applied, reading: &Reading, mut mistakes: Vec<Mistake>) -> Vec<Mistake> {
    if reading.mistakes.is_empty() {
        for mistake in &mut mistakes {
            mistake.found.push_str(&format!(", with Overlay {}/{}", applied.namespace, applied.name));
            mistake.also.push(applied.place.clone());
        }
    }
    mistakes
}

/// An overlay that somebody asks for and no text has.
fn unknown(reading: &Reading, name: &str) -> Mistake {
    let place = Place {
        file: "(asked for)".into(),
        line: 1,
        column: 1,
        end: (1, 1),
        resource: format!("Overlay {name}").into(),
        path: "".into(),
    };
    let found = format!("no overlay named `{name}`");
    let mut mistake = Mistake::new("unknown-overlay", &place, found, "an Overlay of the design");
    let names = reading.documents.applied.iter().map(|applied| &*applied.name);
    mistake.hint = did_you_mean(name, names);
    mistake
}
