//! Who there is, and what can be asked of it.

use super::call::CallSettings;
use super::topic::TopicId;
use super::{Source, Sourced};
pub use crate::kinds::service::{Consistency, Loss};
use crate::mistake::Place;
use bowline_policy::HealthSettings;
use http::Method;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// Which service: an index into [`super::Design::services`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(pub u32);

/// A named program that can be asked things.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its plain name: `payment`, or the whole host where it has no other.
    pub name: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// All authorities that mean it, without port, the longest (the fully qualified one) last.
    pub hosts: Vec<Arc<str>>,
    /// Where it is declared, or first named.
    pub place: Place,
    /// The names in certificates that are its own, by which it proves who it is.
    pub identities: Vec<Arc<str>>,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Where it answers. Empty: it is only named, and a call to it ends with `no host`.
    pub endpoints: Vec<Endpoint>,
    /// The subsets that destination rules cut out of its endpoints.
    pub subsets: Vec<Subset>,
    /// How `bowline up` starts it; `None`: it does not.
    pub run: Option<Run>,
    /// The path that answers 2xx when it is ready; `None`: a connection is answer enough.
    pub health: Option<String>,
    /// How its endpoints are asked whether they are well; `None`: they are not.
    pub health_check: Option<Sourced<HealthCheck>>,
    /// How many of it run.
    pub replicas: Sourced<u32>,
    /// Requests one replica works on at once; `None`: nobody said.
    pub concurrency: Option<Sourced<u32>>,
    /// Requests that may wait in one replica while it works on as many as it can; `None`: any number.
    pub queue: Option<Sourced<u32>>,
    /// Whether it hands deadline and trace headers on to what it calls.
    pub forwards: Sourced<bool>,
    /// What can be asked of it, in the order of the document.
    pub operations: Vec<Operation>,
    /// Whether it lies outside: a `ServiceEntry` names it.
    pub external: bool,
    /// Names of which it proves one where TLS is spoken to it and nobody names others; empty: its own.
    pub proves: Vec<String>,
    /// Whether no document declares it: a rule only names its host.
    pub implied: bool,
    /// What governs a call to it that is no declared operation.
    pub policy: Arc<CallSettings>,
    /// Indexes of `operations`, the most specific first: the order in which a request is compared.
    pub(crate) by_specificity: Vec<usize>,
}

impl Service {
    /// The authority that means it everywhere: the last and longest of its hosts.
    #[must_use]
    pub fn host(&self) -> &str {
        self.hosts.last().map_or(&*self.name, |host| host)
    }

    /// The operation that a request asks for, the most specific one where several patterns match.
    ///
    /// A HEAD request asks for the GET operation, unless there is one of its own.
    #[must_use]
    pub fn operation_for(&self, method: &Method, path: &str) -> Option<usize> {
        let matching = |method: &Method| {
            let asks = |index: &&usize| self.operations[**index].answers(method, path);
            self.by_specificity.iter().find(asks).copied()
        };
        matching(method).or_else(|| if *method == Method::HEAD { matching(&Method::GET) } else { None })
    }

    /// Whether the token of a process can prove that it is this service: `bowline up` starts it, and no other of its name
    /// among `all`.
    #[must_use]
    pub fn proves_itself_among(&self, all: &[Self]) -> bool {
        let namesakes = all.iter().filter(|other| other.run.is_some() && other.name == self.name);
        self.run.is_some() && namesakes.count() == 1
    }

    /// The index of the operation called `name`.
    #[must_use]
    pub fn operation_named(&self, name: &str) -> Option<usize> {
        self.operations.iter().position(|operation| *operation.name == *name)
    }

    /// The policy of one operation, or of calls without a declared one.
    #[must_use]
    pub fn settings(&self, operation: Option<usize>) -> &Arc<CallSettings> {
        operation
            .and_then(|index| self.operations.get(index))
            .map_or(&self.policy, |operation| &operation.settings)
    }

    /// Works out the order in which [`Service::operation_for`] compares.
    pub(crate) fn sort_operations(&mut self) {
        let mut order: Vec<usize> = (0..self.operations.len()).collect();
        order.sort_by(|a, b| {
            let pattern = |index: &usize| self.operations[*index].http.as_ref().map(|(_, path)| path);
            match (pattern(a), pattern(b)) {
                (Some(a), Some(b)) => a.specificity().cmp(b.specificity()),
                _ => std::cmp::Ordering::Equal,
            }
        });
        self.by_specificity = order;
    }
}

/// How a service is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http,
    /// HTTP/2, of which both sides know before.
    Http2,
    /// gRPC over HTTP/2.
    Grpc,
}

impl Protocol {
    /// Whether it is carried by HTTP/2.
    #[must_use]
    pub const fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Grpc)
    }
}

/// Where a service answers: one address, or whatever is found behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// `host:port`, or the path of a file.
    pub address: String,
    /// What that stands for.
    pub located: Located,
    /// The share of each address beside the others; at least 1.
    pub weight: u32,
    /// What subsets select by.
    pub labels: BTreeMap<String, String>,
    /// The service port it stands behind; `None`: any.
    pub port: Option<u16>,
    /// What is spoken there.
    pub protocol: Protocol,
    /// Where it is written.
    pub place: Place,
}

/// What the address of an [`Endpoint`] stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Located {
    /// One endpoint. Where its host is a name, connections are made to an address of it.
    AsWritten,
    /// An endpoint at each address that DNS has of the name.
    ByDns,
    /// Those that the file at this path lists ([`crate::hosts_file`]).
    InFile,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.located {
            Located::AsWritten => f.write_str(&self.address),
            Located::ByDns => write!(f, "{} by DNS", self.address),
            Located::InFile => write!(f, "listed in {}", self.address),
        }
    }
}

/// How each endpoint of a service is asked whether it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// By what.
    pub by: CheckedBy,
    /// When, and how many answers prove something.
    pub settings: HealthSettings,
}

/// What an endpoint is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckedBy {
    /// A GET.
    Http {
        /// Of this path, with its query.
        path: String,
        /// With this `Host`.
        host: String,
        /// Statuses that say that it is well.
        good: Vec<RangeInclusive<u16>>,
    },
    /// `grpc.health.v1.Health/Check`.
    Grpc {
        /// The authority it is asked by.
        host: String,
        /// Of this gRPC service; empty: of the server as a whole.
        service: String,
    },
}

/// A part of a service's endpoints, named by a `DestinationRule`.
#[derive(Clone, Debug)]
pub struct Subset {
    /// Its name.
    pub name: Arc<str>,
    /// The labels that its endpoints carry.
    pub labels: BTreeMap<String, String>,
    /// Which endpoints belong to it, as indexes of [`Service::endpoints`].
    pub endpoints: Vec<usize>,
    /// Where it is declared.
    pub place: Place,
}

/// How `bowline up` starts a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// What is started.
    pub program: Program,
    /// Its arguments.
    pub args: Vec<String>,
    /// Environment variables it gets besides what it inherits.
    pub env: BTreeMap<String, String>,
    /// Where it is written.
    pub place: Place,
}

/// What is started.
#[derive(Clone, Debug, PartialEq)]
pub enum Program {
    /// A binary of the Cargo workspace around the design, built first.
    Cargo(String),
    /// A command and its first arguments.
    Command(Vec<String>),
}

/// One thing that a service can be asked.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its name within the service.
    pub name: Arc<str>,
    /// Where it is declared.
    pub place: Place,
    /// The HTTP requests that ask for it.
    pub http: Option<(Method, PathPattern)>,
    /// The gRPC method that asks for it: `package.Service/Method`.
    pub grpc: Option<Arc<str>>,
    /// Whether it may be asked again after an unknown outcome.
    pub idempotent: Sourced<Idempotency>,
    /// Whether a 202 means accepted and not finished.
    pub pending: bool,
    /// Its uncontended service time.
    pub takes: Option<Sourced<Takes>>,
    /// What the business asks of it.
    pub needs: Option<Sourced<Needs>>,
    /// What it does when asked, in order.
    pub does: Vec<Work>,
    /// What governs a call to it where no route does.
    pub settings: Arc<CallSettings>,
}

impl Operation {
    /// Whether a request with this method and path (without query) asks for it.
    #[must_use]
    pub fn answers(&self, method: &Method, path: &str) -> bool {
        if let Some((own, pattern)) = &self.http {
            return own == method && pattern.matches(path);
        }
        let grpc = self.grpc.as_deref();
        grpc.is_some_and(|grpc| *method == Method::POST && path.strip_prefix('/') == Some(grpc))
    }

    /// A request that asks for it: method and path, with `1` in the place of each parameter.
    #[must_use]
    pub fn example(&self) -> Option<(Method, String)> {
        match (&self.http, &self.grpc) {
            (Some((method, pattern)), _) => Some((method.clone(), pattern.example())),
            (None, Some(grpc)) => Some((Method::POST, format!("/{grpc}"))),
            (None, None) => None,
        }
    }
}

/// Whether some server takes a segment for another place than one below those before it: `.` and `..`, written out or in
/// per cent, with parameters behind them or not, and what becomes a slash.
fn leads_elsewhere(segment: &str) -> bool {
    // Most have none of these bytes.
    if !segment.contains(['.', '%', '\\']) {
        return false;
    }
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    let name = plain.split(';').next().unwrap_or_default();
    matches!(name, "." | "..") || ["%2f", "%5c", "\\", "%00"].iter().any(|slash| plain.contains(slash))
}

/// A path whose segments in braces stand for anything: `/orders/{id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    segments: Vec<Segment>,
}

/// One segment of a path. The order is the order of comparing: what is fixed comes before what is free.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Fixed(String),
    Free(String),
}

impl PathPattern {
    /// Reads `/orders/{id}`.
    ///
    /// # Errors
    /// What is wrong with it, as a fragment of a sentence.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(rest) = text.strip_prefix('/') else { return Err("a path starts with `/`") };
        if text.contains(['?', '#']) {
            return Err("a path has no query and no fragment");
        }
        let segment = |segment: &str| match segment.strip_prefix('{') {
            Some(name) => match name.strip_suffix('}') {
                Some("") => Err("a parameter needs a name: `{id}`"),
                Some(name) if name.contains(['{', '}']) => Err("a parameter is a whole segment: `/{id}/`"),
                Some(name) => Ok(Segment::Free(name.to_owned())),
                None => Err("a parameter is a whole segment: `/{id}/`"),
            },
            None if segment.contains(['{', '}']) => Err("a parameter is a whole segment: `/{id}/`"),
            None => Ok(Segment::Fixed(segment.to_owned())),
        };
        Ok(Self { segments: rest.split('/').map(segment).collect::<Result<_, _>>()? })
    }

    /// Whether `path`, without its query, has this form. A parameter stands for one segment that is not empty, and for
    /// none that leads elsewhere in the eyes of whoever cleans paths up: `..`, a slash in disguise.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix('/') else { return false };
        let mut given = rest.split('/');
        let each = self.segments.iter().all(|segment| match (segment, given.next()) {
            (Segment::Fixed(fixed), Some(given)) => fixed == given,
            (Segment::Free(_), Some(given)) => !given.is_empty() && !leads_elsewhere(given),
            (_, None) => false,
        });
        each && given.next().is_none()
    }

    /// Orders patterns so that of two that match one path the more specific comes first.
    fn specificity(&self) -> &[Segment] {
        &self.segments
    }

    /// The path up to the first parameter, and whether that is all of it.
    pub(crate) fn fixed(&self) -> (String, bool) {
        let mut path = String::new();
        for segment in &self.segments {
            path.push('/');
            match segment {
                Segment::Fixed(fixed) => path.push_str(fixed),
                Segment::Free(_) => return (path, false),
            }
        }
        (path, true)
    }

    /// A path of this form.
    fn example(&self) -> String {
        let mut path = String::new();
        for segment in &self.segments {
            path.push('/');
            path.push_str(match segment {
                Segment::Fixed(fixed) => fixed,
                Segment::Free(_) => "1",
            });
        }
        path
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.segments.iter().try_for_each(|segment| match segment {
            Segment::Fixed(fixed) => write!(f, "/{fixed}"),
            Segment::Free(name) => write!(f, "/{{{name}}}"),
        })
    }
}

/// Whether an operation may be asked again after an unknown outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// Never.
    No,
    /// Always: asking twice has the effect of asking once.
    Yes,
    /// When the request carries an `Idempotency-Key`, which the operation honours.
    ByKey,
    /// As HTTP says of the method (RFC 9110 section 9.2.2): nothing more is known of the operation.
    ByMethod,
}

impl Idempotency {
    /// Whether a request with this method may be sent again; `keyed`: it carries an `Idempotency-Key`.
    #[must_use]
    pub fn repeatable(self, method: &Method, keyed: bool) -> bool {
        match self {
            Self::No => false,
            Self::Yes => true,
            Self::ByKey => keyed,
            Self::ByMethod => method.is_idempotent(),
        }
    }

    /// The word that a document writes for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Yes => "yes",
            Self::ByKey => "by key",
            Self::ByMethod => "by method",
        }
    }

    /// What holds for an operation that does not say.
    pub(crate) fn unsaid(method: Option<&Method>) -> Sourced<Self> {
        let (value, why) = match method {
            Some(method) if method.is_idempotent() => (Self::Yes, "HTTP defines the method as idempotent"),
            Some(_) => {
                (Self::No, "HTTP does not define the method as idempotent, and the operation does not say")
            }
            None => (Self::No, "the operation does not say"),
        };
        Sourced { value, from: Source::Default(why) }
    }
}

/// Uncontended service time: how long it takes when nothing else runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Takes {
    /// Half of all requests are served within this.
    pub p50: Duration,
    /// 99 of 100 are served within this.
    pub p99: Duration,
    /// How many measurements stand behind the two; `None`: nobody said.
    pub samples: Option<u64>,
}

/// The standard normal distribution's 99th percentile.
const Z99: f64 = 2.326_347_874_040_841;

/// Its 99.9th percentile.
const Z999: f64 = 3.090_232_306_167_813_5;

/// The log-normal distribution with these two percentiles: what service times of healthy services look like, and what
/// simulator and check both take `takes` for. Where the 99th percentile is not above a median above zero, all that is
/// known is the median, and everything takes that long.
impl Takes {
    /// The standard deviation of the logarithm; zero for what always takes as long.
    ///
    /// ```
    /// # use bowline_design::resolved::Takes;
    /// # use std::time::Duration;
    /// let takes = Takes { p50: Duration::from_millis(8), p99: Duration::from_millis(40), samples: None };
    /// assert!((takes.sigma() - 0.692).abs() < 0.001);
    /// ```
    #[must_use]
    pub fn sigma(&self) -> f64 {
        let is_spread = !self.p50.is_zero() && self.p50 < self.p99;
        if is_spread { (self.p99.as_secs_f64() / self.p50.as_secs_f64()).ln() / Z99 } else { 0.0 }
    }

    /// The mean, in seconds.
    #[must_use]
    pub fn mean(&self) -> f64 {
        let sigma = self.sigma();
        self.p50.as_secs_f64() * (sigma * sigma / 2.0).exp()
    }

    /// 999 of 1000 are served within this.
    #[must_use]
    pub fn p999(&self) -> Duration {
        let seconds = self.p50.as_secs_f64() * (self.sigma() * Z999).exp();
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).max(self.p99)
    }

    /// The share of requests that take longer than `span`.
    #[must_use]
    pub fn later_than(&self, span: Duration) -> f64 {
        let sigma = self.sigma();
        if sigma <= 0.0 || span.is_zero() {
            return if span < self.p50 { 1.0 } else { 0.0 };
        }
        let deviations = (span.as_secs_f64() / self.p50.as_secs_f64()).ln() / sigma;
        // The upper tail of the normal distribution, by the complementary error function.
        libm::erfc(deviations / std::f64::consts::SQRT_2) / 2.0
    }
}

/// What the business asks of an operation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Needs {
    /// Whether what it wrote is seen at once.
    pub consistency: Option<Consistency>,
    /// Whether it may be lost.
    pub loss: Option<Loss>,
    /// How long the asker waits for an answer.
    pub answer_within: Option<Duration>,
    /// How old what is read may be.
    pub staleness: Option<Duration>,
}

/// One thing that an operation does.
#[derive(Clone, Debug)]
pub enum Work {
    /// Works on its own for this long.
    Work(Duration),
    /// Asks another operation and waits.
    Call {
        /// Whom.
        service: ServiceId,
        /// What, as an index of its operations.
        operation: usize,
        /// Where it is written.
        place: Place,
    },
    /// Publishes to a topic.
    Publish {
        /// Which, as it is written.
        topic: String,
        /// Which, if a document declares it.
        declared: Option<TopicId>,
        /// Where it is written.
        place: Place,
    },
    /// Does several things at once and waits for all.
    Parallel(Vec<Work>),
    /// Does one of several things, with these probabilities.
    Choice(Vec<(f64, Vec<Work>)>),
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_fit_has_the_percentiles_it_was_fitted_to() {
        let takes = Takes { p50: ms(8), p99: ms(40), samples: None };
        assert!((takes.later_than(ms(8)) - 0.5).abs() < 1e-9);
        assert!((takes.later_than(ms(40)) - 0.01).abs() < 1e-9);
        assert!((takes.later_than(takes.p999()) - 0.001).abs() < 1e-6);
        // exp(sigma^2 / 2) x 8 ms with a sigma of 0.6918.
        assert!((takes.mean() - 0.010_163).abs() < 1e-5, "{}", takes.mean());
    }

    #[test]
    fn what_is_not_spread_always_takes_as_long() {
        for p99 in [ms(8), ms(2)] {
            let takes = Takes { p50: ms(8), p99, samples: None };
            assert_eq!((takes.sigma(), takes.mean(), takes.p999()), (0.0, 0.008, ms(8)));
            assert_eq!([ms(7), ms(8)].map(|span| takes.later_than(span)), [1.0, 0.0]);
        }
        let nothing = Takes { p50: ms(0), p99: ms(40), samples: None };
        assert_eq!((nothing.mean(), nothing.later_than(ms(0)), nothing.p999()), (0.0, 0.0, ms(40)));
    }
}
