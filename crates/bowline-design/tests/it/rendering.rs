//! What a person sees. The golden files are in `tests/golden`; `UPDATE_GOLDEN=1` writes them anew.

use crate::support::{folder, read, text};
use bowline_design::Text;
use std::path::Path;

/// Compares with a golden file.
#[track_caller]
pub(crate) fn golden(file: &Path, found: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(file, found).expect("a golden file");
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    assert!(expected == found, "{} differs; it would be:\n{found}", file.display());
}

#[track_caller]
fn check(name: &str, texts: &[Text]) {
    let reading = bowline_design::read(texts);
    let mistakes = reading.mistakes.iter().map(|mistake| mistake.render(texts, false));
    golden(&folder("golden").join(name), &mistakes.collect::<Vec<_>>().join("\n"));
}

#[test]
fn mistakes_show_the_line_the_place_and_what_to_do() {
    let routes = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: shop, namespace: front }
spec:
  hosts: [ shop ]
  http:
  - route:
    - destination: { host: orders }
    retires:
      attempts: 3
    timeout: 3
  - redirect:
      uri: /new
    route:
    - destination:
        host: orders
  - route:
    - destination: { host: orders }
    retries:
      attempts: 2
      timeout: 3s
      retryOn: 5xx,conect-failure
";
    let policy = "apiVersion: bowline.dev/v1alpha1
kind: Policy
metadata: { name: orders }
spec:
  targets: [ { service: orders } ]
  deadline: 3 s
  retry: { tries: three, budget: { ratio: 20 } }
---
kind: Policy
metadata:
  name: orders
spec:
  targets: [ { service: orders } ]
  deadline: 3s
---
kind: Poilcy
apiVersion: bowline.dev/v1alpha1
";
    check("mistakes.txt", &[text("design/routes.yaml", routes), text("design/policies.yaml", policy)]);
}

#[test]
fn the_articles_virtual_service_is_explained() {
    check("article.txt", &[crate::support::fixture("article/virtual-service.yaml")]);
}

#[test]
fn broken_texts_are_explained() {
    check(
        "broken.txt",
        &[
            text(
                "syntax.yaml",
                "kind: Service\nmetadata: { name: a\nspec: {}\n---\na: *nowhere\n---\nb: !include x\n",
            ),
            text("twice.yaml", "kind: Service\nmetadata: { name: a }\nspec:\n  replicas: 1\n\treplicas: 2\n"),
            text("keys.yaml", "kind: Service\nmetadata: { name: a }\nspec:\n  replicas: 1\n  replicas: 2\n"),
        ],
    );
}

#[test]
fn long_lines_and_strange_letters_stay_in_their_place() {
    let long = format!(
        "{{\"kind\": \"Service\", \"metadata\": {{\"name\": \"a\"}}, \"spec\": {{\"hosts\": [{}], \"replicas\": \"two\", \"health\": \"/{}\"}}}}",
        "\"shop\", ".repeat(30).trim_end_matches(", "),
        "x".repeat(200)
    );
    let strange =
        "kind: Service\nmetadata: { name: a }\nspec: { health: \"\u{1b}[31mred\u{202e}\", replicas: x }\n";
    let hidden = strange.replace('\u{1b}', "");
    check(
        "lines.txt",
        &[text("long.json", &long), text("str\u{1b}ange.yaml", strange), text("hidden.yaml", &hidden)],
    );
}

#[test]
fn colour_changes_nothing_but_colour() {
    let content = "kind: Service\nmetadata: { name: a }\nspec: { replica: 1 }\n";
    let texts = [text("design.yaml", content)];
    for mistake in read(content).mistakes {
        let coloured = mistake.render(&texts, true);
        assert!(coloured.contains("\u{1b}[1;31m"), "{coloured}");
        let mut plain = String::new();
        for part in coloured.split('\u{1b}') {
            plain += if plain.is_empty() && !coloured.starts_with('\u{1b}') {
                part
            } else {
                part.split_once('m').map_or("", |(_, rest)| rest)
            };
        }
        assert_eq!(plain, mistake.render(&texts, false));
    }
}

#[test]
fn a_mistake_is_json_for_programs() {
    let reading = read("kind: Service\nmetadata: { name: a }\nspec: { replica: 1 }\n");
    let json = reading.mistakes[0].to_json();
    assert_eq!(json["code"], "unknown-field");
    assert_eq!(json["place"]["line"], 3);
    assert_eq!(json["place"]["column"], 9);
    assert_eq!(json["place"]["path"], "spec.replica");
    assert_eq!(json["place"]["resource"], "Service default/a");
    assert_eq!(json["hint"], "did you mean `replicas`?");
}
