//! Designs and requests out of a seed: small alphabets, so that rules and requests meet.
//!
//! What is drawn has one right answer. Times are far apart, so that a back-off or a busy machine does not
//! change how many tries fit; where weights let chance decide, any of the destinations is right.

use bowline_model::random::{Random, SplitMix64};

/// Callees that a draw may send requests to.
pub(super) const SERVICES: usize = 3;

/// One rule set and what is asked of it.
#[derive(Debug)]
pub(super) struct Draw {
    pub(super) seed: u64,
    pub(super) rules: Vec<Rule>,
    pub(super) asks: Vec<Ask>,
}

/// One rule: an entry of `http[]`.
#[derive(Debug)]
pub(super) struct Rule {
    /// Any of these; none: everything.
    pub(super) blocks: Vec<Block>,
    pub(super) action: Action,
    pub(super) headers: HeaderEdits,
    pub(super) timeout_ms: Option<u64>,
    pub(super) retries: Option<Retries>,
    pub(super) fault: Option<Fault>,
}

/// One entry of `match[]`: all of these.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) uri: Option<Text>,
    pub(super) ignore_case: bool,
    pub(super) method: Option<Text>,
    pub(super) authority: Option<Text>,
    pub(super) headers: Vec<(String, Option<Text>)>,
    pub(super) without: Vec<(String, Option<Text>)>,
    pub(super) query: Vec<(String, Text)>,
}

/// How a text is compared.
#[derive(Clone, Debug)]
pub(super) enum Text {
    Exact(String),
    Prefix(String),
    Regex(String),
}

/// What a rule does.
#[derive(Debug)]
pub(super) enum Action {
    Route {
        /// Where to, by weight. Those of weight zero among several get nothing.
        to: Vec<To>,
        rewrite: Option<Rewrite>,
    },
    Redirect {
        uri: Option<String>,
        authority: Option<String>,
        scheme: Option<&'static str>,
        code: Option<u16>,
    },
    Respond {
        status: u16,
        body: Option<String>,
    },
}

#[derive(Debug)]
pub(super) struct To {
    pub(super) service: usize,
    pub(super) weight: u32,
    pub(super) headers: HeaderEdits,
}

#[derive(Debug)]
pub(super) struct Rewrite {
    pub(super) path: Option<PathRewrite>,
    pub(super) authority: Option<String>,
}

#[derive(Debug)]
pub(super) enum PathRewrite {
    Uri(String),
    Regex { pattern: &'static str, with: &'static str },
}

/// What is done to headers.
#[derive(Debug, Default)]
pub(super) struct HeaderEdits {
    pub(super) request: Edits,
    pub(super) response: Edits,
}

#[derive(Debug, Default)]
pub(super) struct Edits {
    pub(super) set: Vec<(String, String)>,
    pub(super) add: Vec<(String, String)>,
    pub(super) remove: Vec<String>,
}

/// `retries`.
#[derive(Debug)]
pub(super) struct Retries {
    pub(super) attempts: u32,
    pub(super) per_try_ms: Option<u64>,
    pub(super) on: Option<String>,
}

/// `fault`, of every request.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) delay_ms: Option<u64>,
    pub(super) abort: Option<u16>,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: &'static str,
    pub(super) target: String,
    pub(super) authority: &'static str,
    pub(super) headers: Vec<(String, String)>,
    /// What the callee does with the first try, the second, and so on; the last word for all that follow.
    pub(super) script: Vec<Act>,
}

/// What a callee does with a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Answers with this status.
    Answer(u16),
    /// Reads the request and closes the connection.
    Reset,
    /// Reads the request and says nothing.
    Hang,
}

/// Says on every answer which rule it met.
pub(super) const RULE: &str = "x-rule";

/// Names of headers that rules look at and requests carry.
const HEADERS: [&str; 4] = ["x-user", "x-group", "x-stage", "cookie"];
const VALUES: [&str; 5] = ["a", "ab", "b", "beta", "1"];
const PATHS: [&str; 12] = [
    "/",
    "/a",
    "/a/",
    "/a/b",
    "/ab",
    "/A/b",
    "/api/v1/items",
    "/api/v2/items",
    "/api/v1",
    "/b/7",
    "/b/seven",
    "/a%2Fb",
];
const PREFIXES: [&str; 6] = ["/", "/a", "/a/", "/api/", "/api/v1", "/b/"];
const PATH_EXPRESSIONS: [&str; 6] = ["/a.*", "/(a|b)/.+", "/b/\\d+", "/api/v[12]/.*", "/[a-z]+", ".*b"];
const VALUE_EXPRESSIONS: [&str; 4] = ["a.*", "[ab]", "\\d+", "b|beta"];
const AUTHORITIES: [&str; 3] = ["shop.test", "www.shop.test", "other.test"];
const METHODS: [&str; 4] = ["GET", "POST", "DELETE", "PUT"];
const QUERY: [&str; 2] = ["q", "page"];
const STATUSES: [u16; 9] = [200, 201, 404, 409, 429, 500, 502, 503, 504];
/// Conditions that need nothing of HTTP/2 and mean something.
const RETRY_ON: [&str; 10] = [
    "5xx",
    "gateway-error",
    "reset",
    "connect-failure",
    "retriable-4xx",
    "reset,503",
    "500,502",
    "gateway-error,retriable-4xx",
    "connect-failure,refused-stream",
    "429",
];

/// A deadline that a hanging callee runs into, far from what anything else takes.
const TIMEOUT_MS: u64 = 1_200;
/// A per-try time of which three, and the back-offs between them (at most 25, 75 ms), fit into the deadline.
const PER_TRY_MS: u64 = 250;
/// Longer than four tries whose callees hang until they give up.
const PATIENT_MS: u64 = 20_000;
const DELAY_MS: u64 = 100;

impl Draw {
    pub(super) fn of(seed: u64) -> Self {
        let mut dice = Dice(SplitMix64::new(seed));
        let mut rules: Vec<Rule> = (0..dice.between(1, 5)).map(|_| dice.rule()).collect();
        for (at, rule) in rules.iter_mut().enumerate() {
            rule.headers.response.set.push((RULE.to_owned(), at.to_string()));
        }
        let asks = (0..8).map(|_| dice.ask(&rules)).collect();
        Self { seed, rules, asks }
    }
}

struct Dice(SplitMix64);

impl Dice {
    fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.0.below(to - from)
    }

    /// Whether something happens that happens so often of a hundred times.
    fn percent(&mut self, share: u64) -> bool {
        self.0.below(100) < share
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.0.below(all.len() as u64) as usize]
    }

    fn text(&mut self, words: &[&str], expressions: &[&str]) -> Text {
        match self.0.below(3) {
            0 => Text::Exact(self.of(words).to_owned()),
            1 => Text::Prefix(self.of(words).to_owned()),
            _ => Text::Regex(self.of(expressions).to_owned()),
        }
    }

    fn rule(&mut self) -> Rule {
        let blocks: Vec<Block> = match self.0.below(10) {
            0 => Vec::new(),
            1..7 => vec![self.block()],
            _ => vec![self.block(), self.block()],
        };
        let action = self.action(&blocks);
        let routes = matches!(action, Action::Route { .. });
        let timeout_ms = (routes && self.percent(60)).then(|| self.of(&[TIMEOUT_MS, PATIENT_MS]));
        let retries = (routes && self.percent(60)).then(|| self.retries());
        let fault = (routes && self.percent(10)).then(|| Fault {
            delay_ms: self.percent(50).then_some(DELAY_MS),
            abort: self.percent(70).then(|| self.of(&STATUSES)),
        });
        let fault = fault.filter(|fault| fault.delay_ms.is_some() || fault.abort.is_some());
        Rule { blocks, action, headers: self.header_edits(40), timeout_ms, retries, fault }
    }

    fn block(&mut self) -> Block {
        let mut block = Block::default();
        if self.percent(75) {
            block.uri = Some(match self.0.below(3) {
                0 => Text::Exact(self.of(&PATHS).to_owned()),
                1 => Text::Prefix(self.of(&PREFIXES).to_owned()),
                _ => Text::Regex(self.of(&PATH_EXPRESSIONS).to_owned()),
            });
            block.ignore_case = self.percent(15);
        }
        if self.percent(20) {
            block.method = Some(self.text(&["GET", "P", "POST"], &["GET|PUT", "P.*"]));
        }
        if self.percent(15) {
            block.authority = Some(self.text(&["shop.test", "www."], &[".*shop\\.test", "[a-z]+\\.test"]));
        }
        for name in HEADERS {
            if self.percent(12) {
                let matcher = self.percent(80).then(|| self.text(&VALUES, &VALUE_EXPRESSIONS));
                block.headers.push((name.to_owned(), matcher));
            } else if self.percent(8) {
                let matcher = self.percent(80).then(|| self.text(&VALUES, &VALUE_EXPRESSIONS));
                block.without.push((name.to_owned(), matcher));
            }
        }
        for name in QUERY {
            if self.percent(10) {
                block.query.push((name.to_owned(), self.text(&VALUES, &VALUE_EXPRESSIONS)));
            }
        }
        if block.is_empty() {
            block.uri = Some(Text::Prefix(self.of(&PREFIXES).to_owned()));
        }
        block
    }

    fn action(&mut self, blocks: &[Block]) -> Action {
        match self.0.below(12) {
            0 => {
                // One of the two at least, or it leads to where it came from and is refused.
                let uri = self.percent(70).then(|| self.of(&["/moved", "/a/moved?x=1"]).to_owned());
                let authority = (uri.is_none() || self.percent(50)).then(|| "elsewhere.test".to_owned());
                let scheme = self.percent(30).then_some("https");
                let code = self.percent(50).then(|| self.of(&[301, 302, 303, 307, 308]));
                Action::Redirect { uri, authority, scheme, code }
            }
            1 => Action::Respond {
                status: self.of(&[200, 403, 404, 503]),
                body: self.percent(60).then(|| "said by the rule".to_owned()),
            },
            _ => {
                let mut to = vec![self.to(1)];
                if self.percent(25) {
                    let weight = self.of(&[0, 0, 1]);
                    to.push(self.to(weight));
                }
                Action::Route { to, rewrite: self.percent(35).then(|| self.rewrite(blocks)) }
            }
        }
    }

    fn to(&mut self, weight: u32) -> To {
        To { service: self.0.below(SERVICES as u64) as usize, weight, headers: self.header_edits(20) }
    }

    fn rewrite(&mut self, _blocks: &[Block]) -> Rewrite {
        let path = match self.0.below(4) {
            0 => None,
            1 => Some(PathRewrite::Regex { pattern: "/([a-z]+)/(.*)", with: "/\\2/\\1" }),
            _ => Some(PathRewrite::Uri(self.of(&["/", "/new", "/new/", "/n/e/w"]).to_owned())),
        };
        let authority = (path.is_none() || self.percent(40)).then(|| "rewritten.test".to_owned());
        Rewrite { path, authority }
    }

    fn header_edits(&mut self, share: u64) -> HeaderEdits {
        let mut edits = HeaderEdits::default();
        if self.percent(share) {
            edits.request = self.edits();
        }
        if self.percent(share) {
            edits.response = self.edits();
        }
        edits
    }

    fn edits(&mut self) -> Edits {
        let mut edits = Edits::default();
        for name in ["x-user", "x-group", "x-new", "x-callee"] {
            match self.0.below(8) {
                0 => edits.set.push((name.to_owned(), format!("set-{}", self.of(&VALUES)))),
                1 => edits.add.push((name.to_owned(), format!("add-{}", self.of(&VALUES)))),
                2 => edits.remove.push(name.to_owned()),
                _ => (),
            }
        }
        edits
    }

    fn retries(&mut self) -> Retries {
        let attempts = self.between(0, 4) as u32;
        if attempts == 0 {
            // Istio refuses other fields beside it.
            return Retries { attempts, per_try_ms: None, on: None };
        }
        // Three tries of this and two back-offs fit into a deadline; a fourth may or may not.
        let per_try_ms = (attempts < 3 && self.percent(50)).then_some(PER_TRY_MS);
        Retries { attempts, per_try_ms, on: self.percent(80).then(|| self.of(&RETRY_ON).to_owned()) }
    }

    /// A request that has a good chance to meet one of the rules.
    fn ask(&mut self, rules: &[Rule]) -> Ask {
        let mut ask = Ask {
            method: self.of(&METHODS),
            target: self.of(&PATHS).to_owned(),
            authority: self.of(&AUTHORITIES),
            headers: Vec::new(),
            script: self.script(),
        };
        for name in HEADERS {
            if self.percent(25) {
                ask.headers.push((name.to_owned(), self.of(&VALUES).to_owned()));
            }
        }
        let mut query = Vec::new();
        for name in QUERY {
            if self.percent(20) {
                query.push(format!("{name}={}", self.of(&VALUES)));
            }
        }
        let picked = self.0.below(rules.len() as u64) as usize;
        if self.percent(75)
            && let Some(block) = rules[picked].blocks.first()
        {
            self.meet(block, &mut ask, &mut query);
        }
        if !query.is_empty() {
            ask.target = format!("{}?{}", ask.target, query.join("&"));
        }
        ask
    }

    /// Makes the request meet the block, as far as it is not a question of expressions.
    fn meet(&mut self, block: &Block, ask: &mut Ask, query: &mut Vec<String>) {
        match &block.uri {
            Some(Text::Exact(path)) => ask.target.clone_from(path),
            Some(Text::Prefix(prefix)) => ask.target = format!("{prefix}{}", self.of(&["", "more", "/x"])),
            Some(Text::Regex(_)) | None => (),
        }
        if let Some(Text::Exact(method) | Text::Prefix(method)) = &block.method {
            ask.method =
                METHODS.into_iter().find(|known| known.starts_with(method.as_str())).unwrap_or("GET");
        }
        if let Some(Text::Exact(_) | Text::Prefix(_)) = &block.authority {
            ask.authority = self.of(&["shop.test", "www.shop.test"]);
        }
        for (name, matcher) in &block.headers {
            ask.headers.retain(|(own, _)| own != name);
            let value = match matcher {
                Some(Text::Exact(value) | Text::Prefix(value)) => value.clone(),
                Some(Text::Regex(_)) | None => self.of(&VALUES).to_owned(),
            };
            ask.headers.push((name.clone(), value));
        }
        for (name, _) in &block.without {
            ask.headers.retain(|(own, _)| own != name);
        }
        for (name, matcher) in &block.query {
            query.retain(|own| !own.starts_with(&format!("{name}=")));
            if let Text::Exact(value) | Text::Prefix(value) = matcher {
                query.push(format!("{name}={value}"));
            }
        }
    }

    fn script(&mut self) -> Vec<Act> {
        if self.percent(45) {
            return vec![Act::Answer(200)];
        }
        let length = self.between(1, 4);
        (0..length)
            .map(|_| match self.0.below(10) {
                0..6 => Act::Answer(self.of(&STATUSES)),
                6..8 => Act::Reset,
                _ => Act::Hang,
            })
            .collect()
    }
}

impl Block {
    fn is_empty(&self) -> bool {
        self.uri.is_none()
            && self.method.is_none()
            && self.authority.is_none()
            && self.headers.is_empty()
            && self.without.is_empty()
            && self.query.is_empty()
    }
}

impl Ask {
    /// The script as a header's value.
    pub(super) fn script_text(&self) -> String {
        let words = self.script.iter().map(|act| match act {
            Act::Answer(status) => status.to_string(),
            Act::Reset => "reset".to_owned(),
            Act::Hang => "hang".to_owned(),
        });
        words.collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_draw() {
        assert_eq!(format!("{:?}", Draw::of(7)), format!("{:?}", Draw::of(7)));
        assert_ne!(format!("{:?}", Draw::of(7)), format!("{:?}", Draw::of(8)));
    }

    #[test]
    fn everything_that_can_be_drawn_is_drawn() {
        let all: String = (0..300).map(|seed| format!("{:?}", Draw::of(seed))).collect();
        for word in [
            "Redirect {",
            "Respond {",
            "Regex {",
            "Uri(",
            "Exact(",
            "Prefix(",
            "Regex(",
            "Hang",
            "Reset",
            "weight: 0",
            "ignore_case: true",
            "without: [(",
            "query: [(",
            "remove: [\"",
            "add: [(",
            "set: [(",
            "abort: Some",
            "delay_ms: Some",
            "per_try_ms: Some",
            "attempts: 0",
            "timeout_ms: Some",
            "authority: Some",
        ] {
            assert!(all.contains(word), "{word} is never drawn");
        }
    }
}
