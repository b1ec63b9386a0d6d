//! Runs the validation table and prints one JSON document a line: a row, with every number's verdict.
//!
//! `validate [--only ID,..] [--seed N]`; an id without what follows its space names all rows that begin so.
//! `cargo xtask validate` makes a table of it. The last line says which rows of the published list do not run.
//!
//! Rows run beside one another, as many as there are cores, and are printed in their order: a row is a function
//! of its seed, so how many run at once shows in nothing.

use bowline_sim::validate::{Measured, Row, Tolerance, absent, rows};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

fn main() -> ExitCode {
    match chosen(std::env::args().skip(1)) {
        Ok((rows, seed)) => {
            run_all(&rows, seed, say);
            say(&json!({ "absent": absent() }));
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("validate: {why}");
            ExitCode::from(2)
        }
    }
}

/// Runs the rows on all cores and hands them to `say` in their order, each as soon as it and those before it are
/// done.
fn run_all(rows: &[Row], seed: u64, say: impl Fn(&Value)) {
    let next = AtomicUsize::new(0);
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            let (tell, next) = (tell.clone(), &next);
            scope.spawn(move || {
                while let Some((index, row)) = claim(next, rows) {
                    if tell.send((index, of(row, seed))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(tell);
        let mut waiting = BTreeMap::new();
        let mut said = 0;
        for (index, row) in told {
            waiting.insert(index, row);
            while let Some(row) = waiting.remove(&said) {
                say(&row);
                said += 1;
            }
        }
    });
}

/// The next row that nobody runs yet.
fn claim<'r>(next: &AtomicUsize, rows: &'r [Row]) -> Option<(usize, &'r Row)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    rows.get(index).map(|row| (index, row))
}

/// A line at a time, so that whoever waits sees how far it is.
fn say(value: &Value) {
    println!("{value}");
    // Whoever reads may have gone; then nobody misses the rest.
    let _ = std::io::stdout().flush();
}

/// The rows that are asked for, and the seed.
fn chosen(mut args: impl Iterator<Item = String>) -> Result<(Vec<Row>, u64), String> {
    let (mut chosen, mut seed) = (rows(), 7);
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} wants a value"))?;
        match arg.as_str() {
            "--only" => {
                let names: Vec<&str> = value.split(',').collect();
                if let Some(unknown) = names.iter().find(|name| !chosen.iter().any(|row| is(row, name))) {
                    return Err(format!("no row `{unknown}`"));
                }
                chosen.retain(|row| names.iter().any(|name| is(row, name)));
            }
            "--seed" => seed = value.parse().map_err(|_| format!("`{value}` is no seed"))?,
            other => return Err(format!("no option `{other}`")),
        }
    }
    Ok((chosen, seed))
}

fn is(row: &Row, name: &str) -> bool {
    row.id == name || row.id.strip_prefix(name).is_some_and(|rest| rest.starts_with(' '))
}

fn of(row: &Row, seed: u64) -> Value {
    let numbers: Vec<Value> = row.run(seed).iter().map(number).collect();
    json!({
        "row": row.id,
        "title": row.title,
        "setting": row.setting,
        "source": row.source,
        "seed": seed,
        "numbers": numbers,
    })
}

fn number(measured: &Measured) -> Value {
    let number = measured.number;
    json!({
        "what": number.what,
        "unit": number.unit,
        "expected": number.expected,
        // JSON knows no infinity; what never came is null.
        "ours": measured.value,
        "tolerance": tolerance(number.tolerance),
        "passes": measured.passes(),
    })
}

fn tolerance(tolerance: Tolerance) -> String {
    match tolerance {
        Tolerance::Share(0.0) | Tolerance::Within(0.0) => "exactly".to_owned(),
        // Rounded: 0.07 times a hundred is not seven.
        Tolerance::Share(share) => format!("{} %", (share * 1e4).round() / 1e2),
        Tolerance::Within(span) => format!("within {span}"),
        Tolerance::AtLeast => "at least".to_owned(),
        Tolerance::AtMost => "at most".to_owned(),
    }
}
