//! What a design excuses is excused there and nowhere else, and an exception that cannot be is a mistake.

use crate::support::design;
use bowline_check::{Review, review};
use bowline_design::{Mistake, Text, read, resolve};

/// A route whose tries do not fit (T08), and that repeats an effect (R05): both of one VirtualService.
fn routes(annotation: &str) -> Text {
    design(&format!(
        "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: payment
  annotations:
    bowline.dev/allow: {annotation}
spec:
  hosts: [ payment ]
  http:
  - route: [ {{ destination: {{ host: payment }} }} ]
    timeout: 3s
    retries: {{ attempts: 3, perTryTimeout: 2s, retryOn: 5xx }}
"
    ))
}

fn reviewed(text: Text) -> Result<Review, Vec<Mistake>> {
    let reading = read(&[text]);
    let design = resolve(&reading).unwrap();
    review(&design, &reading.documents)
}

/// What stays, what is excused with which reason, and which exceptions excuse nothing.
#[track_caller]
fn check(annotation: &str, stay: &[&str], excused: &[(&str, &str)], idle: &[&str]) {
    let review = reviewed(routes(annotation)).unwrap();
    let found: Vec<_> = review.findings.iter().map(|finding| finding.rule).collect();
    let excuses: Vec<_> =
        review.excused.iter().map(|excused| (excused.finding.rule, &*excused.by.reason)).collect();
    let useless: Vec<_> = review.idle.iter().map(|exception| exception.rule).collect();
    assert_eq!((&*found, &*excuses, &*useless), (stay, excused, idle));
}

#[test]
fn an_exception_excuses_its_rule_on_its_resource_and_keeps_the_reason() {
    check("\"T08: the ledger: late on Mondays\"", &["R05"], &[("T08", "the ledger: late on Mondays")], &[]);
    check("\"t08: any case\"", &["R05"], &[("T08", "any case")], &[]);
}

#[test]
fn several_stand_on_a_line_each() {
    let both = "|\n      R05: it deduplicates by number\n\n      T08: known\n";
    check(both, &[], &[("T08", "known"), ("R05", "it deduplicates by number")], &[]);
}

#[test]
fn with_a_path_only_what_is_inside_it_is_excused() {
    check("\"T08 at spec.http[0]: known\"", &["R05"], &[("T08", "known")], &[]);
    check("\"T08 at spec.http[0].retries.perTryTimeout: known\"", &["R05"], &[("T08", "known")], &[]);
    check("\"T08 at spec.http[1]: known\"", &["T08", "R05"], &[], &["T08"]);
    // No beginning of a name is its field.
    check("\"T08 at spec.http[0].retries.perTry: known\"", &["T08", "R05"], &[], &["T08"]);
}

#[test]
fn the_narrower_of_two_exceptions_gives_the_reason_and_the_other_is_told() {
    let both = "|\n      T08: all of it\n      T08 at spec.http[0]: this route\n";
    check(both, &["R05"], &[("T08", "this route")], &["T08"]);
}

#[test]
fn an_exception_that_excuses_nothing_is_told() {
    check("\"T03: the ledger answers late\"", &["T08", "R05"], &[], &["T03"]);
}

#[test]
fn an_exception_of_one_resource_excuses_no_other() {
    let other =
        routes("\"T08: known\"").text.replace("payment", "ledger").replace("T08: known", "R05: known");
    let text = routes("\"T08: known\"").text + "---\n" + &other;
    let review = reviewed(design(&text)).unwrap();
    let about = |finding: &bowline_check::Finding| format!("{} {}", finding.rule, finding.place.resource);
    let found: Vec<_> = review.findings.iter().map(about).collect();
    assert_eq!(found, ["R05 VirtualService default/payment", "T08 VirtualService default/ledger"]);
}

/// T02 tells all routes of a namespace in one finding; what is excused is not among them.
#[test]
fn a_finding_about_several_resources_leaves_out_the_excused_one() {
    let one = |name: &str, annotations: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{ name: {name}{annotations} }}
spec:\n  hosts: [ {name} ]\n  http: [ {{ route: [ {{ destination: {{ host: {name} }} }} ] }} ]\n"
        )
    };
    let allow = ", annotations: { bowline.dev/allow: \"T02: it streams\" }";
    let text = one("a", "") + &one("b", allow) + &one("c", "");
    let review = reviewed(design(&text)).unwrap();
    assert_eq!(review.findings.len(), 1);
    assert!(review.findings[0].what.starts_with("calls of 2 routes of 2 VirtualServices"));
    assert_eq!(&*review.excused[0].finding.place.resource, "VirtualService default/b");
    assert!(review.idle.is_empty());
}

#[test]
fn a_rule_that_does_not_exist_and_a_missing_reason_are_mistakes_with_their_place() {
    for (annotation, code, found) in [
        ("\"T99: known\"", "unknown-rule", "an exception of `T99`"),
        ("T08", "bad-exception", "an exception of T08 without a reason"),
        ("\"T08:  \"", "bad-exception", "an exception of T08 without a reason"),
        ("\"T08 spec.http[0]: known\"", "bad-exception", "`T08 spec.http[0]: known`"),
        ("\"\"", "bad-exception", "an exception of nothing"),
    ] {
        let mistakes = reviewed(routes(annotation)).unwrap_err();
        let told: Vec<_> = mistakes.iter().map(|mistake| (mistake.code, &*mistake.found)).collect();
        assert_eq!(told, [(code, found)], "{annotation}");
        assert_eq!((mistakes[0].place.line, mistakes[0].place.column), (6, 24), "{annotation}");
    }
}

#[test]
fn all_wrong_lines_are_told_at_once() {
    let mistakes = reviewed(routes("|\n      T98: a\n      T08: b\n      T99: c\n")).unwrap_err();
    assert_eq!(mistakes.len(), 2);
}
