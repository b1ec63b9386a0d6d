//! The design beside the code: it loads, nothing is found in it, its own tests pass, and it names what the
//! code serves.

use bowline_design::{Design, Text, read, resolve, route_test};
use shop::Service;

fn texts() -> Vec<Text> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/design");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let text = |path: &std::path::PathBuf| Text {
        name: path.display().to_string().into(),
        text: std::fs::read_to_string(path).unwrap(),
    };
    files.iter().map(text).collect()
}

fn design() -> Design {
    resolve(&read(&texts())).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

#[test]
fn the_design_loads_and_nothing_is_found_in_it() {
    let reading = read(&texts());
    assert!(reading.mistakes.is_empty(), "{:#?}", reading.mistakes);
    let findings = bowline_check::check(&design(), &reading.documents);
    assert!(findings.is_empty(), "{findings:#?}");
}

#[test]
fn the_designs_own_tests_pass() {
    let ran = route_test::run(&design());
    assert!(ran.len() >= 4);
    for test in ran {
        assert!(test.passed(), "{test:#?}");
    }
}

#[test]
fn the_design_finds_the_services_where_they_listen() {
    let design = design();
    for service in Service::ALL {
        let named = design.services.iter().find(|named| &*named.name == service.name()).unwrap();
        let addresses: Vec<_> = named.endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect();
        assert_eq!(addresses, [service.address().to_string()]);
    }
}
