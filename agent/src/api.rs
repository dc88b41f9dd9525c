//! The agent's way to the API: a few verbs over paths, and one list-and-watch that goes on for ever.

mod watch;

pub(crate) use watch::Seen;

use crate::kept::Kept;
use futures_util::Stream;
use http::{Method, Request};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

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
        watch::follow(self, path, selector, None)
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
        watch::follow(self, path, selector, kept)
    }

    /// What a watch of this has kept is of no use any more.
    pub(crate) fn forget(&self, path: &str, selector: &str) {
        if let Some(kept) = &self.kept {
            kept.forget(path, selector);
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
