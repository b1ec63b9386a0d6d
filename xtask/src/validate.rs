//! `cargo xtask validate`: what the simulator must reproduce, beside what it does.

use crate::{Stop, run};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

const HELP: &str = "\
cargo xtask validate [--only ROW,..] [--seed N] [--write] [--output json]

Runs the rows of `bowline_sim::validate`: closed forms of queueing theory and results that others have
published, each with a tolerance that stood in the code before the run. About four minutes of two cores; rows run beside one another.

--only    these rows (`V15` means all that begin so)
--seed    other random numbers; 7 where nobody says
--write   puts the table into docs/validation.md; wants all rows, and the seed that everybody gets
--output  json: one document as the last line

Ends with 1 if a row fails.";

const PAGE: &str = "docs/validation.md";
const BEGIN: &str = "<!-- `cargo xtask validate --write` writes from here -->";
const END: &str = "<!-- to here -->";

/// What is asked for.
#[derive(Default, Debug, PartialEq)]
struct Asked {
    /// Handed on to the example.
    args: Vec<String>,
    write: bool,
    json: bool,
}

pub(crate) fn main(args: &[String]) -> Result<(), Stop> {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        println!("{HELP}");
        return Ok(());
    }
    let asked = parse(args)?;
    let root = run::root()?;
    let mut all = vec!["run", "--quiet", "--release", "-p", "bowline-sim", "--example", "validate", "--"];
    all.extend(asked.args.iter().map(String::as_str));
    let said = run::read(&mut run::cargo(&root, &all))?;
    let lines: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let rows: Vec<&Value> = lines.iter().filter(|line| line["row"].is_string()).collect();
    let absent: Vec<&Value> = lines.iter().filter_map(|line| line["absent"].as_array()).flatten().collect();
    let failing: Vec<&str> =
        rows.iter().filter(|row| !passes(row)).filter_map(|row| row["row"].as_str()).collect();

    print!("{}", table(&rows, &absent));
    if asked.write {
        write(&root, &table(&rows, &absent))?;
        println!("\n{PAGE} is written.");
    }
    if asked.json {
        println!("{}", json!({ "validate": rows, "absent": absent, "ran": rows.len(), "failing": failing }));
    }
    match (rows.is_empty(), failing.is_empty()) {
        (true, _) => Err(Stop::Broken("no row ran".to_owned())),
        (false, true) => Ok(()),
        (false, false) => Err(Stop::Broken(format!("failing: {}", failing.join(", ")))),
    }
}

fn parse(args: &[String]) -> Result<Asked, Stop> {
    let mut asked = Asked::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| Stop::Usage(format!("{arg} wants a value")));
        match arg.as_str() {
            "--only" | "--seed" => asked.args.extend([arg.clone(), value()?.clone()]),
            "--write" => asked.write = true,
            "--output" => match value()?.as_str() {
                "json" => asked.json = true,
                "text" => asked.json = false,
                other => return Err(Stop::Usage(format!("--output wants text or json, not `{other}`"))),
            },
            other => return Err(Stop::Usage(format!("no option `{other}`; --help lists them"))),
        }
    }
    if asked.write && !asked.args.is_empty() {
        return Err(Stop::Usage("--write wants all rows and the seed that everybody gets".to_owned()));
    }
    Ok(asked)
}

fn passes(row: &Value) -> bool {
    let numbers = row["numbers"].as_array().filter(|numbers| !numbers.is_empty());
    numbers.is_some_and(|all| all.iter().all(|number| number["passes"] == true))
}

/// The table, as people read it in a terminal and on a page.
fn table(rows: &[&Value], absent: &[&Value]) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().replace('|', "\\|");
    let mut out = String::from(
        "| row | what | published or closed form | ours | tolerance | |\n|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let verdict = if passes(row) { "pass" } else { "**fail**" };
        let (title, setting) = (text(&row["title"]), text(&row["setting"]));
        let source = text(&row["source"]);
        let _ = writeln!(
            out,
            "| **{}** | **{title}**: {setting} | {source} | | | {verdict} |",
            text(&row["row"])
        );
        for number in row["numbers"].as_array().into_iter().flatten() {
            let unit = text(&number["unit"]);
            let _ = writeln!(
                out,
                "| | {} | {} | {} | {} | {} |",
                text(&number["what"]),
                shown(&number["expected"], &unit),
                shown(&number["ours"], &unit),
                text(&number["tolerance"]),
                if number["passes"] == true { "pass" } else { "**fail**" },
            );
        }
    }
    let failing = rows.iter().filter(|row| !passes(row)).count();
    let numbers: usize = rows.iter().filter_map(|row| row["numbers"].as_array()).map(Vec::len).sum();
    let rows = rows.len();
    let word = if rows == 1 { "row" } else { "rows" };
    let _ = writeln!(out, "\n{rows} {word} ran, {numbers} numbers: {} pass, {failing} fail.", rows - failing);
    if !absent.is_empty() {
        let _ = writeln!(out, "\nOf the published list these do not run:\n");
        for row in absent {
            let _ = writeln!(out, "- {}: {}", text(&row[0]), text(&row[1]));
        }
    }
    out
}

/// A number with four digits that count, and its unit.
fn shown(value: &Value, unit: &str) -> String {
    let Some(number) = value.as_f64() else { return "never".to_owned() };
    let before = if number == 0.0 { 0.0 } else { number.abs().log10().floor() };
    let digits = (3.0 - before).clamp(0.0, 8.0) as usize;
    let figure = format!("{number:.digits$}");
    let figure =
        if figure.contains('.') { figure.trim_end_matches('0').trim_end_matches('.') } else { &figure };
    match unit.strip_prefix('/') {
        Some(_) => format!("{figure}{unit}"),
        None => format!("{figure} {unit}").trim_end().to_owned(),
    }
}

/// Puts the table between the page's marks.
fn write(root: &Path, table: &str) -> Result<(), Stop> {
    let path = root.join(PAGE);
    let broken = |e: std::io::Error| Stop::Broken(format!("{PAGE}: {e}"));
    let page = std::fs::read_to_string(&path).map_err(broken)?;
    let page = between(&page, table)
        .ok_or_else(|| Stop::Broken(format!("{PAGE} wants two lines, `{BEGIN}` and `{END}`")))?;
    std::fs::write(&path, page).map_err(broken)
}

fn between(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_row_stays_in_the_table() {
        let number = json!({ "what": "mean", "unit": "ms", "expected": 5.0, "ours": 6.25, "tolerance": "1 %", "passes": false });
        let row = json!({ "row": "V0", "title": "t", "setting": "s", "source": "o", "numbers": [number] });
        let table = table(&[&row], &[&json!(["V4", "not yet"])]);
        assert!(table.contains("| | mean | 5 ms | 6.25 ms | 1 % | **fail** |"), "{table}");
        assert!(table.contains("1 row ran, 1 numbers: 0 pass, 1 fail."), "{table}");
        assert!(table.contains("- V4: not yet"), "{table}");
    }

    #[test]
    fn a_row_without_numbers_does_not_pass() {
        assert!(!passes(&json!({ "row": "V0", "numbers": [] })));
    }

    #[test]
    fn numbers_have_the_digits_that_count() {
        for (value, unit, expected) in [
            (json!(0.63396), "", "0.634"),
            (json!(64.0), "", "64"),
            (json!(0.00001), "", "0.00001"),
            (json!(0.0), "", "0"),
            (json!(2435.21), "", "2435"),
            (json!(23.0259), "ms", "23.03 ms"),
            (json!(130.2), "/s", "130.2/s"),
            (json!(null), "s", "never"),
        ] {
            assert_eq!(shown(&value, unit), expected);
        }
    }

    #[test]
    fn what_stands_around_the_table_stays() {
        let page = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        assert_eq!(
            between(&page, "new\n").as_deref(),
            Some(&*format!("before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"))
        );
        assert_eq!(between("no marks", "new"), None);
    }

    #[test]
    fn a_part_of_the_table_is_not_written() {
        let args = |args: &[&str]| args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>();
        assert!(parse(&args(&["--write"])).is_ok_and(|asked| asked.write));
        assert!(matches!(parse(&args(&["--write", "--only", "V1"])), Err(Stop::Usage(_))));
        assert!(matches!(parse(&args(&["--fast"])), Err(Stop::Usage(_))));
    }
}
