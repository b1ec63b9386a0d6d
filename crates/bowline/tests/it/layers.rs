//! The layers around HTTP services, and reqwest through the guard.

use bowline::layer::Replay;
use bowline::{
    Backoff, Breaker, BreakerState, Bulkhead, GiveUp, Guard, Incoming, Outcome, Retry, Spans, guard, outcome,
};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use std::convert::Infallible;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use tower::{Service, ServiceBuilder, ServiceExt as _, service_fn};

/// What the service saw, in order.
type Seen = Arc<Mutex<Vec<(http::HeaderMap, Bytes)>>>;

/// A client whose server answers these statuses, the last for ever.
fn client<C>(
    guard: &Guard<C>,
    statuses: &'static [u16],
    seen: &Seen,
) -> impl Service<
    Request<Full<Bytes>>,
    Response = Response<bowline::layer::Watched<Full<Bytes>>>,
    Error = bowline::Error,
> + Clone
+ use<C>
where
    C: bowline::Classify<Response<()>, Infallible> + Clone + Send + Sync + 'static,
{
    let seen = Arc::clone(seen);
    let service = service_fn(move |request: Request<Full<Bytes>>| {
        let seen = Arc::clone(&seen);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let mut seen = seen.lock().unwrap();
            let status = statuses[seen.len().min(statuses.len() - 1)];
            seen.push((head.headers, body));
            let answer = Response::builder().status(status);
            Ok::<_, Infallible>(answer.body(Full::new(Bytes::from(format!("answer {status}")))).unwrap())
        }
    });
    ServiceBuilder::new().layer(guard.layer()).service(service)
}

fn request(method: Method, body: &'static str) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri("http://inventory/stock")
        .body(Full::new(Bytes::from(body)))
        .unwrap()
}

fn thrice() -> Retry {
    Retry::tries(3).backoff(Backoff::none())
}

#[tokio::test(start_paused = true)]
async fn a_get_is_repeated_and_a_post_is_not() {
    let stock = guard("inventory").retry(thrice());
    let check = async |method: Method, tries: usize, status: u16| {
        let seen = Seen::default();
        let answer =
            client(&stock, &[503, 200], &seen).oneshot(request(method.clone(), "two")).await.unwrap();
        assert_eq!((answer.status().as_u16(), seen.lock().unwrap().len()), (status, tries), "{method}");
        assert!(seen.lock().unwrap().iter().all(|(_, body)| body == "two"), "the body comes whole each time");
    };
    check(Method::GET, 2, 200).await;
    check(Method::PUT, 2, 200).await;
    check(Method::DELETE, 2, 200).await;
    check(Method::POST, 1, 503).await;
    check(Method::PATCH, 1, 503).await;
}

#[tokio::test(start_paused = true)]
async fn a_declaration_beats_the_method() {
    let seen = Seen::default();
    let stock = guard("inventory").idempotent().retry(thrice());
    client(&stock, &[503, 200], &seen).oneshot(request(Method::POST, "")).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 2);

    let seen = Seen::default();
    let stock = guard("inventory").not_idempotent().retry(thrice());
    client(&stock, &[503, 200], &seen).oneshot(request(Method::PUT, "")).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_post_with_a_key_is_repeated_where_the_callee_honours_keys() {
    let with_key = || {
        let mut request = request(Method::POST, "two");
        request.headers_mut().insert("idempotency-key", "order-17".parse().unwrap());
        request
    };
    let check = async |stock: Guard, expected: usize| {
        let seen = Seen::default();
        client(&stock, &[503, 200], &seen).oneshot(with_key()).await.unwrap();
        assert_eq!(seen.lock().unwrap().len(), expected);
    };
    check(guard("inventory").retry(thrice()).idempotent_by_key(), 2).await;
    check(guard("inventory").retry(thrice()), 1).await; // a header alone is no consent
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_is_handed_through_with_its_body() {
    let stock = guard("inventory").retry(thrice());
    let answer = client(&stock, &[503], &Seen::default()).oneshot(request(Method::GET, "")).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["x-retry-exhausted"], "tries", "whoever passes it on does not multiply them");
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "answer 503");
    assert_eq!(stock.stats().ended(GiveUp::TriesExhausted), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_used_up_is_named_and_one_try_is_nothing_that_was() {
    let said = async |stock: Guard, method| {
        let answer = client(&stock, &[503], &Seen::default()).oneshot(request(method, "")).await.unwrap();
        answer.headers().get("x-retry-exhausted").map(|what| what.to_str().unwrap().to_owned())
    };
    assert_eq!(said(guard("inventory"), Method::GET).await, None);
    assert_eq!(said(guard("inventory").retry(thrice()), Method::POST).await, None, "not safe to repeat");
    let budget = guard("inventory").retry(thrice().budget(0.0));
    let words: Vec<_> = used_up_in(&budget, 80).await;
    assert!(words.iter().any(|what| what.as_deref() == Some("budget")), "{words:?}");
}

/// What is said to be used up in so many answers, one after the other.
async fn used_up_in(stock: &Guard, calls: usize) -> Vec<Option<String>> {
    let mut said = Vec::new();
    for _ in 0..calls {
        let client = client(stock, &[503], &Seen::default());
        let answer = client.oneshot(request(Method::GET, "")).await.unwrap();
        said.push(answer.headers().get("x-retry-exhausted").map(|what| what.to_str().unwrap().to_owned()));
    }
    said
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_is_an_error_that_says_so() {
    let stock = guard("inventory").breaker(Breaker::consecutive(1));
    let seen = Seen::default();
    let client = client(&stock, &[500], &seen);
    client.clone().oneshot(request(Method::GET, "")).await.unwrap();
    let error = client.oneshot(request(Method::GET, "")).await.unwrap_err();
    assert!(error.is_open());
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_guards_own_classifier_sees_the_head() {
    let stock =
        guard("inventory").retry(thrice()).classify(|head: &Result<Response<()>, Infallible>| match head {
            Ok(head) if head.status() == 409 => Outcome::Unknown,
            _ => Outcome::Succeeded,
        });
    let seen = Seen::default();
    let answer = client(&stock, &[409, 500], &seen).oneshot(request(Method::GET, "")).await.unwrap();
    assert_eq!((answer.status().as_u16(), seen.lock().unwrap().len()), (500, 2));
}

#[tokio::test(start_paused = true)]
async fn who_asks_to_slow_down_is_left_alone_for_as_long_as_it_says() {
    let slow_down = |retry_after: Option<&'static str>| {
        let asked = Arc::new(Mutex::new(0));
        let service = service_fn(move |_: Request<Full<Bytes>>| {
            let mut asked = asked.lock().unwrap();
            *asked += 1;
            let status = if *asked == 1 { 429 } else { 200 };
            let mut answer = Response::builder().status(status).body(Full::new(Bytes::new())).unwrap();
            if let Some(after) = retry_after {
                answer.headers_mut().insert("retry-after", after.parse().unwrap());
            }
            async move { Ok::<_, Infallible>(answer) }
        });
        ServiceBuilder::new().layer(guard("inventory").retry(thrice()).layer()).service(service)
    };
    let began = tokio::time::Instant::now();
    let answer = slow_down(Some("2")).oneshot(request(Method::POST, "")).await.unwrap();
    assert_eq!((answer.status().as_u16(), began.elapsed()), (200, 2.s()));
    let answer = slow_down(None).oneshot(request(Method::POST, "")).await.unwrap();
    assert_eq!(answer.status(), 429, "it named no time, and from here there is no other to ask");
}

#[tokio::test(start_paused = true)]
async fn a_place_is_kept_until_the_body_is_through() {
    let stock = guard("inventory").bulkhead(Bulkhead::of(1));
    let client = client(&stock, &[200], &Seen::default());
    let answer = client.clone().oneshot(request(Method::GET, "")).await.unwrap();
    assert_eq!(stock.stats().running(), Some(1));
    assert!(client.clone().oneshot(request(Method::GET, "")).await.unwrap_err().is_full());
    answer.into_body().collect().await.unwrap();
    assert_eq!(stock.stats().running(), Some(0));
    client.oneshot(request(Method::GET, "")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_permit_is_not_taken_by_a_service_that_is_merely_ready() {
    let stock = guard("inventory").bulkhead(Bulkhead::of(1));
    let mut idle = client(&stock, &[200], &Seen::default());
    idle.ready().await.unwrap();
    assert_eq!(stock.stats().running(), Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_never_ready_runs_into_the_deadline() {
    #[derive(Clone)]
    struct NeverReady;
    impl Service<Request<Full<Bytes>>> for NeverReady {
        type Response = Response<Full<Bytes>>;
        type Error = Infallible;
        type Future = std::future::Pending<Result<Self::Response, Infallible>>;
        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
            std::task::Poll::Pending
        }
        fn call(&mut self, _: Request<Full<Bytes>>) -> Self::Future {
            std::future::pending()
        }
    }
    let stock = guard("inventory").deadline(300.ms());
    let service = ServiceBuilder::new().layer(stock.layer()).service(NeverReady);
    let error = service.oneshot(request(Method::GET, "")).await.unwrap_err();
    assert!(error.is_deadline());
}

#[tokio::test(start_paused = true)]
async fn a_server_hands_the_deadline_to_the_guards_inside() {
    let stock = guard("inventory").deadline(10.s()).retry(thrice());
    let seen = Seen::default();
    let inner = client(&stock, &[200], &seen);
    let mut server = ServiceBuilder::new().layer(Incoming::layer()).service(inner);
    let mut arriving = request(Method::GET, "");
    arriving.headers_mut().insert("x-envoy-expected-rq-timeout-ms", "250".parse().unwrap());
    server.ready().await.unwrap().call(arriving).await.unwrap();
    // One less than arrived: the answer has to travel back.
    assert_eq!(seen.lock().unwrap()[0].0["x-envoy-expected-rq-timeout-ms"], "249");
}

#[tokio::test(start_paused = true)]
async fn anything_that_can_be_cloned_can_be_asked() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let service = service_fn(move |question: &'static str| {
        seen.lock().unwrap().push(question);
        let is_first = seen.lock().unwrap().len() == 1;
        async move { if is_first { Err(std::io::Error::other("broken")) } else { Ok(42) } }
    });
    let answers = guard("oracle").idempotent().retry(thrice());
    let oracle = ServiceBuilder::new().layer(answers.any_layer()).service(service);
    assert_eq!(oracle.oneshot("all of it?").await.unwrap(), 42);
    assert_eq!(*asked.lock().unwrap(), ["all of it?", "all of it?"]);
}

#[test]
fn what_can_be_cloned_can_be_sent_again() {
    assert_eq!(String::from("two").again().as_deref(), Some("two"));
}

/// A server that answers these statuses on one connection after another.
fn serve(statuses: &'static [u16]) -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for status in statuses {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4_096]).unwrap();
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\nconnection: close\r\n\r\n17");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    address
}

#[tokio::test]
async fn reqwest_is_guarded_as_written_in_the_front_page() {
    let url = format!("http://{}/stock/A47", serve(&[503, 200]));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let stock = guard("inventory").deadline(5.s()).classify(outcome::of_http).idempotent().retry(thrice());
    let answer = stock
        .call(|try_| http.get(&url).timeout(try_.remaining()).headers(try_.headers().into()).send())
        .await
        .unwrap();
    assert_eq!(answer.text().await.unwrap(), "17");
    assert_eq!(stock.stats().tries(), 2);
}

#[tokio::test]
async fn reqwest_that_cannot_connect_is_refused_and_repeated_whatever_it_was() {
    let address = serve(&[]);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let stock =
        guard("inventory").classify(outcome::of_http).retry(thrice()).breaker(Breaker::consecutive(100));
    // The listener goes away with its thread; until then a connection would be accepted and closed.
    while std::net::TcpStream::connect(address).is_ok() {
        tokio::task::yield_now().await;
    }
    let url = format!("http://{address}/");
    let error = stock.call(|_| http.post(&url).send()).await.unwrap_err();
    assert_eq!((error.outcome(), error.tries()), (Outcome::Refused, 3));
    assert_eq!(stock.stats().breaker(), Some(BreakerState::Closed));
}
