//! The agent's way to the API: a few verbs over paths, and one list-and-watch that goes on for ever.

use crate::kept::{Collection, Kept};
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
/// How long any other request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Content type of a merge patch (RFC 7386).
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";

/// Delays between attempts: doubling from `first` to `last`, each lengthened by up to a half so that nodes spread.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    first: Duration,
    last: Duration,
    next: Duration,
}

impl Retry {
    pub(crate) fn new(first: Duration, last: Duration) -> Retry {
        Retry { first, last, next: first }
    }

    /// For requests to the API.
    pub(crate) fn api() -> Retry {
        Retry::new(Duration::from_millis(100), Duration::from_secs(15))
    }

    /// The delay before the next attempt.
    pub(crate) fn delay(&mut self) -> Duration {
        let delay = self.next;
        self.next = (self.next * 2).min(self.last);
        delay + delay.mul_f64(fastrand::f64() / 2.0)
    }

    /// Whether nothing has failed since the last success.
    pub(crate) fn is_fresh(&self) -> bool {
        self.next == self.first
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Why a request failed: the HTTP code (0 if there was no answer) and words.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ApiError {
    pub(crate) code: u16,
    pub(crate) message: String,
}

impl From<kube::Error> for ApiError {
    fn from(error: kube::Error) -> ApiError {
        match error {
            kube::Error::Api(status) => ApiError { code: status.code, message: status.message.clone() },
            other => ApiError { code: 0, message: other.to_string() },
        }
    }
}

/// A client with the verbs that the agent uses.
#[derive(Clone)]
pub(crate) struct Api {
    client: kube::Client,
    kept: Option<Kept>,
}

impl Api {
    pub(crate) fn new(client: kube::Client) -> Api {
        Api { client, kept: None }
    }

    /// One whose [`Api::watch_kept`] keeps what it sees.
    pub(crate) fn keeping(self, kept: Option<Kept>) -> Api {
        Api { kept, ..self }
    }

    /// Sends one request and reads a JSON answer.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, &Value)>,
    ) -> Result<T, ApiError> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some((content_type, _)) = body {
            request = request.header(http::header::CONTENT_TYPE, content_type);
        }
        let bytes = body.map(|(_, value)| value.to_string().into_bytes()).unwrap_or_default();
        let request =
            request.body(bytes).map_err(|error| ApiError { code: 0, message: error.to_string() })?;
        match tokio::time::timeout(REQUEST_TIMEOUT, self.client.request::<T>(request)).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(ApiError { code: 0, message: format!("no answer in {REQUEST_TIMEOUT:?}") }),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, ApiError> {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn create(&self, path: &str, object: &Value) -> Result<Value, ApiError> {
        self.send(Method::POST, path, Some(("application/json", object))).await
    }

    pub(crate) async fn patch(&self, path: &str, kind: &str, patch: &Value) -> Result<Value, ApiError> {
        self.send(Method::PATCH, path, Some((kind, patch))).await
    }

    pub(crate) async fn delete(&self, path: &str, options: &Value) -> Result<Value, ApiError> {
        self.send(Method::DELETE, path, Some(("application/json", options))).await
    }

    /// Lists and watches `path` (with `selector`, a query like `fieldSelector=...`, or empty) for ever. Goes on after
    /// errors, lists again when the server has forgotten the revision, and then says `Listed` anew.
    pub(crate) fn watch<T>(
        &self,
        path: String,
        selector: String,
    ) -> impl Stream<Item = Seen<T>> + Send + use<T>
    where
        T: DeserializeOwned + Send + 'static,
    {
        self.follow(path, selector, None)
    }

    /// The same; if the server does not answer, it begins with what was there when it was last seen.
    pub(crate) fn watch_kept<T>(
        &self,
        path: String,
        selector: String,
    ) -> impl Stream<Item = Seen<T>> + Send + use<T>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let kept = self.kept.as_ref().map(|kept| kept.collection(&path, &selector));
        self.follow(path, selector, kept)
    }

    /// What a watch of this has kept is of no use any more.
    pub(crate) fn forget(&self, path: &str, selector: &str) {
        if let Some(kept) = &self.kept {
            kept.forget(path, selector);
        }
    }

    fn follow<T>(
        &self,
        path: String,
        selector: String,
        kept: Option<Collection>,
    ) -> impl Stream<Item = Seen<T>> + Send + use<T>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let (api, retry, phase, has_begun) = (self.clone(), Retry::api(), Phase::List, false);
        let state = Watch { api, path, selector, retry, phase, kept, has_begun };
        futures_util::stream::unfold(state, |mut state| async move {
            let seen = state.next().await;
            Some((seen.typed(&state.path), state))
        })
        .filter_map(std::future::ready)
    }
}

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

type Events = std::pin::Pin<Box<dyn Stream<Item = kube::Result<WatchEvent<Value>>> + Send>>;

enum Phase {
    List,
    Resume(String),
    Stream(String, Events),
}

struct Watch {
    api: Api,
    path: String,
    selector: String,
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
                Phase::List => match self.first_or_next_list().await {
                    Ok(seen) => return seen,
                    Err(error) => self.wait(&error).await,
                },
                Phase::Resume(revision) => match self.open(&revision).await {
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

    /// What there is; at first, if the server does not say soon, what there was.
    async fn first_or_next_list(&mut self) -> Result<Seen<Value>, ApiError> {
        let recalled = match &self.kept {
            Some(kept) if !self.has_begun => kept.recall().await,
            _ => None,
        };
        let listed = match recalled {
            None => self.list().await,
            Some(objects) => match tokio::time::timeout(RECALL_AFTER, self.list()).await {
                Ok(Ok(listed)) => Ok(listed),
                Ok(Err(error)) if (400..500).contains(&error.code) => Err(error),
                _ => {
                    tracing::info!(
                        path = self.path,
                        "the server does not answer: beginning with what was there before"
                    );
                    return Ok(Seen::Recalled(objects));
                }
            },
        };
        let (objects, revision) = listed?;
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
        tracing::debug!(path = self.path, %error, ?delay, "watch failed, will try again");
        tokio::time::sleep(delay).await;
    }

    fn url(&self, query: &str) -> String {
        let and = if self.selector.is_empty() { "" } else { "&" };
        format!("{}?{}{and}{query}", self.path, self.selector)
    }

    async fn list(&mut self) -> Result<(Vec<Value>, String), ApiError> {
        let mut items = Vec::new();
        let mut query = format!("limit={LIST_PAGE}");
        loop {
            let url = self.url(&query);
            let page: List = self.api.send(Method::GET, &url, None).await?;
            items.extend(page.items);
            match page.metadata.token.filter(|token| !token.is_empty()) {
                Some(token) => query = format!("limit={LIST_PAGE}&continue={}", escape(&token)),
                None => {
                    self.retry.reset();
                    return Ok((items, page.metadata.resource_version));
                }
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

/// Percent-encodes what may not stand in a query's value.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_last_and_start_anew() {
        let mut retry = Retry::new(Duration::from_secs(1), Duration::from_secs(4));
        let delays: Vec<u64> = (0..4).map(|_| retry.delay().as_secs_f64().floor() as u64).collect();
        assert!(delays[0] == 1 && (2..=3).contains(&delays[1]) && (4..=6).contains(&delays[3]), "{delays:?}");
        retry.reset();
        assert!(retry.delay() < Duration::from_millis(1501));
    }

    #[test]
    fn query_values_are_escaped() {
        assert_eq!(escape("a=b&c/é"), "a%3Db%26c%2F%C3%A9");
    }
}
