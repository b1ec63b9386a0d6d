//! Where spans go and how many: what is asked for on the command line and in OpenTelemetry's own variables.

use crate::sampler::Sampler;
use std::fmt;
use std::time::Duration;

/// How spans travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Protobuf in a POST, to port 4318 by custom.
    Http,
    /// gRPC, to port 4317 by custom.
    Grpc,
}

/// Where spans go and how many.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Scheme and authority of the collector; over HTTP with the path to post to.
    pub endpoint: String,
    /// How they travel.
    pub protocol: Protocol,
    /// Whose spans they are: `service.name`.
    pub service: String,
    /// What is recorded.
    pub sampler: Sampler,
    /// Finished requests that may wait to be sent. More are dropped and counted.
    pub queue_max: usize,
    /// How long they wait at most until they are sent.
    pub delay: Duration,
    /// How long the collector may take to accept a batch.
    pub timeout: Duration,
}

/// Settings that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError(String);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SettingsError {}

impl Settings {
    /// Everything recorded and sent to `endpoint`, over gRPC if its port is gRPC's own and over HTTP otherwise.
    ///
    /// # Errors
    /// The endpoint is not an `http` URL. Collectors elsewhere are reached through one nearby, which is where
    /// their keys and certificates belong.
    pub fn new(endpoint: &str) -> Result<Self, SettingsError> {
        let uri: http::Uri = endpoint.parse().map_err(|_| not_an_endpoint(endpoint))?;
        let protocol = if uri.port_u16() == Some(4317) { Protocol::Grpc } else { Protocol::Http };
        let settings = Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            protocol,
            service: "bowline".to_owned(),
            sampler: Sampler::ratio(1.0),
            // Eight seconds of 500 requests a second that all are recorded; about 4 MB.
            queue_max: 4_096,
            // A person who looks for a trace finds it when the window is open.
            delay: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
        };
        match (uri.scheme_str(), uri.authority()) {
            (Some("http"), Some(_)) => Ok(settings.travelling(protocol)),
            _ => Err(not_an_endpoint(endpoint)),
        }
    }

    /// What the variables of OpenTelemetry ask for; `None` where they ask for nothing. `asked`: an endpoint that
    /// goes before theirs. `read` looks a variable up.
    ///
    /// # Errors
    /// A variable says something that is not known; a share is asked for and nobody to send it to.
    pub fn of_environment(
        asked: Option<&str>,
        ratio: Option<f64>,
        read: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, SettingsError> {
        let read = |name: &str| read(name).filter(|value| !value.trim().is_empty());
        let of_traces = |name: &str| {
            read(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"))
                .or_else(|| read(&format!("OTEL_EXPORTER_OTLP_{name}")))
        };
        let whole = if asked.is_none() { read("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") } else { None };
        let general = read("OTEL_EXPORTER_OTLP_ENDPOINT");
        let Some(endpoint) = asked.map(str::to_owned).or_else(|| whole.clone()).or(general) else {
            let unheard = "a share of the traces is asked for, and no collector is named: --trace URL";
            return ratio.map_or(Ok(None), |_| Err(SettingsError(unheard.to_owned())));
        };
        if asked.is_none()
            && read("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        {
            return Ok(None);
        }
        let mut settings = Self::new(&endpoint)?;
        match of_traces("PROTOCOL").as_deref() {
            None => (),
            Some("http/protobuf") => settings.protocol = Protocol::Http,
            Some("grpc") => settings.protocol = Protocol::Grpc,
            Some(other) => {
                let what = format!("`{other}` is not a protocol: http/protobuf or grpc");
                return Err(SettingsError(what));
            }
        }
        settings.endpoint = endpoint.trim_end_matches('/').to_owned();
        if whole.is_none() {
            settings = settings.clone().travelling(settings.protocol);
        }
        if let Some(service) = read("OTEL_SERVICE_NAME") {
            settings.service = service;
        }
        let named = read("OTEL_TRACES_SAMPLER");
        if let Some(ratio) = ratio {
            settings.sampler = Sampler::ratio(ratio);
        } else if let Some(name) = named {
            settings.sampler = sampler(&name, read("OTEL_TRACES_SAMPLER_ARG").as_deref())?;
        }
        Ok(Some(settings))
    }

    /// The same, with the path that spans are posted to where they travel over HTTP.
    fn travelling(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        if protocol == Protocol::Http && !self.endpoint.ends_with("/v1/traces") {
            self.endpoint.push_str("/v1/traces");
        }
        self
    }
}

fn not_an_endpoint(endpoint: &str) -> SettingsError {
    SettingsError(format!("`{endpoint}` is not a collector's address, like http://127.0.0.1:4318"))
}

fn sampler(name: &str, argument: Option<&str>) -> Result<Sampler, SettingsError> {
    let ratio = || match argument.unwrap_or("1").parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err(SettingsError("OTEL_TRACES_SAMPLER_ARG is not a share from 0 to 1".to_owned())),
    };
    Ok(match name {
        "always_on" => Sampler::ratio(1.0).alone(),
        "always_off" => Sampler::ratio(0.0).alone(),
        "traceidratio" => Sampler::ratio(ratio()?).alone(),
        "parentbased_always_on" => Sampler::ratio(1.0),
        "parentbased_always_off" => Sampler::ratio(0.0),
        "parentbased_traceidratio" => Sampler::ratio(ratio()?),
        _ => return Err(SettingsError(format!("OTEL_TRACES_SAMPLER: `{name}` is not known here"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(asked: Option<&str>, variables: &[(&str, &str)]) -> Result<Option<Settings>, SettingsError> {
        Settings::of_environment(asked, None, &|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn place(asked: Option<&str>, variables: &[(&str, &str)]) -> (String, Protocol) {
        let settings = of(asked, variables).unwrap().unwrap();
        (settings.endpoint, settings.protocol)
    }

    #[test]
    fn nothing_is_sent_unless_somebody_asks() {
        assert_eq!(of(None, &[("OTEL_SERVICE_NAME", "shop")]), Ok(None));
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"), ("OTEL_SDK_DISABLED", "true")];
        assert_eq!(of(None, &variables), Ok(None));
        assert!(Settings::of_environment(None, Some(0.1), &|_| None).is_err(), "a share of nothing");
    }

    #[test]
    fn the_port_tells_the_protocol_where_nobody_does() {
        assert_eq!(place(Some("http://c:4318/"), &[]), ("http://c:4318/v1/traces".into(), Protocol::Http));
        assert_eq!(place(Some("http://c:4317"), &[]), ("http://c:4317".into(), Protocol::Grpc));
        let grpc = [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
        assert_eq!(place(Some("http://c:9"), &grpc), ("http://c:9".into(), Protocol::Grpc));
    }

    #[test]
    fn an_endpoint_for_traces_alone_is_taken_as_it_is() {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://d:4318/in"),
        ];
        assert_eq!(place(None, &variables).0, "http://d:4318/in");
        assert_eq!(place(Some("http://e:1"), &variables).0, "http://e:1/v1/traces");
    }

    #[test]
    fn a_sampler_is_known_by_its_name() {
        let sampler = |name, argument| {
            let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
            of(None, &[endpoint, ("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)])
                .map(|settings| settings.unwrap().sampler)
        };
        assert_eq!(sampler("traceidratio", "0.5"), Ok(Sampler::ratio(0.5).alone()));
        assert_eq!(sampler("parentbased_always_off", ""), Ok(Sampler::ratio(0.0)));
        assert!(sampler("traceidratio", "2").is_err());
        assert!(sampler("jaeger_remote", "").is_err());
    }

    #[test]
    fn what_cannot_be_reached_is_refused_at_once() {
        for endpoint in ["https://c:4318", "c:4318", "/v1/traces", "http:///x"] {
            assert!(Settings::new(endpoint).is_err(), "{endpoint}");
        }
    }
}
