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

#[test]
fn the_network_without_a_closed_form_has_what_its_markov_chain_says() {
    let expected = |id| rows().iter().find(|row| row.id == id).unwrap().numbers[0].expected;
    let near = |solved: f64, expected: f64| (solved - expected).abs() < 1e-4 * expected;
    // The chain knows the one closed form there is of its kind, so it is believed where there is none.
    let known = both_answered(700.0, [1_000.0, 1_000.0], 0.0);
    assert!(near(known, expected("network 3")), "{known}");
    let solved = both_answered(450.0, [1_000.0, 800.0], 0.2);
    assert!(near(solved, expected("network 4")), "{solved}");
}

/// The mean in milliseconds until two servers have both answered, `again` of the requests beginning anew then.
///
/// A state is how many requests wait at either server. Both serve in the order in which requests came, so the longer
/// line's server is the one that completes a request, and as many requests are inside as the longer line has.
fn both_answered(lambda: f64, mu: [f64; 2], again: f64) -> f64 {
    /// At three quarters of a server's capacity a line of ninety has a chance of 10^-11.
    const ROOM: usize = 90;
    let at = |a: usize, b: usize| a * ROOM + b;
    let whole = lambda + mu[0] + mu[1];
    let mut now = vec![0.0; ROOM * ROOM];
    now[0] = 1.0;
    let mut moved = f64::INFINITY;
    while 1e-8 < moved {
        let mut next = vec![0.0; ROOM * ROOM];
        for a in 0..ROOM {
            for b in 0..ROOM {
                let here = now[at(a, b)] / whole;
                let (more_a, more_b) = ((a + 1).min(ROOM - 1), (b + 1).min(ROOM - 1));
                next[at(more_a, more_b)] += lambda * here;
                match a {
                    0 => next[at(a, b)] += mu[0] * here,
                    _ if a <= b => next[at(a - 1, b)] += mu[0] * here,
                    _ => {
                        next[at(a - 1, b)] += mu[0] * here * (1.0 - again);
                        next[at(a, more_b)] += mu[0] * here * again;
                    }
                }
                match b {
                    0 => next[at(a, b)] += mu[1] * here,
                    _ if b <= a => next[at(a, b - 1)] += mu[1] * here,
                    _ => {
                        next[at(a, b - 1)] += mu[1] * here * (1.0 - again);
                        next[at(more_a, b)] += mu[1] * here * again;
                    }
                }
            }
        }
        moved = now.iter().zip(&next).map(|(one, other)| (one - other).abs()).sum();
        now = next;
    }
    let inside = (0..ROOM * ROOM).map(|state| now[state] * (state / ROOM).max(state % ROOM) as f64);
    inside.sum::<f64>() / lambda * 1e3
}
