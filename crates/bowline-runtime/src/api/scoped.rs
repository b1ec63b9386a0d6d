//! Tokens for the local API: who may look, and who may also change something.
//!
//! Off loopback they are demanded, because whoever reaches the port is anybody. They are kept as digests, and what is
//! brought is compared with all of them to the end: how long that takes tells nothing of how much was right.

use axum::http::{HeaderMap, header};
use ring::digest;
use std::fmt;

/// What a token lets its bearer do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Look.
    Read,
    /// Look, and change something: put faults in, take them away.
    Operate,
}

impl Scope {
    fn named(name: &str) -> Option<Self> {
        match name {
            "read" => Some(Self::Read),
            "operate" => Some(Self::Operate),
            _ => None,
        }
    }
}

/// How long a token has to be, in characters. 16: what a person makes up and what a machine can try is shorter.
const TOKEN_MIN: usize = 16;

/// How many tokens are taken. 1,024: all of them are compared with each request.
const TOKENS_MAX: usize = 1_024;

type Digest = [u8; digest::SHA256_OUTPUT_LEN];

/// Tokens for the local API.
#[derive(Clone)]
pub struct ScopedTokens(Vec<(Scope, Digest)>);

impl fmt::Debug for ScopedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.0.len())
    }
}

impl ScopedTokens {
    /// Reads a file of tokens: a line each, its scope (`read`, `operate`), white space and the token; what begins with
    /// `#` is passed over.
    ///
    /// # Errors
    /// What is wrong with it and where, for people; no token is in it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut keys = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            let [scope, token] = words[..] else {
                return Err(format!("line {number}: {} words; expected a scope and a token", words.len()));
            };
            let scope = Scope::named(scope).ok_or_else(|| {
                format!("line {number}: the first word is no scope; expected `read` or `operate`")
            })?;
            if token.len() < TOKEN_MIN {
                let length = token.len();
                return Err(format!(
                    "line {number}: a token of {length} characters; expected {TOKEN_MIN} at least"
                ));
            }
            keys.push((scope, digest_of(token)));
        }
        match keys.len() {
            0 => Err("no token in it; expected a line such as `operate TOKEN`".to_owned()),
            1..=TOKENS_MAX => Ok(Self(keys)),
            many => Err(format!("{many} tokens; at most {TOKENS_MAX} are taken")),
        }
    }

    /// What the bearer of a request's token may do; `None`: it brings none that is known.
    pub(super) fn scope(&self, headers: &HeaderMap) -> Option<Scope> {
        let said = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = said.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let brought = digest_of(token.trim());
        let of_equal = self.0.iter().map(|(scope, own)| is_same(own, &brought).then_some(*scope));
        of_equal.fold(None, Option::max)
    }
}

fn digest_of(token: &str) -> Digest {
    let mut own = [0; digest::SHA256_OUTPUT_LEN];
    own.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    own
}

/// Whether two digests are the same, all of them compared whatever differs first.
fn is_same(one: &Digest, other: &Digest) -> bool {
    one.iter().zip(other).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearing(authorization: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
        headers
    }

    #[test]
    fn a_token_lets_its_bearer_do_what_its_line_says() {
        let keys =
            ScopedTokens::parse("# ours\n\n  read   0123456789abcdef \noperate\tfedcba9876543210").unwrap();
        let scope = |text: &str| keys.scope(&bearing(text));
        assert_eq!(scope("Bearer 0123456789abcdef"), Some(Scope::Read));
        assert_eq!(scope("bearer  fedcba9876543210"), Some(Scope::Operate));
        for other in
            ["Bearer 0123456789abcde", "Bearer", "Bearer ", "Basic 0123456789abcdef", "0123456789abcdef"]
        {
            assert_eq!(scope(other), None, "{other}");
        }
        assert_eq!(keys.scope(&HeaderMap::new()), None);
        assert_eq!(format!("{keys:?}"), "2 tokens");
        let twice = ScopedTokens::parse("operate 0123456789abcdef\nread 0123456789abcdef").unwrap();
        assert_eq!(twice.scope(&bearing("Bearer 0123456789abcdef")), Some(Scope::Operate), "the wider holds");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_without_its_secrets() {
        let check = |text: &str, expected: &str| {
            let error = ScopedTokens::parse(text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains("0123456789abcdef"), "{error}");
        };
        check("", "no token in it");
        check("# read 0123456789abcdef", "no token in it");
        check("0123456789abcdef", "line 1: 1 words");
        check("read 0123456789abcdef\nwrite 0123456789abcdef", "line 2: the first word is no scope");
        check("read short", "line 1: a token of 5 characters");
        check(&"read 0123456789abcdef\n".repeat(1_025), "1025 tokens");
    }
}
