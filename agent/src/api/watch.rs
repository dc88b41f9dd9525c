//! List and watch, for ever: what is there, then what changes, whatever becomes of the connection.

use super::{Api, ApiError, REQUEST_TIMEOUT, Retry, escape};
use crate::kept::Collection;
use futures_util::{Stream, StreamExt};
use http::{Method, Request};
use kube::core::WatchEvent;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

/// Objects asked for at once in a list.
const LIST_PAGE: u32 = 500;
/// How long one watch request lives, in seconds; it is resumed where it ended.
const WATCH_TIMEOUT_SECONDS: u32 = 290;
/// Silence after which a watch is taken for dead, though the server should have ended it.
const WATCH_SILENCE: Duration = Duration::from_secs(WATCH_TIMEOUT_SECONDS as u64 + 30);
/// How long a node that knows from before what there is waits for the first answer before it begins with that.
const RECALL_AFTER: Duration = Duration::from_secs(1);

/// What a watch tells.
#[derive(Clone, Debug)]
pub(crate) enum Seen<T> {
    /// Everything there is: what was known before and is not in it has gone.
    Listed(Vec<T>),
    /// What there was when the server was last heard; it comes first, if at all.
    Recalled(Vec<T>),
    /// Created or changed.
    Applied(T),
    /// Deleted, in its last state.
    Deleted(T),
}

impl Seen<Value> {
    /// What of it fits `T`; the rest is told in the log.
    fn typed<T: DeserializeOwned>(self, path: &str) -> Option<Seen<T>> {
        let read = |object: Value| {
            serde_json::from_value::<T>(object)
                .inspect_err(|error| tracing::warn!(path, %error, "an object that does not fit its kind"))
                .ok()
        };
        match self {
            Seen::Listed(objects) => Some(Seen::Listed(objects.into_iter().filter_map(read).collect())),
            Seen::Recalled(objects) => Some(Seen::Recalled(objects.into_iter().filter_map(read).collect())),
            Seen::Applied(object) => read(object).map(Seen::Applied),
            Seen::Deleted(object) => read(object).map(Seen::Deleted),
        }
    }
}

/// See [`Api::watch`] and [`Api::watch_kept`].
pub(super) fn follow<T>(
    api: &Api,
    path: String,
    selector: String,
    kept: Option<Collection>,
) -> impl Stream<Item = Seen<T>> + Send + use<T>
where
    T: DeserializeOwned + Send + 'static,
{
    let (api, retry, phase, has_begun) = (api.clone(), Retry::api(), Phase::List, false);
    let source = Source { api, path, selector };
    let state = Watch { source, retry, phase, kept, has_begun };
    let seen = futures_util::stream::unfold(state, |mut state| async move {
        let seen = state.next().await;
        Some((seen.typed(&state.source.path), state))
    });
    seen.filter_map(std::future::ready)
}

#[derive(Deserialize)]
struct List {
    metadata: ListMeta,
    #[serde(default)]
    items: Vec<Value>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ListMeta {
    resource_version: String,
    #[serde(rename = "continue")]
    token: Option<String>,
}

/// Objects, and the revision at which they are all that there is.
type Listed = (Vec<Value>, String);
type Events = std::pin::Pin<Box<dyn Stream<Item = kube::Result<WatchEvent<Value>>> + Send>>;

enum Phase {
    List,
    Resume(String),
    Stream(String, Events),
}

/// Where a list and a watch are asked for.
struct Source {
    api: Api,
    path: String,
    selector: String,
}

struct Watch {
    source: Source,
    retry: Retry,
    phase: Phase,
    kept: Option<Collection>,
    /// Something has been told.
    has_begun: bool,
}

impl Watch {
    async fn next(&mut self) -> Seen<Value> {
        let seen = self.hear().await;
        self.has_begun = true;
        seen
    }

    async fn hear(&mut self) -> Seen<Value> {
        loop {
            match std::mem::replace(&mut self.phase, Phase::List) {
                Phase::List => match self.begin().await {
                    Ok(seen) => return seen,
                    Err(error) => self.wait(&error).await,
                },
                Phase::Resume(revision) => match self.source.open(&revision).await {
                    Ok(events) => self.phase = Phase::Stream(revision, events),
                    Err(error) if error.code == 410 => self.phase = Phase::List,
                    Err(error) => {
                        self.wait(&error).await;
                        self.phase = Phase::Resume(revision);
                    }
                },
                Phase::Stream(revision, events) => {
                    if let Some(seen) = self.read(revision, events).await {
                        return seen;
                    }
                }
            }
        }
    }

    async fn begin(&mut self) -> Result<Seen<Value>, ApiError> {
        let (objects, revision) = match self.kept.as_ref().filter(|_| !self.has_begun) {
            None => self.source.list().await?,
            Some(kept) => match self.source.list_or_recall(kept).await? {
                Ok(listed) => listed,
                Err(recalled) => return Ok(Seen::Recalled(recalled)),
            },
        };
        self.retry.reset();
        self.phase = Phase::Resume(revision);
        Ok(self.keep(Seen::Listed(objects)))
    }

    fn keep(&mut self, seen: Seen<Value>) -> Seen<Value> {
        if let Some(kept) = &mut self.kept {
            kept.see(&seen);
        }
        seen
    }

    async fn wait(&mut self, error: &ApiError) {
        let delay = self.retry.delay();
        tracing::debug!(path = self.source.path, %error, ?delay, "watch failed, will try again");
        tokio::time::sleep(delay).await;
    }

    /// The next event; `None` when the phase has changed.
    async fn read(&mut self, mut revision: String, mut events: Events) -> Option<Seen<Value>> {
        loop {
            let event = tokio::time::timeout(WATCH_SILENCE, events.next()).await;
            let (object, deleted) = match event {
                Ok(Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)))) => (object, false),
                Ok(Some(Ok(WatchEvent::Deleted(object)))) => (object, true),
                Ok(Some(Ok(WatchEvent::Bookmark(bookmark)))) => {
                    revision = bookmark.metadata.resource_version;
                    continue;
                }
                Ok(Some(Ok(WatchEvent::Error(status)))) if status.code == 410 => return None,
                Ok(Some(Ok(WatchEvent::Error(status)))) => {
                    let error = ApiError { code: status.code, message: status.message };
                    self.wait(&error).await;
                    return None;
                }
                ended => {
                    if let Ok(Some(Err(error))) = ended {
                        self.wait(&error.into()).await;
                    }
                    self.phase = Phase::Resume(revision);
                    return None;
                }
            };
            self.retry.reset();
            if let Some(newer) = peapod_api::meta::text(&object, "metadata.resourceVersion") {
                revision = newer.to_string();
            }
            self.phase = Phase::Stream(revision, events);
            let seen = if deleted { Seen::Deleted(object) } else { Seen::Applied(object) };
            return Some(self.keep(seen));
        }
    }
}

impl Source {
    /// What there is; what there was, as `Err`, if it is known and the server does not say soon.
    async fn list_or_recall(&self, kept: &Collection) -> Result<Result<Listed, Vec<Value>>, ApiError> {
        let mut listing = std::pin::pin!(self.list());
        let heard = tokio::time::timeout(RECALL_AFTER, listing.as_mut()).await.ok();
        let answered = match &heard {
            Some(Err(error)) => (400..500).contains(&error.code),
            heard => heard.is_some(),
        };
        if !answered && let Some(recalled) = kept.recall().await {
            tracing::info!(
                path = self.path,
                "the server does not answer: beginning with what was there before"
            );
            return Ok(Err(recalled));
        }
        match heard {
            Some(heard) => heard.map(Ok),
            None => listing.await.map(Ok),
        }
    }

    fn url(&self, query: &str) -> String {
        let and = if self.selector.is_empty() { "" } else { "&" };
        format!("{}?{}{and}{query}", self.path, self.selector)
    }

    async fn list(&self) -> Result<Listed, ApiError> {
        let mut items = Vec::new();
        let mut query = format!("limit={LIST_PAGE}");
        loop {
            let url = self.url(&query);
            let page: List = self.api.send(Method::GET, &url, None).await?;
            items.extend(page.items);
            match page.metadata.token.filter(|token| !token.is_empty()) {
                Some(token) => query = format!("limit={LIST_PAGE}&continue={}", escape(&token)),
                None => return Ok((items, page.metadata.resource_version)),
            }
        }
    }

    async fn open(&mut self, revision: &str) -> Result<Events, ApiError> {
        let query = format!(
            "watch=true&allowWatchBookmarks=true&timeoutSeconds={WATCH_TIMEOUT_SECONDS}&resourceVersion={revision}"
        );
        let request = Request::builder().uri(self.url(&query)).body(Vec::new());
        let request = request.map_err(|error| ApiError { code: 0, message: error.to_string() })?;
        let opened = self.api.client.request_events::<Value>(request);
        match tokio::time::timeout(REQUEST_TIMEOUT, opened).await {
            Ok(events) => Ok(Box::pin(events?)),
            Err(_) => Err(ApiError { code: 0, message: "the watch was not answered".into() }),
        }
    }
}
