//! `bowline test`: a design's route tests.

use super::design::{self, counted};
use crate::arguments::{Output, Test};
use crate::{Done, Exit, print};

pub(crate) fn run(test: &Test, output: Output) -> Done {
    let Some(loaded) = design::load(&test.design, output)? else { return Ok(design::MISTAKEN) };
    let results = bowline_design::route_test::run(&loaded.design);
    let failed = results.iter().filter(|result| !result.passed()).count();
    match output {
        Output::Json => {
            let results: Vec<_> =
                results.iter().map(bowline_design::route_test::TestResult::to_json).collect();
            print::json(
                &serde_json::json!({"results": results, "passed": results.len() - failed, "failed": failed}),
            );
        }
        Output::Text => {
            for result in &results {
                let word =
                    if result.passed() { print::style("32", "ok  ") } else { print::style("1;31", "FAIL") };
                print::out(&format!("{word}  {result}\n"));
            }
            if results.is_empty() {
                print::out(
                    "no route tests; a document with `testCases:` holds them (docs/guide/route-tests.md)\n",
                );
            }
            print::out(&format!("{}, {failed} failed\n", counted(results.len(), "request")));
        }
    }
    Ok(if failed == 0 { Exit::Good } else { Exit::Findings })
}
