//! A deadline over four hops, through the library alone: each hop takes its work and the ways off what is left, and
//! nobody works once the deadline is over, though no hop hears that its caller has gone.

use bowline::{Backoff, Incoming, Retry, Spans, deadline, guard};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tower::util::BoxCloneService;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

type Ask = Request<Empty<Bytes>>;
type Answer = Response<Empty<Bytes>>;
/// A hop as its caller sees it.
type Wire = BoxCloneService<Ask, Answer, std::io::Error>;

/// How long the first caller waits.
const PATIENCE: Duration = Duration::from_millis(200);

/// Work is done, and counted, in steps of this.
const STEP: Duration = Duration::from_millis(5);

/// What each hop works before it asks the next, and again before it answers: the fourth would not be through in time.
const WORK: Duration = Duration::from_millis(55);

/// How long a message is under way. Time left is handed on as a span, because clocks differ, so the way is not in it:
/// that is what each hop takes a millisecond off for.
const WAY: Duration = Duration::from_micros(500);

/// What was seen of all hops.
#[derive(Default)]
struct Seen {
    /// What each hop had left when a request came, in order.
    left: Vec<(usize, Option<Duration>)>,
    /// Steps of work of each hop.
    steps: [u32; 4],
    /// Steps after the first caller had given up.
    wasted: u32,
}

#[derive(Clone)]
struct World {
    until: Instant,
    seen: Arc<Mutex<Seen>>,
}

impl World {
    fn new() -> Self {
        Self { until: Instant::now() + PATIENCE, seen: Arc::default() }
    }

    async fn work(&self, hop: usize) {
        for _ in 0..WORK.as_millis() / STEP.as_millis() {
            sleep(STEP).await;
            let mut seen = self.seen.lock().unwrap();
            seen.steps[hop] += 1;
            seen.wasted += u32::from(self.until < Instant::now());
        }
    }
}

/// How a chain is built.
#[derive(Clone, Copy, Debug)]
struct Chain {
    grpc: bool,
    /// Whether the hops read what comes and obey it.
    heeds: bool,
}

impl Chain {
    fn ask(self) -> Ask {
        let kind = if self.grpc { "application/grpc" } else { "application/json" };
        Request::post("http://next/").header("content-type", kind).body(Empty::new()).unwrap()
    }

    /// Four hops, each of which asks the next.
    fn build(self, world: &World) -> Wire {
        let mut next: Option<Wire> = None;
        for hop in (0..4).rev() {
            let (world, behind) = (world.clone(), next.take());
            let serve = service_fn(move |_: Ask| {
                let (world, behind) = (world.clone(), behind.clone());
                async move {
                    world.seen.lock().unwrap().left.push((hop, deadline::remaining()));
                    world.work(hop).await;
                    if let Some(behind) = behind {
                        // It has more time of its own, and may try again: neither makes the deadline longer.
                        let name = format!("hop-{}", hop + 1);
                        let guard = guard(name)
                            .deadline(10.s())
                            .idempotent()
                            .seed(1)
                            .retry(Retry::tries(3).backoff(Backoff::full_jitter(5.ms(), 10.ms())));
                        let mut client = ServiceBuilder::new().layer(guard.layer()).service(behind);
                        let _whatever = client.call(self.ask()).await;
                    }
                    world.work(hop).await;
                    Ok::<_, std::io::Error>(Response::new(Empty::new()))
                }
            });
            next = Some(if self.heeds {
                wire(ServiceBuilder::new().layer(Incoming::layer().ending()).service(serve))
            } else {
                wire(serve)
            });
        }
        next.unwrap()
    }

    /// One request through all of it; what was seen when everything has come to rest.
    async fn run(self) -> Seen {
        let world = World::new();
        let chain = self.build(&world);
        let first = guard("hop-0");
        let mut client = ServiceBuilder::new().layer(first.layer()).service(chain);
        let answer = deadline::scope(PATIENCE, client.call(self.ask())).await;
        assert!(Instant::now() <= world.until, "{:?} late", Instant::now() - world.until);
        drop(answer);
        sleep(10.s()).await;
        Arc::try_unwrap(world.seen)
            .unwrap_or_else(|seen| Mutex::new(std::mem::take(&mut seen.lock().unwrap())))
            .into_inner()
            .unwrap()
    }
}

/// A network that tells no hop when its caller goes: what it was asked runs in a task of its own.
fn wire<S>(service: S) -> Wire
where
    S: Service<Ask, Response = Answer, Error = std::io::Error> + Clone + Send + 'static,
    S::Future: Send,
{
    BoxCloneService::new(service_fn(move |request: Ask| {
        let service = service.clone();
        async move {
            let answer = tokio::spawn(async move {
                sleep(WAY).await;
                service.oneshot(request).await
            });
            let answer = answer.await.map_err(std::io::Error::other)?;
            sleep(WAY).await;
            answer
        }
    }))
}

#[tokio::test(start_paused = true)]
async fn no_hop_works_after_the_deadline_and_each_takes_its_own_time_off_it() {
    for grpc in [false, true] {
        let seen = Chain { grpc, heeds: true }.run().await;
        assert_eq!(seen.wasted, 0, "grpc {grpc}: {:?}", seen.steps);
        assert!(seen.steps.iter().all(|steps| 0 < *steps), "all four began: {:?}", seen.steps);
        let left: Vec<_> = seen.left.iter().map(|(hop, left)| (*hop, left.expect("a deadline"))).collect();
        assert_eq!(left.iter().map(|(hop, _)| *hop).collect::<Vec<_>>(), [0, 1, 2, 3], "asked once each");
        assert!(left[0].1 <= PATIENCE - WAY);
        for pair in left.windows(2) {
            let spent = pair[0].1 - pair[1].1;
            assert!(WORK + WAY <= spent, "grpc {grpc}: {pair:?} is only {spent:?} less");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn hops_that_do_not_read_it_work_for_nobody() {
    let seen = Chain { grpc: false, heeds: false }.run().await;
    assert!(10 < seen.wasted, "this is what the deadline saves: {} steps", seen.wasted);
    assert!(seen.left.iter().all(|(_, left)| left.is_none()));
}

#[tokio::test(start_paused = true)]
async fn what_comes_too_late_is_not_begun() {
    let begun = Arc::new(Mutex::new(0));
    let count = Arc::clone(&begun);
    let server =
        ServiceBuilder::new().layer(Incoming::layer().ending()).service(service_fn(move |_: Ask| {
            *count.lock().unwrap() += 1;
            async { Ok::<_, std::io::Error>(Answer::default()) }
        }));
    // A millisecond is what the answer needs for its way back.
    let late = Request::get("/").header("x-envoy-expected-rq-timeout-ms", "1").body(Empty::new()).unwrap();
    assert_eq!(server.clone().oneshot(late).await.unwrap().status(), 504);
    let grpc = Request::post("/").header("content-type", "application/grpc").header("grpc-timeout", "500u");
    let answer = server.oneshot(grpc.body(Empty::new()).unwrap()).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["grpc-status"]),
        (200, &"4".parse::<http::HeaderValue>().unwrap())
    );
    assert_eq!(*begun.lock().unwrap(), 0);
}
