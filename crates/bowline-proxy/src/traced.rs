//! Which trace a request belongs to: W3C Trace Context as it comes in.
//!
//! A `traceparent` that is malformed or comes twice says nothing: a trace of our own begins, and what
//! `tracestate` said of the other one ends. `baggage` is between caller and callee and passes as it is.

use crate::headers::Steering;
use crate::recorder::Recorder;
use bowline_model::{Random, TraceContext};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, header};

pub(crate) static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The most members of a `tracestate` (level 1, 3.3.1.1). More, and all of it is dropped.
const MEMBERS_MAX: usize = 32;

/// How many characters of a `tracestate` go on: what the recommendation asks for (level 1, 3.3.1.5).
const STATE_MAX: usize = 512;

/// Members longer than this are the first to go where all are too long (ibid.).
const MEMBER_LONG: usize = 128;

/// A request's place in its trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traced {
    /// Its trace, and its own span as the parent of what comes next.
    pub(crate) context: TraceContext,
    /// The caller's span.
    pub(crate) parent: Option<u64>,
    /// Whether it is recorded here.
    pub(crate) recorded: bool,
}

impl Traced {
    /// Reads what came and takes away what must not go on.
    pub(crate) fn begin(
        headers: &mut HeaderMap,
        steering: &Steering,
        recorder: Option<&dyn Recorder>,
        random: &mut impl Random,
    ) -> Self {
        let given = if steering.traced { take(headers) } else { None };
        if steering.stated {
            limit_state(headers, given.is_some());
        }
        let mut context = match given {
            Some(given) => given.child(random),
            None => TraceContext::start(random),
        };
        let recorded = recorder.is_some_and(|recorder| recorder.samples(given, context.trace));
        if recorder.is_some() {
            // Without a recorder the word of others goes on as it came.
            context.flags = (context.flags & !1) | u8::from(recorded);
        }
        Self { context, parent: given.map(|given| given.parent), recorded }
    }
}

/// Takes the one `traceparent`.
fn take(headers: &mut HeaderMap) -> Option<TraceContext> {
    let single = headers.get_all(&TRACEPARENT).iter().nth(1).is_none();
    let value = headers.remove(&TRACEPARENT).filter(|_| single)?;
    TraceContext::parse(value.to_str().ok()?)
}

/// Keeps of `tracestate` what may go on. `traced`: whether the trace it belongs to does.
fn limit_state(headers: &mut HeaderMap, traced: bool) {
    let kept = if traced { limited(&headers.get_all(&TRACESTATE)) } else { Kept::Nothing };
    match kept {
        Kept::All => (),
        Kept::Some(value) => _ = headers.insert(&TRACESTATE, value),
        Kept::Nothing => _ = headers.remove(&TRACESTATE),
    }
}

/// What of a `tracestate` goes on.
enum Kept {
    All,
    Some(HeaderValue),
    Nothing,
}

fn limited(values: &header::GetAll<'_, HeaderValue>) -> Kept {
    let mut members = Vec::new();
    for value in values {
        // Empty members are allowed and mean nothing.
        let listed = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        members.extend(listed.filter(|member| !member.is_empty()));
    }
    if members.is_empty() || MEMBERS_MAX < members.len() || !members.iter().all(|member| is_member(member)) {
        return Kept::Nothing;
    }
    let length = |members: &[&[u8]]| members.iter().map(|member| member.len() + 1).sum::<usize>() - 1;
    let bytes: usize = values.iter().map(HeaderValue::len).sum();
    if bytes <= STATE_MAX && values.iter().nth(1).is_none() {
        return Kept::All;
    }
    while STATE_MAX < length(&members) {
        let long = members.iter().rposition(|member| MEMBER_LONG < member.len());
        members.remove(long.unwrap_or(members.len() - 1));
        if members.is_empty() {
            return Kept::Nothing;
        }
    }
    HeaderValue::from_bytes(&members.join(&b',')).map_or(Kept::Nothing, Kept::Some)
}

/// Whether this is `key=value` as the recommendation writes it (level 2, 3.3.1.3).
fn is_member(member: &[u8]) -> bool {
    let Some(equals) = member.iter().position(|byte| *byte == b'=') else { return false };
    let (key, value) = (&member[..equals], &member[equals + 1..]);
    let key_start = key.first().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let key_byte = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(byte);
    let value_byte = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'=';
    key_start
        && key.len() <= 256
        && key.iter().all(key_byte)
        && (1..=256).contains(&value.len())
        && value.iter().all(value_byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers;
    use bowline_model::SplitMix64;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[derive(Debug)]
    struct Says(bool);

    impl Recorder for Says {
        fn samples(&self, _: Option<TraceContext>, _: u128) -> bool {
            self.0
        }

        fn finished(&self, _: std::sync::Arc<crate::Record>) {}

        fn dropped(&self) -> u64 {
            0
        }
    }

    fn begin(fields: &[(&'static str, &str)], recorder: Option<&dyn Recorder>) -> (Traced, HeaderMap) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let steering = headers::receive(&mut headers, false, false);
        let traced = Traced::begin(&mut headers, &steering, recorder, &mut SplitMix64::new(1));
        (traced, headers)
    }

    fn state_of(values: &[&str]) -> Option<String> {
        let mut fields = vec![("traceparent", GIVEN)];
        fields.extend(values.iter().map(|value| ("tracestate", *value)));
        let (_, headers) = begin(&fields, None);
        headers.get("tracestate").map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_trace_goes_on_under_a_span_of_our_own() {
        let (traced, headers) = begin(&[("traceparent", GIVEN), ("baggage", "a=1")], None);
        assert_eq!(traced.context.trace, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(traced.parent, Some(0x00f0_67aa_0ba9_02b7));
        assert_ne!(traced.context.parent, 0x00f0_67aa_0ba9_02b7);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["baggage"]);
    }

    #[test]
    fn what_comes_twice_or_malformed_begins_a_trace_and_ends_its_state() {
        let other = "00-4bf92f3577b34da6a3ce929d0e0e4737-00f067aa0ba902b7-01";
        for given in [&[GIVEN, other][..], &[GIVEN, GIVEN], &["00-no"], &[]] {
            let mut fields: Vec<_> = given.iter().map(|value| ("traceparent", *value)).collect();
            fields.push(("tracestate", "a=1"));
            let (traced, headers) = begin(&fields, None);
            assert_eq!(traced.parent, None, "{given:?}");
            assert_ne!(traced.context.trace >> 8, 0x4b_f92f_3577_b34d_a6a3_ce92_9d0e_0e47, "{given:?}");
            assert!(headers.is_empty(), "{given:?}");
        }
    }

    #[test]
    fn flags_that_nobody_defined_are_not_handed_on() {
        let (traced, _) = begin(&[("traceparent", &GIVEN.replace("-01", "-ff"))], None);
        assert_eq!(traced.context.flags, 3);
    }

    #[test]
    fn the_flag_tells_whether_it_is_recorded_here() {
        for (flag, says) in [("-00", true), ("-01", false), ("-03", true)] {
            let (traced, _) = begin(&[("traceparent", &GIVEN.replace("-01", flag))], Some(&Says(says)));
            assert_eq!((traced.recorded, traced.context.is_sampled()), (says, says));
        }
        let (traced, _) = begin(&[("traceparent", GIVEN)], None);
        assert!(!traced.recorded && traced.context.is_sampled(), "nobody records: the caller's word goes on");
    }

    #[test]
    fn a_state_of_thirty_two_members_goes_on_whole_and_a_longer_one_not_at_all() {
        let members = |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        assert_eq!(state_of(&[&members(32)]), Some(members(32)));
        assert_eq!(state_of(&[&members(33)]), None);
        assert_eq!(state_of(&["a=1", "b=2,,", " c@d = 3"]), None, "a key has no space");
        assert_eq!(state_of(&["a=1", "b=2,,", " c@d= 3"]).as_deref(), Some("a=1,b=2,c@d= 3"));
    }

    #[test]
    fn a_state_that_is_too_long_loses_its_long_members_and_then_its_last() {
        let whole = format!("a={},b={}", "x".repeat(253), "y".repeat(254));
        assert_eq!(whole.len(), STATE_MAX);
        assert_eq!(state_of(&[&whole]), Some(whole.clone()));
        assert_eq!(state_of(&[&format!("c=1,{whole}")]), Some(format!("c=1,a={}", "x".repeat(253))));
        let short: Vec<String> = (0..6).map(|n| format!("k{n}={}", "z".repeat(97))).collect();
        assert_eq!(state_of(&[&short.join(",")]), Some(short[..5].join(",")));
    }

    #[test]
    fn a_state_that_breaks_its_grammar_is_dropped() {
        for bad in ["a", "=1", "A=1", "a.b=1", "a=", "a=b=c", "a b=1", "a=\u{e9}"] {
            assert_eq!(state_of(&[bad]), None, "{bad}");
        }
    }
}
