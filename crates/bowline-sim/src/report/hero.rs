//! The verdicts and the table of everything that is compared.

use super::page::{Cell, Hero, Page, Standing, Verdict};
use maud::{Markup, html};

/// The strip of verdicts: how many objectives each arm keeps, then one card for each objective.
pub(super) fn verdicts(page: &Page) -> Markup {
    html! {
        @if !page.verdicts.is_empty() {
            section aria-labelledby="verdicts" {
                h2 #verdicts { "Objectives" }
                ul.strip {
                    @for (index, arm) in page.arms.iter().enumerate() { (kept(index, &arm.name, page)) }
                }
                ul.cards {
                    @for verdict in &page.verdicts { (card(verdict, page)) }
                }
            }
        }
    }
}

fn kept(index: usize, name: &str, page: &Page) -> Markup {
    let verdicts = || page.verdicts.iter().filter_map(|verdict| verdict.arms.get(index));
    let met = verdicts().filter(|(_, met)| *met == Some(true)).count();
    let unknown = verdicts().filter(|(_, met)| met.is_none()).count();
    let all = verdicts().count();
    let overall = match met {
        met if met == all => Some(true),
        met if met + unknown == all => None,
        _ => Some(false),
    };
    html! {
        li {
            (mark(overall)) " " b { (name) } " keeps " (met) " of " (all)
            @if 0 < unknown { span.margin { ", " (unknown) " not known" } }
        }
    }
}

fn card(verdict: &Verdict, page: &Page) -> Markup {
    html! {
        li.card {
            h3 { (verdict.objective) }
            @if !verdict.best.is_empty() { p { (verdict.best) } }
            ul.marks {
                @for (arm, (value, met)) in page.arms.iter().zip(&verdict.arms) {
                    li {
                        (mark(*met)) " " span.arm { (arm.name) } " " span.value { (value) }
                    }
                }
            }
        }
    }
}

/// A sign and a word: colour alone would tell some readers nothing.
fn mark(met: Option<bool>) -> Markup {
    let (class, sign, word) = match met {
        Some(true) => ("met", "✓", "met"),
        Some(false) => ("missed", "✗", "missed"),
        None => ("unknown", "?", "not known"),
    };
    html! { span.mark.(class) { span aria-hidden="true" { (sign) } span.hidden { (word) ":" } } }
}

/// Everything that is compared, arm beside arm.
pub(super) fn table(page: &Page) -> Markup {
    let Hero { population, rows } = &page.hero;
    let margins = rows.iter().flat_map(|row| &row.cells).any(|cell| cell.margin.is_some());
    html! {
        section aria-labelledby="compared" {
            h2 #compared { "Side by side" }
            // The roles are said again because narrow screens lay the table out as blocks.
            table.hero role="table" aria-labelledby="compared" {
                thead role="rowgroup" {
                    tr role="row" {
                        th role="columnheader" scope="col" { (population) }
                        @for arm in &page.arms { th role="columnheader" scope="col" { (arm.name) } }
                    }
                }
                tbody role="rowgroup" {
                    @for row in rows {
                        tr role="row" {
                            th role="rowheader" scope="row" { (row.what) }
                            @for (arm, cell) in page.arms.iter().zip(&row.cells) {
                                td role="cell" data-arm=(arm.name) { (figure(cell, margins)) }
                            }
                        }
                    }
                }
            }
            ul.key {
                li { b { "bold" } ": the best of its row, outside the noise" }
                li { span.missed { "✗" } ": misses its objective" }
                li { "±: half of the 95 % interval over the seeds" }
            }
            @for conclusion in &page.conclusions { p.conclusion { (marked_up(conclusion)) } }
        }
    }
}

/// What stands between backticks is code.
fn marked_up(sentence: &str) -> Markup {
    html! {
        @for (index, part) in sentence.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn figure(cell: &Cell, margins: bool) -> Markup {
    html! {
        @match cell.standing {
            Standing::Plain => span.figure { (cell.text) },
            Standing::Best => strong.figure.best { (cell.text) },
            Standing::Missed => span.figure.missed {
                span aria-hidden="true" { "✗ " } span.hidden { "missed: " } (cell.text)
            },
        }
        // Room for a margin even where there is none: figures stand under each other.
        @if margins { " " span.margin { (cell.margin.as_deref().unwrap_or_default()) } }
    }
}
