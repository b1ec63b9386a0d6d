//! Traces made up by the tests: of a design, as services that all record their spans would have left them.

use bowline_design::Design;
use bowline_design::resolved::Work;
use serde_json::{Value, json};

/// Where the first trace begins: some day in 2026.
const BEGINNING: u64 = 1_790_000_000_000_000_000;

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Standard normal (Box, Muller 1958).
    fn normal(&mut self) -> f64 {
        let (a, b) = (1.0 - self.share(), self.share());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }
}

/// Makes traces of a design.
pub(crate) struct Maker<'d> {
    design: &'d Design,
    pub(crate) random: Random,
    next_id: u64,
    /// Nanoseconds on the way, one way.
    pub(crate) wire: u64,
    /// Spans by service.
    pub(crate) spans: Vec<(String, Value)>,
}

impl<'d> Maker<'d> {
    pub(crate) fn of(design: &'d Design, seed: u64) -> Self {
        Self { design, random: Random(seed), next_id: 0, wire: 0, spans: Vec::new() }
    }

    /// `count` requests for an operation, `every` nanoseconds.
    pub(crate) fn requests(&mut self, service: &str, operation: &str, count: u64, every: u64) {
        let service = self.design.services.iter().position(|known| *known.name == *service).expect(service);
        let operation = self.design.services[service].operation_named(operation).expect(operation);
        for n in 0..count {
            self.answer(n + 1, 0, service, operation, BEGINNING + n * every);
        }
    }

    /// The SERVER span of a request that begins at `start`; when it ends.
    fn answer(&mut self, trace: u64, parent: u64, service: usize, operation: usize, start: u64) -> u64 {
        let design = self.design;
        let (service, operation) =
            (&design.services[service], &design.services[service].operations[operation]);
        let id = self.id();
        let own = operation.takes.as_ref().map_or(0.0, |takes| {
            let (p50, p99) = (takes.value.p50.as_secs_f64(), takes.value.p99.as_secs_f64());
            p50 * ((p99 / p50).ln() / 2.326_348 * self.random.normal()).exp()
        });
        let mut end = start + (own * 1e9) as u64;
        for work in &operation.does {
            end = self.work(trace, id, &service.name, work, end);
        }
        let mut attributes = Vec::new();
        if let Some((method, path)) = &operation.http {
            attributes = vec![("http.request.method", method.to_string()), ("http.route", path.to_string())];
        }
        if let Some((package, method)) = operation.grpc.as_deref().and_then(|grpc| grpc.split_once('/')) {
            attributes = vec![("rpc.service", package.to_owned()), ("rpc.method", method.to_owned())];
        }
        self.span(trace, id, parent, &service.name, 2, (start, end), &attributes);
        end
    }

    fn work(&mut self, trace: u64, parent: u64, service: &str, work: &Work, start: u64) -> u64 {
        match work {
            Work::Work(span) => start + span.as_nanos() as u64,
            Work::Call { service: to, operation, .. } => {
                let id = self.id();
                let answered = self.answer(trace, id, to.0 as usize, *operation, start + self.wire);
                let end = answered + self.wire;
                self.span(trace, id, parent, service, 3, (start, end), &[]);
                end
            }
            Work::Publish { topic, .. } => {
                let id = self.id();
                let named = [("messaging.destination.name", topic.clone())];
                self.span(trace, id, parent, service, 4, (start, start + 1_000_000), &named);
                start + 1_000_000
            }
            Work::Parallel(works) => {
                works.iter().map(|work| self.work(trace, parent, service, work, start)).max().unwrap_or(start)
            }
            Work::Choice(branches) => {
                let mut drawn = self.random.share();
                let chosen = branches.iter().find(|(share, _)| {
                    drawn -= share;
                    drawn < 0.0
                });
                chosen
                    .iter()
                    .flat_map(|(_, works)| works)
                    .fold(start, |at, work| self.work(trace, parent, service, work, at))
            }
        }
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    #[expect(clippy::too_many_arguments, reason = "a span has as many parts")]
    fn span(
        &mut self,
        trace: u64,
        id: u64,
        parent: u64,
        service: &str,
        kind: u8,
        (start, end): (u64, u64),
        attributes: &[(&str, String)],
    ) {
        let parent = if parent == 0 { String::new() } else { format!("{parent:016x}") };
        let attributes: Vec<Value> = attributes
            .iter()
            .map(|(key, value)| json!({"key": key, "value": {"stringValue": value}}))
            .collect();
        let span = json!({
            "traceId": format!("{trace:032x}"), "spanId": format!("{id:016x}"), "parentSpanId": parent,
            "name": "span", "kind": kind, "attributes": attributes,
            "startTimeUnixNano": start.to_string(), "endTimeUnixNano": end.to_string(),
        });
        self.spans.push((service.to_owned(), span));
    }

    /// As the collector's file exporter writes them: a document a line, a few spans each.
    pub(crate) fn lines(&self) -> String {
        let mut text = String::new();
        for (service, span) in &self.spans {
            text += &format!("{}\n", document(service, std::slice::from_ref(span)));
        }
        text
    }
}

/// One document with the spans of one service.
pub(crate) fn document(service: &str, spans: &[Value]) -> Value {
    json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
        "scopeSpans": [{"scope": {"name": "test"}, "spans": spans}],
    }]})
}
