//! A destination that answers from a script, and what it saw.

use bowline::Try;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a scripted destination does with one try.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Answers this status after this many milliseconds.
    Status(u16, u64),
    /// Refuses the connection.
    Refuse,
    /// Breaks the connection after the request was sent.
    Reset,
    /// Never answers.
    Hang,
}

/// A destination that answers from a script, its last reply for ever.
#[derive(Clone, Debug)]
pub(crate) struct Callee {
    script: Arc<Mutex<Script>>,
}

#[derive(Debug)]
struct Script {
    replies: Vec<Reply>,
    asked: usize,
    effects: usize,
    under_way: usize,
    most_under_way: usize,
}

/// Counts a try as under way until it ends or is dropped.
struct UnderWay(Callee);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.script.lock().unwrap().under_way -= 1;
    }
}

impl Callee {
    pub(crate) fn new(replies: impl Into<Vec<Reply>>) -> Self {
        let script =
            Script { replies: replies.into(), asked: 0, effects: 0, under_way: 0, most_under_way: 0 };
        Self { script: Arc::new(Mutex::new(script)) }
    }

    /// From here on it answers so.
    pub(crate) fn now(&self, replies: impl Into<Vec<Reply>>) {
        let mut script = self.script.lock().unwrap();
        script.replies = replies.into();
        script.asked = 0;
    }

    /// How often it was asked since the script began.
    pub(crate) fn asked(&self) -> usize {
        self.script.lock().unwrap().asked
    }

    /// How often something happened there: every try that reached it and was not refused.
    pub(crate) fn effects(&self) -> usize {
        self.script.lock().unwrap().effects
    }

    /// Tries under way.
    pub(crate) fn under_way(&self) -> usize {
        self.script.lock().unwrap().under_way
    }

    /// The most tries that were ever under way at once.
    pub(crate) fn most_under_way(&self) -> usize {
        self.script.lock().unwrap().most_under_way
    }

    /// One try.
    pub(crate) async fn answer(&self, _try: Try) -> Result<http::Response<String>, std::io::Error> {
        let (reply, _under_way) = {
            let mut script = self.script.lock().unwrap();
            let reply = script.replies[script.asked.min(script.replies.len() - 1)].clone();
            script.asked += 1;
            script.effects += usize::from(!matches!(reply, Reply::Refuse));
            script.under_way += 1;
            script.most_under_way = script.most_under_way.max(script.under_way);
            (reply, UnderWay(self.clone()))
        };
        match reply {
            Reply::Status(status, after) => {
                tokio::time::sleep(Duration::from_millis(after)).await;
                Ok(http::Response::builder().status(status).body(format!("answer {status}")).unwrap())
            }
            Reply::Refuse => Err(std::io::ErrorKind::ConnectionRefused.into()),
            Reply::Reset => Err(std::io::ErrorKind::ConnectionReset.into()),
            Reply::Hang => std::future::pending().await,
        }
    }
}
