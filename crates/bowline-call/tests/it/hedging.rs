//! A late try gets another beside it, on real sockets: who is answered first, and what the loser sees.

use crate::bench::{Given, Request, parts, sent, whole};
use crate::http2;
use crate::peer::{CANCEL, DATA, HEADERS, Peer, RST_STREAM};
use bowline_call::{Alarm, Client, Clock, Ended, Endpoint, Endpoints, PoolLimits, Replay, Transport};
use bowline_model::decision::{DeadlineSource, GiveUp, TryEnd, WithheldWhy};
use bowline_model::{Deadline, Outcome, SplitMix64};
use bowline_policy::{
    Ask, BreakerSettings, CallPolicy, Edge, HedgeAfter, HedgeEnd, HedgeSettings, Ratio, RetrySettings,
};
use bytes::Bytes;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, spawn_local};

/// Two callees of one destination: calls go to the first, hedges to the second.
struct Pair {
    client: Client,
    clock: Clock,
    endpoints: [Arc<Endpoint>; 2],
    edge: Arc<Edge>,
}

fn policy() -> CallPolicy {
    CallPolicy {
        hedge: Some(HedgeSettings {
            after: HedgeAfter::Fixed(Duration::from_millis(5)),
            tries: 2,
            ratio: Ratio::ONE,
            by_grpc: false,
        }),
        breaker: Some(BreakerSettings::default()),
        ..CallPolicy::default()
    }
}

/// [`http2::local`], on the heap: these tests are larger than a stack should hold.
fn local<'t>(test: impl Future<Output = ()> + 't) -> Pin<Box<dyn Future<Output = ()> + 't>> {
    Box::pin(http2::local(test))
}

impl Pair {
    async fn start(transport: &Transport, policy: CallPolicy) -> (Rc<Self>, [TcpListener; 2]) {
        let listeners = [
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        ];
        let known = Endpoints::default();
        let endpoints = [0, 1].map(|index| {
            let address = listeners[index].local_addr().unwrap().to_string();
            known.reached(&address, transport)
        });
        let clock = Clock::start();
        let client = Client::new(PoolLimits::default(), clock, 1);
        (Rc::new(Self { client, clock, endpoints, edge: Edge::new(policy) }), listeners)
    }

    fn calling(self: &Rc<Self>, request: Request) -> JoinHandle<Ended> {
        let pair = Rc::clone(self);
        spawn_local(async move { pair.call(request).await })
    }

    async fn call(&self, mut request: Request) -> Ended {
        let ask = Ask {
            now: self.clock.now(),
            deadline: Deadline::NEVER,
            deadline_by: DeadlineSource::Nobody,
            repeatable: request.repeatable,
            priority: None,
            hosts: 2,
            hash: Some(0),
            arrived_try: 0,
            seed: 1,
        };
        let (mut alarm, mut random) = (Alarm::new(self.clock), SplitMix64::new(1));
        let body = std::mem::take(&mut request.body);
        self.client
            .call(&self.edge, ask, &self.endpoints, &body, &mut request, &mut alarm, &mut random, &mut ())
            .await
    }

    /// No failure, nothing held, and what became of the only hedge.
    fn assert_hedged(&self, end: HedgeEnd) {
        let counters = self.edge.counters();
        assert_eq!(counters.hedges().collect::<Vec<_>>(), [(end, 1)]);
        assert_eq!(self.edge.hedge().unwrap().under_way(), 0);
        let failures = self.edge.breaker().unwrap().counts(self.clock.now()).0;
        assert_eq!(failures, 0, "being outrun is no failure");
    }

    fn withheld(&self) -> Vec<WithheldWhy> {
        self.edge.counters().withheld().map(|(why, _)| why).collect()
    }
}

fn get() -> Request {
    Request { repeatable: true, ..Request::get() }
}

/// A connection over HTTP/1.1 and what was asked on it, up to `end`.
async fn asked(listener: &TcpListener, end: &str) -> (TcpStream, String) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut text = String::new();
    while !text.ends_with(end) {
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).await.unwrap();
        assert_ne!(read, 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    (stream, text)
}

async fn answer(stream: &mut TcpStream, status: &str) {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok");
    stream.write_all(head.as_bytes()).await.unwrap();
}

/// Waits until the other side has closed.
async fn closed(mut stream: TcpStream) {
    assert!(matches!(stream.read(&mut [0; 16]).await, Ok(0) | Err(_)), "more was asked");
}

async fn done(call: JoinHandle<Ended>) -> (GiveUp, u32, Given) {
    let ended = call.await.unwrap();
    let (reason, tries) = (ended.end.reason, ended.end.tries);
    (reason, tries, whole(ended).await)
}

#[tokio::test]
async fn over_http_1_the_loser_finds_its_connection_closed() {
    local(async {
        let (pair, [slow, quick]) = Pair::start(&Transport::PLAIN, policy()).await;
        let call = pair.calling(get());
        let (loser, _) = asked(&slow, "\r\n\r\n").await;
        let (mut winner, _) = asked(&quick, "\r\n\r\n").await;
        answer(&mut winner, "200 OK").await;
        let (reason, tries, given) = done(call).await;
        assert_eq!((reason, tries, given.status, &*given.body), (GiveUp::Done, 2, 200, &b"ok"[..]));
        closed(loser).await;
        pair.assert_hedged(HedgeEnd::Won);
    })
    .await;
}

#[tokio::test]
async fn a_hedge_that_is_outrun_is_cancelled_too() {
    local(async {
        let (pair, [slow, quick]) = Pair::start(&Transport::PLAIN, policy()).await;
        let call = pair.calling(get());
        let (mut winner, _) = asked(&slow, "\r\n\r\n").await;
        let (loser, _) = asked(&quick, "\r\n\r\n").await;
        answer(&mut winner, "200 OK").await;
        assert_eq!(done(call).await.2.status, 200);
        closed(loser).await;
        pair.assert_hedged(HedgeEnd::Outrun);
    })
    .await;
}

#[tokio::test]
async fn over_http_2_the_losers_stream_is_reset_and_its_connection_stays() {
    local(async {
        let (pair, [slow, quick]) = Pair::start(&Transport::H2C, policy()).await;
        let call = pair.calling(get());
        let mut loser = Peer::accept(&slow, &[]).await;
        let late = loser.expect(HEADERS).await;
        let mut winner = Peer::accept(&quick, &[]).await;
        let stream = winner.expect(HEADERS).await;
        winner.answer(stream).await;
        assert_eq!(done(call).await.2.status, 200);
        let reset = loser.next().await.unwrap();
        assert_eq!(
            (reset.kind, reset.stream, &*reset.payload),
            (RST_STREAM, late, &CANCEL.to_be_bytes()[..])
        );
        pair.assert_hedged(HedgeEnd::Won);
        // The next call goes over the same connection.
        let call = pair.calling(Request::get());
        let next = loser.expect(HEADERS).await;
        loser.answer(next).await;
        assert_eq!(done(call).await.2.status, 200);
        assert_eq!(pair.client.pool().counts().made, 2);
    })
    .await;
}

#[tokio::test]
async fn an_order_is_not_sent_twice_unless_it_may_be_repeated() {
    local(async {
        let (pair, [slow, quick]) = Pair::start(&Transport::PLAIN, policy()).await;
        let call = pair.calling(Request::post(parts([b"two shoes"])));
        let (mut stream, _) = asked(&slow, "0\r\n\r\n").await;
        // Whoever would be hedged is asked first after this one: what comes there is the next call's.
        let other = pair.calling(get());
        let (_late, _) = asked(&slow, "\r\n\r\n").await;
        let (mut hedge, text) = asked(&quick, "\r\n\r\n").await;
        assert!(text.starts_with("GET "), "{text}");
        answer(&mut hedge, "200 OK").await;
        done(other).await;
        answer(&mut stream, "201 Created").await;
        let (_, tries, given) = done(call).await;
        assert_eq!((tries, given.status), (1, 201));
        assert_eq!(pair.withheld(), [WithheldWhy::NotSafe]);
    })
    .await;
}

#[tokio::test]
async fn a_body_that_is_kept_goes_out_whole_twice_over_both_protocols() {
    local(async {
        let (pair, [slow, quick]) = Pair::start(&Transport::PLAIN, policy()).await;
        let call = pair.calling(Request { repeatable: true, ..Request::post(parts([b"two ", b"shoes"])) });
        let (_loser, first) = asked(&slow, "0\r\n\r\n").await;
        let (mut winner, second) = asked(&quick, "0\r\n\r\n").await;
        assert!(first.contains("two ") && first.contains("shoes"), "{first}");
        assert!(second.contains("two shoes"), "{second}");
        answer(&mut winner, "201 Created").await;
        assert_eq!(done(call).await.2.status, 201);

        let (pair, [slow, quick]) = Pair::start(&Transport::H2C, policy()).await;
        let call = pair.calling(Request { repeatable: true, ..Request::post(parts([b"two shoes"])) });
        let mut loser = Peer::accept(&slow, &[]).await;
        loser.expect(HEADERS).await;
        let mut winner = Peer::accept(&quick, &[]).await;
        let stream = winner.expect(HEADERS).await;
        let data = winner.next().await.unwrap();
        assert_eq!((data.kind, &*data.payload), (DATA, &b"two shoes"[..]));
        winner.answer(stream).await;
        assert_eq!(done(call).await.2.status, 200);
    })
    .await;
}

#[tokio::test]
async fn a_body_whose_sender_is_the_slow_one_is_not_hedged() {
    local(async {
        let (pair, [slow, _quick]) = Pair::start(&Transport::PLAIN, policy()).await;
        let (sender, body) = sent();
        let call = pair.calling(Request { repeatable: true, ..Request::post(body) });
        sender.send(Bytes::from_static(b"two ")).unwrap();
        let (mut stream, _) = asked(&slow, "two \r\n").await;
        while pair.withheld().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(pair.withheld(), [WithheldWhy::BodyNotKept]);
        drop(sender);
        answer(&mut stream, "200 OK").await;
        let (_, tries, given) = done(call).await;
        assert_eq!((tries, given.status), (1, 200));
    })
    .await;
}

#[tokio::test]
async fn a_hedge_that_fails_does_not_end_the_call() {
    local(async {
        let (pair, [slow, quick]) = Pair::start(&Transport::PLAIN, policy()).await;
        let call = pair.calling(get());
        let (mut first, _) = asked(&slow, "\r\n\r\n").await;
        let (mut hedge, _) = asked(&quick, "\r\n\r\n").await;
        answer(&mut hedge, "503 Service Unavailable").await;
        // It is read before the other's answer: its connection is free again.
        while pair.edge.counters().hedges().next().is_none() {
            tokio::task::yield_now().await;
        }
        answer(&mut first, "200 OK").await;
        let (reason, tries, given) = done(call).await;
        assert_eq!((reason, tries, given.status), (GiveUp::Done, 2, 200));
        assert_eq!(pair.edge.counters().hedges().collect::<Vec<_>>(), [(HedgeEnd::Failed, 1)]);
    })
    .await;
}

#[tokio::test]
async fn where_all_fail_the_last_answer_is_passed_on_and_a_retry_follows_where_there_is_one() {
    for tries in [1, 3] {
        local(async {
            let retry =
                RetrySettings { backoff: bowline_policy::Backoff::None, ..RetrySettings::tries(tries) };
            let (pair, [slow, quick]) =
                Pair::start(&Transport::PLAIN, CallPolicy { retry, ..policy() }).await;
            let call = pair.calling(get());
            let (first, _) = asked(&slow, "\r\n\r\n").await;
            let (mut hedge, _) = asked(&quick, "\r\n\r\n").await;
            drop(first);
            answer(&mut hedge, "503 Service Unavailable").await;
            if tries == 3 {
                let (mut third, _) = asked(&slow, "\r\n\r\n").await;
                answer(&mut third, "200 OK").await;
            }
            let (_, sent, given) = done(call).await;
            assert_eq!((sent, given.status), if tries == 3 { (3, 200) } else { (2, 503) });
        })
        .await;
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_cancels_all_its_tries() {
    local(async {
        let (pair, [slow, quick]) = Pair::start(&Transport::PLAIN, policy()).await;
        let call = pair.calling(get());
        let (first, _) = asked(&slow, "\r\n\r\n").await;
        let (hedge, _) = asked(&quick, "\r\n\r\n").await;
        call.abort();
        closed(first).await;
        closed(hedge).await;
        pair.assert_hedged(HedgeEnd::Cancelled);
    })
    .await;
}

#[tokio::test]
async fn each_try_has_its_own_time() {
    local(async {
        let retry = RetrySettings { per_try: Some(Duration::from_millis(30)), ..RetrySettings::none() };
        let (pair, [_slow, _quick]) = Pair::start(&Transport::PLAIN, CallPolicy { retry, ..policy() }).await;
        let ended = pair.calling(get()).await.unwrap();
        assert_eq!((ended.end.tries, ended.end.last), (2, Some(TryEnd::TimedOut)));
        assert_eq!(ended.end.outcome, Outcome::Unknown);
    })
    .await;
}

/// One host of two never answers one request in five. Nobody waits for it.
#[tokio::test]
async fn of_a_host_that_sometimes_hangs_no_caller_is_told() {
    local(async {
        let (pair, [slow, quick]) = Pair::start(&Transport::PLAIN, policy()).await;
        for (listener, hangs) in [(slow, true), (quick, false)] {
            spawn_local(async move {
                let mut number = 0;
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let mut bytes = [0; 4096];
                    while matches!(stream.read(&mut bytes).await, Ok(1..)) {
                        number += 1;
                        if hangs && number % 5 == 0 {
                            closed(stream).await;
                            break;
                        }
                        answer(&mut stream, "200 OK").await;
                    }
                }
            });
        }
        for _ in 0..50 {
            assert_eq!(whole(pair.call(get()).await).await.status, 200);
        }
        let won = pair.edge.counters().hedges().find(|(end, _)| *end == HedgeEnd::Won);
        assert!(won.is_some_and(|(_, count)| 10 <= count), "{won:?}");
    })
    .await;
    // A request without a body has nothing to keep.
    assert!(Replay::empty().is_kept_whole());
}
