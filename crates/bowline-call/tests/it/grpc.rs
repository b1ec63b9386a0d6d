//! gRPC: what an answer says of how it went, and when.

use crate::bench::{Bench, Request, frame, parts, whole};
use crate::http2::{calling, local, paused};
use crate::peer::{self, DATA, END_HEADERS, END_STREAM, HEADERS, OK, Peer, field};
use bowline_call::{Answer, AnswerBody, PoolLimits, Transport};
use bowline_model::Outcome;
use bowline_model::decision::{BreakerState, GiveUp, TryEnd};
use bowline_policy::{
    Backoff, BreakerSettings, CallPolicy, Codes, RetryRule, RetrySettings, RetryThrottleSettings,
};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpListener;

/// One message of two bytes, in gRPC's framing.
const MESSAGE: &[u8] = b"\0\0\0\0\x02hi";

fn call() -> Request {
    Request::post(parts([MESSAGE])).with("content-type", "application/grpc").with("te", "trailers")
}

async fn start(policy: CallPolicy) -> (Rc<Bench>, TcpListener) {
    Bench::with(&Transport::H2C, policy, PoolLimits::default()).await
}

fn two_tries() -> CallPolicy {
    CallPolicy {
        retry: RetrySettings { backoff: Backoff::None, ..RetrySettings::tries(2) },
        ..CallPolicy::default()
    }
}

/// Takes a request and its message.
async fn asked(peer: &mut Peer) -> u32 {
    let stream = peer.expect(HEADERS).await;
    while peer.next().await.unwrap().flags & END_STREAM == 0 {}
    stream
}

/// An answer without a message.
async fn refuse(peer: &mut Peer, stream: u32, fields: &[(&str, &str)]) {
    let mut head = [OK, &field("content-type", "application/grpc")].concat();
    fields.iter().for_each(|(name, value)| head.extend(field(name, value)));
    peer.send(HEADERS, END_HEADERS | END_STREAM, stream, &head).await;
}

async fn begin(peer: &mut Peer, stream: u32) {
    peer.send(HEADERS, END_HEADERS, stream, &[OK, &field("content-type", "application/grpc")].concat()).await;
    peer.send(DATA, 0, stream, MESSAGE).await;
}

async fn end(peer: &mut Peer, stream: u32, status: &str) {
    peer.send(HEADERS, END_HEADERS | END_STREAM, stream, &field("grpc-status", status)).await;
}

#[tokio::test]
async fn a_status_without_a_message_is_known_at_once_and_says_what_happened() {
    local(async {
        for (status, outcome) in [
            ("0", Outcome::Succeeded),
            ("8", Outcome::Refused),
            ("5", Outcome::Failed),
            ("14", Outcome::Unknown),
        ] {
            let (bench, listener) = start(CallPolicy::default()).await;
            let asking = calling(&bench, call());
            let mut peer = Peer::accept(&listener, &[]).await;
            let stream = asked(&mut peer).await;
            refuse(&mut peer, stream, &[("grpc-status", status)]).await;
            let ended = asking.await.unwrap();
            let code = status.parse().unwrap();
            assert_eq!(ended.end.last, Some(TryEnd::AnsweredGrpc { code, trailers_only: true }));
            assert_eq!(ended.end.outcome, outcome, "{status}");
            assert_eq!(whole(ended).await.fields["grpc-status"], status);
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_refused_is_asked_again_and_the_caller_sees_only_the_second_answer() {
    local(async {
        let (bench, listener) = start(two_tries()).await;
        let asking = calling(&bench, Request { repeatable: true, ..call() });
        let mut peer = Peer::accept(&listener, &[]).await;
        let first = asked(&mut peer).await;
        refuse(&mut peer, first, &[("grpc-status", "14")]).await;
        let second = asked(&mut peer).await;
        begin(&mut peer, second).await;
        end(&mut peer, second, "0").await;
        let ended = asking.await.unwrap();
        assert_eq!((ended.end.tries, ended.end.reason), (2, GiveUp::Done));
        let given = whole(ended).await;
        assert_eq!((&*given.body, given.trailers.unwrap()["grpc-status"].to_str().unwrap()), (MESSAGE, "0"));
    })
    .await;
}

#[tokio::test]
async fn unavailable_is_not_asked_again_where_repeating_is_not_safe() {
    local(async {
        let (bench, listener) = start(two_tries()).await;
        let asking = calling(&bench, call());
        let mut peer = Peer::accept(&listener, &[]).await;
        let stream = asked(&mut peer).await;
        refuse(&mut peer, stream, &[("grpc-status", "14")]).await;
        let ended = asking.await.unwrap();
        assert_eq!((ended.end.tries, ended.end.reason), (1, GiveUp::NotSafe));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_callee_says_when_to_ask_again_and_whether() {
    paused(async {
        for (said, wait) in [("40", Some(Duration::from_millis(40))), ("-1", None)] {
            let (bench, listener) = start(two_tries()).await;
            let began = bench.clock.now();
            let asking = calling(&bench, call());
            let mut peer = Peer::accept(&listener, &[]).await;
            let first = asked(&mut peer).await;
            refuse(&mut peer, first, &[("grpc-status", "8"), ("grpc-retry-pushback-ms", said)]).await;
            if let Some(wait) = wait {
                let second = asked(&mut peer).await;
                assert!(wait <= bench.clock.now().since(began));
                refuse(&mut peer, second, &[("grpc-status", "0")]).await;
            }
            let ended = asking.await.unwrap();
            assert_eq!(ended.end.tries, if wait.is_some() { 2 } else { 1 }, "{said}");
        }
    })
    .await;
}

#[tokio::test]
async fn trailers_that_come_with_the_message_count_before_anything_is_passed_on() {
    local(async {
        let (bench, listener) = start(two_tries()).await;
        let asking = calling(&bench, Request { repeatable: true, ..call() });
        let mut peer = Peer::accept(&listener, &[]).await;
        let first = asked(&mut peer).await;
        // In one piece, as a unary answer comes.
        let mut pieces = Vec::new();
        peer::frame(&mut pieces, HEADERS, END_HEADERS, first, OK);
        peer::frame(&mut pieces, DATA, 0, first, MESSAGE);
        peer::frame(&mut pieces, HEADERS, END_HEADERS | END_STREAM, first, &field("grpc-status", "13"));
        peer.write(&pieces).await;
        let second = asked(&mut peer).await;
        refuse(&mut peer, second, &[("grpc-status", "0")]).await;
        assert_eq!(asking.await.unwrap().end.tries, 2);
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_has_begun_is_passed_on_and_its_breaker_waits_for_the_trailers() {
    local(async {
        let breaker = BreakerSettings { consecutive: Some(1), ..BreakerSettings::default() };
        let (bench, listener) = start(CallPolicy { breaker: Some(breaker), ..two_tries() }).await;
        let asking = calling(&bench, Request { repeatable: true, ..call() });
        let mut peer = Peer::accept(&listener, &[]).await;
        let stream = asked(&mut peer).await;
        begin(&mut peer, stream).await;
        let mut ended = asking.await.unwrap();
        assert_eq!((ended.end.tries, ended.end.outcome), (1, Outcome::Pending));
        let Some(Answer::Given { body: AnswerBody::Coming(mut body), .. }) = ended.answer else {
            panic!("whole")
        };
        assert_eq!(frame(&mut *body).await.unwrap().unwrap().into_data().unwrap(), MESSAGE);
        end(&mut peer, stream, "13").await;
        let trailers = frame(&mut *body).await.unwrap().unwrap().into_trailers().unwrap();
        let state = || bench.edge.breaker().unwrap().state(bench.clock.now());
        assert_eq!(state(), BreakerState::Closed);
        let last = TryEnd::AnsweredGrpc {
            code: bowline_call::grpc::final_status(Some(&trailers)),
            trailers_only: false,
        };
        ended.permit.settle(bench.clock.now(), last, &mut bowline_model::SplitMix64::new(1), &mut ());
        assert_eq!(state(), BreakerState::Open);
    })
    .await;
}

#[tokio::test]
async fn an_answer_without_a_status_is_unknown() {
    local(async {
        let (bench, listener) = start(CallPolicy::default()).await;
        let asking = calling(&bench, call());
        let mut peer = Peer::accept(&listener, &[]).await;
        let stream = asked(&mut peer).await;
        refuse(&mut peer, stream, &[]).await;
        let ended = asking.await.unwrap();
        assert_eq!(ended.end.last, Some(TryEnd::AnsweredGrpc { code: 2, trailers_only: true }));
    })
    .await;
}

// === by gRPC's policies ===

fn by_codes(tries: u32) -> CallPolicy {
    CallPolicy {
        retry: RetrySettings {
            backoff: Backoff::None,
            rule: RetryRule::Codes(Codes::NONE.with(14)),
            ..RetrySettings::tries(tries)
        },
        retry_throttle: Some(RetryThrottleSettings { tokens_max: 10_000, ratio: 100 }),
        ..CallPolicy::default()
    }
}

/// The next request's stream, past what was still under way of those before.
async fn next_head(peer: &mut Peer) -> u32 {
    loop {
        let frame = peer.next().await.unwrap();
        if frame.kind == HEADERS {
            return frame.stream;
        }
        assert_eq!(frame.kind, DATA);
    }
}

fn tokens(bench: &Bench) -> u32 {
    bench.edge.retry_throttle().unwrap().tokens()
}

#[tokio::test]
async fn a_code_that_is_named_is_asked_again_whatever_may_be_repeated_and_another_is_not() {
    local(async {
        for (status, tries) in [("14", 2), ("13", 1)] {
            let (bench, listener) = start(by_codes(2)).await;
            let asking = calling(&bench, call());
            let mut peer = Peer::accept(&listener, &[]).await;
            for _ in 0..tries {
                let stream = asked(&mut peer).await;
                refuse(&mut peer, stream, &[("grpc-status", status)]).await;
            }
            let ended = asking.await.unwrap();
            assert_eq!(ended.end.tries, tries, "{status}");
            assert_eq!(tokens(&bench), if tries == 2 { 8_000 } else { 10_000 }, "{status}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_is_refused_goes_out_again_once_a_call_and_neither_counts() {
    local(async {
        let (bench, listener) = start(by_codes(3)).await;
        let asking = calling(&bench, call());
        let mut peer = Peer::accept(&listener, &[]).await;
        // The first is sent again by itself. The second is a try that failed; so is the third, although its
        // stream was refused for the first time: once a call is enough.
        for _ in 0..3 {
            let stream = next_head(&mut peer).await;
            peer.reset(stream, peer::REFUSED_STREAM).await;
        }
        let last = next_head(&mut peer).await;
        while peer.next().await.unwrap().flags & END_STREAM == 0 {}
        refuse(&mut peer, last, &[("grpc-status", "0")]).await;
        let ended = asking.await.unwrap();
        assert_eq!((ended.end.tries, ended.end.reason), (3, GiveUp::Done));
        // Two failures of one token each, one success of a tenth.
        assert_eq!(tokens(&bench), 8_100);
    })
    .await;
}

#[tokio::test]
async fn a_goaway_above_the_stream_is_no_try_and_takes_no_token() {
    local(async {
        let (bench, listener) = start(by_codes(1)).await;
        let asking = calling(&bench, call());
        let mut leaving = Peer::accept(&listener, &[]).await;
        let _ = asked(&mut leaving).await;
        leaving.go_away(0).await;
        let mut next = Peer::accept(&listener, &[]).await;
        let stream = asked(&mut next).await;
        refuse(&mut next, stream, &[("grpc-status", "0")]).await;
        let ended = asking.await.unwrap();
        assert_eq!((ended.end.tries, ended.end.reason, tokens(&bench)), (1, GiveUp::Done, 10_000));
    })
    .await;
}
