//! The page of a sweep: a map of where a design is stable and where it tips.
//!
//! The map is a table, so that it needs no words beside it: a cell says what it is by a letter, a time and a colour.

use super::page::Reproduce;
use super::whole::{again, page_of};
use super::words;
use crate::definitions::{Class, Recovery, WORDS};
use crate::sweep::{Cell, Map, Scale, Setting};
use maud::{Markup, html};
use std::time::Duration;

/// The page of a sweep of the design of that name.
#[must_use]
pub fn map(map: &Map, design: &str, reproduce: &Reproduce) -> String {
    let down = map.y.as_ref().map(|y| format!(" and {} (down)", y.name())).unwrap_or_default();
    let about = format!(
        "Back to normal after, by {} (across){down}; arm {}, {} a cell",
        map.x.name(),
        map.arm,
        words::counted(map.seeds.len(), "seed")
    );
    let main = html! {
        section aria-labelledby="map" {
            h2 #map { "The map" }
            (legend(map))
            div.wide tabindex="0" role="region" aria-labelledby="map" { (table(map)) }
        }
        section aria-labelledby="definitions" {
            h2 #definitions { "What the words mean" }
            dl { @for (word, meaning) in WORDS { dt { (word) } dd { (meaning) } } }
        }
        (again(reproduce))
    };
    page_of(&map.scenario, design, &about, "Bowline, swept", &html! {}, &main)
}

fn legend(map: &Map) -> Markup {
    let there = |class: Class| map.cells.iter().any(|cell| cell.class == class);
    let all = [
        (Class::Stable, "how long it took: stable"),
        (Class::Vulnerable, "vulnerable"),
        (Class::Metastable, "metastable"),
        (Class::Censored, "censored: the load ended too soon to tell"),
        (Class::FailsByItself, "fails by itself"),
    ];
    html! {
        ul.legend aria-label="Cells" {
            @for (class, name) in all.into_iter().filter(|(class, _)| there(*class)) {
                li { span.swatch.cell.(style(class)) aria-hidden="true" { (letter(class)) } (name) }
            }
            li { span.swatch.cell.own aria-hidden="true" {} "the design as it is" }
        }
    }
}

fn table(map: &Map) -> Markup {
    let rows: Vec<(usize, Option<(&Scale, Setting)>)> = match &map.y {
        Some(y) => y.values.iter().enumerate().map(|(index, value)| (index, Some((y, *value)))).collect(),
        None => vec![(0, None)],
    };
    html! {
        table.map {
            thead {
                tr {
                    th scope="col" { (map.y.as_ref().map(|y| format!("{} ↓ ", y.name())).unwrap_or_default()) (map.x.name()) " →" }
                    @for value in &map.x.values { th scope="col" { (map.x.value(*value)) } }
                }
            }
            tbody {
                @for (y, down) in rows {
                    tr {
                        th scope="row" { (down.map(|(scale, value)| scale.value(value)).unwrap_or_default()) }
                        @for x in 0..map.x.values.len() {
                            @let own = map.is_own(x, y);
                            @match map.cell(x, y) {
                                Some(cell) => td.cell.(style(cell.class)).own[own] {
                                    (said(cell))
                                    @if own { span.hidden { " (the design as it is)" } }
                                },
                                None => td {},
                            }
                        }
                    }
                }
            }
        }
    }
}

fn said(cell: &Cell) -> Markup {
    let time = cell.recovery.mean.and_then(|mean| Duration::try_from_secs_f64(mean).ok()).map(words::span);
    let failed = cell.failed.mean.unwrap_or_default() * 100.0;
    html! {
        @match cell.class {
            Class::Stable if cell.recoveries.iter().all(|each| *each == Recovery::Untriggered) => "ok",
            Class::Stable => (time.unwrap_or_default()),
            class => {
                (letter(class)) span.hidden { " " (class.as_str()) }
                @if class == Class::Vulnerable { " " (time.unwrap_or_default()) }
            }
        }
        @if 0.05 <= failed { br; span.margin { (words::digits(failed)) " % failed" } }
    }
}

const fn letter(class: Class) -> &'static str {
    match class {
        Class::Stable => "",
        Class::Vulnerable => "v",
        Class::Metastable => "M",
        Class::Censored => "?",
        Class::FailsByItself => "x",
    }
}

const fn style(class: Class) -> &'static str {
    match class {
        Class::Stable => "stable",
        Class::Vulnerable => "vulnerable",
        Class::Metastable => "metastable",
        Class::Censored => "censored-cell",
        Class::FailsByItself => "fails",
    }
}
