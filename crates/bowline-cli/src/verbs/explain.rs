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
    let url = self::url(url).map_err(Failure::wrong_use)?;
    let headers = headers(&explain.headers)?;
    let Some(loaded) = design::load(&explain.design, output)? else { return Ok(design::MISTAKEN) };
    let explanation = bowline_design::explain::explain(&loaded.design, &method, &url, &headers);
    match output {
        Output::Json => print::json(&explanation.to_json()),
        Output::Text => print::out(&explanation.to_string()),
    }
    Ok(Exit::Good)
}

/// What is expected of a URL.
const EXPECTED: &str = "expected one with scheme and host, such as http://shop.example/orders?id=7";

/// Reads a URL that names a host, by HTTP.
fn url(text: &str) -> Result<Uri, String> {
    let wrong = |why: String| format!("`{text}` is no URL of a request: {why}; {EXPECTED}");
    let url: Uri = text.parse().map_err(|error| match &nearest(text) {
        Some(near) => wrong(format!("did you mean `{near}`?")),
        None if text.contains(' ') => wrong("a space in it is written %20".to_owned()),
        None if text.ends_with("://") => wrong("it names no host".to_owned()),
        None => wrong(format!("{error}")),
    })?;
    match (url.scheme_str(), url.authority()) {
        (Some("http" | "https"), Some(_)) => Ok(url),
        (Some(other), _) => {
            Err(wrong(format!("its scheme is {other}, and requests here have http or https")))
        }
        (None, Some(_)) => Err(wrong(format!("did you mean `http://{text}/`?"))),
        (None, None) => Err(wrong("it names no host".to_owned())),
    }
}

/// The same with the scheme that was left out, where nothing else is missing.
fn nearest(text: &str) -> Option<String> {
    let whole = format!("http://{text}");
    let names_host = !text.contains("://") && !text.starts_with('/');
    (names_host && whole.parse::<Uri>().is_ok()).then_some(whole)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_is_none_is_told_what_was_expected() {
        assert!(url("http://shop.example:8080/orders?id=7").is_ok());
        assert!(url("https://shop.example").is_ok());
        for (text, why) in [
            ("/orders", "it names no host"),
            ("shop/orders", "did you mean `http://shop/orders`?"),
            ("localhost:8080/orders", "did you mean `http://localhost:8080/orders`?"),
            ("shop", "did you mean `http://shop/`?"),
            ("ftp://shop/orders", "its scheme is ftp, and requests here have http or https"),
            ("http://shop/all orders", "a space in it is written %20"),
            ("http://", "it names no host"),
        ] {
            let told = url(text).unwrap_err();
            assert_eq!(told, format!("`{text}` is no URL of a request: {why}; {EXPECTED}"));
        }
    }
}
