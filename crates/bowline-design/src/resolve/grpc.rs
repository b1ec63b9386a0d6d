//! What gRPC's service configs say, ready to be looked up by call.
//!
//! Why they are no policies: of ours the most specific one holds field by field, while of a service config one entry
//! governs a call and no other (the longest name that matches). And it is a voice from outside, like Istio's kinds:
//! where one of our policies says the same thing, that is a mistake and not a question of rank.
//!
//! Methods are the design's operations. What no operation declares has what the entry for everything else says.

use super::findings::{Findings, did_you_mean};
use super::policies::unknown_service;
use super::services::Services;
use crate::kinds::grpc_service_config::{
    Code, HedgingPolicy, LoadBalancingConfig, MethodConfig, MethodName, RetryPolicy, RetryThrottling,
    Seconds, ServiceConfig,
};
use crate::kinds::{Doc, Documents, GrpcServiceConfig};
use crate::mistake::Spot;
use crate::resolved::{Balancing, CheckedBy, HealthCheck, Operation, Protocol, Service, ServiceId, Sourced};
use bowline_policy::balance::Algorithm;
use bowline_policy::{
    Backoff, BalanceSettings, Codes, HealthSettings, HedgeAfter, HedgeSettings, Ratio, RetryRule,
    RetryThrottleSettings,
};
use std::time::Duration;

/// All service configs.
#[derive(Debug, Default)]
pub(super) struct GrpcConfigs {
    all: Vec<Config>,
}

/// One service config.
#[derive(Debug)]
struct Config {
    /// `GrpcServiceConfig shop/payment`: whose state its throttle is.
    name: String,
    service: ServiceId,
    entries: Vec<Entry>,
    /// The entry of each operation.
    by_operation: Vec<Option<usize>>,
    /// The entry of everything else.
    rest: Option<usize>,
    throttle: Option<Sourced<RetryThrottleSettings>>,
    balance: Option<Sourced<Balancing>>,
}

/// What one `methodConfig` says.
#[derive(Debug)]
struct Entry {
    timeout: Option<Sourced<Duration>>,
    tries: Option<Tries>,
}

/// How often a call is tried, by a retry policy or by a hedging policy.
#[derive(Debug)]
pub(super) struct Tries {
    pub(super) most: Sourced<u32>,
    pub(super) backoff: Sourced<Backoff>,
    pub(super) rule: Sourced<RetryRule>,
    pub(super) hedge: Option<Sourced<HedgeSettings>>,
}

/// What a service config says of one call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said<'c> {
    pub(super) by: &'c str,
    pub(super) timeout: Option<&'c Sourced<Duration>>,
    pub(super) tries: Option<&'c Tries>,
    pub(super) throttle: Option<&'c Sourced<RetryThrottleSettings>>,
    pub(super) balance: Option<&'c Sourced<Balancing>>,
}

impl<'c> Said<'c> {
    /// When another try is sent beside one that is late.
    pub(super) fn hedge(&self) -> Option<&'c Sourced<HedgeSettings>> {
        self.tries.and_then(|tries| tries.hedge.as_ref())
    }
}

impl GrpcConfigs {
    /// Reads all of them; the health that they ask about becomes the service's health check.
    pub(super) fn of(documents: &Documents, services: &mut Services, findings: &mut Findings) -> Self {
        let mut configs = Self::default();
        for document in &documents.grpc_service_configs {
            let written = &document.spec.service;
            let Some(id) = services.names.find(written, &document.meta.namespace) else {
                unknown_service(written, &document.meta.namespace, services, findings);
                continue;
            };
            if let Some(first) = documents.grpc_service_configs.iter().find(|first| {
                let known = configs.all.iter().find(|known| known.service == id);
                known.is_some_and(|known| known.name == name_of(first))
            }) {
                let hint = "put both into one config: gRPC's clients have one for a service";
                let what = format!("the service config of {}", services.get(id).name);
                findings.said_twice_by(&what, &written.place, &first.spec.service.place, hint);
                continue;
            }
            let service = services.get(id);
            if service.protocol == Protocol::Http && !service.external && !service.implied {
                let found = format!("a gRPC service config of {}, which speaks http", service.name);
                findings.mistake("conflict", &written.place, found, "`protocol: grpc` for the service", None);
            }
            configs.all.push(Config::of(document, id, service, findings));
            check_health(&document.spec.config, &mut services.all[id.0 as usize], findings);
        }
        configs
    }

    /// What is said of a call.
    pub(super) fn for_call(&self, service: ServiceId, operation: Option<usize>) -> Said<'_> {
        let Some(config) = self.all.iter().find(|config| config.service == service) else {
            return Said::default();
        };
        let named = operation.and_then(|index| config.by_operation.get(index).copied().flatten());
        let entry = named.or(config.rest).and_then(|index| config.entries.get(index));
        Said {
            by: &config.name,
            timeout: entry.and_then(|entry| entry.timeout.as_ref()),
            tries: entry.and_then(|entry| entry.tries.as_ref()),
            throttle: config.throttle.as_ref(),
            balance: config.balance.as_ref(),
        }
    }
}

fn name_of(document: &Doc<GrpcServiceConfig>) -> String {
    format!("GrpcServiceConfig {}/{}", document.meta.namespace, document.meta.name)
}

impl Config {
    fn of(
        document: &Doc<GrpcServiceConfig>,
        id: ServiceId,
        service: &Service,
        findings: &mut Findings,
    ) -> Self {
        let written = &document.spec.config;
        let mut config = Self {
            name: name_of(document),
            service: id,
            entries: written.method_config.iter().map(|method| entry(method, findings)).collect(),
            by_operation: vec![None; service.operations.len()],
            rest: None,
            throttle: written.retry_throttling.as_ref().map(throttle),
            balance: balance(written, findings),
        };
        let names = || {
            let methods = written.method_config.iter().enumerate();
            methods.flat_map(|(index, method)| method.name.iter().map(move |name| (index, name)))
        };
        // The shorter name first, so that the longer one has the last word.
        config.rest = names().find(|(_, name)| !is_of_service(name)).map(|(index, _)| index);
        let only = only_service(names().map(|(_, name)| &**name)).filter(|_| service.operations.is_empty());
        for whole in [true, false] {
            for (index, name) in names().filter(|(_, name)| is_of_service(name) && is_whole(name) == whole) {
                let meant =
                    |operation: &Operation| operation.grpc.as_deref().is_some_and(|grpc| covers(name, grpc));
                let mut any = false;
                for (own, operation) in config.by_operation.iter_mut().zip(&service.operations) {
                    if meant(operation) {
                        (*own, any) = (Some(index), true);
                    }
                }
                if any {
                    continue;
                }
                // A service that declares nothing is taken for the one gRPC service that is named.
                if whole && only == Some(name.parts().0) {
                    config.rest = Some(index);
                } else {
                    unknown_method(name, service, findings);
                }
            }
        }
        config
    }
}

fn is_of_service(name: &MethodName) -> bool {
    !name.parts().0.is_empty()
}

/// Whether all methods of a gRPC service are meant.
fn is_whole(name: &MethodName) -> bool {
    name.parts().1.is_empty()
}

/// Whether `grpc`, `package.Service/Method`, is what the name says or one of it.
fn covers(name: &MethodName, grpc: &str) -> bool {
    let (service, method) = name.parts();
    grpc.split_once('/').is_some_and(|(own, its)| own == service && (method.is_empty() || its == method))
}

/// The gRPC service that all of these names are of, if it is one and no method of it is named.
fn only_service<'n>(names: impl Iterator<Item = &'n MethodName>) -> Option<&'n str> {
    let mut only = None;
    for name in names.filter(|name| is_of_service(name)) {
        if !is_whole(name) || only.is_some() {
            return None;
        }
        only = Some(name.parts().0);
    }
    only
}

fn unknown_method(name: &Spot<MethodName>, service: &Service, findings: &mut Findings) {
    let found = match name.parts() {
        (grpc, "") => format!("no operation of {} is a method of `{grpc}`", service.name),
        (grpc, method) => format!("no operation of {} is `{grpc}/{method}`", service.name),
    };
    let known: Vec<&str> =
        service.operations.iter().filter_map(|operation| operation.grpc.as_deref()).collect();
    let near = match name.parts() {
        (grpc, "") => did_you_mean(grpc, known.iter().filter_map(|grpc| Some(grpc.split_once('/')?.0))),
        (grpc, method) => did_you_mean(&format!("{grpc}/{method}"), known.iter().copied()),
    };
    let (grpc, method) = name.parts();
    let method = if method.is_empty() { "Method" } else { method };
    let hint = near.unwrap_or_else(|| {
        format!("declare it: `operations: [ {{ name: .., grpc: {grpc}/{method} }} ]` of the Service")
    });
    let expected = "gRPC methods that the service's operations declare";
    findings.mistake("unknown-operation", &name.place, found, expected, Some(hint));
}

fn entry(method: &Spot<MethodConfig>, findings: &mut Findings) -> Entry {
    if method.name.is_empty() {
        let text = "names no method: gRPC passes it over, and so is done here";
        findings.note("a methodConfig", text, &method.place);
    }
    if let Some(wait) = method.wait_for_ready.as_ref().filter(|wait| wait.value) {
        let field = "waitForReady (a call that finds no connection fails, and is tried again by its policy)";
        findings.not_acted_on(field, &wait.place);
    }
    let by_retry = method.retry_policy.as_ref().map(|policy| retry(policy, findings));
    let by_hedging = || method.hedging_policy.as_ref().map(|policy| hedging(policy, findings));
    Entry {
        timeout: method.timeout.as_ref().map(|it| Sourced::written(it.value.0, it.place.clone())),
        tries: by_retry.or_else(by_hedging),
    }
}

fn retry(policy: &Spot<RetryPolicy>, findings: &mut Findings) -> Tries {
    // A millionth is finer than anybody means, and what a product of whole numbers needs.
    let multiplier = (policy.backoff_multiplier.value * 1e6).round() as u64;
    let backoff =
        Backoff::Grpc { base: policy.initial_backoff.value.0, max: policy.max_backoff.value.0, multiplier };
    let codes = codes(&policy.retryable_status_codes);
    let place =
        policy.retryable_status_codes.first().map_or_else(|| policy.place.clone(), |code| code.place.clone());
    Tries {
        most: attempts(&policy.max_attempts, findings),
        backoff: Sourced::written(backoff, policy.initial_backoff.place.clone()),
        rule: Sourced::written(RetryRule::Codes(codes), place),
        hedge: None,
    }
}

/// A hedging policy. Where the only try under way fails in a way that is not fatal the next is sent at once, which
/// is a retry without a pause.
fn hedging(policy: &Spot<HedgingPolicy>, findings: &mut Findings) -> Tries {
    let most = attempts(&policy.max_attempts, findings);
    let Seconds(delay) = policy.hedging_delay.as_ref().map_or(Seconds(Duration::ZERO), |delay| delay.value);
    let hedge = HedgeSettings {
        after: HedgeAfter::Fixed(delay),
        tries: most.value,
        ratio: Ratio::ONE,
        by_grpc: true,
    };
    let written = || policy.place.clone();
    let rule = RetryRule::Codes(codes(&policy.non_fatal_status_codes));
    Tries {
        most,
        backoff: Sourced::written(Backoff::None, written()),
        rule: Sourced::written(rule, written()),
        hedge: Some(Sourced::written(hedge, written())),
    }
}

fn codes(written: &[Spot<Code>]) -> Codes {
    written.iter().fold(Codes::NONE, |codes, code| codes.with(code.value.0))
}

fn attempts(written: &Spot<u32>, findings: &mut Findings) -> Sourced<u32> {
    let most = HedgeSettings::TRIES_MAX;
    if written.value > most {
        let text = format!("{} attempts; {most} are made at most, as gRPC does", written.value);
        findings.note("maxAttempts", text, &written.place);
    }
    Sourced::written(written.value.min(most), written.place.clone())
}

/// Three decimals of the ratio count and the rest is cut off, as gRPC does.
fn throttle(written: &Spot<RetryThrottling>) -> Sourced<RetryThrottleSettings> {
    // 0.057 is 56.99.. thousandths in binary, and was meant to be 57.
    let thousandths = written.token_ratio.value * 1e3 + 1e-6;
    let settings = RetryThrottleSettings {
        tokens_max: written.max_tokens.value.saturating_mul(RetryThrottleSettings::TOKEN),
        ratio: thousandths.floor().min(f64::from(u32::MAX)) as u32,
    };
    Sourced::written(settings, written.place.clone())
}

/// The ways to pick an endpoint that are known here, by gRPC's names for them.
const WAYS: [(&str, Algorithm); 2] =
    [("round_robin", Algorithm::RoundRobin), ("least_request_experimental", Algorithm::LeastRequest)];

/// The first way that is known, as gRPC's clients do; those before it are noted.
fn balance(config: &ServiceConfig, findings: &mut Findings) -> Option<Sourced<Balancing>> {
    let old = config.load_balancing_policy.as_ref().filter(|_| config.load_balancing_config.is_empty());
    let old = old.map(|name| LoadBalancingConfig {
        name: Spot { value: name.value.to_ascii_lowercase(), place: name.place.clone() },
        fields: Vec::new(),
    });
    let asked: Vec<&LoadBalancingConfig> =
        old.iter().chain(config.load_balancing_config.iter().map(|way| &way.value)).collect();
    let known = |way: &&LoadBalancingConfig| {
        WAYS.iter().find(|(name, _)| *name == way.name.value).map(|(_, algorithm)| *algorithm)
    };
    let Some((way, algorithm)) = asked.iter().find_map(|way| Some((*way, known(way)?))) else {
        if let Some(first) = asked.first() {
            let found = format!("no way to pick an endpoint that is known here, but `{}`", first.name.value);
            let names: Vec<&str> = WAYS.iter().map(|(name, _)| *name).collect();
            let expected = format!("one of {} among them", names.join(", "));
            let hint = "leave it out, and the endpoint is picked that is expected to answer first".to_owned();
            findings.mistake("not-supported", &first.name.place, found, expected, Some(hint));
        }
        return None;
    };
    for before in asked.iter().take_while(|before| !std::ptr::eq(**before, way)) {
        let text = format!("not known here; {}, which comes after it, is taken", way.name.value);
        findings.note(format!("loadBalancingConfig {}", before.name.value), text, &before.name.place);
    }
    for field in &way.fields {
        let field_name = format!("loadBalancingConfig.{}.{}", way.name.value, field.value);
        findings.not_acted_on(&field_name, &field.place);
    }
    let balancing =
        Balancing { settings: BalanceSettings { algorithm, ..BalanceSettings::OURS }, hash: None };
    Some(Sourced::written(balancing, way.name.place.clone()))
}

/// Has the service's endpoints asked about the health that the config names, as often as any service's are.
fn check_health(config: &ServiceConfig, service: &mut Service, findings: &mut Findings) {
    let asked = config.health_check_config.as_ref().and_then(|check| check.service_name.as_ref());
    let Some(asked) = asked else { return };
    if let Some(own) = service.health_check.as_ref().and_then(|check| check.from.place()) {
        let hint = "leave one of the two out";
        findings.said_twice_by("how its endpoints are asked whether they are well", &asked.place, own, hint);
        return;
    }
    let by = CheckedBy::Grpc { host: service.host().to_owned(), service: asked.value.clone() };
    let check = HealthCheck { by, settings: HealthSettings::DEFAULT };
    service.health_check = Some(Sourced::written(check, asked.place.clone()));
}
