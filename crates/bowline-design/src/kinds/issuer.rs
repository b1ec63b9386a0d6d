//! Our Issuer: whose tokens are believed.

use crate::kinds::Meta;
use crate::mistake::{Mistakes, Place, Spot};
use crate::read::documents::{Group, Kind, OURS};
use crate::read::names::quoted;
use crate::read::record::record;
use std::time::Duration;

/// The most that clocks may be said to differ: past that a token's end says nothing any more.
const LEEWAY_MAX: Duration = Duration::from_secs(300);

record! {
    /// Somebody whose tokens (JWT, RFC 7519) gateways believe.
    pub struct Issuer {
        /// What its tokens say in `iss`, to the letter.
        pub issuer: Spot<String>,
        /// Names of yours: a token has to be made for one of them (`aud`).
        pub audiences: Vec<Spot<String>>,
        /// The keys that it signs with.
        pub keys: Spot<IssuerKeys>,
        /// How far its clock and ours may be apart; 30s when absent, 5m at most.
        pub leeway: Option<Spot<Duration>>,
    }
}

record! {
    /// A key set (JWKS, RFC 7517): in a file, or behind a URL.
    pub struct IssuerKeys {
        /// The file; it is read again whenever it changes.
        pub file: Option<Spot<String>>,
        /// The URL, `https://..`; it is asked again when its answer no longer holds.
        pub url: Option<Spot<String>>,
        /// A file of those whose word is taken for the URL's host; the machine's when absent.
        pub ca: Option<Spot<String>>,
    } checked by check_keys
}

impl Kind for Issuer {
    const KIND: &'static str = "Issuer";
    const GROUP: Group = OURS;

    fn check(_: &Meta, spec: &Self, place: &Place, mistakes: &mut Mistakes) {
        if spec.issuer.is_empty() {
            mistakes.add(
                "bad-value",
                &spec.issuer.place,
                "an empty `issuer`",
                "what its tokens say in `iss`",
            );
        }
        if spec.audiences.is_empty() {
            let expected = "`audiences`: without them a token that was made for somebody else is good here";
            mistakes.add("missing-field", place, "no `audiences`", expected);
        }
        if let Some(leeway) = spec.leeway.as_ref().filter(|leeway| LEEWAY_MAX < leeway.value) {
            mistakes.add("bad-value", &leeway.place, "a long leeway", "5m at most");
        }
    }
}

fn check_keys(keys: &IssuerKeys, place: &Place, mistakes: &mut Mistakes) {
    match (&keys.file, &keys.url) {
        (Some(_), Some(url)) => {
            mistakes.add("conflict", &url.place, "a `url` beside a `file`", "one of the two");
        }
        (None, None) => {
            mistakes.add("missing-field", place, "keys without a place", "`file` or `url`");
        }
        (None, Some(url)) if KeysUrl::parse(url).is_none() => {
            let expected = "`https://host[:port]/path`; `http://` is possible, too";
            mistakes.add("bad-value", &url.place, quoted(url), expected);
        }
        _ => {}
    }
    let plain = keys.url.as_ref().is_none_or(|url| url.starts_with("http://"));
    if let Some(ca) = keys.ca.as_ref().filter(|_| plain) {
        mistakes.add(
            "conflict",
            &ca.place,
            "`ca` where no TLS is spoken",
            "a `url` that begins with `https://`",
        );
    }
}

/// Where a key set is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeysUrl {
    pub(crate) secure: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// With its query.
    pub(crate) path: String,
}

impl KeysUrl {
    /// Reads it; `None` where it is none that could be asked: another scheme, no host, somebody's password in it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let uri: http::Uri = text.parse().ok()?;
        let secure = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return None;
        }
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Some(Self { secure, host: authority.host().to_owned(), port, path })
    }

    /// Whether whoever reads along would have to be on this machine.
    pub(crate) fn is_local(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let ip = host.parse::<std::net::IpAddr>();
        host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
    }
}
