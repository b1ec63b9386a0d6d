//! The validation table: the rows that take a moment, for both seeds. `cargo xtask validate` runs all of them,
//! and `cargo xtask prove` does with both.

use bowline_sim::validate::{Row, rows};

fn check(row: &Row, seed: u64) {
    for measured in row.run(seed) {
        let number = measured.number;
        assert!(
            measured.passes(),
            "{} ({}), seed {seed}: {} is {} {unit}, not {} {unit} ({:?})",
            row.id,
            row.title,
            number.what,
            measured.value,
            number.expected,
            number.tolerance,
            unit = number.unit,
        );
    }
}

#[test]
fn every_row_that_takes_a_moment_passes_for_both_seeds() {
    let quick: Vec<Row> = rows().into_iter().filter(|row| !row.long).collect();
    assert!(quick.len() >= 10, "{} rows are not a table", quick.len());
    for row in &quick {
        [7, 11].iter().for_each(|seed| check(row, *seed));
    }
}
