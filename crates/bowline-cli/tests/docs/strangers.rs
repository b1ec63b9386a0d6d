//! What the guide says of strangers' configurations is what `check` finds in them.

use crate::pages::{page, root};
use bowline_design::Text;
use std::collections::BTreeMap;

#[test]
fn the_row_of_istios_samples_is_what_is_found_in_them() {
    let page = page("docs/guide/check.md");
    let rows = page.rows("sample");
    let mut judged: BTreeMap<String, usize> = BTreeMap::new();
    for row in &rows {
        let count = |cell: usize| row[cell].parse::<usize>().unwrap_or_else(|_| panic!("{row:?}"));
        assert_eq!(count(3), count(4) + count(5) + count(6), "{row:?}: each finding is judged once");
        if row[0] == "Istio's own samples" {
            judged.insert(row[2].to_owned(), count(3));
        }
    }
    let (mut files, mut documents) = (0, 0);
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for entry in std::fs::read_dir(root().join("crates/bowline-design/tests/fixtures/istio-samples")).unwrap()
    {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let reading = bowline_design::read(&[Text { name: path.display().to_string().into(), text }]);
        (files, documents) = (files + 1, documents + reading.documents.count());
        let design = bowline_design::resolve(&reading).unwrap_or_else(|_| panic!("{}", path.display()));
        for finding in bowline_check::check(&design, &reading.documents) {
            *found.entry(finding.rule.to_owned()).or_default() += 1;
        }
    }
    assert_eq!(judged, found, "a finding that is new has to be judged, in docs/guide/check.md");
    let documented = rows.iter().find(|row| row[0] == "Istio's own samples").unwrap();
    assert_eq!(documented[1], format!("{documents} in {files} files"));
}
