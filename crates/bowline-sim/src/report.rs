//! The report: one page of HTML that stands for itself.
//!
//! Data in, text out: the page refers to nothing outside of it, needs no script, tells no time, and is the same
//! text for the same data. It reads in the light, in the dark, on a phone and by keyboard; each chart says in
//! words what it shows and has its figures in a table beneath.
//!
//! In reading order:
//! - `page`: what a page is made from, as plain fields
//! - `of`, `figures`, `graph`: from an experiment to a page
//! - `words`: numbers as people read them
//! - `scale`: from figures to places on a chart
//! - `hero`: the verdicts and the table of everything that is compared
//! - `timeline`: what happened when, arm under arm
//! - `percentiles`: how long it took whom
//! - `attribution`: where the time went
//! - `amplification`: how often each part was asked for one request
//! - `map`: the page of a sweep
//! - `whole`: all of it in order, with what is found, assumed, and needed to do it again

mod amplification;
mod attribution;
mod figures;
mod graph;
mod hero;
mod map;
mod of;
mod page;
mod percentiles;
mod scale;
mod timeline;
mod whole;
mod words;

pub use map::map;
pub use page::{
    Arm, Cell, Fault, Finding, Graph, Hero, Link, Node, NodeKind, Page, Reproduce, Row, Severity, Standing,
    Term, Timeout, Verdict,
};
pub use whole::html;
