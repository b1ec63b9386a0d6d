//! Whatever is read, it costs what its size suggests, and nothing panics.

use crate::support::{fixture, folder, read, text};
use proptest::prelude::*;

#[test]
fn an_alias_bomb_is_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        bomb += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(", "));
    }
    let reading = read(&bomb);
    assert_eq!(reading.mistakes.iter().map(|m| m.code).collect::<Vec<_>>(), ["too-large"]);
}

#[test]
fn a_giant_text_is_refused_and_the_others_are_read() {
    let giant = text("giant.yaml", &"a: b\n".repeat(2_000_000));
    let small = text("small.yaml", "kind: Service\nmetadata: { name: s }\nspec: {}\n");
    let reading = bowline_design::read(&[giant, small]);
    assert_eq!(reading.mistakes.iter().map(|m| m.code).collect::<Vec<_>>(), ["too-large"]);
    assert_eq!(reading.documents.services.len(), 1);
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        let deep = open.repeat(10_000) + &close.repeat(10_000);
        assert_eq!(read(&deep).mistakes[0].code, "too-large");
    }
    let aliases =
        (1..60).fold("a0: &a0 [x]\n".to_owned(), |text, n| text + &format!("a{n}: &a{n} [*a{}]\n", n - 1));
    assert!(read(&(aliases + "last: [[[[[[*a59]]]]]]\n")).mistakes.iter().any(|m| m.code == "too-large"));
}

#[test]
fn mistakes_are_counted_beyond_the_thousandth() {
    let many = "kind: Service\nmetadata: { name: s }\nspec:\n".to_owned()
        + &(0..5_000).map(|n| format!("  field{n}: 1\n")).collect::<String>();
    let reading = read(&many);
    assert_eq!(reading.mistakes.len(), 1_001);
    let last = reading.mistakes.last().expect("the last");
    assert_eq!((last.code, last.found.as_str()), ("too-many", "4000 more mistakes"));
}

#[test]
fn many_documents_in_one_text_have_an_end() {
    let reading = read(&"--- {}\n".repeat(30_000));
    assert!(reading.mistakes.iter().any(|m| m.code == "too-large" || m.code == "too-many"));
}

/// Reads a text and renders what was found: neither may panic.
fn survives(content: &str) {
    let texts = [text("any.yaml", content)];
    for mistake in bowline_design::read(&texts).mistakes {
        let _ = mistake.render(&texts, true);
        let _ = mistake.to_json();
    }
}

/// Every fixture, and our own kinds.
fn seeds() -> Vec<String> {
    let mut seeds: Vec<String> = ["istio-samples", "article"]
        .into_iter()
        .flat_map(|name| std::fs::read_dir(folder("fixtures").join(name)).expect("fixtures"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .map(|path| std::fs::read_to_string(path).expect("a fixture"))
        .collect();
    seeds.push(fixture("ours.yaml").text);
    seeds
}

/// Pieces that change what a text means.
const PIECES: [&str; 16] = [
    "---\n",
    "{",
    "}",
    "[",
    "]",
    "&a ",
    "*a",
    "<<: *a\n",
    "\t",
    ": ",
    "- ",
    "!!str ",
    "\u{0}",
    "'",
    "\"",
    "\u{1f980}",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_survived(content in "\\PC{0,200}") {
        survives(&content);
    }

    #[test]
    fn any_heap_of_yaml_is_survived(content in prop::collection::vec(
        prop::sample::select([&PIECES[..], &["kind: Policy\n", "spec:\n  ", "a: 1\n", "retry: ", "~", "5", "8ms"][..]].concat()), 0..60)
    ) {
        survives(&content.concat());
    }

    #[test]
    fn a_changed_fixture_is_survived(
        seed in any::<prop::sample::Index>(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, prop::sample::select(&PIECES[..])), 1..5),
    ) {
        let seeds = seeds();
        let mut content: Vec<char> = seed.get(&seeds).chars().collect();
        for (at, cut, piece) in cuts {
            let at = at.index(content.len() + 1);
            let end = (at + cut).min(content.len());
            content.splice(at..end, piece.chars());
        }
        survives(&content.into_iter().collect::<String>());
    }
}

/// Not a promise of speed, only that nothing is quadratic: a megabyte of anything stays below seconds
/// even in a debug build.
#[test]
fn a_megabyte_of_one_thing_is_read_in_time() {
    let policy = "kind: Policy\nmetadata: { name: p }\nspec: ";
    let keys: String = (0..60_000).map(|n| format!("  k{n}: 1\n")).collect();
    for content in [
        format!("{policy}{{ targets: [{}] }}\n", "{ service: a }, ".repeat(60_000)),
        format!(
            "kind: Service\nmetadata:\n  name: a\n  labels:\n{}spec: {{}}\n",
            keys.replace("  k", "    k").replace(": 1", ": 'x'")
        ),
        format!("{policy}\n{keys}"),
        "a: &a [1, 2]\n".repeat(60_000),
        "- ".repeat(60) + &"x ".repeat(500_000),
        "--- {a: b}\n".repeat(15_000),
        "\"".repeat(1_000_000),
        "? ".repeat(300_000),
        "[".repeat(1_000_000),
        "#".repeat(1_000_000),
        "&a ".repeat(300_000),
    ] {
        read(&content);
    }
}
