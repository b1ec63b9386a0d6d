//! Cross-origin requests: preflights answered, answers permitted (the Fetch standard, "CORS protocol").

use bowline_design::routing::Cors;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Response};

/// The origin of a request, if it may ask.
pub(crate) fn allowed(cors: &Cors, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    cors.allows(origin.to_str().ok()?).then(|| origin.clone())
}

/// The answer to a preflight; `None` for what goes on to the destination: ordinary requests, and
/// preflights of strangers where the rule forwards those.
pub(crate) fn preflight(
    cors: &Cors,
    method: &Method,
    headers: &HeaderMap,
    origin: Option<&HeaderValue>,
) -> Option<Response<Bytes>> {
    if !Cors::is_preflight(method, headers) || (origin.is_none() && cors.forwards_unmatched) {
        return None;
    }
    let mut response = Response::new(Bytes::new());
    if let Some(origin) = origin {
        let given = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, &cors.methods),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, &cors.headers),
            (header::ACCESS_CONTROL_MAX_AGE, &cors.max_age),
        ];
        let headers = response.headers_mut();
        for (name, value) in given {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
        permit(cors, origin.clone(), headers);
    }
    Some(response)
}

/// Tells the caller's browser that `origin` may read the answer.
pub(crate) fn permit(cors: &Cors, origin: HeaderValue, headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if cors.credentials {
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    if let Some(exposed) = &cors.exposed {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
    }
    // What one origin may read must not be served to another from a cache.
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}
