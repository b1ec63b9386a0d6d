//! The thread that looks after hosts while workers serve.
//!
//! Why not the workers. A host is asked once for the whole process, however many workers there are, and what
//! waits for hosts that do not answer must not wait where requests are served. The thread is started with the
//! first design that has something to look after.

mod checks;
mod files;
mod keys;
mod names;

use crate::proxy::Maker;
use checks::Checks;
use files::HostsFiles;
use keys::IssuerKeys;
use names::Names;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::mpsc;

/// The thread, as the one who makes snapshots sees it.
#[derive(Debug)]
pub(crate) struct Lookout {
    news: mpsc::UnboundedSender<News>,
    thread: JoinHandle<()>,
}

enum News {
    /// Another snapshot holds.
    Snapshot,
    /// It is over.
    Stop,
}

impl Lookout {
    /// Starts the thread.
    ///
    /// # Errors
    /// The machine has no more threads.
    pub(crate) fn start(maker: &Arc<Maker>, seed: u64) -> io::Result<Self> {
        let (news, receiver) = mpsc::unbounded_channel();
        let maker = Arc::clone(maker);
        let thread = std::thread::Builder::new()
            .name("bowline-lookout".to_owned())
            .spawn(move || run(&maker, seed, receiver))?;
        Ok(Self { news, thread })
    }

    /// Another snapshot holds.
    pub(crate) fn follow(&self) {
        let _ = self.news.send(News::Snapshot);
    }

    /// Ends the thread, and what it has under way. Whoever holds what [`Maker`] locks must not wait here.
    pub(crate) fn stop(self) {
        let _ = self.news.send(News::Stop);
        let _ = self.thread.join();
    }
}

fn run(maker: &Arc<Maker>, seed: u64, mut news: mpsc::UnboundedReceiver<News>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default());
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "hosts are not looked after");
            return;
        }
    };
    runtime.block_on(async {
        let mut checks = Checks::new(maker.shared(), seed);
        let mut names = Names::new(maker, seed.rotate_left(32));
        let mut files = HostsFiles::new(maker);
        let mut keys = IssuerKeys::new(maker.shared(), seed.rotate_left(16));
        while let Some(News::Snapshot) = news.recv().await {
            let snapshot = maker.shared().snapshot.load_full();
            checks.follow(&snapshot);
            names.follow(snapshot.names());
            files.follow(snapshot.lists());
            let asked: Vec<_> = snapshot.tokens().into_iter().flat_map(|tokens| tokens.asked()).collect();
            keys.follow(&asked);
        }
    });
}
