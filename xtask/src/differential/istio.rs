//! A draw in Istio's words, for Bowline. JSON is YAML.

use super::draw::{Action, Block, Draw, Edits, HeaderEdits, PathRewrite, Rule, SERVICES, Text};
use serde_json::{Map, Value, json};

/// The documents of all draws: a gateway and a rule set for each, and the callees. `gateways` and `callees`
/// are ports.
pub(super) fn design(draws: &[Draw], gateways: &[u16], callees: &[u16; SERVICES]) -> String {
    let mut documents = Vec::new();
    for (service, port) in callees.iter().enumerate() {
        documents.push(json!({
            "apiVersion": "bowline.dev/v1alpha1",
            "kind": "Service",
            "metadata": { "name": service_name(service) },
            "spec": { "endpoints": [ { "address": format!("127.0.0.1:{port}") } ] },
        }));
    }
    for (draw, port) in draws.iter().zip(gateways) {
        let name = format!("draw-{}", draw.seed);
        documents.push(json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "Gateway",
            "metadata": { "name": name },
            "spec": { "servers": [ {
                "bind": "127.0.0.1",
                "port": { "number": port, "name": "http", "protocol": "HTTP" },
                "hosts": [ "*" ],
            } ] },
        }));
        documents.push(json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": { "name": name },
            "spec": {
                "hosts": [ "*" ],
                "gateways": [ name ],
                "http": draw.rules.iter().map(rule).collect::<Vec<_>>(),
            },
        }));
    }
    documents.iter().map(|document| format!("---\n{document}\n")).collect()
}

pub(super) fn service_name(service: usize) -> String {
    format!("callee-{service}")
}

/// An entry of `http[]`.
pub(super) fn rule(rule: &Rule) -> Value {
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
    if !rule.blocks.is_empty() {
        put("match", rule.blocks.iter().map(block).collect());
    }
    match &rule.action {
        Action::Route { to, rewrite } => {
            let several = to.len() > 1;
            let to = to.iter().map(|to| {
                let mut out = json!({ "destination": { "host": service_name(to.service) } });
                if several {
                    out["weight"] = json!(to.weight);
                }
                put_headers(&mut out, &to.headers);
                out
            });
            put("route", to.collect());
            if let Some(rewrite) = rewrite {
                let mut out = Map::new();
                match &rewrite.path {
                    Some(PathRewrite::Uri(uri)) => drop(out.insert("uri".to_owned(), json!(uri))),
                    Some(PathRewrite::Regex { pattern, with }) => {
                        out.insert(
                            "uriRegexRewrite".to_owned(),
                            json!({ "match": pattern, "rewrite": with }),
                        );
                    }
                    None => (),
                }
                if let Some(authority) = &rewrite.authority {
                    out.insert("authority".to_owned(), json!(authority));
                }
                put("rewrite", Value::Object(out));
            }
        }
        Action::Redirect { uri, authority, scheme, code } => {
            let fields = [
                ("uri", json!(uri)),
                ("authority", json!(authority)),
                ("scheme", json!(scheme)),
                ("redirectCode", json!(code)),
            ];
            put("redirect", object(fields));
        }
        Action::Respond { status, body } => {
            let body = body.as_ref().map(|text| json!({ "string": text }));
            put("directResponse", object([("status", json!(status)), ("body", json!(body))]));
        }
    }
    if let Some(ms) = rule.timeout_ms {
        put("timeout", json!(format!("{ms}ms")));
    }
    if let Some(retries) = &rule.retries {
        let per_try = retries.per_try_ms.map(|ms| format!("{ms}ms"));
        let fields = [
            ("attempts", json!(retries.attempts)),
            ("perTryTimeout", json!(per_try)),
            ("retryOn", json!(retries.on)),
        ];
        put("retries", object(fields));
    }
    if let Some(fault) = &rule.fault {
        let always = json!({ "value": 100 });
        let delay = fault.delay_ms.map(|ms| json!({ "fixedDelay": format!("{ms}ms"), "percentage": always }));
        let abort = fault.abort.map(|status| json!({ "httpStatus": status, "percentage": always }));
        put("fault", object([("delay", json!(delay)), ("abort", json!(abort))]));
    }
    let mut out = Value::Object(out);
    put_headers(&mut out, &rule.headers);
    out
}

fn block(block: &Block) -> Value {
    let headers = |all: &[(String, Option<Text>)]| -> Value {
        let entries = all
            .iter()
            .map(|(name, matcher)| (name.clone(), matcher.as_ref().map_or_else(|| json!({}), text)));
        Value::Object(entries.collect())
    };
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
    for (key, matcher) in [("uri", &block.uri), ("method", &block.method), ("authority", &block.authority)] {
        if let Some(matcher) = matcher {
            put(key, text(matcher));
        }
    }
    if block.ignore_case {
        put("ignoreUriCase", json!(true));
    }
    if !block.headers.is_empty() {
        put("headers", headers(&block.headers));
    }
    if !block.without.is_empty() {
        put("withoutHeaders", headers(&block.without));
    }
    if !block.query.is_empty() {
        let query = block.query.iter().map(|(name, matcher)| (name.clone(), text(matcher)));
        put("queryParams", Value::Object(query.collect()));
    }
    Value::Object(out)
}

fn text(text: &Text) -> Value {
    match text {
        Text::Exact(word) => json!({ "exact": word }),
        Text::Prefix(word) => json!({ "prefix": word }),
        Text::Regex(expression) => json!({ "regex": expression }),
    }
}

fn put_headers(out: &mut Value, edits: &HeaderEdits) {
    let sides = [("request", &edits.request), ("response", &edits.response)];
    let sides = sides.into_iter().filter(|(_, edits)| !edits.is_empty());
    let sides: Map<String, Value> = sides.map(|(side, edits)| (side.to_owned(), side_of(edits))).collect();
    if !sides.is_empty() {
        out["headers"] = Value::Object(sides);
    }
}

fn side_of(edits: &Edits) -> Value {
    let pairs = |pairs: &[(String, String)]| -> Option<Value> {
        let map = pairs.iter().map(|(name, value)| (name.clone(), json!(value)));
        (!pairs.is_empty()).then(|| Value::Object(map.collect()))
    };
    let remove = (!edits.remove.is_empty()).then_some(&edits.remove);
    object([("set", json!(pairs(&edits.set))), ("add", json!(pairs(&edits.add))), ("remove", json!(remove))])
}

/// An object of those that are not null.
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(fields.map(|(key, value)| (key.to_owned(), value)).collect())
}

impl Edits {
    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }
}
