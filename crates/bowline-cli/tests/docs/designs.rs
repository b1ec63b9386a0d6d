//! "yaml finds T08": a design in which `check` finds T08; "yaml finds nothing": one that has no findings;
//! "yaml endpoints": a file that lists endpoints.

use crate::pages::{Block, pages};
use bowline_check::check;
use bowline_design::Text;

#[test]
fn every_design_that_is_shown_finds_what_it_says() {
    let mut seen = 0;
    for page in pages() {
        for block in page.blocks() {
            if let Some(expected) = block.info.strip_prefix("yaml finds ") {
                let found = found(&block);
                match expected {
                    "nothing" => assert!(found.is_empty(), "{}: finds {found:?}", block.place),
                    rule => assert!(found.contains(&rule), "{}: finds {found:?}", block.place),
                }
                seen += 1;
            } else if block.info == "yaml endpoints" {
                let text = Text { name: block.place.as_str().into(), text: block.lines.join("\n") };
                let listed = bowline_design::hosts_file::read(&text);
                assert!(listed.is_ok_and(|listed| !listed.is_empty()), "{}", block.place);
            } else if block.info.starts_with("yaml") {
                read(&block);
            }
        }
    }
    assert!(seen >= 10, "only {seen} designs: is the mark still the same?");
}

fn read(block: &Block<'_>) -> bowline_design::Reading {
    let text = Text { name: block.place.as_str().into(), text: block.lines.join("\n") + "\n" };
    let texts = [text];
    let reading = bowline_design::read(&texts);
    let mistakes: Vec<String> =
        reading.mistakes.iter().map(|mistake| mistake.render(&texts, false)).collect();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    reading
}

fn found(block: &Block<'_>) -> Vec<&'static str> {
    let reading = read(block);
    let design =
        bowline_design::resolve(&reading).unwrap_or_else(|mistakes| panic!("{}: {mistakes:?}", block.place));
    check(&design, &reading.documents).iter().map(|finding| finding.rule).collect()
}
