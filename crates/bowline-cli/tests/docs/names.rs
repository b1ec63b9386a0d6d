//! Names in the documentation exist, and what exists is in the documentation.

use crate::console::PROGRAM;
use crate::pages::{page, pages, quoted, read, root, words};
use bowline_proxy::Flag;
use bowline_proxy::gate::Reason;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

type Names = BTreeSet<String>;

fn all_text() -> String {
    pages().into_iter().map(|page| page.text + "\n").collect()
}

fn set<'n>(names: impl IntoIterator<Item = &'n str>) -> Names {
    names.into_iter().map(str::to_owned).collect()
}

/// Names that one side has and the other has not.
#[track_caller]
fn same(what: &str, documented: &Names, real: &Names) {
    let gone: Vec<_> = documented.difference(real).collect();
    let missing: Vec<_> = real.difference(documented).collect();
    assert!(
        gone.is_empty() && missing.is_empty(),
        "{what}: documented and not there: {gone:?}; not documented: {missing:?}"
    );
}

// === links ===

/// A heading as the fragment that links to it.
fn fragment(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>().replace(' ', "-")
}

#[test]
fn every_link_leads_somewhere() {
    let more = [
        "examples/article/README.md",
        "examples/shop/README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "docs/benchmarks.md",
    ];
    for page in pages().into_iter().chain(more.map(page)) {
        for link in page.prose().split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let folder = root().join(&page.path).parent().unwrap().to_owned();
            let target = if file.is_empty() { root().join(&page.path) } else { folder.join(file) };
            assert!(target.exists(), "{}: `{link}` leads nowhere", page.path);
            if !heading.is_empty() {
                let text = std::fs::read_to_string(&target).unwrap();
                let known = text.lines().any(|line| line.starts_with('#') && fragment(line) == heading);
                assert!(known, "{}: `{link}`: no such heading", page.path);
            }
        }
    }
}

// === the command line ===

/// What `bowline VERB --help` names: flags, and the verbs below.
fn help(verb: &[&str]) -> (Names, Vec<String>) {
    let output = Command::new(PROGRAM).args(verb).arg("--help").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let usage = text.split("Example").next().unwrap();
    let flags = flags(usage);
    let below =
        usage.split("Commands:").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
    let below = below.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let below = below.filter_map(|line| line.split_whitespace().next()).filter(|verb| *verb != "help");
    (flags, below.map(str::to_owned).collect())
}

fn flags(text: &str) -> Names {
    let is_flag = |word: &&str| {
        word.strip_prefix("--").is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
    };
    words(text, "-").filter(is_flag).map(str::to_owned).collect()
}

#[test]
fn every_verb_and_flag_is_documented_and_exists() {
    let (mut real, verbs) = help(&[]);
    assert!(verbs.len() > 5, "{verbs:?}");
    let text = all_text();
    for verb in &verbs {
        assert!(text.contains(&format!("bowline {verb}")), "`bowline {verb}` is not documented");
        let (flags, below) = help(&[verb]);
        real.extend(flags);
        for lower in below {
            real.extend(help(&[verb, &lower]).0);
        }
    }
    // Behind `bowline` on the same line, or alone between backticks.
    let mut documented = Names::new();
    for line in text.lines().filter(|line| !line.contains("cargo doc")) {
        let after = line.split("bowline ").skip(1).filter_map(|rest| rest.split(['|', ';', '`']).next());
        after.for_each(|rest| documented.extend(flags(rest)));
        documented.extend(quoted(line).filter(|span| span.starts_with("--")).flat_map(flags));
    }
    same("flags", &documented, &real);
}

// === check ===

#[test]
fn every_rule_has_its_paragraph() {
    let page = page("docs/guide/check.md");
    let real = set(bowline_check::all().iter().map(|rule| rule.id));
    let is_rule = |word: &&str| word.len() == 3 && word[1..].bytes().all(|b| b.is_ascii_digit());
    let headings = page.text.lines().filter_map(|line| line.strip_prefix("## ")).filter(is_rule);
    same("rules with a heading", &set(headings), &real);
    let rows = page.rows("rule");
    same("rules in the table", &set(rows.iter().map(|row| &row[0][1..4])), &real);
    let text = all_text();
    let named = ["error[", "warning[", "info["].iter().flat_map(|kind| text.split(kind).skip(1));
    let named = named.filter_map(|rest| rest.split(']').next()).filter(is_rule);
    for rule in named {
        assert!(real.contains(rule), "there is no rule {rule}");
    }
}

// === kinds ===

/// The dotted paths of a schema's fields: `retry.perTry`. Lists add nothing; what refers to itself ends.
fn paths(schema: &Value, root: &Value, before: &str, within: &mut Vec<String>, found: &mut Names) {
    if let Some(name) = schema["$ref"].as_str() {
        if within.iter().any(|known| known == name) {
            return;
        }
        within.push(name.to_owned());
        let target = root.pointer(name.trim_start_matches('#')).unwrap_or_else(|| panic!("{name}"));
        paths(target, root, before, within, found);
        within.pop();
        return;
    }
    if !schema["items"].is_null() {
        paths(&schema["items"], root, before, within, found);
    }
    for list in ["oneOf", "anyOf", "allOf"] {
        for one in schema[list].as_array().into_iter().flatten() {
            paths(one, root, before, within, found);
        }
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = if before.is_empty() { name.clone() } else { format!("{before}.{name}") };
        let count = found.len();
        paths(field, root, &path, within, found);
        // A field with fields of its own is documented by those.
        if found.len() == count {
            found.insert(path);
        }
    }
}

#[test]
fn every_field_of_our_kinds_is_documented_and_exists() {
    let schema = bowline_design::schema();
    let kinds = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array()).expect("a list of kinds");
    for (kind, documents) in [
        ("Service", &["docs/guide/design-files.md"][..]),
        ("Policy", &["docs/guide/design-files.md", "docs/guide/policies.md"]),
        ("Access", &["docs/guide/access.md"]),
        ("Issuer", &["docs/guide/access.md"]),
        ("Broker", &["docs/guide/scenarios.md"]),
        ("Topic", &["docs/guide/scenarios.md"]),
        ("Subscription", &["docs/guide/scenarios.md"]),
        ("Intake", &["docs/guide/scenarios.md"]),
        ("Overlay", &["docs/guide/scenarios.md"]),
        ("Scenario", &["docs/guide/scenarios.md"]),
    ] {
        let shape = kinds
            .iter()
            .find(|shape| shape["title"] == kind)
            .unwrap_or_else(|| panic!("{kind} in the schema"));
        let mut real = Names::new();
        paths(&shape["properties"]["spec"], &schema, "", &mut Vec::new(), &mut real);
        let documents: Vec<_> = documents.iter().map(|path| page(path)).collect();
        let heading = format!("{kind} field");
        let rows = documents.iter().flat_map(|page| page.rows(&heading));
        let documented: Names =
            rows.flat_map(|row| quoted(row[0]).map(str::to_owned).collect::<Vec<_>>()).collect();
        same(&format!("fields of {kind}"), &documented, &real);
    }
}

/// `http1_max_pending_requests` as YAML has it.
fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| match part.chars().next() {
        Some(letter) => all + &letter.to_uppercase().to_string() + &part[letter.len_utf8()..],
        None => all,
    })
}

#[test]
fn every_field_of_istios_kinds_is_listed_with_what_comes_of_it() {
    let text = page("docs/guide/routing.md").text;
    let listed: BTreeSet<&str> = quoted(&text).flat_map(|span| words(span, "_")).collect();
    for kind in ["virtual_service", "destination_rule", "gateway", "service_entry"] {
        let source = read(&format!("crates/bowline-design/src/kinds/{kind}.rs"));
        let mut seen = 0;
        // Fields of the structs that the reader reads: eight spaces, `pub`, a name.
        for field in source.lines().filter_map(|line| line.strip_prefix("        pub ")) {
            let Some((name, _)) = field.split_once(':') else { continue };
            let name = match name.split_once(" as ") {
                Some((_, written)) => written.trim_matches('"').to_owned(),
                None => camel(name),
            };
            assert!(listed.contains(name.as_str()), "{kind}: `{name}` is not in docs/guide/routing.md");
            seen += 1;
        }
        assert!(seen > 10, "{kind}: only {seen} fields were found in the source");
    }
}

#[test]
fn every_mistake_has_its_code_in_the_table() {
    let page = page("docs/guide/design-files.md");
    let documented: Names = page
        .rows("code")
        .iter()
        .flat_map(|row| quoted(row[0]).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let mut real = Names::new();
    let mut paths = ["crates/bowline-design/src", "crates/bowline-check/src/exceptions.rs"]
        .map(|path| root().join(path))
        .to_vec();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let source = std::fs::read_to_string(path).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap();
        for maker in ["add(", "mistake(", "code: ", "TOO_LARGE: &str = ", "REFUSED: &str = "] {
            let codes = source.split(maker).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
            let codes = codes.filter_map(|rest| rest.split('"').next());
            real.extend(
                codes
                    .filter(|code| {
                        code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                    })
                    .map(str::to_owned),
            );
        }
    }
    same("codes of mistakes", &documented, &real);
}

// === what is seen of a running design ===

/// Compares `/metrics` with what the pages name.
#[track_caller]
pub(crate) fn metrics_are_those_of(metrics: &str) {
    let real = set(metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()));
    let documented: Names = page("docs/guide/operating.md")
        .rows("family")
        .iter()
        .flat_map(|row| quoted(row[0]).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    same("families of metrics", &documented, &real);
    let text = all_text();
    for name in words(&text, "_").filter(|word| word.starts_with("bowline_") && *word != "bowline_proxy") {
        let family =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(real.contains(family), "there is no metric {name}");
    }
}

#[test]
fn every_flag_of_an_answer_is_explained() {
    let page = page("docs/guide/operating.md");
    let rows = page.rows("flag");
    let documented: Names = rows
        .iter()
        .flat_map(|row| quoted(row[0]))
        .filter(|flag| !flag.starts_with("--"))
        .map(str::to_owned)
        .collect();
    same("flags of answers", &documented, &set(Flag::ALL.map(Flag::as_str)));
}

#[test]
fn every_reason_to_give_up_is_explained() {
    let source = read("crates/bowline-model/src/decision.rs");
    let block = source.split("words!(GiveUp {").nth(1).and_then(|rest| rest.split("});").next()).unwrap();
    let real = set(block.split('"').skip(1).step_by(2));
    let page = page("docs/guide/operating.md");
    let documented: Names = page
        .rows("reason")
        .iter()
        .flat_map(|row| quoted(row[0]).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    same("reasons", &documented, &real);
}

#[test]
fn every_header_of_ours_exists() {
    let source = read("crates/bowline-proxy/src/headers.rs");
    let ours = |text: &str| {
        words(text, "-").filter(|word| word.starts_with("x-bowline-")).map(str::to_owned).collect::<Names>()
    };
    same("headers", &ours(&all_text()), &ours(&source));
}

// === limits ===

#[test]
fn the_gates_table_is_the_gates() {
    let page = page("docs/guide/http-strictness.md");
    let documented: Names = page.rows("status").iter().map(|row| row.join(" | ")).collect();
    let real =
        Reason::ALL.iter().map(|reason| format!("{} | `{reason}` | {}", reason.status(), reason.sentence()));
    same("rows of the gate's table", &documented, &real.collect());
}

/// 10,000
fn number(number: u64) -> String {
    let digits = number.to_string();
    let parts: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|part| std::str::from_utf8(part).unwrap()).collect();
    parts.join(",")
}

/// 8 KiB
fn bytes(bytes: u64) -> String {
    let (unit, word) = [(30, "GiB"), (20, "MiB"), (10, "KiB")]
        .into_iter()
        .find(|(shift, _)| bytes >> shift > 0)
        .unwrap_or((0, "B"));
    format!("{} {word}", bytes >> unit)
}

#[track_caller]
fn limits(path: &str, expected: &[(&str, String)]) {
    let page = page(path);
    let rows = page.rows("limit");
    for (name, value) in expected {
        let named = |row: &&Vec<&str>| quoted(row[0]).any(|own| own == *name);
        let found = rows.iter().filter(named).any(|row| row[1].starts_with(value.as_str()));
        assert!(found, "{path}: `{name}` is {value}");
    }
}

#[test]
fn limits_are_what_the_tables_say() {
    let proxy = bowline_proxy::Limits::default();
    let gate = &proxy.gate;
    let seconds = |span: std::time::Duration| format!("{} s", span.as_secs());
    let pace =
        |pace: bowline_proxy::gate::Pace| format!("{} in {}", bytes(pace.bytes as u64), seconds(pace.every));
    limits(
        "docs/guide/http-strictness.md",
        &[
            ("request_line_bytes_max", bytes(gate.request_line_bytes_max as u64)),
            ("field_bytes_max", bytes(gate.field_bytes_max as u64)),
            ("fields_max", number(gate.fields_max.into())),
            ("head_bytes_max", bytes(gate.head_bytes_max as u64)),
            ("body_bytes_max", bytes(gate.body_bytes_max)),
            ("extension_bytes_max", bytes(gate.extension_bytes_max as u64)),
            ("trailer_bytes_max", bytes(gate.trailer_bytes_max as u64)),
            ("trailers_max", number(gate.trailers_max.into())),
            ("pipelined_max", number(gate.pipelined_max)),
            ("idle", seconds(proxy.patience.idle)),
            ("head", seconds(proxy.patience.head)),
            ("body", pace(proxy.patience.body)),
            ("reader", pace(proxy.patience.reader)),
            (
                "linger",
                format!(
                    "{}, {}",
                    seconds(proxy.patience.linger),
                    bytes(proxy.patience.linger_bytes_max as u64)
                ),
            ),
        ],
    );
    limits(
        "docs/guide/operating.md",
        &[
            ("connections", number(proxy.connections.into())),
            ("backlog", number(proxy.backlog.into())),
            ("accepts_at_once", number(proxy.accepts_at_once.into())),
            ("answer_pause", seconds(proxy.answer_pause)),
            ("kept_bodies", bytes(proxy.kept_bodies)),
            ("hop_allowance", format!("{} ms", proxy.hop_allowance.as_millis())),
            ("drain_idle", seconds(proxy.drain_idle)),
            ("trails", number(proxy.trails as u64)),
            ("keys_hold", seconds(proxy.keys_hold)),
            ("keys_within", seconds(proxy.keys_within)),
            ("keys_again", seconds(proxy.keys_again)),
            ("keys_wait", seconds(proxy.keys_wait)),
            ("idle", seconds(proxy.pool.idle)),
            ("age", seconds(proxy.pool.age)),
            ("connections", number(proxy.pool.connections.into())),
            ("give_way", format!("{} ms", proxy.pool.give_way.as_millis())),
            ("connect", seconds(proxy.pool.connect)),
            ("streams", number(proxy.pool.streams.into())),
            ("ping_after", seconds(proxy.pool.ping_after)),
            ("ping_again", seconds(proxy.pool.ping_again)),
            ("ping_timeout", seconds(proxy.pool.ping_timeout)),
        ],
    );
}

#[test]
fn defaults_are_what_the_tables_say() {
    let page = page("docs/guide/policies.md");
    let rows = page.rows("Policy field");
    let default = |field: &str, value: String| {
        let row = rows.iter().find(|row| row[0] == format!("`{field}`")).unwrap_or_else(|| panic!("{field}"));
        assert!(row[2].trim_start_matches('`').starts_with(&value), "{field} is {value}, not {}", row[2]);
    };
    let breaker = bowline_policy::BreakerSettings::default();
    let budget = bowline_policy::BudgetSettings::default();
    let (slow, concurrent) = (breaker.slow.unwrap(), budget.concurrent.unwrap());
    let seconds = |span: std::time::Duration| format!("{}s", span.as_secs());
    default("breaker.window", seconds(breaker.window));
    default("breaker.minCalls", breaker.min_calls.to_string());
    default("breaker.failureRatio", breaker.failure_ratio.unwrap().as_f64().to_string());
    default("breaker.slowCall.over", seconds(slow.over));
    default("breaker.slowCall.ratio", slow.ratio.as_f64().to_string());
    default("breaker.consecutive", breaker.consecutive.unwrap().to_string());
    default("breaker.open", seconds(breaker.open));
    default("breaker.openMax", seconds(breaker.open_max));
    default("breaker.jitter", breaker.jitter.as_f64().to_string());
    default("breaker.probes", breaker.probes.to_string());
    default("breaker.probeLease", seconds(breaker.probe_lease));
    default("breaker.ramp", seconds(breaker.ramp));
    default("retry.budget.ratio", budget.ratio.as_f64().to_string());
    default("retry.budget.minPerSecond", budget.min_per_second.to_string());
    default("retry.budget.concurrent.ratio", concurrent.ratio.as_f64().to_string());
    default("retry.budget.concurrent.min", concurrent.min.to_string());
}
