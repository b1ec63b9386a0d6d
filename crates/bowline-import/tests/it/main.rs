//! The importers from outside: what comes of a file loads, says what the file said, and refuses what it cannot.

mod bowline;
mod hostile;
mod isotope;
mod otlp;
mod traces;

use bowline_design::resolved::Work;
use bowline_design::{Design, Text};
use bowline_import::{Imported, Note};

/// The design that was written, which has to load.
#[track_caller]
fn loaded(imported: &Imported) -> Design {
    let texts = [Text { name: "design.yaml".into(), text: imported.design.clone() }];
    let reading = bowline_design::read(&texts);
    match bowline_design::resolve(&reading) {
        Ok(design) => design,
        Err(mistakes) => {
            let told: String = mistakes.iter().map(|mistake| mistake.render(&texts, false)).collect();
            panic!("{told}\n{}", imported.design)
        }
    }
}

/// What an operation does, as a line: `call b.serve`, `[call a.serve | call c.serve]`, `{0.3: call x.y, 0.7: }`.
fn does(design: &Design, service: &str, operation: &str) -> String {
    let service = design.services.iter().find(|known| *known.name == *service).expect(service);
    let operation = service.operation_named(operation).expect(operation);
    steps(design, &service.operations[operation].does, "; ")
}

fn steps(design: &Design, works: &[Work], between: &str) -> String {
    works.iter().map(|work| step(design, work)).collect::<Vec<_>>().join(between)
}

fn step(design: &Design, work: &Work) -> String {
    match work {
        Work::Work(span) => format!("work {}", bowline_design::format::format_duration(*span)),
        Work::Call { service, operation, .. } => {
            let service = &design.services[service.0 as usize];
            format!("call {}.{}", service.name, service.operations[*operation].name)
        }
        Work::Publish { topic, .. } => format!("publish {topic}"),
        Work::Parallel(works) => format!("[{}]", steps(design, works, " | ")),
        Work::Choice(branches) => {
            let branch =
                |(share, works): &(f64, Vec<Work>)| format!("{:.2}: {}", share, steps(design, works, "; "));
            format!("{{{}}}", branches.iter().map(branch).collect::<Vec<_>>().join(", "))
        }
    }
}

/// The note about `subject` whose text holds `text`.
#[track_caller]
fn noted<'n>(imported: &'n Imported, subject: &str, text: &str) -> &'n Note {
    let found = imported.notes.iter().find(|note| note.subject == subject && note.text.contains(text));
    found.unwrap_or_else(|| panic!("nothing about {subject}: {text} in {:#?}", imported.notes))
}
