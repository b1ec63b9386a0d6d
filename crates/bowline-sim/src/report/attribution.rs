//! Where the time went: of a typical request, and of a slow one.

use super::page::{Arm, Page};
use super::words;
use crate::run::Cause;
use maud::{Markup, html};
use std::time::Duration;

/// A part of less than this share has no text of its own: it would not fit, and the table has it.
const NAMED_MIN: f64 = 0.08;

/// The section with two bars for each arm.
pub(super) fn section(page: &Page) -> Markup {
    html! {
        section aria-labelledby="attribution" {
            h2 #attribution { "Where the time goes" }
            p { "From arrival to acknowledgement: a typical request (around the median), and the slowest hundredth." }
            ul.legend aria-label="Causes" {
                @for cause in Cause::ALL.into_iter().filter(|cause| matters(*cause, page)) {
                    li { span.swatch.part.(class(cause)) aria-hidden="true" {} (cause.as_str()) }
                }
            }
            @for arm in &page.arms {
                figure.where-to {
                    figcaption { h3 { (arm.name) } p { (sentence(arm)) } }
                    (bar("typical", &arm.attribution.p50))
                    (bar("slowest 1 %", &arm.attribution.p99))
                }
            }
            (table(page))
        }
    }
}

fn matters(cause: Cause, page: &Page) -> bool {
    let of = |arm: &Arm| arm.attribution.p50[cause as usize] + arm.attribution.p99[cause as usize];
    page.arms.iter().any(|arm| 0 < of(arm))
}

fn class(cause: Cause) -> &'static str {
    match cause {
        Cause::Work => "c-work",
        Cause::Queue => "c-queue",
        Cause::Bulkhead => "c-bulkhead",
        Cause::Retry => "c-retry",
        Cause::Backoff => "c-backoff",
        Cause::TimeoutWait => "c-timeout",
        Cause::Breaker => "c-breaker",
        Cause::Broker => "c-broker",
        Cause::Network => "c-network",
    }
}

/// The parts of a sum in order, the largest first, as shares.
fn shares(parts: &[u64; Cause::ALL.len()]) -> Vec<(Cause, f64)> {
    let sum = parts.iter().sum::<u64>().max(1) as f64;
    let mut shares: Vec<(Cause, f64)> =
        Cause::ALL.into_iter().zip(parts).map(|(cause, part)| (cause, *part as f64 / sum)).collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    shares
}

fn total(parts: &[u64; Cause::ALL.len()]) -> Duration {
    Duration::from_nanos(parts.iter().sum())
}

/// `Of the slowest hundredth's 1.2 s, 61 % is timeout wait and 30 % is work.`
fn sentence(arm: &Arm) -> String {
    let parts = &arm.attribution.p99;
    if total(parts).is_zero() {
        return "Nothing was acknowledged, or it took no time.".to_owned();
    }
    let first = shares(parts).into_iter().take(2).filter(|(_, share)| NAMED_MIN <= *share);
    let named: Vec<String> =
        first.map(|(cause, share)| format!("{:.0} % is {}", share * 100.0, cause.as_str())).collect();
    format!("Of the slowest hundredth's {}, {}.", words::span(total(parts)), words::listed(&named))
}

fn bar(name: &str, parts: &[u64; Cause::ALL.len()]) -> Markup {
    let sum = parts.iter().sum::<u64>().max(1) as f64;
    let shares: Vec<(Cause, f64)> = Cause::ALL.into_iter().zip(parts.map(|part| part as f64 / sum)).collect();
    let described: Vec<String> = shares
        .iter()
        .filter(|(_, share)| 0.005 <= *share)
        .map(|(cause, share)| format!("{} {:.0} %", cause.as_str(), share * 100.0))
        .collect();
    html! {
        div.bar-row {
            span.bar-name { (name) }
            span.bar-sum { (words::span(total(parts))) }
            div.bar role="img" aria-label={ (name) ": " (described.join(", ")) } {
                @for (cause, share) in shares.into_iter().filter(|(_, share)| 0.002 <= *share) {
                    // Two digits after the point keep the bars of 360 and of 3,600 pixels right.
                    span.part.(class(cause)) style={ "flex-grow:" (format!("{:.2}", share * 100.0)) } {
                        @if NAMED_MIN <= share { span.label.long[8 < cause.as_str().len()] { (cause.as_str()) " " (format!("{:.0} %", share * 100.0)) } }
                    }
                }
            }
        }
    }
}

fn table(page: &Page) -> Markup {
    html! {
        details {
            summary { "The times" }
            div.wide tabindex="0" role="region" aria-label="Where the time goes" {
                table {
                    thead {
                        tr {
                            th scope="col" { "arm" }
                            th scope="col" { "request" }
                            th scope="col" { "all" }
                            @for cause in Cause::ALL { th scope="col" { (cause.as_str()) } }
                        }
                    }
                    tbody {
                        @for arm in &page.arms {
                            @for (name, parts) in [("typical", &arm.attribution.p50), ("slowest 1 %", &arm.attribution.p99)] {
                                tr {
                                    th scope="row" { (arm.name) }
                                    td { (name) }
                                    td { (words::span(total(parts))) }
                                    @for part in parts { td { (words::span(Duration::from_nanos(*part))) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
