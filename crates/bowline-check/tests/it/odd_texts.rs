//! Edits of texts that are not as neat as the others.

use crate::support::{check, check_texts, design, file};
use bowline_design::Text;

const T08: &str = "T08 info spec.http[0].retries.perTryTimeout: if each try takes as long as it may, only 1 of 4 tries of ratings fits into its 3 s";

const RATINGS: &str = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ratings }
spec:
  hosts: [ ratings ]
  http:
  - timeout: 3s
    retries:
      attempts: 3
      perTryTimeout: 2s
    route: [ { destination: { host: ratings } } ]
";

#[test]
fn lines_may_end_as_on_windows() {
    check(&RATINGS.replace('\n', "\r\n"), &[T08]);
    let bare = RATINGS.replace("  - timeout: 3s\n    retries", "  - retries").replace('\n', "\r\n");
    check(
        &bare,
        &[
            "T02 warning spec.http[0]: 4 tries of ratings with their back-off may take 8.275 s, and nothing in the design \
           bounds them",
        ],
    );
}

#[test]
fn values_may_have_quotes_anchors_comments_and_letters_of_other_alphabets_before_them() {
    for value in ["\"2s\"", "'2s'", "&patient 2s", "2s # d\u{e9}j\u{e0} vu", "!!str 2s"] {
        check(&RATINGS.replace("perTryTimeout: 2s", &format!("perTryTimeout: {value}")), &[T08]);
    }
    check(&format!("# \u{5c0f}\u{5fc3}\n{}", RATINGS.replace("  hosts:", "  # \u{e9}\n  hosts:")), &[T08]);
}

#[test]
fn one_value_that_is_both_by_an_alias_is_not_edited() {
    let yaml = RATINGS
        .replace("timeout: 3s", "timeout: &three 3s")
        .replace("attempts: 3\n", "attempts: 1\n")
        .replace("perTryTimeout: 2s", "perTryTimeout: *three");
    let found = check(
        &yaml,
        &[
            "T03 warning spec.http[0].retries.perTryTimeout: a try of ratings may take 3 s, the whole call 3 s: after a \
           timeout no try follows (no edit)",
        ],
    );
    assert!(found[0].advice.starts_with("one value is a try's time and the deadline: give each its own"));
}

#[test]
fn a_value_written_as_a_block_is_not_edited() {
    let found = crate::support::findings(&[design(
        &RATINGS.replace("perTryTimeout: 2s", "perTryTimeout: >-\n        2s"),
    )]);
    assert_eq!(found[0].rule, "T08");
    assert!(found[0].mended(&[design(RATINGS)]).is_none());
}

#[test]
fn a_text_that_is_not_the_one_that_was_checked_is_not_edited() {
    let found = check(RATINGS, &[T08]);
    assert!(found[0].mended(&[Text { name: "other.yaml".into(), text: RATINGS.to_owned() }]).is_none());
    assert!(found[0].mended(&[design("kind: Other\n")]).is_none());
}

#[test]
fn a_delegates_route_gets_its_timeout_where_it_is_written() {
    let root = "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: root }
spec:
  hosts: [ shop.example ]
  http: [ { match: [ { uri: { prefix: /a } } ], delegate: { name: leaf } }, { match: [ { uri: { prefix: /b } } ], delegate: { name: leaf } } ]
";
    let leaf = "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: leaf }
spec:
  http:
  - route: [ { destination: { host: ratings } } ]
";
    let texts = [
        Text { name: "root.yaml".into(), text: root.to_owned() },
        Text { name: "leaf.yaml".into(), text: leaf.to_owned() },
    ];
    let found = check_texts(
        &texts,
        &[
            "T02 warning spec.http[0]: a call of root[0] may take for ever: nothing in the design sets a deadline",
        ],
    );
    assert_eq!(&*found[0].place.file, "leaf.yaml");
}

#[test]
fn places_of_an_export_are_edited_in_place() {
    let texts = [file("tests/fixtures/export.yaml")];
    let found = crate::support::findings(&texts);
    let t08 = found.iter().find(|finding| finding.rule == "T08").unwrap();
    let mended = t08.mended(&texts).unwrap();
    let changed: Vec<(&str, &str)> =
        texts[0].text.lines().zip(mended[0].text.lines()).filter(|(before, after)| before != after).collect();
    assert_eq!(changed, [("        perTryTimeout: 2s", "        perTryTimeout: 680ms")]);
}
