//! Speaks HTTP with the local API: two requests, on loopback, from threads that may wait.

use super::format::{GUARDS_PATH, Guards, REPORT_PATH, Report};
use crate::error::BoxError;
use std::fmt;
use std::time::Duration;

/// How long the API may keep a question for values open: long enough to be silent, short enough that a
/// link nobody needs any more ends soon.
pub(super) const WAIT: Duration = Duration::from_secs(30);

/// How long anything else may take; the API is on the same machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// The largest answer that is read: ten thousand guards.
const BODY_BYTES_MAX: u64 = 8 << 20;

/// Where the local API is, and who we are to it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address {
    token: String,
    authority: String,
    pub(super) service: Option<String>,
}

impl Address {
    /// Reads `http://TOKEN@HOST:PORT[/SERVICE]`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let rest = text.trim().strip_prefix("http://")?;
        let (authority, service) = rest.split_once('/').unwrap_or((rest, ""));
        let (token, authority) = authority.rsplit_once('@')?;
        let is_whole = !token.is_empty() && !authority.is_empty();
        let service = (!service.is_empty()).then(|| service.to_owned());
        is_whole.then(|| Self { token: token.to_owned(), authority: authority.to_owned(), service })
    }
}

/// Without the token, which is a secret of the process.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority)
    }
}

/// Speaks with the local API.
#[derive(Clone)]
pub(super) struct Client {
    agent: ureq::Agent,
    pub(super) address: Address,
}

impl Client {
    pub(super) fn new(address: Address) -> Self {
        let config = ureq::Agent::config_builder()
            // The environment may name a proxy, the mesh even: the API is beside us.
            .proxy(None)
            .max_redirects(0)
            .timeout_connect(Some(PATIENCE))
            .build();
        Self { agent: config.into(), address }
    }

    /// The values of the design, once they are others than `since`; `None` if they still are the same.
    pub(super) fn guards(&self, since: Option<&str>) -> Result<Option<Guards>, BoxError> {
        let mut request = self
            .agent
            .get(self.url(GUARDS_PATH))
            .header("authorization", self.authorization())
            .query("wait", format!("{}s", WAIT.as_secs()));
        if let Some(service) = &self.address.service {
            request = request.query("service", service);
        }
        if let Some(since) = since {
            request = request.query("since", since);
        }
        let mut answer = request.config().timeout_global(Some(WAIT + PATIENCE)).build().call()?;
        if answer.status().as_u16() == 204 {
            return Ok(None);
        }
        let body = answer.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_vec()?;
        Ok(Some(Guards::parse(&body)?))
    }

    pub(super) fn report(&self, report: &Report) -> Result<(), BoxError> {
        self.agent
            .post(self.url(REPORT_PATH))
            .header("authorization", self.authorization())
            .header("content-type", "application/json")
            .config()
            .timeout_global(Some(PATIENCE))
            .build()
            .send(report.to_json())?;
        Ok(())
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address.authority)
    }

    fn authorization(&self) -> String {
        format!("Bearer {}", self.address.token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_token_and_perhaps_a_service() {
        let address = Address::parse("http://s3cret@127.0.0.1:9470").unwrap();
        assert_eq!((address.token.as_str(), address.authority.as_str()), ("s3cret", "127.0.0.1:9470"));
        assert_eq!(format!("{address:?}"), "127.0.0.1:9470", "the token stays a secret");
        let address = Address::parse("http://t@[::1]:9470/orders").unwrap();
        assert_eq!(address.service.as_deref(), Some("orders"));
        for bad in
            ["", "127.0.0.1:9470", "http://127.0.0.1:9470", "https://t@host:1", "http://@host:1", "http://t@"]
        {
            assert!(Address::parse(bad).is_none(), "{bad}");
        }
    }
}
