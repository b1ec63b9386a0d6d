//! `bowline fault add|ls|clear`: breaking a running design on purpose.

use crate::arguments::{Fault, FaultAdd, FaultVerb, Output};
use crate::{Done, Exit, api, print};
use serde_json::{Value, json};

pub(crate) fn run(fault: &Fault, output: Output) -> Done {
    let answer = match &fault.what {
        FaultVerb::Add(add) => api::ask(fault.api, "POST", "/v1/faults", Some(&body(add)))?,
        FaultVerb::Ls => api::ask(fault.api, "GET", "/v1/faults", None)?,
        FaultVerb::Clear { target } => {
            let query = target.as_ref().map(|target| format!("?target={target}")).unwrap_or_default();
            api::ask(fault.api, "DELETE", &format!("/v1/faults{query}"), None)?
        }
    };
    match output {
        Output::Json => print::json(&answer),
        Output::Text => print::out(&text(&answer)),
    }
    Ok(Exit::Good)
}

fn body(add: &FaultAdd) -> Value {
    let mut body = json!({"target": add.target, "percent": add.percent});
    if let Some(status) = add.error {
        body["error"] = json!(status);
    }
    if let Some(delay) = add.delay {
        body["delay_ms"] = json!(delay.as_millis() as u64);
    }
    if let Some(first) = add.drop_first {
        body["drop_first"] = json!(first);
    }
    if add.drop {
        body["drop"] = json!(true);
    }
    body
}

/// The answer of every fault verb: how many were taken away, and what is in now.
fn text(answer: &Value) -> String {
    let mut text = String::new();
    if let Some(cleared) = answer["cleared"].as_u64() {
        text.push_str(&match cleared {
            0 => "no fault was in\n".to_owned(),
            1 => "1 fault taken away\n".to_owned(),
            many => format!("{many} faults taken away\n"),
        });
    }
    let faults = answer["faults"].as_array().map(Vec::as_slice).unwrap_or_default();
    if faults.is_empty() {
        if answer["cleared"].is_null() {
            text.push_str("no faults; `bowline fault add inventory --error 503` puts one in\n");
        }
        return text;
    }
    let mut rows = vec![vec!["TARGET".to_owned(), "FAULT".to_owned()]];
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    rows.extend(faults.iter().map(|fault| vec![word(&fault["target"]), word(&fault["text"])]));
    text.push_str(&print::table(&rows));
    text
}
