//! HTTP/2 as strangers test it: h2spec's cases against a gateway.

use crate::bench::machine::Running;
use crate::differential::{free_ports, scratch};
use crate::load::answering;
use crate::{Stop, run};
use std::net::Ipv4Addr;
use std::path::Path;

/// Cases that do not pass, by the section and number that h2spec gives them, each with its reason.
const EXCEPTIONS: &[(&str, &str)] = &[(
    "3.5/2",
    "a port that speaks HTTP/1.1, too, answers a first line of neither protocol with 400, and closes",
)];

/// Cases of h2spec 2.2.1, the strict ones included.
const CASES: usize = 146;

/// The step of `cargo xtask test`.
pub(crate) fn step(root: &Path) -> Result<String, Stop> {
    run::run(&mut run::cargo(root, &["build", "--quiet", "-p", "bowline-cli"]))?;
    let ports = free_ports(2)?;
    let callee = answering::start()?;
    let folder = scratch(root, "h2spec")?;
    let design = folder.join("design.yaml");
    std::fs::write(&design, text_of_design(ports[0], callee))
        .map_err(|e| Stop::Missing(format!("{}: {e}", design.display())))?;
    let mut command = run::program(root, &run::target(root).join("debug/bowline").to_string_lossy());
    command.arg("up").arg(&design).args(["--only", "gateway", "--workers", "1", "--data"]);
    command.arg(folder.join("data")).arg("--api").arg(format!("127.0.0.1:{}", ports[1]));
    let _gateway =
        Running::start(command, (Ipv4Addr::LOCALHOST, ports[0]).into(), &folder.join("bowline.log"))?;

    let mut h2spec = run::program(root, "h2spec");
    h2spec.args(["--strict", "--timeout", "5", "--host", "127.0.0.1", "--port", &ports[0].to_string()]);
    let output = h2spec.output().map_err(|e| Stop::Missing(format!("h2spec: {e}")))?;
    judge(&String::from_utf8_lossy(&output.stdout))
}

fn text_of_design(gateway: u16, callee: u16) -> String {
    format!(
        r#"apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{ name: gate }}
spec:
  servers: [ {{ bind: 127.0.0.1, port: {{ number: {gateway}, name: http, protocol: HTTP }}, hosts: [ "*" ] }} ]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: all }}
spec: {{ hosts: [ "*" ], gateways: [ gate ], http: [ {{ route: [ {{ destination: {{ host: callee }} }} ] }} ] }}
---
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: {{ name: callee }}
spec: {{ endpoints: [ {{ address: "127.0.0.1:{callee}" }} ] }}
"#
    )
}

/// What h2spec's report says; a failure that is no exception is told with its lines.
fn judge(report: &str) -> Result<String, Stop> {
    let summary = report.lines().rev().find(|line| line.contains(" tests, ")).unwrap_or_default();
    let number = |what: &str| -> usize {
        let before = summary.split(", ").find_map(|part| part.strip_suffix(what));
        before.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
    };
    let (cases, passed) = (number(" tests"), number(" passed"));
    let failures = failures(report);
    let unexpected: Vec<&str> = failures
        .iter()
        .map(String::as_str)
        .filter(|name| !EXCEPTIONS.iter().any(|(exception, _)| exception == name))
        .collect();
    if cases != CASES {
        return Err(Stop::Broken(format!("h2spec ran {cases} cases, not {CASES}: {report}")));
    }
    if !unexpected.is_empty() || passed + EXCEPTIONS.len() < CASES {
        let story = report.split_once("Failures:").map_or(report, |(_, story)| story);
        return Err(Stop::Broken(format!("{passed} of {cases} cases pass:{story}")));
    }
    let mut text = format!("{passed} of {cases} cases pass");
    for (case, reason) in EXCEPTIONS.iter().filter(|(case, _)| failures.iter().any(|name| name == case)) {
        text.push_str(&format!("; {case}: {reason}"));
    }
    Ok(text)
}

/// The failed cases of the report's list, as `SECTION/NUMBER`.
fn failures(report: &str) -> Vec<String> {
    let Some((_, list)) = report.split_once("Failures:") else { return Vec::new() };
    let mut section = "";
    let mut found = Vec::new();
    for line in list.lines().map(str::trim) {
        let first = line.split(' ').next().unwrap_or_default();
        if let Some(case) = line.strip_prefix("× ") {
            let number = case.split(':').next().unwrap_or_default();
            found.push(format!("{section}/{number}"));
        } else if first.ends_with('.') && first.starts_with(|c: char| c.is_ascii_digit()) {
            section = first.trim_end_matches('.');
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILING: &str = "
Failures:

Hypertext Transfer Protocol Version 2 (HTTP/2)
  3. Starting HTTP/2
    3.5. HTTP/2 Connection Preface
      × 2: Sends invalid connection preface
        -> The endpoint MUST terminate the TCP connection.

Finished in 0.1678 seconds
146 tests, 145 passed, 0 skipped, 1 failed
";

    #[test]
    fn a_failed_case_is_named_by_its_section() {
        assert_eq!(failures(FAILING), ["3.5/2"]);
        let other = FAILING.replace("× 2", "× 1");
        let Err(Stop::Broken(what)) = judge(&other) else { panic!("it failed") };
        assert!(what.starts_with("145 of 146"), "{what}");
    }

    #[test]
    fn a_report_without_all_its_cases_proves_nothing() {
        assert!(judge("0 tests, 0 passed, 0 skipped, 0 failed").is_err());
        assert!(judge("146 tests, 146 passed, 0 skipped, 0 failed").is_ok());
    }
}
