//! A draw in Envoy's words, translated as Istio's pilot translates it.
//!
//! Where the rules of translation are not plain, the reason stands beside them; they were read in Istio's
//! `pilot/pkg/networking/core/route/route.go` and `retry/retry.go`.

use super::draw::{
    Action, Block, Draw, Edits, Fault, HeaderEdits, PathRewrite, Retries, Rule, SERVICES, Text,
};
use super::istio::service_name;
use serde_json::{Value, json};

/// The bootstrap of one Envoy that has a listener for each draw.
pub(super) fn bootstrap(draws: &[Draw], listeners: &[u16], callees: &[u16; SERVICES], admin: u16) -> Value {
    let clusters = callees.iter().enumerate().map(|(service, port)| {
        let name = service_name(service);
        json!({
            "name": name,
            "type": "STATIC",
            "connect_timeout": "10s",
            // Istio lifts Envoy's limits, above all the three retries at once.
            "circuit_breakers": { "thresholds": [ {
                "max_connections": u32::MAX, "max_pending_requests": u32::MAX,
                "max_requests": u32::MAX, "max_retries": u32::MAX,
            } ] },
            "load_assignment": { "cluster_name": name, "endpoints": [ { "lb_endpoints": [ {
                "endpoint": { "address": address(*port) },
            } ] } ] },
        })
    });
    let listeners = draws.iter().zip(listeners).map(|(draw, port)| listener(draw, *port));
    json!({
        "admin": { "address": address(admin) },
        "static_resources": {
            "listeners": listeners.collect::<Vec<_>>(),
            "clusters": clusters.collect::<Vec<_>>(),
        },
    })
}

fn address(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}

fn listener(draw: &Draw, port: u16) -> Value {
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "draw",
        "use_remote_address": true,
        // What Istio's gateways do unless told otherwise (`pathNormalization: BASE`).
        "normalize_path": true,
        "server_header_transformation": "PASS_THROUGH",
        "http_filters": [
            { "name": "envoy.filters.http.fault", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
            } },
            { "name": "envoy.filters.http.router", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            } },
        ],
        "route_config": { "virtual_hosts": [ {
            "name": "all",
            "domains": [ "*" ],
            "routes": draw.rules.iter().flat_map(routes).collect::<Vec<_>>(),
        } ] },
    });
    json!({
        "name": format!("draw-{}", draw.seed),
        "address": address(port),
        "filter_chains": [ { "filters": [ {
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager,
        } ] } ],
    })
}

/// One route for each block of the rule.
fn routes(rule: &Rule) -> Vec<Value> {
    let everything = [Block::default()];
    let blocks = if rule.blocks.is_empty() { &everything } else { &*rule.blocks };
    blocks.iter().map(|block| route(rule, block)).collect()
}

fn route(rule: &Rule, block: &Block) -> Value {
    let mut out = json!({ "match": matches(block) });
    match &rule.action {
        Action::Route { to, rewrite } => {
            let mut action = json!({ "timeout": duration(rule.timeout_ms.unwrap_or(0)) });
            match &**to {
                // One destination's edits stand behind the rule's, in one list.
                [only] => {
                    action["cluster"] = json!(service_name(only.service));
                    put_edits(&mut out, &[&rule.headers, &only.headers]);
                }
                // Of several each has its own, which Envoy applies before the rule's.
                several => {
                    let clusters = several.iter().filter(|to| to.weight > 0).map(|to| {
                        let mut cluster = json!({ "name": service_name(to.service), "weight": to.weight });
                        put_edits(&mut cluster, &[&to.headers]);
                        cluster
                    });
                    action["weighted_clusters"] = json!({ "clusters": clusters.collect::<Vec<_>>() });
                    put_edits(&mut out, &[&rule.headers]);
                }
            }
            if let Some(rewrite) = rewrite {
                match &rewrite.path {
                    Some(PathRewrite::Uri(uri)) => action["prefix_rewrite"] = json!(uri),
                    Some(PathRewrite::Regex { pattern, with }) => {
                        action["regex_rewrite"] =
                            json!({ "pattern": { "regex": pattern }, "substitution": with });
                    }
                    None => (),
                }
                if let Some(authority) = &rewrite.authority {
                    action["host_rewrite_literal"] = json!(authority);
                }
            }
            if let Some(policy) = retry_policy(rule.retries.as_ref()) {
                action["retry_policy"] = policy;
            }
            if let Some(fault) = &rule.fault {
                out["typed_per_filter_config"] = json!({ "envoy.filters.http.fault": fault_of(fault) });
            }
            out["route"] = action;
        }
        Action::Redirect { uri, authority, scheme, code } => {
            let mut action = json!({ "response_code": redirect_code(code.unwrap_or(301)) });
            for (key, value) in [
                ("path_redirect", uri.as_deref()),
                ("host_redirect", authority.as_deref()),
                ("scheme_redirect", *scheme),
            ] {
                if let Some(value) = value {
                    action[key] = json!(value);
                }
            }
            put_edits(&mut out, &[&rule.headers]);
            out["redirect"] = action;
        }
        Action::Respond { status, body } => {
            let mut action = json!({ "status": status });
            if let Some(text) = body {
                action["body"] = json!({ "inline_string": text });
            }
            put_edits(&mut out, &[&rule.headers]);
            out["direct_response"] = action;
        }
    }
    out
}

fn matches(block: &Block) -> Value {
    let mut out = match &block.uri {
        None => json!({ "prefix": "/" }),
        Some(Text::Exact(path)) => json!({ "path": path }),
        Some(Text::Prefix(prefix)) => json!({ "prefix": prefix }),
        Some(Text::Regex(expression)) => json!({ "safe_regex": { "regex": expression } }),
    };
    // Expressions never ignore case.
    if block.ignore_case && !matches!(block.uri, Some(Text::Regex(_))) {
        out["case_sensitive"] = json!(false);
    }
    let mut headers = Vec::new();
    for (name, matcher) in [(":method", &block.method), (":authority", &block.authority)] {
        if let Some(matcher) = matcher {
            headers.push(json!({ "name": name, "string_match": text(matcher) }));
        }
    }
    for (name, matcher) in &block.headers {
        headers.push(match matcher {
            Some(matcher) => json!({ "name": name, "string_match": text(matcher) }),
            None => json!({ "name": name, "present_match": true }),
        });
    }
    for (name, matcher) in &block.without {
        headers.push(match matcher {
            // Without this a header that is not there would meet no inverted condition in Envoy.
            Some(matcher) => json!({
                "name": name, "string_match": text(matcher), "invert_match": true,
                "treat_missing_header_as_empty": true,
            }),
            None => json!({ "name": name, "present_match": true, "invert_match": true }),
        });
    }
    if !headers.is_empty() {
        out["headers"] = Value::Array(headers);
    }
    if !block.query.is_empty() {
        let query =
            block.query.iter().map(|(name, matcher)| json!({ "name": name, "string_match": text(matcher) }));
        out["query_parameters"] = query.collect();
    }
    out
}

fn text(text: &Text) -> Value {
    match text {
        Text::Exact(word) => json!({ "exact": word }),
        Text::Prefix(word) => json!({ "prefix": word }),
        Text::Regex(expression) => json!({ "safe_regex": { "regex": expression } }),
    }
}

/// Edits in one list: what is removed goes first in Envoy, what is set and added in order.
fn put_edits(out: &mut Value, edits: &[&HeaderEdits]) {
    let side = |out: &mut Value, side: &str, edits: Vec<&Edits>| {
        let option = |(name, value): &(String, String), action: &str| json!({ "header": { "key": name, "value": value }, "append_action": action });
        let added = edits.iter().flat_map(|edits| {
            let set = edits.set.iter().map(|pair| option(pair, "OVERWRITE_IF_EXISTS_OR_ADD"));
            set.chain(edits.add.iter().map(|pair| option(pair, "APPEND_IF_EXISTS_OR_ADD")))
        });
        let added: Vec<Value> = added.collect();
        if !added.is_empty() {
            out[format!("{side}_headers_to_add")] = Value::Array(added);
        }
        let removed: Vec<&String> = edits.iter().flat_map(|edits| &edits.remove).collect();
        if !removed.is_empty() {
            out[format!("{side}_headers_to_remove")] = json!(removed);
        }
    };
    side(out, "request", edits.iter().map(|edits| &edits.request).collect());
    side(out, "response", edits.iter().map(|edits| &edits.response).collect());
}

/// What Istio's mesh has where a rule says nothing.
const DEFAULT_ON: &str = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";

fn retry_policy(retries: Option<&Retries>) -> Option<Value> {
    let default = Retries { attempts: 2, per_try_ms: None, on: None };
    let retries = retries.unwrap_or(&default);
    if retries.attempts == 0 {
        return None;
    }
    let words = retries.on.as_deref().unwrap_or(DEFAULT_ON).split(',');
    let (codes, mut on): (Vec<&str>, Vec<&str>) = words.partition(|word| word.parse::<u16>().is_ok());
    let mut out = json!({
        "num_retries": retries.attempts,
        "host_selection_retry_max_attempts": 5,
        "retry_host_predicate": [ {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
            },
        } ],
    });
    if !codes.is_empty() {
        on.push("retriable-status-codes");
        let codes = codes.iter().filter_map(|code| code.parse::<u16>().ok());
        out["retriable_status_codes"] = codes.collect();
    }
    out["retry_on"] = json!(on.join(","));
    if let Some(ms) = retries.per_try_ms {
        out["per_try_timeout"] = duration(ms);
    }
    Some(out)
}

fn fault_of(fault: &Fault) -> Value {
    let always = json!({ "numerator": 100, "denominator": "HUNDRED" });
    let mut out = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
    });
    if let Some(ms) = fault.delay_ms {
        out["delay"] = json!({ "fixed_delay": duration(ms), "percentage": always });
    }
    if let Some(status) = fault.abort {
        out["abort"] = json!({ "http_status": status, "percentage": always });
    }
    out
}

fn redirect_code(code: u16) -> &'static str {
    match code {
        302 => "FOUND",
        303 => "SEE_OTHER",
        307 => "TEMPORARY_REDIRECT",
        308 => "PERMANENT_REDIRECT",
        _ => "MOVED_PERMANENTLY",
    }
}

fn duration(ms: u64) -> Value {
    json!(format!("{}.{:03}s", ms / 1_000, ms % 1_000))
}
