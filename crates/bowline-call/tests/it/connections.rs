//! Connections over real sockets: that the dead ones are seen, and what a slow head costs.

use bowline_call::{
    Alarm, Answer, AnswerBody, Asker, Client, Clock, Endpoint, Endpoints, HeadWriter, PoolLimits, Replay,
};
use bowline_model::decision::{DeadlineSource, TryEnd};
use bowline_model::{Deadline, Instant, Outcome, SplitMix64};
use bowline_policy::{Ask, CallPolicy, Edge, Try};
use http::{HeaderMap, Method};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Asks for `/`.
struct Get;

impl Asker for Get {
    fn write_head(&mut self, _: &Try, _: Instant, out: &mut HeadWriter<'_>) {
        out.line(&Method::GET, "/");
    }

    fn is_head(&self) -> bool {
        false
    }

    fn pending_allowed(&self) -> bool {
        false
    }

    fn named_outcome(&self, _: &HeaderMap) -> Option<Outcome> {
        None
    }
}

/// A client, and a callee's address as its endpoint.
struct Bench {
    client: Client,
    clock: Clock,
    endpoints: [Arc<Endpoint>; 1],
}

impl Bench {
    async fn start() -> (Self, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoints::default().at(&listener.local_addr().unwrap().to_string());
        let clock = Clock::start();
        let client = Client::new(PoolLimits::default(), clock, 1);
        (Self { client, clock, endpoints: [endpoint] }, listener)
    }

    /// One call, one try: the body of its answer, or how it ended.
    async fn get(&self) -> Result<Vec<u8>, TryEnd> {
        let ask = Ask {
            now: self.clock.now(),
            deadline: Deadline::NEVER,
            deadline_by: DeadlineSource::Nobody,
            repeatable: false,
            hosts: 1,
            hash: None,
            arrived_try: 0,
            priority: None,
            seed: 1,
        };
        let edge = Edge::new(CallPolicy::default());
        let (mut alarm, mut random) = (Alarm::new(self.clock), SplitMix64::new(1));
        let body = Replay::empty();
        let ended = self
            .client
            .call(&edge, ask, &self.endpoints, &body, &mut Get, &mut alarm, &mut random, &mut ())
            .await;
        match ended.answer {
            Some(Answer::Given { body: AnswerBody::Whole(bytes), .. }) => Ok(bytes.to_vec()),
            Some(other) => panic!("{other:?}"),
            None => Err(ended.end.last.unwrap()),
        }
    }
}

/// Answers one request with `answer`.
async fn answer(listener: &TcpListener, answer: &[u8]) -> TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
    }
    stream.write_all(answer).await.unwrap();
    stream
}

#[tokio::test]
async fn one_sweep_sees_every_connection_that_has_ended() {
    // More than a task may look at in one turn of its runtime (128 in tokio 1).
    const CONNECTIONS: usize = 300;
    let (bench, listener) = Bench::start().await;
    let bench = std::rc::Rc::new(bench);
    let asking = tokio::task::LocalSet::new();
    for _ in 0..CONNECTIONS {
        let bench = std::rc::Rc::clone(&bench);
        asking.spawn_local(async move { bench.get().await.unwrap() });
    }
    let answering = async {
        let mut asked = Vec::new();
        for _ in 0..CONNECTIONS {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert_ne!(stream.read(&mut [0; 1_000]).await.unwrap(), 0);
            asked.push(stream);
        }
        for stream in &mut asked {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        }
        asked
    };
    let (streams, ()) = tokio::join!(answering, asking);
    assert_eq!(bench.client.pool().counts().spare, CONNECTIONS);
    drop(streams);
    tokio::time::sleep(Duration::from_millis(50)).await;
    bench.client.pool().sweep();
    assert_eq!(bench.client.pool().counts().spare, 0);
}

#[tokio::test]
async fn a_line_end_that_some_do_not_see_is_malformed() {
    for text in [
        "HTTP/1.1 200 OK\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\n\r\nok",
        "HTTP/1.1 200 OK\r\nx:\n content-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx: \n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\nok",
        "HTTP/1.1 103 Early Hints\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ] {
        let (bench, listener) = Bench::start().await;
        let (got, _stream) = tokio::join!(bench.get(), answer(&listener, text.as_bytes()));
        assert_eq!(got, Err(TryEnd::Malformed), "{text:?}");
    }
}

#[tokio::test]
async fn an_endpoint_that_nobody_refers_to_any_more_is_let_go_of_with_its_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let endpoints = Endpoints::default();
    let clock = Clock::start();
    let client = Client::new(PoolLimits::default(), clock, 1);
    let mut bench = Bench { client, clock, endpoints: [endpoints.at(&address)] };
    let serve = async || {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1_024];
        assert_ne!(stream.read(&mut request).await.unwrap(), 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await.unwrap();
        stream
    };
    let (answer, _first) = tokio::join!(bench.get(), serve());
    assert_eq!(answer, Ok(b"hi".to_vec()));
    assert_eq!((bench.client.pool().counts().spare, bench.endpoints[0].open()), (1, 1));

    endpoints.retain(|_| false);
    bench.client.pool().sweep();
    let counts = bench.client.pool().counts();
    assert_eq!(
        (counts.spare, counts.made, bench.endpoints[0].open()),
        (0, 1, 0),
        "what was done stays counted"
    );

    // Another takes its place, with nothing of what was there.
    bench.endpoints = [endpoints.at(&address)];
    let (answer, _second) = tokio::join!(bench.get(), serve());
    assert_eq!(answer, Ok(b"hi".to_vec()));
    assert_eq!(bench.client.pool().counts().made, 2);
}

#[tokio::test]
async fn a_name_whose_addresses_are_known_is_not_looked_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let endpoint = Endpoints::default().at(&format!("nobody.invalid:{}", at.port()));
    let clock = Clock::start();
    let client = Client::new(PoolLimits::default(), clock, 1);
    let bench = Bench { client, clock, endpoints: [Arc::clone(&endpoint)] };
    assert_eq!(bench.get().await, Err(TryEnd::ConnectFailed));
    endpoint.is_at([at].into());
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1_024];
        assert_ne!(stream.read(&mut request).await.unwrap(), 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await.unwrap();
        stream
    };
    let (answer, _stream) = tokio::join!(bench.get(), serve);
    assert_eq!(answer, Ok(b"hi".to_vec()));
}
