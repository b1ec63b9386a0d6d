//! The page in order.

use super::page::{Finding, Page, Reproduce, Severity};
use super::{amplification, attribution, hero, percentiles, timeline, words};
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// How it looks. Part of the page, because a page that is sent around has nothing else with it.
const STYLE: &str = include_str!("style.css");

/// The page.
#[must_use]
pub fn html(page: &Page) -> String {
    let main = html! {
        (hero::verdicts(page))
        (hero::table(page))
        (timeline::section(page))
        (percentiles::section(page))
        (attribution::section(page))
        (amplification::section(page))
        (findings(page))
        (definitions(page))
        (assumptions(page))
        (again(&page.reproduce))
    };
    page_of(&page.scenario, &page.design, &page.about, "Bowline, simulated", &contents(page), &main)
}

/// A page with this head and these sections.
pub(super) fn page_of(
    title: &str,
    design: &str,
    about: &str,
    product: &str,
    contents: &Markup,
    main: &Markup,
) -> String {
    let whole = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · " (design) " · Bowline" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "To the content" }
                (patterns())
                header {
                    p.product { (product) }
                    h1 { (title) }
                    p.about { (about) }
                    p.design { "design " code { (design) } }
                    (contents)
                }
                main #main { (main) }
            }
        }
    };
    let mut text = whole.into_string();
    text.push('\n');
    text
}

fn contents(page: &Page) -> Markup {
    let all = [
        ("verdicts", "Objectives", !page.verdicts.is_empty()),
        ("compared", "Side by side", true),
        ("timeline", "When", true),
        ("percentiles", "How long", true),
        ("attribution", "Where the time goes", true),
        ("amplification", "How often", true),
        ("findings", "Findings", page.findings.is_some()),
        ("definitions", "Definitions", !page.definitions.is_empty()),
        ("assumptions", "Not modelled", !page.assumptions.is_empty()),
        ("reproduce", "Again", true),
    ];
    html! {
        nav aria-label="Contents" {
            ul { @for (id, name, _) in all.iter().filter(|(_, _, there)| *there) { li { a href={ "#" (id) } { (name) } } } }
        }
    }
}

/// Hatchings that charts and bars refer to, so that no two things differ by colour alone.
fn patterns() -> Markup {
    html! {
        svg.hidden aria-hidden="true" width="0" height="0" {
            defs {
                pattern #hatch width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    line.hatch x1="0" y1="0" x2="0" y2="6" {}
                }
            }
        }
    }
}

fn findings(page: &Page) -> Markup {
    html! {
        @if let Some(findings) = &page.findings {
            section aria-labelledby="findings" {
                h2 #findings { "What check finds" }
                @if findings.is_empty() { p { "Nothing." } }
                ul.findings {
                    @for finding in findings { (each(finding)) }
                }
            }
        }
    }
}

fn each(finding: &Finding) -> Markup {
    let word = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    };
    html! {
        li.(word) {
            p { b { (word) " " (finding.rule) } " " (finding.what) }
            p.place { code { (finding.place) } }
            @if !finding.advice.is_empty() { p { "→ " (finding.advice) } }
        }
    }
}

fn definitions(page: &Page) -> Markup {
    html! {
        @if !page.definitions.is_empty() {
            section aria-labelledby="definitions" {
                h2 #definitions { "What the words mean" }
                dl {
                    @for term in &page.definitions {
                        dt { (term.word) }
                        dd { (term.meaning) }
                    }
                }
            }
        }
    }
}

fn assumptions(page: &Page) -> Markup {
    html! {
        @if !page.assumptions.is_empty() {
            section aria-labelledby="assumptions" {
                h2 #assumptions { "What is not modelled, and what is assumed" }
                p { "The policies are those that run in production; the world around them is a model. " (words::counted(page.assumptions.len(), "simplification")) ":" }
                ul { @for assumption in &page.assumptions { li { (assumption) } } }
            }
        }
    }
}

/// How to do it again.
pub(super) fn again(reproduce: &Reproduce) -> Markup {
    html! {
        section aria-labelledby="reproduce" {
            h2 #reproduce { "To do it again" }
            pre tabindex="0" { code { (reproduce.command) } }
            dl.facts {
                @for (name, value) in &reproduce.facts {
                    dt { (name) }
                    dd { (value) }
                }
            }
        }
    }
}
