//! Our GrpcServiceConfig: a service config of gRPC, as its clients read it.
//!
//! The fields are those of grpc/grpc-proto, `grpc/service_config/service_config.proto`, in the JSON form that gRPC's
//! clients take; what is refused as gRPC refuses it follows the validation of proposal A6. JSON is YAML, so a file
//! that a client has can be put below `config` as it is.

use crate::kinds::Meta;
use crate::kinds::istio::GRPC_STATUS;
use crate::kinds::values::{at_least_one, longer_than_zero};
use crate::mistake::{Mistakes, Place, Spot};
use crate::read::documents::{Group, Kind, OURS};
use crate::read::names::quoted;
use crate::read::reader::{Read, Reader, describe};
use crate::read::record::record;
use crate::read::shape::Shape;
use crate::read::suggest;
use crate::read::tree::{Node, Value};
use bowline_policy::RetryThrottleSettings;
use std::time::Duration;

/// The code of every mistake that gRPC itself refuses.
const REFUSED: &str = "grpc-refuses";

record! {
    /// A service config of gRPC for one service.
    pub struct GrpcServiceConfig {
        /// The service whose calls it governs.
        pub service: Spot<String>,
        /// The service config, as gRPC's clients read it.
        pub config: Spot<ServiceConfig>,
    }
}

record! {
    /// What gRPC's clients are told about a service.
    pub struct ServiceConfig {
        /// What governs calls, by method.
        pub method_config: Vec<Spot<MethodConfig>>,
        /// When nothing is tried again because too much fails.
        pub retry_throttling: Option<Spot<RetryThrottling>>,
        /// Which health its endpoints are asked about.
        pub health_check_config: Option<Spot<HealthCheckConfig>>,
        /// Ways to pick an endpoint: the first one that is known is taken.
        pub load_balancing_config: Vec<Spot<LoadBalancingConfig>>,
        /// The same in the old form, where the new one says nothing.
        pub load_balancing_policy: Option<Spot<String>>,
    } checked by check_config
}

record! {
    /// What governs the calls of some methods.
    pub struct MethodConfig {
        /// Which methods; without a name it governs none.
        pub name: Vec<Spot<MethodName>>,
        /// Whether a call waits for a connection: not acted on.
        pub wait_for_ready: Option<Spot<bool>>,
        /// How long a call may take, all tries included.
        pub timeout: Option<Spot<Seconds>>,
        /// The largest message that is sent: refused, messages are not read here.
        pub max_request_message_bytes: Option<Spot<u64>>,
        /// The largest message that is taken: refused, messages are not read here.
        pub max_response_message_bytes: Option<Spot<u64>>,
        /// When a call is tried again.
        pub retry_policy: Option<Spot<RetryPolicy>>,
        /// When another try is sent beside one that is late.
        pub hedging_policy: Option<Spot<HedgingPolicy>>,
    } checked by check_method
}

record! {
    /// A method, all methods of a gRPC service, or, without fields, all that nothing else names.
    pub struct MethodName {
        /// The gRPC service, `package.Service`.
        pub service: Option<Spot<String>>,
        /// The method.
        pub method: Option<Spot<String>>,
    } checked by check_name
}

record! {
    /// When a call is tried again.
    pub struct RetryPolicy {
        /// All tries, the first included: 2 or more, of which 5 are made at most.
        pub max_attempts: Spot<u32>,
        /// The first wait, before chance.
        pub initial_backoff: Spot<Seconds>,
        /// The longest, before chance.
        pub max_backoff: Spot<Seconds>,
        /// By how much each wait is longer than the one before.
        pub backoff_multiplier: Spot<f64>,
        /// After which statuses.
        pub retryable_status_codes: Vec<Spot<Code>>,
    } checked by check_retry
}

record! {
    /// When another try is sent beside one that is late.
    pub struct HedgingPolicy {
        /// All tries, the first included: 2 or more, of which 5 are made at most.
        pub max_attempts: Spot<u32>,
        /// The time from one to the next; none when absent: all at once.
        pub hedging_delay: Option<Spot<Seconds>>,
        /// Statuses after which the others go on.
        pub non_fatal_status_codes: Vec<Spot<Code>>,
    } checked by check_hedging
}

record! {
    /// A bucket of tokens: failures take one, successes put part of one back, and nothing is tried again unless it is more than half full.
    pub struct RetryThrottling {
        /// The tokens of a full bucket: 1 to 1000.
        pub max_tokens: Spot<u32>,
        /// What a success puts back; three decimals count.
        pub token_ratio: Spot<f64>,
    } checked by check_throttling
}

record! {
    /// Which health is asked about.
    pub struct HealthCheckConfig {
        /// The gRPC service that is asked for; empty is the server as a whole.
        pub service_name: Option<Spot<String>>,
    }
}

/// A way to pick an endpoint, by its name: a mapping with one field, whatever is in it.
#[derive(Clone, Debug)]
pub struct LoadBalancingConfig {
    /// The name.
    pub name: Spot<String>,
    /// Fields of it: there is none that is acted on.
    pub fields: Vec<Spot<String>>,
}

impl Read for LoadBalancingConfig {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            reader.wrong(node, "a mapping with one field");
            return None;
        };
        let [(key, value)] = &**entries else {
            let place = reader.place(node.extent);
            let expected = "one way a mapping, such as { round_robin: {} }";
            reader.mistakes().add(REFUSED, &place, format!("a mapping of {} ways", entries.len()), expected);
            return None;
        };
        let spot = |name: &str, place| Spot { value: name.to_owned(), place };
        let name = spot(&key.name, reader.field(&key.name, |reader| reader.place(key.extent)));
        let Value::Map(fields) = &value.value else {
            reader.field(&key.name, |reader| reader.wrong(value, "a mapping, {} at least"));
            return None;
        };
        let mut place =
            |name: &str, extent| reader.field(&key.name, |reader| reader.field(name, |r| r.place(extent)));
        let fields = fields.iter().map(|(key, _)| spot(&key.name, place(&key.name, key.extent))).collect();
        Some(Self { name, fields })
    }

    fn shape() -> Shape {
        Shape::Mapping
    }
}

/// A duration as JSON has it for protocol buffers: seconds, up to nine decimals, and an `s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl Seconds {
    fn parse(text: &str) -> Option<Duration> {
        let number = text.strip_suffix('s')?;
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > 9 || (whole.is_empty() && part.is_empty()) {
            return None;
        }
        let seconds: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let nanos: u32 = format!("{part:0<9}").parse().ok()?;
        // As long as any duration may be here.
        let longest = u64::MAX / 1_000_000_000;
        (seconds < longest).then(|| Duration::new(seconds, nanos))
    }
}

impl Read for Seconds {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let text = node.text().unwrap_or_default();
        let span = Self::parse(text);
        if span.is_none() {
            let place = reader.place(node.extent);
            let expected = "seconds with an `s`, such as 0.1s or 3s: JSON's form for protocol buffers";
            let mistake = reader.mistakes().add("bad-duration", &place, describe(node), expected);
            if let Ok(span) = crate::format::parse_duration(text) {
                mistake.hint(format!("write it as {}s", span.as_secs_f64()));
            } else if text.parse::<f64>().is_ok_and(|number| number >= 0.0) {
                mistake.hint(format!("say the unit: {text}s"));
            }
        }
        span.map(Self)
    }

    fn shape() -> Shape {
        Shape::Form(r"^(\d+(\.\d{0,9})?|\.\d{1,9})s$")
    }
}

/// A status of gRPC that is a failure, by its name or its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub u8);

impl Read for Code {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let text = node.text().unwrap_or_default();
        let named = GRPC_STATUS.iter().position(|name| *name == text).map(|code| code as u8);
        let code = named.or_else(|| text.parse().ok().filter(|code| usize::from(*code) < GRPC_STATUS.len()));
        match code {
            Some(0) => {
                let place = reader.place(node.extent);
                let expected = "a status that is a failure";
                reader.mistakes().add("bad-value", &place, "OK, after which nothing is to be done", expected);
                None
            }
            Some(code) => Some(Self(code)),
            None => {
                let place = reader.place(node.extent);
                let expected = "a gRPC status such as UNAVAILABLE, or its number, 1 to 16";
                let mistake = reader.mistakes().add(REFUSED, &place, describe(node), expected);
                let capitals = text.to_ascii_uppercase().replace(['-', ' '], "_");
                if let Some(meant) = suggest::nearest(&capitals, GRPC_STATUS) {
                    mistake.hint(format!("did you mean {meant}?"));
                }
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::AnyOf(vec![Shape::Words(&GRPC_STATUS), Shape::Whole(16)])
    }
}

impl Kind for GrpcServiceConfig {
    const KIND: &'static str = "GrpcServiceConfig";
    const GROUP: Group = OURS;

    fn check(_: &Meta, _: &Self, _: &Place, _: &mut Mistakes) {}
}

fn check_config(config: &ServiceConfig, place: &Place, mistakes: &mut Mistakes) {
    let ServiceConfig {
        method_config,
        retry_throttling,
        health_check_config,
        load_balancing_config,
        load_balancing_policy,
    } = config;
    let says_something = !method_config.is_empty()
        || retry_throttling.is_some()
        || health_check_config.is_some()
        || !load_balancing_config.is_empty()
        || load_balancing_policy.is_some();
    if !says_something {
        mistakes.add("missing-field", place, "a config that says nothing", "`methodConfig`, for a start");
    }
    let mut met: Vec<&Spot<MethodName>> = Vec::new();
    for name in method_config.iter().flat_map(|method| &method.name) {
        match met.iter().find(|known| known.parts() == name.parts()) {
            Some(first) => {
                let found = format!("{} a second time", name.text());
                let expected = "each method in one `methodConfig`";
                mistakes.add(REFUSED, &name.place, found, expected).also(first.place.clone());
            }
            None => met.push(name),
        }
    }
}

fn check_method(method: &MethodConfig, _: &Place, mistakes: &mut Mistakes) {
    let span = method.timeout.as_ref().map(|span| Spot { value: span.value.0, place: span.place.clone() });
    longer_than_zero(span.as_ref(), mistakes);
    let sizes = [
        (&method.max_request_message_bytes, "maxRequestMessageBytes"),
        (&method.max_response_message_bytes, "maxResponseMessageBytes"),
    ];
    for (size, field) in sizes {
        if let Some(size) = size {
            let found = format!("`{field}`, which nobody would keep: messages are not read here");
            let mistake = mistakes.add("not-supported", &size.place, found, "no such limit");
            mistake.hint("leave it out, and let the client or the server keep it");
        }
    }
    if let (Some(retry), Some(hedging)) = (&method.retry_policy, &method.hedging_policy) {
        let found = "`retryPolicy` and `hedgingPolicy` together";
        mistakes.add(REFUSED, &hedging.place, found, "one of them").also(retry.place.clone());
    }
}

fn check_name(name: &MethodName, place: &Place, mistakes: &mut Mistakes) {
    let (service, method) = name.parts();
    if service.is_empty() && !method.is_empty() {
        let found = format!("the method {} of no service", quoted(method));
        mistakes.add(REFUSED, place, found, "its `service` too");
    }
}

impl MethodName {
    /// Service and method; what is not written is empty.
    pub(crate) fn parts(&self) -> (&str, &str) {
        fn text(spot: &Option<Spot<String>>) -> &str {
            spot.as_ref().map_or("", |spot| &spot.value)
        }
        (text(&self.service), text(&self.method))
    }

    /// `shop.v1.Payment/Authorize`, for people.
    pub(crate) fn text(&self) -> String {
        match self.parts() {
            ("", _) => "the entry for everything else".to_owned(),
            (service, "") => format!("all of {service}"),
            (service, method) => format!("{service}/{method}"),
        }
    }
}

fn check_attempts(attempts: &Spot<u32>, mistakes: &mut Mistakes) {
    if attempts.value < 2 {
        let found = format!("`maxAttempts` of {}", attempts.value);
        let mistake = mistakes.add(REFUSED, &attempts.place, found, "2 or more");
        mistake.hint("`maxAttempts` counts the first one too");
    }
}

fn check_retry(retry: &RetryPolicy, place: &Place, mistakes: &mut Mistakes) {
    check_attempts(&retry.max_attempts, mistakes);
    for span in [&retry.initial_backoff, &retry.max_backoff] {
        if span.value.0.is_zero() {
            mistakes.add(REFUSED, &span.place, "no time at all", "more than 0s");
        }
    }
    let multiplier = &retry.backoff_multiplier;
    if multiplier.value <= 0.0 || multiplier.value > MULTIPLIER_MAX {
        let found = format!("a multiplier of {}", multiplier.value);
        mistakes.add(REFUSED, &multiplier.place, found, format!("more than 0, at most {MULTIPLIER_MAX}"));
    }
    if retry.retryable_status_codes.is_empty() {
        let expected = "`retryableStatusCodes`, one at least";
        mistakes.add(REFUSED, place, "a retry after nothing", expected).hint("UNAVAILABLE, for a start");
    }
}

/// gRPC has no limit here. After one step of a million nothing but `maxBackoff` is left of any wait.
const MULTIPLIER_MAX: f64 = 1e6;

fn check_hedging(hedging: &HedgingPolicy, _: &Place, mistakes: &mut Mistakes) {
    check_attempts(&hedging.max_attempts, mistakes);
}

fn check_throttling(throttling: &RetryThrottling, _: &Place, mistakes: &mut Mistakes) {
    at_least_one(Some(&throttling.max_tokens), mistakes);
    let most = RetryThrottleSettings::TOKENS_MAX;
    if throttling.max_tokens.value > most {
        let found = format!("{} tokens", throttling.max_tokens.value);
        mistakes.add(REFUSED, &throttling.max_tokens.place, found, format!("1 to {most}"));
    }
    let ratio = &throttling.token_ratio;
    if ratio.value < 0.001 {
        let found = format!("a ratio of {}, of which three decimals count", ratio.value);
        mistakes.add(REFUSED, &ratio.place, found, "0.001 at least");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_seconds_with_up_to_nine_decimals() {
        let millis = |text| Seconds::parse(text).map(|span| span.as_secs_f64() * 1e3);
        assert_eq!(millis("0.1s"), Some(100.0));
        assert_eq!(millis(".5s"), Some(500.0));
        assert_eq!(millis("3s"), Some(3_000.0));
        assert_eq!(Seconds::parse("1.000000001s"), Some(Duration::new(1, 1)));
        for none in ["1", "s", ".s", "100ms", "-1s", "1.0000000001s", "1e3s", "1 s", "99999999999s", "1m"] {
            assert_eq!(Seconds::parse(none), None, "{none}");
        }
    }
}
