//! Arbitrary text as a design: it loads, or it is refused with mistakes that can be shown. Nothing else.
#![no_main]

use bowline_design::Text;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let texts = [Text { name: "fuzz.yaml".into(), text: input.to_owned() }];
    let reading = bowline_design::read(&texts);
    let mistakes = match bowline_design::resolve(&reading) {
        Ok(_) if reading.mistakes.is_empty() => return,
        Ok(_) => reading.mistakes,
        Err(mistakes) => mistakes,
    };
    assert!(!mistakes.is_empty(), "refused without a reason");
    for mistake in mistakes {
        assert!(!mistake.code.is_empty() && !mistake.found.is_empty(), "{mistake:?}");
        assert!(mistake.render(&texts, false).contains(mistake.code));
    }
});
