//! Every block that is marked to be run, page by page. A page that needs the shop has one of its own.
//!
//! A "console golden" block shows all that its command prints; `UPDATE_GOLDEN=1` writes it anew.

use crate::console;
use crate::names;
use crate::pages::{Page, page, pages, root};
use crate::shop::{Folder, Shop};

const OFFLINE: &str = "console run";
const WITH_SHOP: &str = "console run shop";
const GOLDEN: &str = "console golden";

/// Runs a page's blocks in order.
fn run(page: &Page) -> Option<Shop> {
    let blocks = page.blocks();
    let folder = Folder::new();
    let shop = blocks.iter().any(|block| block.info == WITH_SHOP).then(Shop::start);
    for block in &blocks {
        match (block.info, &shop) {
            (OFFLINE, _) => console::run(block, folder.path(), &str::to_owned),
            (WITH_SHOP, Some(shop)) => console::run(block, shop.folder(), &|text| shop.here(text)),
            _ => (),
        }
    }
    shop
}

#[test]
fn every_command_of_the_readme_does_what_it_shows() {
    run(&page("README.md"));
}

#[test]
fn every_pattern_has_a_command_that_shows_it() {
    let shop = run(&page("docs/patterns.md")).expect("patterns need the shop");
    // By now every part of the page of metrics has something to say.
    names::metrics_are_those_of(&shop.get("/metrics").unwrap());
}

#[test]
fn every_command_of_the_guide_does_what_it_shows() {
    for page in pages().iter().filter(|page| page.path.starts_with("docs/guide/")) {
        run(page);
    }
}

#[test]
fn what_simulations_print_is_what_the_guide_quotes() {
    let mut quoted = 0;
    for page in pages() {
        let folder = Folder::new();
        let mut text = page.text.clone();
        for block in page.blocks().iter().filter(|block| block.info == GOLDEN) {
            let (shown, printed) = console::golden(block, folder.path());
            if std::env::var_os("UPDATE_GOLDEN").is_none() {
                assert_eq!(shown, printed, "{}: UPDATE_GOLDEN=1 writes it anew", block.place);
            }
            text = text.replacen(&shown, &printed, 1);
            quoted += 1;
        }
        if text != page.text {
            std::fs::write(root().join(&page.path), text).unwrap();
        }
    }
    assert!(quoted >= 2, "only {quoted} blocks: is the mark still the same?");
}
