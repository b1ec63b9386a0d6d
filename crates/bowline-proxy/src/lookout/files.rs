//! Looks at files that list endpoints, and takes what they say once whoever writes them has finished.

use crate::found::{self, Kind, Looked};
use crate::proxy::Maker;
use bowline_call::Alarm;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;

/// How often a file is looked at. 250 ms: a change is seen in two looks, well within a second.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A task for each file.
pub(super) struct HostsFiles {
    maker: Arc<Maker>,
    tasks: BTreeMap<Arc<str>, AbortHandle>,
}

impl HostsFiles {
    pub(super) fn new(maker: &Arc<Maker>) -> Self {
        Self { maker: Arc::clone(maker), tasks: BTreeMap::new() }
    }

    /// Looks at these files, and at no others.
    pub(super) fn follow(&mut self, files: &BTreeSet<Arc<str>>) {
        self.tasks.retain(|file, task| {
            let stays = files.contains(file);
            if !stays {
                task.abort();
            }
            stays
        });
        for file in files {
            let maker = &self.maker;
            self.tasks.entry(Arc::clone(file)).or_insert_with(|| {
                let looking = look_again_and_again(Arc::clone(maker), Arc::clone(file));
                tokio::task::spawn_local(looking).abort_handle()
            });
        }
    }
}

/// What a look showed: the file's bytes, or why there are none.
#[derive(PartialEq, Eq)]
enum Sight {
    Bytes(Vec<u8>),
    Nothing(io::ErrorKind),
}

async fn look_again_and_again(maker: Arc<Maker>, file: Arc<str>) {
    let mut alarm = Alarm::new(maker.shared().clock);
    let mut before = None;
    let mut taken = None;
    loop {
        let sight = look(&maker, &file).await;
        // Twice the same: whoever was writing has finished.
        if before.as_ref() == Some(&sight) && taken.as_ref() != Some(&sight) {
            take(&maker, &file, &sight);
            taken = Some(sight);
        } else {
            before = Some(sight);
        }
        alarm.wait(maker.shared().clock.now() + LOOK_EVERY).await;
    }
}

/// Reads the file on a thread where that may take its time.
async fn look(maker: &Arc<Maker>, file: &Arc<str>) -> Sight {
    let (files, file) = (Arc::clone(&maker.shared().files), Arc::clone(file));
    match tokio::task::spawn_blocking(move || files.read(&file)).await {
        Ok(Ok(bytes)) => Sight::Bytes(bytes),
        Ok(Err(error)) => Sight::Nothing(error.kind()),
        Err(_) => Sight::Nothing(io::ErrorKind::Other),
    }
}

fn take(maker: &Arc<Maker>, file: &Arc<str>, sight: &Sight) {
    let listed = match sight {
        Sight::Bytes(bytes) => found::parse(file, bytes.clone()),
        Sight::Nothing(kind) => Err(kind.to_string()),
    };
    let sources = &maker.shared().sources;
    match listed {
        Ok(endpoints) => {
            let count = endpoints.len();
            let is_news = maker.found_file(file, endpoints);
            let looked = if is_news { Looked::Changed(count) } else { Looked::Same };
            if sources.went(file, Kind::File, looked) {
                tracing::warn!(file = &**file, "it can be read again");
            }
            if is_news {
                tracing::info!(file = &**file, count, "it lists other endpoints");
            }
        }
        Err(why) => {
            sources.went(file, Kind::File, Looked::Failed);
            tracing::error!(file = &**file, why, "what it listed before holds");
        }
    }
}
