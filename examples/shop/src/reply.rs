//! What a service answers: a status and JSON, which can be stored and said again.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// An answer that can be stored with the effect it reports, and repeated word for word.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// The JSON body, as text: what is stored is exactly what was said.
    pub body: String,
    /// Where to look again, for what is not finished.
    pub location: Option<String>,
    /// Whether this was already said to an earlier request with the same key.
    pub replayed: bool,
}

impl Reply {
    /// An answer with `status` and `body`.
    #[must_use]
    pub fn new(status: StatusCode, body: &impl Serialize) -> Self {
        // Nothing the shop says can fail to be JSON: no map has keys other than text.
        let body = serde_json::to_string(body).unwrap_or_default();
        Self { status, body, location: None, replayed: false }
    }

    /// A refusal: one sentence of what is wrong, one of what to do about it.
    #[must_use]
    pub fn problem(status: StatusCode, error: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(status, &Problem { error: error.into(), hint: hint.into() })
    }
}

#[derive(Serialize)]
struct Problem {
    error: String,
    #[serde(rename = "do")]
    hint: String,
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response =
            (self.status, [(header::CONTENT_TYPE, "application/json")], self.body).into_response();
        let headers = response.headers_mut();
        if let Some(location) = self.location.and_then(|path| HeaderValue::try_from(path).ok()) {
            headers.insert(header::LOCATION, location);
        }
        if self.replayed {
            headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
        }
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// Reads a request's body, or says what is wrong with it and where.
///
/// # Errors
/// A 400 that names the line, the column and the field.
pub fn read<T: DeserializeOwned>(body: &[u8], example: &str) -> Result<T, Reply> {
    serde_json::from_slice(body).map_err(|error| {
        let hint = format!("send a body like {example}");
        Reply::problem(StatusCode::BAD_REQUEST, format!("the body is not what this expects: {error}"), hint)
    })
}
