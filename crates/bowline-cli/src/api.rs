//! Asking the local API of a running Bowline.

use crate::Failure;
use http::Request;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;

/// How long the local API may take: it answers from memory, on this machine.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Where the token is, for an API that demands one.
const TOKEN: &str = "BOWLINE_API_TOKEN";

/// Sends a request and reads the JSON that it answers with.
///
/// # Errors
/// Nothing listens there, or the answer is an error; the text is the answer's own.
pub(crate) fn ask(api: SocketAddr, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(ANSWER_WITHIN))
        .http_status_as_error(false)
        .build()
        .into();
    let request = Request::builder().method(method).uri(format!("http://{api}{path}"));
    let body = body.map(Value::to_string).unwrap_or_default();
    let mut request = request.header("content-type", "application/json");
    if let Ok(token) = std::env::var(TOKEN) {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(body).map_err(Failure::wrong_use)?;
    let mut response = agent.run(request).map_err(|error| {
        let what = format!(
            "no Bowline answers at {api} ({error}); is `bowline up` running, or is it elsewhere (--api)?"
        );
        Failure::unreachable(what)
    })?;
    let text = response.body_mut().read_to_string().map_err(Failure::unreachable)?;
    let value: Value = serde_json::from_str(&text).unwrap_or(Value::String(text.trim().to_owned()));
    if response.status().is_success() {
        return Ok(value);
    }
    if response.status() == http::StatusCode::UNAUTHORIZED {
        let what = format!("the local API at {api} asks for a token; put it into {TOKEN}");
        return Err(Failure::wrong_use(what));
    }
    let why = value["error"].as_str().or(value.as_str()).unwrap_or("the local API gave no reason").to_owned();
    Err(if response.status().is_client_error() { Failure::wrong_use(why) } else { Failure::unreachable(why) })
}
