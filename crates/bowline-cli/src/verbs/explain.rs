//! `bowline explain`: which rule and which policies, before a request is sent or after it was.

use super::design;
use crate::arguments::{Explain, Output};
use crate::{Done, Exit, Failure, api, print};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use std::path::Path;

pub(crate) fn run(explain: &Explain, output: Output) -> Done {
    if explain.design == Path::new("last") {
        return last(explain, output);
    }
    let (Some(method), Some(url)) = (&explain.method, &explain.url) else {
        let what =
            "name a method and a URL, or ask for the newest recorded request with `bowline explain last`";
        return Err(Failure::wrong_use(what));
    };
    let method = method.to_ascii_uppercase();
    let method = Method::from_bytes(method.as_bytes())
        .map_err(|_| Failure::wrong_use(format!("`{method}` is no method")))?;
    let url: Uri = url.parse().map_err(|error| Failure::wrong_use(format!("`{url}` is no URL: {error}")))?;
    let headers = headers(&explain.headers)?;
    let Some(loaded) = design::load(&explain.design, output)? else { return Ok(design::MISTAKEN) };
    let explanation = bowline_design::explain::explain(&loaded.design, &method, &url, &headers);
    match output {
        Output::Json => print::json(&explanation.to_json()),
        Output::Text => print::out(&explanation.to_string()),
    }
    Ok(Exit::Good)
}

/// The newest recorded request of the running design.
fn last(explain: &Explain, output: Output) -> Done {
    let mut query = Vec::new();
    query.extend(explain.status.map(|status| format!("status={status}")));
    query.extend(explain.id.as_ref().map(|id| format!("id={id}")));
    let answer = api::ask(explain.api, "GET", &format!("/v1/explain/last?{}", query.join("&")), None)?;
    match output {
        Output::Json => print::json(&answer),
        Output::Text => print::out(answer["text"].as_str().unwrap_or_default()),
    }
    Ok(Exit::Good)
}

fn headers(lines: &[String]) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for line in lines {
        let wrong = || Failure::wrong_use(format!("`{line}` is no header; write it as `name: value`"));
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
        headers.append(name, HeaderValue::from_str(value.trim()).map_err(|_| wrong())?);
    }
    Ok(headers)
}
