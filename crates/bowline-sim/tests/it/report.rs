//! The page: the same bytes for the same data, nothing from outside, and what a reader needs to find their way.
//!
//! `UPDATE_GOLDEN=1` writes the golden page anew; look at it in a browser before it is kept. With `PAGE=FILE` the
//! larger sample is written there, to look at.

mod sample;

use crate::experiment::{Way, plan, run};
use bowline_sim::report::{Page, Reproduce, html, map};
use bowline_sim::sweep::{Axis, Knob, sweep};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;

#[test]
fn a_small_page_is_the_same_to_the_byte() {
    let found = html(&sample::small());
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/page.html");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &found).expect("a golden file");
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(expected == found, "{} differs; UPDATE_GOLDEN=1 writes it anew", golden.display());
}

#[test]
fn the_same_data_give_the_same_page() {
    assert!(html(&sample::large()) == html(&sample::large()));
    if let Some(file) = std::env::var_os("PAGE") {
        std::fs::write(file, html(&sample::large())).expect("the page");
    }
}

#[test]
fn a_page_refers_to_nothing_outside_of_it() {
    for page in [sample::small(), sample::large()] {
        let text = html(&page);
        for word in [
            "http:",
            "https:",
            "//",
            "src=",
            "@import",
            "<script",
            "<link",
            "<iframe",
            "<object",
            "javascript:",
        ] {
            assert!(!text.contains(word), "it says {word}");
        }
        for reference in between(&text, "href=\"", "\"").chain(between(&text, "url(", ")")) {
            assert!(reference.starts_with('#'), "it refers to {reference}");
        }
    }
}

#[test]
fn what_is_referred_to_is_there_once() {
    let text = html(&sample::large());
    let mut ids: Vec<&str> = between(&text, " id=\"", "\"").collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "an id is there twice");
    let named = between(&text, "labelledby=\"", "\"").flat_map(str::split_whitespace);
    for id in named.chain(between(&text, "href=\"#", "\"")).chain(between(&text, "url(#", ")")) {
        assert!(ids.contains(&id), "nothing is called {id}");
    }
}

#[test]
fn every_tag_that_opens_closes_in_its_turn() {
    for page in [Page::default(), sample::small(), sample::large()] {
        assert_well_formed(&html(&page));
    }
}

#[track_caller]
fn assert_well_formed(text: &str) {
    let mut open = Vec::new();
    for tag in between(text, "<", ">").filter(|tag| !tag.starts_with('!')) {
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{name} closes"),
            None => {
                let name = tag.split([' ', '\n']).next().unwrap_or_default();
                if !["meta", "br"].contains(&name) {
                    open.push(name);
                }
            }
        }
    }
    assert!(open.is_empty(), "{open:?} never close");
}

#[test]
fn each_chart_says_in_words_what_it_shows_and_each_table_has_heads() {
    let text = html(&sample::large());
    for chart in between(&text, "<svg class=\"chart", "</svg>") {
        let head = chart.split('>').next().unwrap_or_default();
        assert!(head.contains("role=\"img\"") && head.contains("aria-labelledby"), "{head}");
        assert!(chart.contains("<title") && chart.contains("<desc"), "{head}");
    }
    assert!(between(&text, "<table", "</table>").all(|table| table.contains("scope=\"col\"")));
    assert!(between(&text, "<div class=\"wide\"", ">").all(|region| region.contains("tabindex=\"0\"")));
    assert!(between(&text, "class=\"bar\"", ">").all(|bar| bar.contains("aria-label")));
}

#[test]
fn what_others_wrote_stays_text() {
    let mut page = sample::small();
    page.scenario = "<script>alert(1)</script>".to_owned();
    page.arms[0].name = "\"><img src=x onerror=alert(1)>".to_owned();
    page.arms[0].graph.nodes[0].name = "</style><b>".to_owned();
    page.reproduce.command = "bowline simulate '</code>'".to_owned();
    let text = html(&page);
    assert!(!text.contains("<script") && !text.contains("<img") && !text.contains("</style><b>"));
}

#[test]
fn a_page_of_nothing_is_a_page() {
    let text = html(&Page::default());
    assert!(text.starts_with("<!DOCTYPE html>") && text.ends_with("</html>\n"));
    assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
}

#[test]
fn a_page_can_be_sent_by_mail() {
    let size = html(&sample::large()).len();
    assert!(size < 300_000, "three arms of ten minutes take {size} bytes");
}

fn ways() -> [(&'static str, Way); 2] {
    let four = Way { tries: 4, ..Way::default() };
    [("four tries", four.clone()), ("budget", Way { budget: true, ..four })]
}

#[test]
fn an_experiment_gives_the_same_page_on_any_number_of_threads() {
    let plan = plan(&ways(), &[7, 11, 13], 80);
    let page = |threads| html(&Page::of(&run(&plan, threads), "design/", Reproduce::default()));
    let (one, two) = (page(1), page(2));
    assert!(one == two);
    for said in ["four tries is ", "back to normal after", "a try of server.serve", "server", "160/s"] {
        assert!(one.contains(said), "it does not say {said:?}");
    }
    assert!(!one.contains("NaN"));
}

#[test]
fn a_sweep_gives_a_map_with_the_design_in_it() {
    let plan = plan(&ways(), &[7], 80);
    let x = Axis { knob: Knob::Load, at: None, values: vec![80.0] };
    let y = Axis { knob: Knob::Outage, at: None, values: vec![2.0] };
    let go_on = &mut |_| ControlFlow::Continue(());
    let swept = sweep(&plan, 0, &x, Some(&y), NonZeroUsize::MIN, go_on).unwrap();
    let text = map(&swept, "design/", &Reproduce::default());
    assert_well_formed(&text);
    assert_eq!(between(&text, "<td class=\"cell", "</td>").count(), 4);
    assert_eq!(text.matches("(the design as it is)").count(), 1);
}

/// Every text between `from` and the next `to`.
fn between<'t>(text: &'t str, from: &'t str, to: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(from).skip(1).filter_map(move |rest| rest.split(to).next())
}
