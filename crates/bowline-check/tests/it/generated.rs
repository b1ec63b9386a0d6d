//! Designs that nobody wrote, in every style: errors are what arithmetic says, and every edit mends.

use crate::support::{design, every_edit_mends, findings};
use crate::yaml::{Style, Yaml, map, word, written};
use bowline_check::{Finding, Severity};
use proptest::prelude::*;

/// How a call to one service of a chain is governed, and what the service does.
#[derive(Clone, Debug)]
struct Layer {
    /// By a route of Istio's, or else by a policy of ours.
    istio: bool,
    tries: u32,
    per_try: Option<u64>,
    deadline: Option<u64>,
    work: u64,
    /// A POST that is not idempotent, or else a GET.
    effect: bool,
}

impl Layer {
    /// Whether its tries are written at all.
    const fn retries(&self) -> bool {
        !self.istio || self.tries > 1
    }

    const fn per_try(&self) -> Option<u64> {
        if self.retries() { self.per_try } else { None }
    }

    /// The longest that all tries take. Istio's wait as Envoy does, 25 ms doubled less one; ours 25 ms doubled;
    /// both at most 250 ms.
    fn worst(&self) -> Option<u64> {
        let pause = |retry: u32| if self.istio { (1 << retry) - 1 } else { 1 << (retry - 1) };
        let pauses: u64 = (1..self.tries).map(|retry| (25 * pause(retry)).min(250)).sum();
        Some(self.per_try()? * u64::from(self.tries) + pauses)
    }

    /// How many times it multiplies the load: ours are bounded by their budget, and never repeat an effect.
    fn factor(&self) -> f64 {
        match (self.istio, self.effect) {
            (true, _) => f64::from(self.tries),
            (false, true) => 1.0,
            (false, false) => f64::from(self.tries).min(1.2),
        }
    }
}

fn layer() -> impl Strategy<Value = Layer> {
    let span = |max: u64| proptest::option::of(1..max);
    (any::<bool>(), 1_u32..6, span(1_500), span(4_000), 0_u64..400, any::<bool>()).prop_map(
        |(istio, tries, per_try, deadline, work, effect)| Layer {
            istio,
            tries,
            per_try,
            deadline,
            work,
            effect,
        },
    )
}

fn style() -> impl Strategy<Value = Style> {
    prop_oneof![Just(Style::Block), Just(Style::Flow), Just(Style::Json)]
}

fn document(api: &str, kind: &str, name: &str, spec: Yaml) -> Yaml {
    let metadata = map([("name", Some(word(name)))]);
    map([
        ("apiVersion", Some(word(api))),
        ("kind", Some(word(kind))),
        ("metadata", Some(metadata)),
        ("spec", Some(spec)),
    ])
}

const OURS: &str = "bowline.dev/v1alpha1";
const ISTIO: &str = "networking.istio.io/v1";

/// Service `s{index}`, which works and then makes these calls.
fn service(index: usize, work: u64, effect: bool, calls: &[usize]) -> Yaml {
    let step = |name, value: String| map([(name, Some(word(value)))]);
    let does = [step("work", format!("{work}ms"))].into_iter();
    let does = does.chain(calls.iter().map(|callee| step("call", format!("s{callee}.run"))));
    let http = map([
        ("method", Some(word(if effect { "POST" } else { "GET" }))),
        ("path", Some(word(format!("/s{index}")))),
    ]);
    let operation =
        map([("name", Some(word("run"))), ("http", Some(http)), ("does", Some(Yaml::List(does.collect())))]);
    let endpoint = map([("address", Some(word("127.0.0.1:7100")))]);
    let spec =
        [("endpoints", Some(Yaml::List(vec![endpoint]))), ("operations", Some(Yaml::List(vec![operation])))];
    document(OURS, "Service", &format!("s{index}"), map(spec))
}

/// What governs calls to `s{index}`: a policy or a route. The first service is behind a gateway.
fn governed(index: usize, layer: &Layer) -> Vec<Yaml> {
    let (host, span) = (format!("s{index}"), |millis: u64| word(format!("{millis}ms")));
    let mut documents = Vec::new();
    if !layer.istio {
        let retry = map([("tries", Some(word(layer.tries))), ("perTry", layer.per_try.map(span))]);
        let target = map([("operation", Some(word(format!("{host}.run"))))]);
        let spec = [
            ("targets", Some(Yaml::List(vec![target]))),
            ("deadline", layer.deadline.map(span)),
            ("retry", Some(retry)),
        ];
        documents.push(document(OURS, "Policy", &host, map(spec)));
    }
    if layer.istio || index == 0 {
        let retries = map([
            ("attempts", Some(word(layer.tries - 1))),
            ("perTryTimeout", layer.per_try().map(span)),
            ("retryOn", layer.retries().then(|| word("5xx,connect-failure"))),
        ]);
        let destination = map([("destination", Some(map([("host", Some(word(&host)))])))]);
        let route = map([
            ("route", Some(Yaml::List(vec![destination]))),
            ("timeout", layer.deadline.filter(|_| layer.istio).map(span)),
            ("retries", layer.istio.then_some(retries)),
        ]);
        let spec = [
            ("hosts", Some(Yaml::List(vec![word(if index == 0 { "shop.example" } else { &host })]))),
            ("gateways", (index == 0).then(|| Yaml::List(vec![word("door")]))),
            ("http", Some(Yaml::List(vec![route]))),
        ];
        documents.push(document(ISTIO, "VirtualService", &format!("r{index}"), map(spec)));
    }
    documents
}

fn gateway() -> Yaml {
    let port =
        map([("number", Some(word(8080))), ("name", Some(word("http"))), ("protocol", Some(word("HTTP")))]);
    let server = map([("port", Some(port)), ("hosts", Some(Yaml::List(vec![word("shop.example")])))]);
    document(ISTIO, "Gateway", "door", map([("servers", Some(Yaml::List(vec![server])))]))
}

/// A gateway, and services that each call the next.
fn chain(layers: &[Layer]) -> Vec<Yaml> {
    let mut documents = vec![gateway()];
    for (index, layer) in layers.iter().enumerate() {
        let next = [index + 1];
        let calls = if index + 1 < layers.len() { &next[..] } else { &[] };
        documents.push(service(index, layer.work, layer.effect, calls));
        documents.extend(governed(index, layer));
    }
    documents
}

fn count(found: &[Finding], severity: Severity, rules: &[&str]) -> usize {
    found.iter().filter(|finding| finding.severity == severity && rules.contains(&finding.rule)).count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn errors_are_what_arithmetic_says_and_edits_mend(layers in prop::collection::vec(layer(), 1..6), style in style()) {
        let texts = [design(&written(&chain(&layers), style))];
        let found = findings(&texts);

        // An answer takes at least all work from here to the end of the chain.
        let least = |from: usize| layers[from..].iter().map(|layer| layer.work).sum::<u64>();
        // The gateway stamps 30 s where nobody gives a deadline: more than all work of these chains.
        let short = layers.iter().enumerate().map(|(index, layer)| {
            let limits = layer.deadline.into_iter().chain(layer.per_try());
            limits.filter(|limit| *limit < least(index)).count()
        });
        prop_assert_eq!(count(&found, Severity::Error, &["T01"]), short.sum::<usize>(), "{:?}", found);

        let load: f64 = layers.iter().map(Layer::factor).product();
        prop_assert_eq!(count(&found, Severity::Error, &["R01"]) > 0, load > 4.0 + 1e-6, "load {}: {:?}", load, found);

        let repeats = layers.iter().filter(|layer| layer.istio && layer.tries > 1 && layer.effect).count();
        prop_assert_eq!(count(&found, Severity::Error, &["R05"]), repeats);

        let too_long = layers.iter().filter(|layer| {
            let (Some(worst), Some(deadline)) = (layer.worst(), layer.deadline) else { return false };
            layer.tries > 1 && worst > deadline
        });
        prop_assert_eq!(count(&found, Severity::Warning, &["T03", "T08"]), too_long.count(), "{:?}", found);

        every_edit_mends(&texts, &found);
    }

    #[test]
    fn cycles_are_found_where_there_are_some_and_opened_by_all_edits_together(
        size in 1_usize..7,
        calls in prop::collection::vec((0_usize..7, 0_usize..7), 0..14),
        style in style(),
    ) {
        let calls: Vec<(usize, usize)> = calls.into_iter().map(|(from, to)| (from % size, to % size)).collect();
        let services = (0..size).map(|index| {
            let own: Vec<usize> = calls.iter().filter(|(from, _)| *from == index).map(|(_, to)| *to).collect();
            service(index, 1, false, &own)
        });
        let texts = [design(&written(&services.collect::<Vec<_>>(), style))];
        let found = findings(&texts);
        let cycles: Vec<&Finding> = found.iter().filter(|finding| finding.rule == "X01").collect();
        prop_assert_eq!(cycles.is_empty(), is_acyclic(size, &calls));
        every_edit_mends(&texts, &found);

        let edits = cycles.iter().flat_map(|finding| finding.edits.clone()).collect();
        let all = cycles.first().map(|first| Finding { edits, ..(*first).clone() });
        let opened = all.map_or(texts.to_vec(), |all| all.mended(&texts).unwrap());
        prop_assert_eq!(count(&findings(&opened), Severity::Error, &["X01"]), 0);
    }
}

/// Whether callees without callees can be taken away until none is left.
fn is_acyclic(size: usize, calls: &[(usize, usize)]) -> bool {
    let mut left: Vec<usize> = (0..size).collect();
    loop {
        let waits = |node: &usize| calls.iter().any(|(from, to)| from == node && left.contains(to));
        let rest: Vec<usize> = left.iter().copied().filter(waits).collect();
        match (rest.is_empty(), rest.len() == left.len()) {
            (true, _) => return true,
            (_, true) => return false,
            _ => left = rest,
        }
    }
}
