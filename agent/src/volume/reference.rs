//! ConfigMaps and Secrets that pods of the node refer to: each watched by its name as long as somebody holds it, and
//! only then.

use crate::api::{Api, Seen, escape};
use base64::Engine;
use futures_util::StreamExt;
use parking_lot::Mutex;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Which kind an object is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    ConfigMap,
    Secret,
}

impl Kind {
    fn plural(self) -> &'static str {
        match self {
            Kind::ConfigMap => "configmaps",
            Kind::Secret => "secrets",
        }
    }

    /// As messages name it.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Kind::ConfigMap => "configmap",
            Kind::Secret => "secret",
        }
    }
}

/// The keys of a ConfigMap or Secret, decoded.
pub(crate) type Content = BTreeMap<String, Vec<u8>>;

/// What is known of an object: nothing yet, that it is not there, or its content.
pub(crate) type Known = Option<Option<Arc<Content>>>;

/// A watched object.
pub(crate) struct Reference {
    known: watch::Receiver<Known>,
    watcher: AbortHandle,
    api: Api,
    path: String,
    selector: String,
    stop: CancellationToken,
}

/// The last pod that needs the object has gone, or the agent stops and will need it again.
impl Drop for Reference {
    fn drop(&mut self) {
        self.watcher.abort();
        if !self.stop.is_cancelled() {
            self.api.forget(&self.path, &self.selector);
        }
    }
}

impl Reference {
    /// The content as soon as the API has said; none if there is no such object.
    pub(crate) async fn content(&self) -> Option<Arc<Content>> {
        let mut known = self.known.clone();
        known.wait_for(Option::is_some).await.ok().and_then(|known| known.clone().flatten())
    }

    /// Wakes at every change after this call.
    pub(crate) fn changes(&self) -> watch::Receiver<Known> {
        let mut known = self.known.clone();
        known.mark_unchanged();
        known
    }
}

type Name = (Kind, String, String);

/// All references of the node.
#[derive(Clone)]
pub(crate) struct References {
    api: Api,
    tasks: TaskTracker,
    stop: CancellationToken,
    watched: Arc<Mutex<HashMap<Name, Weak<Reference>>>>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Keyed {
    data: Option<BTreeMap<String, String>>,
    binary_data: Option<BTreeMap<String, String>>,
}

impl References {
    /// Watches run as tasks of `tasks`; `stop` is the agent's.
    pub(crate) fn new(api: Api, tasks: TaskTracker, stop: CancellationToken) -> References {
        References { api, tasks, stop, watched: Arc::default() }
    }

    /// The object of that name, watched from now on if it was not before.
    pub(crate) fn get(&self, kind: Kind, namespace: &str, name: &str) -> Arc<Reference> {
        let key = (kind, namespace.to_string(), name.to_string());
        let mut watched = self.watched.lock();
        if let Some(reference) = watched.get(&key).and_then(Weak::upgrade) {
            return reference;
        }
        watched.retain(|_, reference| reference.strong_count() > 0);
        let (sender, known) = watch::channel(None);
        let path = format!("/api/v1/namespaces/{}/{}", escape(namespace), kind.plural());
        let selector = format!("fieldSelector={}", escape(&format!("metadata.name={name}")));
        let events = self.api.watch_kept::<Keyed>(path.clone(), selector.clone());
        let watcher = self.tasks.spawn(follow(kind, events, sender)).abort_handle();
        let (api, stop) = (self.api.clone(), self.stop.clone());
        let reference = Arc::new(Reference { known, watcher, api, path, selector, stop });
        watched.insert(key, Arc::downgrade(&reference));
        reference
    }
}

async fn follow(
    kind: Kind,
    events: impl futures_util::Stream<Item = Seen<Keyed>>,
    known: watch::Sender<Known>,
) {
    let mut events = std::pin::pin!(events);
    while let Some(seen) = events.next().await {
        let content = match seen {
            Seen::Listed(list) | Seen::Recalled(list) => list.first().map(|object| content(kind, object)),
            Seen::Applied(object) => Some(content(kind, &object)),
            Seen::Deleted(_) => None,
        };
        let content = content.map(Arc::new);
        known.send_if_modified(|known| {
            let changed = known.as_ref() != Some(&content);
            *known = Some(content.clone());
            changed
        });
    }
}

fn content(kind: Kind, object: &Keyed) -> Content {
    let decode = |text: &String| base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
    let plain = object.data.iter().flatten();
    let mut content: Content = match kind {
        Kind::ConfigMap => plain.map(|(key, text)| (key.clone(), text.clone().into_bytes())).collect(),
        Kind::Secret => plain.map(|(key, text)| (key.clone(), decode(text))).collect(),
    };
    content.extend(object.binary_data.iter().flatten().map(|(key, text)| (key.clone(), decode(text))));
    content
}
