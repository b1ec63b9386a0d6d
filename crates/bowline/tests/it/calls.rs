//! `guard.call`, on paused time.

use crate::support::{Callee, Reply};
use bowline::outcome::OfHttp;
use bowline::{
    Backoff, Breaker, BreakerState, Bulkhead, Error, GiveUp, Guard, Outcome, Retry, Spans, deadline, guard,
    outcome,
};
use std::error::Error as _;
use std::time::Duration;
use tokio::time::Instant;

async fn call(guard: &Guard<OfHttp>, callee: &Callee) -> Result<u16, Error> {
    guard.call(|try_| callee.answer(try_)).await.map(|answer| answer.status().as_u16())
}

fn stock() -> Guard<OfHttp> {
    guard("inventory").classify(outcome::of_http).seed(7)
}

/// Three tries with a back-off of at most 25 ms, then 50 ms.
fn thrice() -> Retry {
    Retry::tries(3).backoff(Backoff::full_jitter(25.ms(), 250.ms()))
}

#[tokio::test(start_paused = true)]
async fn a_refused_try_is_followed_by_another_whatever_it_was() {
    let callee = Callee::new([Reply::Refuse, Reply::Refuse, Reply::Status(201, 5)]);
    let stock = stock().retry(thrice());
    assert_eq!(call(&stock, &callee).await.unwrap(), 201);
    assert_eq!((callee.asked(), callee.effects()), (3, 1));
    assert_eq!(stock.stats().tries(), 3);
}

#[tokio::test(start_paused = true)]
async fn after_an_unknown_outcome_only_what_is_idempotent_is_repeated() {
    let broken = [Reply::Reset, Reply::Status(503, 5), Reply::Status(200, 5)];
    let callee = Callee::new(broken.clone());
    let error = call(&stock().retry(thrice()), &callee).await.unwrap_err();
    assert_eq!(error.gave_up_because(), GiveUp::NotSafe);
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(
        error.to_string(),
        "inventory: gave up after 1 try: not safe to repeat; the last was cut off, outcome unknown"
    );
    assert_eq!(
        error.source().unwrap().to_string(),
        std::io::Error::from(std::io::ErrorKind::ConnectionReset).to_string()
    );
    assert_eq!(callee.effects(), 1);

    callee.now(broken);
    assert_eq!(call(&stock().idempotent().retry(thrice()), &callee).await.unwrap(), 200);
    assert_eq!(callee.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn by_key_means_with_a_key() {
    let stock = stock().idempotent_by_key().retry(thrice());
    let callee = Callee::new([Reply::Reset, Reply::Status(200, 0)]);
    assert_eq!(call(&stock, &callee).await.unwrap_err().gave_up_because(), GiveUp::NotSafe);

    callee.now([Reply::Reset, Reply::Status(200, 0)]);
    let keys = std::sync::Mutex::new(Vec::new());
    let answer = stock
        .call_by_key("order-17", |try_| {
            keys.lock()
                .unwrap()
                .extend(try_.headers().into_iter().filter(|(name, _)| *name == "idempotency-key"));
            callee.answer(try_)
        })
        .await;
    assert_eq!(answer.unwrap().status(), 200);
    let key = ("idempotency-key", "order-17".to_owned());
    assert_eq!(*keys.lock().unwrap(), [key.clone(), key]);
}

#[tokio::test(start_paused = true)]
async fn a_404_is_an_answer_and_a_503_comes_back_in_the_error() {
    let callee = Callee::new([Reply::Status(404, 1)]);
    let stock = stock().idempotent().retry(thrice());
    assert_eq!(call(&stock, &callee).await.unwrap(), 404);
    assert_eq!(callee.asked(), 1);

    callee.now([Reply::Status(503, 1)]);
    let error = call(&stock, &callee).await.unwrap_err();
    assert_eq!(error.gave_up_because(), GiveUp::TriesExhausted);
    assert_eq!((error.tries(), error.status()), (3, Some(503)));
    let answer = error.into_answer::<http::Response<String>>().unwrap();
    assert_eq!(answer.body(), "answer 503");
}

#[tokio::test(start_paused = true)]
async fn without_a_classifier_ok_is_succeeded_and_err_is_unknown() {
    let callee = Callee::new([Reply::Status(500, 1)]);
    let plain = guard("inventory").retry(thrice());
    assert_eq!(plain.call(|try_| callee.answer(try_)).await.unwrap().status(), 500);
    callee.now([Reply::Refuse]);
    let error = plain.call(|try_| callee.answer(try_)).await.unwrap_err();
    assert_eq!(error.gave_up_because(), GiveUp::NotSafe);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_callee_is_left_at_the_deadline() {
    let callee = Callee::new([Reply::Hang]);
    let began = Instant::now();
    let error = call(&stock().deadline(300.ms()).idempotent().retry(thrice()), &callee).await.unwrap_err();
    assert_eq!(began.elapsed(), 300.ms());
    assert!(error.is_timeout() && error.is_deadline());
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!((callee.asked(), callee.under_way()), (1, 0), "no try after it, none left behind");
}

#[tokio::test(start_paused = true)]
async fn a_try_that_takes_too_long_is_followed_by_another_that_fits() {
    let callee = Callee::new([Reply::Hang, Reply::Status(200, 10)]);
    let stock = stock().deadline(300.ms()).idempotent().retry(thrice().per_try(120.ms()));
    let began = Instant::now();
    assert_eq!(call(&stock, &callee).await.unwrap(), 200);
    assert!((130.ms()..=156.ms()).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_try_that_would_not_fit_is_not_begun() {
    let callee = Callee::new([Reply::Status(503, 259)]);
    let stock = stock()
        .deadline(300.ms())
        .idempotent()
        .retry(Retry::tries(2).backoff(Backoff::equal_jitter(100.ms(), 250.ms())));
    let error = call(&stock, &callee).await.unwrap_err().context("stock of A47");
    assert_eq!(
        error.to_string(),
        "stock of A47: gave up after 1 try: deadline too close (41 ms left); the last answered 503, outcome unknown"
    );
    assert_eq!(error.remaining(), 41.ms());
}

#[tokio::test(start_paused = true)]
async fn a_nested_guard_takes_the_smaller_deadline() {
    let callee = Callee::new([Reply::Hang]);
    let patient = stock().deadline(10.s());
    let began = Instant::now();
    let error = deadline::scope(200.ms(), call(&patient, &callee)).await.unwrap_err();
    assert_eq!(began.elapsed(), 200.ms());
    assert!(error.is_deadline());

    // And the other way round: what is being served may take long, the guard may not.
    let hasty = stock().deadline(50.ms());
    let began = Instant::now();
    deadline::scope(10.s(), call(&hasty, &callee)).await.unwrap_err();
    assert_eq!(began.elapsed(), 50.ms());
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_caller_has_no_time_left_is_not_tried() {
    let callee = Callee::new([Reply::Status(200, 0)]);
    let error = deadline::scope(Duration::ZERO, call(&stock(), &callee)).await.unwrap_err();
    assert_eq!(error.to_string(), "inventory: not tried: deadline exceeded");
    assert_eq!(callee.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_breaker_opens_falls_back_and_recovers() {
    let callee = Callee::new([Reply::Status(500, 1)]);
    let stock =
        stock().breaker(Breaker::ratio(0.5).over(10.s()).at_least(20).reset(10.s()).probes(3).ramp(1.s()));
    for _ in 0..20 {
        assert!(!call(&stock, &callee).await.unwrap_err().is_open());
    }
    assert_eq!(stock.stats().breaker(), Some(BreakerState::Open));

    // Open: nothing is sent, and the caller knows what to do.
    let opened = Instant::now();
    callee.now([Reply::Status(200, 1)]);
    while opened.elapsed() < 9.s() {
        let stock = match call(&stock, &callee).await {
            Err(e) if e.is_open() => "last known stock",
            other => panic!("{other:?}"),
        };
        assert_eq!(stock, "last known stock");
        tokio::time::advance(500.ms()).await;
    }
    assert_eq!(callee.asked(), 0);

    // Up to a quarter longer at random; then probes, then a ramp, then as before.
    tokio::time::advance(5.s()).await;
    for _ in 0..3 {
        assert_eq!(call(&stock, &callee).await.unwrap(), 200);
    }
    tokio::time::advance(2.s()).await;
    assert_eq!(call(&stock, &callee).await.unwrap(), 200);
    assert_eq!(stock.stats().breaker(), Some(BreakerState::Closed));
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_says_when_to_ask_again() {
    let callee = Callee::new([Reply::Reset]);
    let stock = stock().breaker(Breaker::consecutive(2).reset(10.s()));
    for _ in 0..2 {
        call(&stock, &callee).await.unwrap_err();
    }
    let error = call(&stock, &callee).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Refused, "nothing was sent: ask elsewhere");
    let after = error.retry_after().unwrap();
    assert!((9_900.ms()..=12_500.ms()).contains(&after), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_costs_the_budget_and_no_more() {
    let callee = Callee::new([Reply::Refuse]);
    let retry = thrice().backoff(Backoff::none()).budget(0.2);
    let stock = stock().retry(retry);
    let mut denied = 0;
    for _ in 0..2_000 {
        let error = call(&stock, &callee).await.unwrap_err();
        denied += usize::from(error.gave_up_because() == GiveUp::BudgetExhausted);
    }
    // 20 % of 2,000 calls, and 10 a second over the window of 10 s.
    let extra = callee.asked() - 2_000;
    assert!((400..=505).contains(&extra), "{extra} extra tries");
    assert!(denied > 1_000, "{denied} denied");
}

#[tokio::test(start_paused = true)]
async fn a_full_bulkhead_queues_then_refuses() {
    let callee = Callee::new([Reply::Status(200, 100)]);
    let stock = stock().bulkhead(Bulkhead::of(2).queue(1, 500.ms()));
    let calls = (0..4).map(|_| {
        let (stock, callee) = (stock.clone(), callee.clone());
        tokio::spawn(async move { call(&stock, &callee).await })
    });
    let mut ends = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        ends.push(call.await.unwrap());
    }
    let full: Vec<_> = ends.iter().filter_map(|end| end.as_ref().err()).collect();
    assert_eq!(full.len(), 1, "two run, one waits, one is refused");
    assert!(full[0].is_full());
    assert_eq!(full[0].outcome(), Outcome::Refused);
    assert_eq!(callee.most_under_way(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_wait_in_the_queue_has_an_end() {
    let callee = Callee::new([Reply::Hang]);
    let stock = stock().bulkhead(Bulkhead::of(1).queue(1, 20.ms()));
    let held = tokio::spawn({
        let (stock, callee) = (stock.clone(), callee.clone());
        async move { call(&stock, &callee).await }
    });
    tokio::task::yield_now().await;
    let began = Instant::now();
    let error = call(&stock, &callee).await.unwrap_err();
    assert_eq!((began.elapsed(), error.gave_up_because()), (20.ms(), GiveUp::QueueTimedOut));
    held.abort();
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_gives_everything_back() {
    let callee = Callee::new([Reply::Hang]);
    let stock = stock().bulkhead(Bulkhead::of(1)).breaker(Breaker::consecutive(1).probes(1).reset(1.s()));
    tokio::time::timeout(10.ms(), call(&stock, &callee)).await.unwrap_err();
    assert_eq!((callee.under_way(), stock.stats().running()), (0, Some(0)));
    assert_eq!(stock.stats().ended(GiveUp::Cancelled), 1);
    assert_eq!(
        stock.stats().breaker(),
        Some(BreakerState::Closed),
        "a caller that left says nothing about health"
    );

    // The same for a probe: its lease must come back, or the breaker would stay half-open for ever.
    callee.now([Reply::Reset]);
    call(&stock, &callee).await.unwrap_err();
    tokio::time::advance(2.s()).await;
    callee.now([Reply::Hang]);
    tokio::time::timeout(10.ms(), call(&stock, &callee)).await.unwrap_err();
    callee.now([Reply::Status(200, 1)]);
    assert_eq!(call(&stock, &callee).await.unwrap(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_others_try_again_is_repeated_only_after_a_refusal() {
    let second = bowline::Incoming::nothing().try_number(2);
    let stock = stock().idempotent().retry(thrice());
    let callee = Callee::new([Reply::Status(503, 1)]);
    let error = second.clone().scope(call(&stock, &callee)).await.unwrap_err();
    assert_eq!(error.gave_up_because(), GiveUp::RetriedElsewhere);
    callee.now([Reply::Refuse, Reply::Status(200, 1)]);
    assert_eq!(second.scope(call(&stock, &callee)).await.unwrap(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_try_tells_the_next_hop_what_it_should_know() {
    let stock = stock().deadline(300.ms()).retry(thrice().per_try(120.ms()));
    let incoming =
        bowline::Incoming::nothing().traced("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let callee = Callee::new([Reply::Status(200, 0)]);
    let mut seen = http::HeaderMap::new();
    let work = stock.call(|try_| {
        seen = try_.headers().into();
        callee.answer(try_)
    });
    incoming.scope(work).await.unwrap();
    assert_eq!(seen["x-envoy-expected-rq-timeout-ms"], "120");
    assert_eq!(seen["x-bowline-try"], "1");
    let traceparent = seen["traceparent"].to_str().unwrap();
    assert!(traceparent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{traceparent}");
    assert!(!traceparent.contains("00f067aa0ba902b7"), "a span of its own");
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_does_not_retry_leaves_it_to_the_layers_behind() {
    let callee = Callee::new([Reply::Status(200, 0)]);
    let stock = stock();
    let mut marked = true;
    let work = stock.call(|try_| {
        marked = try_.headers().into_iter().any(|(name, _)| name == "x-bowline-try");
        callee.answer(try_)
    });
    work.await.unwrap();
    assert!(!marked);
}

#[test]
fn a_call_may_move_between_threads() {
    fn moves<T: Send>(_: &T) {}
    let (stock, callee) = (stock(), Callee::new([Reply::Hang]));
    moves(&call(&stock, &callee));
    moves(&stock);
}

/// Ten thousand calls, each against a script of its own: whatever the callee does, an effect is not
/// repeated unless somebody said that it may be.
#[tokio::test(start_paused = true)]
async fn no_script_makes_a_guard_repeat_an_effect() {
    use bowline_model::Random as _;
    let mut random = bowline_model::SplitMix64::new(42);
    let retry =
        Retry::tries(4).per_try(50.ms()).backoff(Backoff::full_jitter(5.ms(), 20.ms())).without_budget();
    let (stock, repeatable) =
        (stock().deadline(300.ms()).retry(retry.clone()), stock().idempotent().retry(retry));
    let (mut repeated, mut tries) = (0, 0);
    for number in 0..10_000 {
        let replies: Vec<_> = (0..5)
            .map(|_| match random.below(6) {
                0 => Reply::Status(200, random.below(70)),
                1 => Reply::Status(503, random.below(70)),
                2 => Reply::Reset,
                3 => Reply::Hang,
                _ => Reply::Refuse,
            })
            .collect();
        let callee = Callee::new(replies.clone());
        let _ = call(&stock, &callee).await;
        assert!(callee.effects() <= 1, "call {number}: {replies:?}");
        assert_eq!(callee.under_way(), 0, "call {number} left a try behind: {replies:?}");
        tries += callee.asked();

        let callee = Callee::new(replies);
        let _ = call(&repeatable, &callee).await;
        repeated += usize::from(1 < callee.effects());
    }
    assert!(
        12_000 < tries && 1_000 < repeated,
        "too quiet to prove anything: {tries} tries, {repeated} repeated"
    );
}
