//! What the log shows. A program of its own: which thread listens to `tracing` is decided for a whole
//! process, so tests beside it would race for it.

use bowline::{Breaker, Spans, guard, outcome};

/// What a person reads in the log, as a dashboard would find it.
#[tokio::test(start_paused = true)]
async fn decisions_show_as_tracing_events() {
    #[derive(Clone, Default)]
    struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    let listening = tracing::subscriber::set_default(subscriber);
    let stock = guard("inventory").classify(outcome::of_http).seed(7).deadline(300.ms());
    let stock = stock.breaker(Breaker::consecutive(1).reset(10.s()));
    for _ in 0..2 {
        let broken = |_| async {
            tokio::time::sleep(80.ms()).await;
            Ok::<_, std::io::Error>(http::Response::builder().status(503).body(()).unwrap())
        };
        stock.call(broken).await.unwrap_err();
    }
    drop(listening);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for expected in [
        r#"DEBUG bowline: deadline 300 ms (policy) guard=inventory decision="deadline-set""#,
        "try 1 answered 503 after 80 ms: outcome unknown",
        r#"WARN bowline: breaker closed -> open: consecutive failures guard=inventory decision="breaker-moved""#,
        "no retry: not safe to repeat",
        "no try: breaker open",
    ] {
        assert!(log.contains(expected), "{expected:?} is not in\n{log}");
    }
}
