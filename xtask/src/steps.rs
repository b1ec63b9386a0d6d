//! Steps that run one after the other, each with a name, a time, and a way to run it alone.

use crate::{Stop, clock};
use std::path::Path;
use std::time::Duration;

/// One thing that must hold.
pub(crate) struct Step {
    /// What `--only` calls it.
    pub(crate) name: &'static str,
    /// What holds when it passes, for `--list` and the heading.
    pub(crate) about: &'static str,
    /// Checks it; what it returns is printed beside the time ("" for nothing to say).
    pub(crate) run: fn(&Path) -> Result<String, Stop>,
}

/// Which of the steps are asked for.
#[derive(Default, Debug, PartialEq)]
pub(crate) struct Choice {
    only: Vec<String>,
    skip: Vec<String>,
    from: Option<String>,
    pub(crate) list: bool,
}

impl Choice {
    /// Reads `--only A,B`, `--skip A,B`, `--from A` and `--list`; every name must be a step's.
    pub(crate) fn parse(args: &[String], steps: &[Step]) -> Result<Self, Stop> {
        let mut choice = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut names = || -> Result<Vec<String>, Stop> {
                let value = args.next().ok_or_else(|| Stop::Usage(format!("{arg} wants a step's name")))?;
                let names: Vec<String> = value.split(',').map(str::to_owned).collect();
                match names.iter().find(|name| !steps.iter().any(|step| step.name == **name)) {
                    Some(unknown) => Err(Stop::Usage(format!("no step `{unknown}`; --list names them"))),
                    None => Ok(names),
                }
            };
            match arg.as_str() {
                "--only" => choice.only.extend(names()?),
                "--skip" => choice.skip.extend(names()?),
                "--from" => choice.from = names()?.pop(),
                "--list" => choice.list = true,
                other => return Err(Stop::Usage(format!("no option `{other}`; --help lists them"))),
            }
        }
        Ok(choice)
    }

    /// The chosen steps, in their order.
    pub(crate) fn of<'s>(&self, steps: &'s [Step]) -> Vec<&'s Step> {
        let from = self.from.as_ref().and_then(|name| steps.iter().position(|step| step.name == name));
        steps
            .iter()
            .skip(from.unwrap_or(0))
            .filter(|step| self.only.is_empty() || self.only.iter().any(|name| name == step.name))
            .filter(|step| !self.skip.iter().any(|name| name == step.name))
            .collect()
    }
}

/// Prints what there is to choose from.
pub(crate) fn list(steps: &[Step]) {
    for step in steps {
        println!("{:13} {}", step.name, step.about);
    }
}

/// Runs the steps until one fails; prints a table of them either way.
pub(crate) fn run(command: &str, steps: &[&Step], root: &Path) -> Result<(), Stop> {
    let mut rows: Vec<(&str, &str, Duration, String)> = Vec::new();
    let mut stopped = None;
    for (n, step) in steps.iter().enumerate() {
        println!("\n== {} ({} of {}): {}", step.name, n + 1, steps.len(), step.about);
        let start = clock::now();
        let result = (step.run)(root);
        let took = start.elapsed();
        match result {
            Ok(note) => rows.push((step.name, "ok", took, note)),
            Err(stop) => {
                rows.push((step.name, "FAILED", took, String::new()));
                stopped = Some((step.name, stop));
                break;
            }
        }
    }

    println!("\n{:13} {:7} {:>9}", "step", "", "seconds");
    for (name, state, took, note) in &rows {
        println!("{}", format!("{name:13} {state:7} {:>9.1}  {note}", took.as_secs_f64()).trim_end());
    }
    let total: Duration = rows.iter().map(|row| row.2).sum();
    println!(
        "{:13} {:7} {:>9.1}",
        "all",
        if stopped.is_none() { "ok" } else { "FAILED" },
        total.as_secs_f64()
    );

    match stopped {
        None => Ok(()),
        Some((name, stop)) => {
            let again = format!("\nTo run this step alone: cargo xtask {command} --only {name}");
            Err(match stop {
                Stop::Broken(why) => Stop::Broken(why + &again),
                Stop::Usage(why) => Stop::Usage(why + &again),
                Stop::Missing(why) => Stop::Missing(why + &again),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: &[Step] = &[
        Step { name: "one", about: "", run: |_| Ok(String::new()) },
        Step { name: "two", about: "", run: |_| Err(Stop::Broken("it does not hold".to_owned())) },
        Step { name: "three", about: "", run: |_| Ok(String::new()) },
    ];

    fn chosen(args: &[&str]) -> Vec<&'static str> {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let choice = Choice::parse(&args, STEPS).expect("the arguments are right");
        choice.of(STEPS).iter().map(|step| step.name).collect()
    }

    #[test]
    fn all_steps_run_when_nothing_is_chosen() {
        assert_eq!(chosen(&[]), ["one", "two", "three"]);
    }

    #[test]
    fn only_skip_and_from_choose() {
        assert_eq!(chosen(&["--only", "three,one"]), ["one", "three"]);
        assert_eq!(chosen(&["--skip", "two"]), ["one", "three"]);
        assert_eq!(chosen(&["--from", "two"]), ["two", "three"]);
        assert_eq!(chosen(&["--from", "two", "--skip", "two"]), ["three"]);
    }

    #[test]
    fn an_unknown_step_or_option_is_wrong_use() {
        for args in [&["--only", "four"][..], &["--only"], &["--fast"]] {
            let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
            assert!(matches!(Choice::parse(&args, STEPS), Err(Stop::Usage(_))), "{args:?}");
        }
    }

    #[test]
    fn the_first_failing_step_ends_the_run_and_says_how_to_run_it_alone() {
        let steps: Vec<&Step> = STEPS.iter().collect();
        let stop = run("test", &steps, Path::new(".")).expect_err("step two fails");
        assert!(matches!(stop, Stop::Broken(_)));
        assert_eq!(stop.message(), "it does not hold\nTo run this step alone: cargo xtask test --only two");
    }
}
