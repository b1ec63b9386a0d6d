//! HTTP/2 towards a callee, frame by frame.

use crate::bench::{Bench, Request, frame, parts, sent, whole};
use crate::peer::{
    CANCEL, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, INTERNAL_ERROR, OK, PING, Peer, REFUSED_STREAM,
    RST_STREAM, WINDOW_UPDATE, field,
};
use bowline_call::{Answer, AnswerBody, ConnectionSettings, Http, PoolLimits, Transport};
use bowline_model::decision::TryEnd;
use bowline_policy::CallPolicy;
use bytes::Bytes;
use http::Method;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local, yield_now};

const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// Runs `test` where tasks may be spawned that stay on the thread.
pub(crate) async fn local<F: Future>(test: F) -> F::Output {
    let patience = Duration::from_secs(20);
    tokio::time::timeout(patience, paused(test)).await.expect("the other side waits for something else")
}

/// The same where time stands still.
pub(crate) async fn paused<F: Future>(test: F) -> F::Output {
    LocalSet::new().run_until(test).await
}

async fn start() -> (Rc<Bench>, TcpListener) {
    Bench::start(&Transport::H2C).await
}

/// Makes a call on its own: how it ends.
pub(crate) fn calling(bench: &Rc<Bench>, request: Request) -> tokio::task::JoinHandle<bowline_call::Ended> {
    let bench = Rc::clone(bench);
    spawn_local(async move { bench.call(request).await })
}

#[tokio::test]
async fn requests_share_one_connection_and_answers_come_in_any_order() {
    local(async {
        let (bench, listener) = start().await;
        let calls = [(); 3].map(|()| calling(&bench, Request::get()));
        let mut peer = Peer::accept(&listener, &[]).await;
        let mut streams = Vec::new();
        for _ in 0..3 {
            streams.push(peer.expect(HEADERS).await);
        }
        for stream in streams.into_iter().rev() {
            peer.send(HEADERS, END_HEADERS, stream, OK).await;
            peer.send(DATA, END_STREAM, stream, format!("of {stream}").as_bytes()).await;
        }
        let mut bodies = Vec::new();
        for call in calls {
            bodies.push(String::from_utf8(whole(call.await.unwrap()).await.body).unwrap());
        }
        assert_eq!(bodies, ["of 1", "of 3", "of 5"]);
        let counts = bench.client.pool().counts();
        assert_eq!((counts.made, counts.shared), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_takes_one_request_at_a_time_gets_a_connection_for_each() {
    local(async {
        let (bench, listener) = start().await;
        let first = calling(&bench, Request::get());
        let mut one = Peer::accept(&listener, &[(MAX_CONCURRENT_STREAMS, 1)]).await;
        let stream = one.expect(HEADERS).await;
        let second = calling(&bench, Request::get());
        let mut two = Peer::accept(&listener, &[(MAX_CONCURRENT_STREAMS, 1)]).await;
        let other = two.expect(HEADERS).await;
        one.answer(stream).await;
        two.answer(other).await;
        assert_eq!(whole(first.await.unwrap()).await.status, 200);
        assert_eq!(whole(second.await.unwrap()).await.status, 200);
        // Whoever comes now finds a place on the first.
        let third = calling(&bench, Request::get());
        let stream = one.expect(HEADERS).await;
        one.answer(stream).await;
        assert_eq!(whole(third.await.unwrap()).await.status, 200);
        assert_eq!(bench.client.pool().counts().made, 2);
    })
    .await;
}

#[tokio::test]
async fn what_came_behind_a_goaway_goes_out_again_elsewhere_and_what_came_before_is_answered() {
    local(async {
        let (bench, listener) = start().await;
        let before = calling(&bench, Request::get());
        let mut leaving = Peer::accept(&listener, &[]).await;
        let first = leaving.expect(HEADERS).await;
        let behind = calling(&bench, Request::post(parts([b"ab", b"cd"])));
        let second = leaving.expect(HEADERS).await;
        assert!(first < second);
        leaving.go_away(first).await;
        let mut next = Peer::accept(&listener, &[]).await;
        let again = next.expect(HEADERS).await;
        let mut body = Vec::new();
        while let Some(frame) = next.next().await {
            assert_eq!((frame.kind, frame.stream), (DATA, again));
            body.extend_from_slice(&frame.payload);
            if frame.flags & END_STREAM != 0 {
                break;
            }
        }
        assert_eq!(body, b"abcd", "a body that is kept goes out again");
        next.answer(again).await;
        leaving.answer(first).await;
        let behind = behind.await.unwrap();
        assert_eq!(behind.end.tries, 1, "what surely never reached a callee is no try");
        assert_eq!(whole(behind).await.status, 200);
        assert_eq!(whole(before.await.unwrap()).await.status, 200);
        // The connection that was left is closed once its last answer is through.
        while let Some(frame) = leaving.next().await {
            assert!(matches!(frame.kind, GOAWAY | DATA), "{frame:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_is_refused_twice_is_a_refused_try() {
    local(async {
        let (bench, listener) = start().await;
        let call = calling(&bench, Request::get());
        let mut peer = Peer::accept(&listener, &[]).await;
        for _ in 0..2 {
            let stream = peer.expect(HEADERS).await;
            peer.reset(stream, REFUSED_STREAM).await;
        }
        assert_eq!(call.await.unwrap().end.last, Some(TryEnd::StreamRefused));
    })
    .await;
}

#[tokio::test]
async fn another_reset_before_the_answer_leaves_the_effect_unknown() {
    local(async {
        let (bench, listener) = start().await;
        let call = calling(&bench, Request::get());
        let mut peer = Peer::accept(&listener, &[]).await;
        let stream = peer.expect(HEADERS).await;
        peer.reset(stream, INTERNAL_ERROR).await;
        assert_eq!(call.await.unwrap().end.last, Some(TryEnd::Reset));
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_ends_under_a_request_leaves_the_effect_unknown() {
    local(async {
        let (bench, listener) = start().await;
        let call = calling(&bench, Request::get());
        let mut peer = Peer::accept(&listener, &[]).await;
        peer.expect(HEADERS).await;
        drop(peer);
        assert_eq!(call.await.unwrap().end.last, Some(TryEnd::Reset));
    })
    .await;
}

#[tokio::test]
async fn an_order_of_which_nothing_was_written_when_its_connection_broke_goes_out_on_another() {
    local(async {
        let (bench, listener) = start().await;
        let (sender, body) = sent();
        let large = calling(&bench, Request::post(body));
        // All the room that HTTP/2 can give, so that it is the kernel which takes no more.
        let mut peer = Peer::accept(&listener, &[(INITIAL_WINDOW_SIZE, i32::MAX as u32)]).await;
        peer.expect(HEADERS).await;
        peer.send(WINDOW_UPDATE, 0, 0, &0x7000_0000_u32.to_be_bytes()).await;
        sender.send(Bytes::from(vec![b'x'; 64 << 20])).unwrap();
        peer.expect(DATA).await;
        for _ in 0..1_000 {
            yield_now().await;
        }
        let order = calling(&bench, Request::post(parts([b"two shoes"])));
        for _ in 0..1_000 {
            yield_now().await;
        }
        drop(peer);
        assert_eq!(large.await.unwrap().end.last, Some(TryEnd::Reset), "of this one much was written");

        let mut other = Peer::accept(&listener, &[]).await;
        let stream = other.expect(HEADERS).await;
        other.answer(stream).await;
        let ended = order.await.unwrap();
        assert_eq!(ended.end.tries, 1, "what surely never arrived is no try");
        assert_eq!(whole(ended).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn a_reset_within_the_body_breaks_the_answer_off() {
    local(async {
        let (bench, listener) = start().await;
        let call = calling(&bench, Request::get());
        let mut peer = Peer::accept(&listener, &[]).await;
        let stream = peer.expect(HEADERS).await;
        peer.send(HEADERS, END_HEADERS, stream, OK).await;
        peer.send(DATA, 0, stream, b"half").await;
        let Some(Answer::Given { body: AnswerBody::Coming(mut body), .. }) = call.await.unwrap().answer
        else {
            panic!("whole")
        };
        let part = frame(&mut *body).await.unwrap().unwrap();
        assert_eq!(part.into_data().unwrap(), "half");
        peer.reset(stream, INTERNAL_ERROR).await;
        assert!(frame(&mut *body).await.unwrap().is_err());
    })
    .await;
}

#[tokio::test]
async fn an_answer_shorter_or_longer_than_its_length_is_broken() {
    local(async {
        for body in [&b"abc"[..], b"abcdefg"] {
            let (bench, listener) = start().await;
            let call = calling(&bench, Request::get());
            let mut peer = Peer::accept(&listener, &[]).await;
            let stream = peer.expect(HEADERS).await;
            peer.send(HEADERS, END_HEADERS, stream, &[OK, &field("content-length", "5")].concat()).await;
            peer.send(DATA, END_STREAM, stream, body).await;
            let ended = call.await.unwrap();
            match ended.answer {
                None => assert_eq!(ended.end.last, Some(TryEnd::Malformed)),
                Some(Answer::Given { body: AnswerBody::Coming(mut body), .. }) => {
                    let mut broken = false;
                    while let Some(part) = frame(&mut *body).await {
                        broken |= part.is_err();
                        if broken {
                            break;
                        }
                    }
                    assert!(broken);
                }
                Some(other) => panic!("{other:?}"),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn interim_answers_are_passed_over_and_head_has_no_body() {
    local(async {
        let (bench, listener) = start().await;
        let call = calling(&bench, Request { method: Method::HEAD, ..Request::get() });
        let mut peer = Peer::accept(&listener, &[]).await;
        let stream = peer.expect(HEADERS).await;
        peer.send(HEADERS, END_HEADERS, stream, &field(":status", "103")).await;
        let head = [OK, &field("content-length", "5")].concat();
        peer.send(HEADERS, END_HEADERS | END_STREAM, stream, &head).await;
        let given = whole(call.await.unwrap()).await;
        assert_eq!((given.status, given.body.len()), (200, 0));
        assert_eq!(given.fields["content-length"], "5");
    })
    .await;
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_cancelled_at_the_callee() {
    local(async {
        let (bench, listener) = start().await;
        let call = calling(&bench, Request::get());
        let mut peer = Peer::accept(&listener, &[]).await;
        let stream = peer.expect(HEADERS).await;
        call.abort();
        let frame = peer.next().await.unwrap();
        assert_eq!((frame.kind, frame.stream), (RST_STREAM, stream));
        assert_eq!(frame.payload, CANCEL.to_be_bytes());
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_no_longer_read_is_cancelled_at_the_callee() {
    local(async {
        let (bench, listener) = start().await;
        let call = calling(&bench, Request::get());
        let mut peer = Peer::accept(&listener, &[]).await;
        let stream = peer.expect(HEADERS).await;
        peer.send(HEADERS, END_HEADERS, stream, OK).await;
        drop(call.await.unwrap());
        assert_eq!(peer.expect(RST_STREAM).await, stream);
    })
    .await;
}

#[tokio::test]
async fn a_body_waits_for_the_room_its_peer_gives_and_loses_nothing() {
    local(async {
        let (bench, listener) = start().await;
        let (sender, body) = sent();
        let call = calling(&bench, Request::post(body));
        let mut peer = Peer::accept(&listener, &[(INITIAL_WINDOW_SIZE, 3)]).await;
        let stream = peer.expect(HEADERS).await;
        sender.send(Bytes::from_static(b"abcde")).unwrap();
        sender.send(Bytes::from_static(b"fgh")).unwrap();
        drop(sender);
        let mut body = Vec::new();
        loop {
            let frame = peer.next().await.unwrap();
            assert_eq!((frame.kind, frame.stream), (DATA, stream));
            assert!(frame.payload.len() <= 3, "no more than there is room for");
            body.extend_from_slice(&frame.payload);
            if frame.flags & END_STREAM != 0 {
                break;
            }
            if !frame.payload.is_empty() {
                let room = (frame.payload.len() as u32).to_be_bytes();
                peer.send(8, 0, stream, &room).await;
            }
        }
        assert_eq!(body, b"abcdefgh");
        peer.answer(stream).await;
        assert_eq!(whole(call.await.unwrap()).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn both_directions_go_on_at_once() {
    local(async {
        let (bench, listener) = start().await;
        let (sender, body) = sent();
        let call = calling(&bench, Request::post(body));
        let mut peer = Peer::accept(&listener, &[]).await;
        let stream = peer.expect(HEADERS).await;
        peer.send(HEADERS, END_HEADERS, stream, OK).await;
        let Some(Answer::Given { body, .. }) = call.await.unwrap().answer else { panic!("no answer") };
        let AnswerBody::Coming(mut body) = body.passed_on() else { panic!("whole") };
        for word in ["one", "two", "three"] {
            let (said, heard) = tokio::join!(
                async {
                    sender.send(Bytes::from_static(word.as_bytes())).unwrap();
                    let frame = peer.next().await.unwrap();
                    assert_eq!(frame.payload, word.as_bytes());
                    peer.send(DATA, 0, stream, &frame.payload).await;
                },
                frame(&mut *body)
            );
            let ((), heard) = (said, heard.unwrap().unwrap().into_data().unwrap());
            assert_eq!(heard, word);
        }
        // The callee ends first, and still hears the rest.
        peer.send(DATA, END_STREAM, stream, b"").await;
        assert!(frame(&mut *body).await.is_none());
        drop(body);
        sender.send(Bytes::from_static(b"rest")).unwrap();
        assert_eq!(peer.next().await.unwrap().payload, b"rest");
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_says_it_has_no_body_is_not_broken_off_before_its_end() {
    local(async {
        let (bench, listener) = start().await;
        let call = calling(&bench, Request::get());
        let mut peer = Peer::accept(&listener, &[]).await;
        let stream = peer.expect(HEADERS).await;
        peer.send(HEADERS, END_HEADERS, stream, &[OK, &field("content-length", "0")].concat()).await;
        assert_eq!(whole(call.await.unwrap()).await.body, b"");
        peer.send(DATA, END_STREAM, stream, b"").await;
        let next = calling(&bench, Request::get());
        peer.expect(HEADERS).await;
        next.abort();
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_takes_no_request_is_asked_for_one_connection() {
    local(async {
        let (bench, listener) = start().await;
        let call = calling(&bench, Request::get());
        let mut peer = Peer::accept(&listener, &[(MAX_CONCURRENT_STREAMS, 0)]).await;
        assert_eq!(call.await.unwrap().end.last, Some(TryEnd::ConnectFailed));
        assert_eq!(bench.client.pool().counts().made, 1);
        peer.expect(GOAWAY).await;
    })
    .await;
}

#[tokio::test]
async fn trailers_come_and_go() {
    local(async {
        let (bench, listener) = start().await;
        let call = calling(&bench, Request::get().with("te", "trailers"));
        let mut peer = Peer::accept(&listener, &[]).await;
        let stream = peer.expect(HEADERS).await;
        peer.send(HEADERS, END_HEADERS, stream, OK).await;
        peer.send(DATA, 0, stream, b"body").await;
        peer.send(HEADERS, END_HEADERS | END_STREAM, stream, &field("x-sum", "7")).await;
        let given = whole(call.await.unwrap()).await;
        assert_eq!(
            (given.body.as_slice(), given.trailers.unwrap()["x-sum"].to_str().unwrap()),
            (&b"body"[..], "7")
        );
    })
    .await;
}

#[tokio::test]
async fn whoever_does_not_speak_it_is_found_out_before_a_request_is_sent() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    local(async {
        let (bench, listener) = start().await;
        let call = calling(&bench, Request::get());
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = vec![0; 24];
        stream.read_exact(&mut seen).await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        assert_eq!(call.await.unwrap().end.last, Some(TryEnd::ConnectFailed));
    })
    .await;
}

#[tokio::test]
async fn many_calls_that_find_no_connection_make_one_and_a_call_given_up_takes_it_from_nobody() {
    local(async {
        let (bench, listener) = start().await;
        let given_up = calling(&bench, Request::get());
        let calls: Vec<_> = (0..20).map(|_| calling(&bench, Request::get())).collect();
        for _ in 0..3 {
            yield_now().await;
        }
        given_up.abort();
        let mut peer = Peer::accept(&listener, &[]).await;
        for _ in 0..20 {
            let stream = peer.expect(HEADERS).await;
            peer.answer(stream).await;
        }
        for call in calls {
            assert_eq!(whole(call.await.unwrap()).await.status, 200);
        }
        assert_eq!(bench.client.pool().counts().made, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_gone_without_a_word_is_found_by_a_ping_that_it_does_not_answer() {
    paused(async {
        let (bench, listener) = start().await;
        let call = calling(&bench, Request::get());
        let mut peer = Peer::accept(&listener, &[]).await;
        peer.expect(HEADERS).await;
        let limits = PoolLimits::default();
        bench.client.pool().sweep();
        tokio::time::advance(limits.ping_after).await;
        bench.client.pool().sweep();
        peer.expect(PING).await;
        tokio::time::advance(limits.ping_timeout - Duration::from_millis(1)).await;
        bench.client.pool().sweep();
        yield_now().await;
        assert!(!call.is_finished(), "it has time to answer");
        tokio::time::advance(Duration::from_millis(1)).await;
        bench.client.pool().sweep();
        assert_eq!(call.await.unwrap().end.last, Some(TryEnd::Reset));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_pings_is_not_asked_again_soon() {
    paused(async {
        let (bench, listener) = start().await;
        let call = calling(&bench, Request::get());
        let mut peer = Peer::accept(&listener, &[]).await;
        let stream = peer.expect(HEADERS).await;
        let limits = PoolLimits::default();
        bench.client.pool().sweep();
        tokio::time::advance(limits.ping_after).await;
        bench.client.pool().sweep();
        let ping = peer.next().await.unwrap();
        assert_eq!(ping.kind, PING);
        peer.send(PING, crate::peer::ACK, 0, &ping.payload).await;
        for _ in 0..10 {
            yield_now().await;
            tokio::time::advance(limits.ping_after).await;
            bench.client.pool().sweep();
        }
        peer.answer(stream).await;
        assert_eq!(whole(call.await.unwrap()).await.status, 200);
        drop(bench);
        // gRPC's servers would take a second one for an attack.
        while let Some(frame) = peer.next().await {
            assert_ne!(frame.kind, PING);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_closed_when_it_is_idle_and_takes_nothing_new_when_it_is_old() {
    paused(async {
        let limits = PoolLimits { idle: Duration::from_secs(3_600), ..PoolLimits::default() };
        for (limits, wait) in [
            (PoolLimits::default(), PoolLimits::default().idle),
            (limits, limits.age * (100 + limits.age_jitter_percent as u32) / 100),
        ] {
            let (bench, listener) = Bench::with(&Transport::H2C, CallPolicy::default(), limits).await;
            let call = calling(&bench, Request::get());
            let mut peer = Peer::accept(&listener, &[]).await;
            let stream = peer.expect(HEADERS).await;
            peer.answer(stream).await;
            assert_eq!(whole(call.await.unwrap()).await.status, 200);
            bench.client.pool().sweep();
            assert_eq!(bench.client.pool().counts().shared, 1);
            tokio::time::advance(wait).await;
            bench.client.pool().sweep();
            assert_eq!(bench.client.pool().counts().shared, 0);
            assert_eq!(peer.next().await.map(|frame| frame.kind), Some(GOAWAY));
            assert!(peer.next().await.is_none());
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_its_peer_has_closed_is_no_try() {
    local(async {
        let (bench, listener) = start().await;
        let call = calling(&bench, Request::get());
        let mut peer = Peer::accept(&listener, &[]).await;
        let stream = peer.expect(HEADERS).await;
        peer.answer(stream).await;
        assert_eq!(whole(call.await.unwrap()).await.status, 200);
        drop(peer);
        while bench.client.pool().counts().shared > 0 {
            yield_now().await;
            bench.client.pool().sweep();
        }
        let call = calling(&bench, Request::get());
        let mut peer = Peer::accept(&listener, &[]).await;
        let stream = peer.expect(HEADERS).await;
        peer.answer(stream).await;
        let ended = call.await.unwrap();
        assert_eq!(ended.end.tries, 1);
        assert_eq!(whole(ended).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn the_head_is_as_http2_wants_it() {
    local(async {
        let (bench, listener) = start().await;
        let request = Request::post(parts([b"x"]))
            .with("te", "trailers")
            .with("connection", "close")
            .with("x-twice", "1")
            .with("x-twice", "2");
        let call = calling(&bench, request);
        let (stream, _) = listener.accept().await.unwrap();
        let mut server = h2::server::handshake(stream).await.unwrap();
        let (request, mut respond) = server.accept().await.unwrap().unwrap();
        spawn_local(async move { while server.accept().await.is_some() {} });
        assert_eq!(request.uri(), "http://shop.test/orders?new");
        assert_eq!(request.method(), Method::POST);
        let fields = request.headers();
        assert_eq!(fields["te"], "trailers");
        assert_eq!(fields.get_all("x-twice").iter().count(), 2);
        for gone in ["host", "connection", "transfer-encoding", "content-length"] {
            assert!(!fields.contains_key(gone), "{gone}");
        }
        respond.send_response(http::Response::new(()), true).unwrap();
        assert_eq!(whole(call.await.unwrap()).await.status, 200);
        assert_eq!(bench.endpoint.transport().http, Http::Two);
    })
    .await;
}

#[tokio::test]
async fn a_destination_may_have_fewer_requests_at_once_on_a_connection() {
    local(async {
        let connections = ConnectionSettings { streams: Some(1), ..ConnectionSettings::NONE };
        let (bench, listener) = Bench::start(&Transport { connections, ..Transport::H2C }).await;
        let first = calling(&bench, Request::get());
        let mut one = Peer::accept(&listener, &[]).await;
        let stream = one.expect(HEADERS).await;
        let second = calling(&bench, Request::get());
        let mut two = Peer::accept(&listener, &[]).await;
        let other = two.expect(HEADERS).await;
        one.answer(stream).await;
        two.answer(other).await;
        assert_eq!(whole(first.await.unwrap()).await.status, 200);
        assert_eq!(whole(second.await.unwrap()).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn a_destination_may_have_fewer_requests_in_a_connections_life() {
    local(async {
        let connections = ConnectionSettings { requests: Some(2), ..ConnectionSettings::NONE };
        let (bench, listener) = Bench::start(&Transport { connections, ..Transport::H2C }).await;
        let mut made = 0;
        for requests in [2, 1] {
            let mut peer = None;
            for _ in 0..requests {
                let call = calling(&bench, Request::get());
                if peer.is_none() {
                    peer = Some(Peer::accept(&listener, &[]).await);
                    made += 1;
                }
                let peer = peer.as_mut().unwrap();
                let stream = peer.expect(HEADERS).await;
                peer.answer(stream).await;
                assert_eq!(whole(call.await.unwrap()).await.status, 200);
            }
        }
        assert_eq!((made, bench.client.pool().counts().made), (2, 2));
    })
    .await;
}
