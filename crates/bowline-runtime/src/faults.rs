//! The faults that people put into a running design, as `bowline fault` and the local API see them.
//!
//! The proxy keeps the one list of the process; its own tries and the guards of linked libraries both take
//! their faults from it, so that breaking `inventory` breaks it for every caller.

use bowline_design::Design;
use bowline_fault::{Fault, Kind, Percent};
use bowline_proxy::{FaultRule, Proxy};
use serde_json::{Value, json};
use std::time::Duration;

/// The most faults in at once: each one is looked at in every try that it concerns.
pub const FAULTS_MAX: usize = 64;

/// A fault and whom it hits.
#[derive(Clone, Debug, PartialEq)]
pub struct Injected {
    /// A service, or `service.operation`.
    pub target: String,
    /// What happens.
    pub fault: Fault,
}

impl Injected {
    /// Puts the fault in.
    ///
    /// # Errors
    /// The design has no such service or operation, or [`FAULTS_MAX`] are in already; the text says
    /// what to do.
    pub fn add_to(&self, proxy: &Proxy) -> Result<(), String> {
        let (service, operation) = split(&self.target);
        known(&proxy.design(), service, operation)?;
        if proxy.faults().len() >= FAULTS_MAX {
            return Err(format!(
                "{FAULTS_MAX} faults are in already; take some away with `bowline fault clear`"
            ));
        }
        proxy.add_fault(service, operation, self.fault);
        Ok(())
    }

    /// All that are in, in the order they were put there.
    #[must_use]
    pub fn list(proxy: &Proxy) -> Vec<Self> {
        proxy.faults().iter().map(Self::of).collect()
    }

    /// Takes away the faults of one target, or all; answers with how many those were.
    ///
    /// # Errors
    /// The target has no fault and is not in the design: a sentence with what is.
    pub fn clear(proxy: &Proxy, target: Option<&str>) -> Result<usize, String> {
        let cleared = proxy.clear_faults(|rule| target.is_none_or(|target| Self::of(rule).target == target));
        match target.map(split) {
            Some((service, operation)) if cleared == 0 => {
                known(&proxy.design(), service, operation).map(|()| cleared)
            }
            _ => Ok(cleared),
        }
    }

    fn of(rule: &FaultRule) -> Self {
        let target = match &rule.operation {
            Some(operation) => format!("{}.{operation}", rule.service),
            None => rule.service.to_string(),
        };
        Self { target, fault: rule.fault }
    }

    /// Whether a call of `name` (`service` or `service.operation`) is hit.
    #[must_use]
    pub fn hits(&self, name: &str) -> bool {
        self.target == name || self.target == split(name).0
    }

    /// As the local API shows it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let percent = f64::from(self.fault.percent.ppm()) / 10_000.0;
        let mut value = json!({"target": self.target, "percent": percent});
        let (field, what) = match self.fault.kind {
            Kind::Delay(span) => ("delay_ms", json!(span.as_millis() as u64)),
            Kind::Abort { status } => ("error", json!(status)),
            Kind::AbortGrpc { code } => ("grpc", json!(code)),
            Kind::DropFirst(first) => ("drop_first", json!(first)),
            Kind::Drop => ("drop", json!(true)),
        };
        value[field] = what;
        value
    }

    /// As the local API takes it: a target, one of `error`, `grpc`, `delay_ms`, `drop_first` and `drop`,
    /// and `percent`, which is 100 when absent.
    ///
    /// # Errors
    /// What is missing or out of range, as a sentence for whoever asked.
    pub fn from_json(value: &Value) -> Result<Self, String> {
        let target =
            value["target"].as_str().ok_or("`target` is missing: a service, or service.operation")?;
        let percent = value.get("percent").map_or(Some(100.0), Value::as_f64);
        let percent =
            percent.and_then(Percent::from_percent).ok_or("`percent` is not a number from 0 to 100")?;
        let whole = |name: &str, limits: std::ops::RangeInclusive<u64>| match value.get(name) {
            None => Ok(None),
            Some(given) => given.as_u64().filter(|given| limits.contains(given)).map(Some).ok_or_else(|| {
                format!("`{name}` is not a whole number from {} to {}", limits.start(), limits.end())
            }),
        };
        // A delay of an hour is as good as one for ever, and a sleeping try still holds its permit.
        let kinds = [
            whole("error", 200..=599)?.map(|status| Kind::Abort { status: status as u16 }),
            whole("grpc", 0..=16)?.map(|code| Kind::AbortGrpc { code: code as u8 }),
            whole("delay_ms", 0..=3_600_000)?.map(|millis| Kind::Delay(Duration::from_millis(millis))),
            whole("drop_first", 1..=1_000)?.map(|first| Kind::DropFirst(first as u32)),
            value["drop"].as_bool().filter(|drop| *drop).map(|_| Kind::Drop),
        ];
        let mut named = kinds.into_iter().flatten();
        match (named.next(), named.next()) {
            (Some(kind), None) => Ok(Self { target: target.to_owned(), fault: Fault { kind, percent } }),
            (Some(_), Some(_)) => {
                Err("name one of error, grpc, delay_ms, drop_first and drop, not several".to_owned())
            }
            (None, _) => Err("name what happens: error, grpc, delay_ms, drop_first or drop".to_owned()),
        }
    }

    /// In a line, for people: `inventory.allocate   503 instead of an answer, in 50 % of tries`.
    #[must_use]
    pub fn describe(&self) -> String {
        let share = self.fault.percent;
        match self.fault.kind {
            Kind::Delay(span) => format!("held back {span:?} in {share} of tries"),
            Kind::Abort { status } => format!("{status} instead of an answer in {share} of tries"),
            Kind::AbortGrpc { code } => format!("gRPC code {code} instead of an answer in {share} of tries"),
            Kind::DropFirst(first) => format!("the first {first} tries dropped in {share} of calls"),
            Kind::Drop => format!("dropped in {share} of tries"),
        }
    }
}

/// `service.operation` in its two parts.
fn split(target: &str) -> (&str, Option<&str>) {
    target.split_once('.').map_or((target, None), |(service, operation)| (service, Some(operation)))
}

/// Whether the design knows the target; otherwise what it does know.
fn known(design: &Design, service: &str, operation: Option<&str>) -> Result<(), String> {
    let Some(found) = design.services.iter().find(|known| *known.name == *service) else {
        let names: Vec<&str> = design.services.iter().map(|service| &*service.name).collect();
        return Err(format!("the design has no service `{service}`; it has {}", names.join(", ")));
    };
    match operation {
        Some(operation) if found.operation_named(operation).is_none() => {
            let names: Vec<&str> = found.operations.iter().map(|operation| &*operation.name).collect();
            Err(format!("{service} has no operation `{operation}`; it has {}", names.join(", ")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_shows_it_takes_back() {
        for kind in [
            Kind::Abort { status: 503 },
            Kind::AbortGrpc { code: 14 },
            Kind::Delay(Duration::from_secs(2)),
            Kind::DropFirst(2),
            Kind::Drop,
        ] {
            let percent = Percent::from_percent(12.5).unwrap();
            let injected = Injected { target: "inventory".to_owned(), fault: Fault { kind, percent } };
            assert_eq!(Injected::from_json(&injected.to_json()), Ok(injected));
        }
    }

    #[test]
    fn a_fault_without_a_kind_or_with_two_says_what_to_name() {
        assert!(Injected::from_json(&json!({"target": "a"})).unwrap_err().contains("name what happens"));
        assert!(
            Injected::from_json(&json!({"target": "a", "error": 503, "drop": true}))
                .unwrap_err()
                .contains("not several")
        );
        assert!(
            Injected::from_json(&json!({"target": "a", "error": 99}))
                .unwrap_err()
                .contains("from 200 to 599")
        );
        assert!(
            Injected::from_json(&json!({"target": "a", "drop": true, "percent": 101}))
                .unwrap_err()
                .contains("0 to 100")
        );
    }

    #[test]
    fn a_services_fault_hits_its_operations_and_not_the_other_way_round() {
        let fault = Fault { kind: Kind::Drop, percent: Percent::ALWAYS };
        let service = Injected { target: "inventory".to_owned(), fault };
        let operation = Injected { target: "inventory.allocate".to_owned(), fault };
        assert!(service.hits("inventory.allocate") && service.hits("inventory"));
        assert!(operation.hits("inventory.allocate") && !operation.hits("inventory.stock"));
        assert!(!operation.hits("inventory"));
    }
}
