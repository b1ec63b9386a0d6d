//! Nothing is done twice: what may have had an effect is asked again only where that was declared safe.

use crate::callee::{Callee, Do};
use crate::designs::{policy, rules, small};
use crate::http::{Caller, Message};
use crate::world::{Ports, Up, port};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

/// Calls, unless `BOWLINE_CALLS` asks for another number.
const CALLS: usize = 3_000;

/// Callers at the same time.
const CALLERS: usize = 8;

/// What the callee does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Act {
    Done,
    DoneThenReset,
    ResetBefore,
    DoneThen503,
    Refused503,
    TooMany,
}

impl Act {
    /// Drawn from the call and how often it was asked: the same in every run.
    fn of(id: &str, times: usize) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in id.bytes().chain([times as u8]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        // The last bytes have to reach every bit (MurmurHash3's finalizer).
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        match (hash >> 33) % 16 {
            0 | 1 => Self::DoneThenReset,
            2 => Self::ResetBefore,
            3 | 4 => Self::DoneThen503,
            5 => Self::Refused503,
            6 | 7 => Self::TooMany,
            _ => Self::Done,
        }
    }

    fn has_effect(self) -> bool {
        matches!(self, Self::Done | Self::DoneThenReset | Self::DoneThen503)
    }

    fn answer(self) -> Do {
        match self {
            Self::Done => Do::Answer(201, "done".into()),
            Self::DoneThenReset | Self::ResetBefore => Do::Close,
            Self::DoneThen503 | Self::Refused503 => Do::Answer(503, "perhaps".into()),
            Self::TooMany => Do::Answer(429, "not now".into()),
        }
    }
}

/// The callee's books.
#[derive(Default)]
struct Ledger {
    /// What was done with each request of each call, in order.
    acts: HashMap<String, Vec<Act>>,
    /// How often each call's effect happened.
    effects: HashMap<String, u32>,
    /// Keys whose effect happened: it honours them where it said so.
    keys: HashSet<String>,
}

impl Ledger {
    fn serve(&mut self, request: &Message) -> Do {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let id = body["id"].as_str().unwrap().to_owned();
        let acts = self.acts.entry(id.clone()).or_default();
        let act = Act::of(&id, acts.len());
        acts.push(act);
        if act.has_effect() {
            let honoured = request.path() == "/allocations";
            let key = request.header("idempotency-key").filter(|_| honoured);
            if key.is_none_or(|key| self.keys.insert(key.to_owned())) {
                *self.effects.entry(id).or_default() += 1;
            }
        }
        act.answer()
    }
}

/// Three kinds of calls, by turns: each differs in what makes a repeat safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    /// An operation that is not idempotent, with a key all the same: a header alone is no consent.
    Plain,
    /// Declared idempotent by key, and without one.
    Keyless,
    /// Declared idempotent by key, with it.
    Keyed,
}

impl Group {
    const ALL: [Self; 3] = [Self::Plain, Self::Keyless, Self::Keyed];
}

#[test]
fn a_post_is_sent_again_only_when_that_is_safe_and_nothing_happens_twice() {
    let calls: usize = std::env::var("BOWLINE_CALLS").map_or(CALLS, |calls| calls.parse().unwrap());
    let ledger: Arc<Mutex<Ledger>> = Arc::default();
    let callee = Callee::start({
        let ledger = Arc::clone(&ledger);
        move |request| ledger.lock().unwrap().serve(request)
    });
    // Two endpoints: one accepts, at the other nobody listens.
    let (gateway, nobody) = (port(), port());
    let design = rules("  - name: all\n    route: [ { destination: { host: stock } } ]\n    timeout: 20s\n")
        + &format!(
            r#"---
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: {{ name: stock }}
spec:
  endpoints: [ {{ address: "127.0.0.1:{nobody}" }}, {{ address: "127.0.0.1:{}" }} ]
  operations:
  - {{ name: charge, http: {{ method: POST, path: /charges }} }}
  - {{ name: allocate, http: {{ method: POST, path: /allocations }}, idempotent: by-key }}
"#,
            callee.port
        )
        + &policy(
            "stock",
            "  retry: { tries: 4, backoff: { base: 1ms, max: 2ms }, budget: { ratio: 1.0, minPerSecond: 100000, concurrent: { ratio: 1.0, min: 1000 } } }
  faults: [ { drop: true, percent: 10 }, { abort: 503, percent: 5 } ]
",
        );
    let ports = Ports { gateway, ..Ports::new() };
    let folder = small(gateway, &design);
    let up = Up::ready(&folder, ports, &[]);

    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| std::thread::spawn(move || call(gateway, (caller..calls).step_by(CALLERS))))
        .collect();
    let answers: Vec<(String, Group, Message)> =
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect();
    assert_eq!(answers.len(), calls);

    let ledger = ledger.lock().unwrap();
    let twice: Vec<_> = ledger.effects.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "done twice: {twice:?}");

    let mut repeats: BTreeMap<(Group, Act), u32> = BTreeMap::new();
    for (id, group, answer) in &answers {
        let acts = ledger.acts.get(id).map(Vec::as_slice).unwrap_or_default();
        let happened = ledger.effects.contains_key(id);
        for act in acts.iter().rev().skip(1) {
            *repeats.entry((*group, *act)).or_default() += 1;
            let safe = *group == Group::Keyed || *act == Act::TooMany;
            assert!(safe, "{group:?} {id} was sent again after {act:?}: {acts:?}");
        }
        match answer.header("x-bowline-outcome") {
            Some("refused" | "failed") => assert!(!happened, "{id}: {answer:?} after {acts:?}"),
            Some("succeeded") => assert!(happened, "{id}: {answer:?} after {acts:?}"),
            _ => {}
        }
        if answer.status() == 201 {
            assert!(happened, "{id}: {answer:?} after {acts:?}");
        }
    }

    // The run met everything that it is about.
    println!("{calls} calls, {} effects, sent again after: {repeats:?}", ledger.effects.len());
    for act in [Act::DoneThenReset, Act::ResetBefore, Act::DoneThen503, Act::Refused503] {
        assert!(repeats.contains_key(&(Group::Keyed, act)), "no keyed call met {act:?}");
    }
    for kind in ["drop", "abort"] {
        assert!(
            up.metric("bowline_faults_injected_total", &[&format!("kind=\"{kind}\"")]) > 0.0,
            "no {kind}"
        );
    }
    let succeeded = answers.iter().filter(|(.., answer)| answer.status() == 201).count();
    assert!(succeeded * 2 > calls, "only {succeeded} of {calls} succeeded");
}

/// Makes these calls, one after the other, and tells what each was answered with.
fn call(gateway: u16, numbers: impl Iterator<Item = usize>) -> Vec<(String, Group, Message)> {
    let mut kept: Option<Caller> = None;
    let one = |number: usize| {
        let (id, group) = (format!("call-{number}"), Group::ALL[number % 3]);
        let path = if group == Group::Plain { "/charges" } else { "/allocations" };
        let key = format!("idempotency-key: key-{number}");
        let headers: &[&str] = if group == Group::Keyless { &[] } else { &[&key] };
        let mut caller = kept.take().unwrap_or_else(|| Caller::connect(gateway).unwrap());
        let answer = caller.ask("POST", path, headers, &format!(r#"{{"id":"{id}"}}"#)).unwrap();
        kept = (!answer.is_last()).then_some(caller);
        (id, group, answer)
    };
    numbers.map(one).collect()
}
