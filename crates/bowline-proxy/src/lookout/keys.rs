//! Asks issuers for their keys, each when its last answer no longer holds, and at once when a token names a key that
//! nobody knows.

use crate::found::{Kind, Looked};
use crate::proxy::Shared;
use crate::tokens::{KEY_SET_BYTES_MAX, Keyring, Keys};
use bowline_call::fetch::{Document, Fetched, fetch};
use bowline_call::tls::{Tls, TlsSettings, Trust};
use bowline_call::{Alarm, Http, Transport};
use bowline_design::resolved::access::KeySource;
use bowline_model::{Random, SplitMix64};
use bowline_policy::refresh::Refresh;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use tokio::task::AbortHandle;

/// A task for each issuer that is asked.
pub(super) struct IssuerKeys {
    here: Rc<Here>,
    /// By the address of their keyring, which they hold.
    tasks: BTreeMap<usize, AbortHandle>,
}

struct Here {
    shared: Arc<Shared>,
    seeds: RefCell<SplitMix64>,
}

impl IssuerKeys {
    pub(super) fn new(shared: &Arc<Shared>, seed: u64) -> Self {
        let here = Here { shared: Arc::clone(shared), seeds: RefCell::new(SplitMix64::new(seed)) };
        Self { here: Rc::new(here), tasks: BTreeMap::new() }
    }

    /// Asks for these keys, and no others.
    pub(super) fn follow(&mut self, keyrings: &[&Arc<Keyring>]) {
        let id = |keyring: &Arc<Keyring>| Arc::as_ptr(keyring).addr();
        self.tasks.retain(|known, task| {
            let stays = keyrings.iter().any(|keyring| id(keyring) == *known);
            if !stays {
                task.abort();
            }
            stays
        });
        for keyring in keyrings {
            let here = &self.here;
            self.tasks.entry(id(keyring)).or_insert_with(|| {
                let asking = Rc::clone(here).ask_again_and_again(Arc::clone(*keyring));
                tokio::task::spawn_local(asking).abort_handle()
            });
        }
    }
}

impl Here {
    async fn ask_again_and_again(self: Rc<Self>, keyring: Arc<Keyring>) {
        let shared = &self.shared;
        let name: Arc<str> = keyring.source().to_string().into();
        let mut rng = SplitMix64::new(self.seeds.borrow_mut().next_u64());
        let mut refresh = Refresh::new(shared.limits.keys);
        let mut alarm = Alarm::new(shared.clock);
        let mut questions = keyring.questions();
        loop {
            let question = *questions.borrow_and_update();
            let went = self.ask(&keyring, rng.next_u64()).await;
            let now = shared.clock.now();
            let due = match went {
                Ok((keys, fetched)) => {
                    let count = keys.count();
                    let is_news = keyring.learn(keys);
                    let looked = if is_news { Looked::Changed(count) } else { Looked::Same };
                    if shared.sources.went(&name, Kind::Keys, looked) {
                        tracing::warn!(keys = &*name, "the issuer answers again");
                    }
                    if is_news {
                        tracing::info!(keys = &*name, count, "the issuer has these keys");
                    }
                    refresh.learned(now, fetched.holds.unwrap_or(shared.limits.keys_hold), &mut rng)
                }
                Err(why) => {
                    if shared.sources.went(&name, Kind::Keys, Looked::Failed) {
                        let kept = keyring.keys().map_or(0, |keys| keys.count());
                        tracing::warn!(keys = &*name, why, kept, "what was known of an issuer's keys holds");
                    }
                    refresh.failed(now, &mut rng)
                }
            };
            keyring.answered(question);
            alarm.or_until(due, pin!(questions.changed())).await;
        }
    }

    /// # Errors
    /// Why there are no keys, for people.
    async fn ask(&self, keyring: &Keyring, seed: u64) -> Result<(Keys, Fetched), String> {
        let KeySource::Url { secure, host, port, path, ca } = keyring.source() else {
            return Err("they are in a file".to_owned());
        };
        let shared = &self.shared;
        let tls = match secure {
            false => None,
            true => {
                let settings = TlsSettings {
                    server_name: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
                    names: Vec::new(),
                    trust: ca.as_ref().map_or(Trust::System, |file| Trust::File(file.to_string())),
                    revoked: None,
                    own: None,
                };
                // Read anew each time: the file may hold others by now.
                let tls = Tls::load(&settings, false, &*shared.files).map_err(|error| {
                    let why = error.source().map(ToString::to_string).unwrap_or_default();
                    format!("{error}: {why}")
                })?;
                Some(Arc::new(tls))
            }
        };
        let usual = if *secure { 443 } else { 80 };
        let document = Document {
            path: path.to_string(),
            host: if *port == usual { host.to_string() } else { format!("{host}:{port}") },
            bytes_max: KEY_SET_BYTES_MAX,
            within: shared.limits.keys_within,
        };
        let transport = Transport { http: Http::One, tls, ..Transport::default() };
        let fetched = fetch(&document, &format!("{host}:{port}"), &transport, shared.clock, seed).await;
        let fetched = fetched.map_err(|why| why.to_string())?;
        let keys = Keys::parse(&fetched.bytes)?;
        Ok((keys, fetched))
    }
}
