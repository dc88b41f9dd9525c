//! Calls of admission webhooks: HTTPS to a URL or to a Service of the cluster. What is asked and what an answer means is
//! decided in core.

mod connect;
mod reach;
mod trust;
mod words;

use crate::cache::Cache;
use crate::nodes::Nodes;
use crate::tasks::Tasks;
use bytes::Bytes;
use connect::Connector;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioTimer;
use parking_lot::Mutex;
use peapod_core::webhook::Hook;
use reach::Reach;
use serde_json::Value;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Largest answer: a patch that replaces the largest object, in base64.
const MAX_ANSWER_BYTES: usize = 8 << 20;
/// Bundles of authorities for which a client, with its connections, is kept.
const MAX_CLIENTS: usize = 64;
/// Connections to one webhook that are kept while nothing is asked...
const MAX_IDLE_CONNECTIONS: usize = 8;
/// ...and for how long.
const IDLE_FOR: Duration = Duration::from_secs(30);
/// How the server introduces itself, as Kubernetes' does.
const USER_AGENT: &str = "kube-apiserver-admission";

type Https = Client<Connector, Full<Bytes>>;

/// Calls webhooks. Clones are the same.
#[derive(Clone)]
pub(crate) struct Webhooks {
    reach: Reach,
    tasks: Tasks,
    /// By the authorities that they trust. Each keeps connections of its own.
    clients: Arc<Mutex<HashMap<Vec<u8>, Https>>>,
}

impl Webhooks {
    /// Finds Services in `cache` and pods by `nodes`.
    pub(crate) fn new(cache: Cache, nodes: Nodes) -> Webhooks {
        let tasks = nodes.tasks().clone();
        Webhooks { reach: Reach::new(cache, nodes), tasks, clients: Arc::default() }
    }

    /// Sends a review and gives the body of the answer. Errors: there is none, in Kubernetes' words.
    pub(crate) async fn post(&self, hook: &Hook, review: &Value) -> Result<Bytes, String> {
        let url = hook.url();
        let failed = |why: String| format!("failed to call webhook: {why}");
        let posting = self.posted(hook, &url, review);
        match tokio::time::timeout(hook.timeout, posting).await {
            Ok(answered) => answered.map_err(failed),
            Err(_) => Err(failed(format!("Post {url:?}: context deadline exceeded"))),
        }
    }

    async fn posted(&self, hook: &Hook, url: &str, review: &Value) -> Result<Bytes, String> {
        let client = self.client(&hook.ca_bundle)?;
        let request = Request::post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, */*")
            .header(header::USER_AGENT, USER_AGENT)
            .body(Full::new(Bytes::from(review.to_string())))
            .map_err(|error| format!("Post {url:?}: {error}"))?;
        let response = client.request(request).await;
        let response = response.map_err(|error| format!("Post {url:?}: {}", words::of_error(&error)))?;
        let status = response.status();
        let body = whole(response).await?;
        if status.is_success() { Ok(body) } else { Err(words::of_status(status, &body)) }
    }

    fn client(&self, ca_bundle: &[u8]) -> Result<Https, String> {
        let mut clients = self.clients.lock();
        if let Some(client) = clients.get(ca_bundle) {
            return Ok(client.clone());
        }
        let connector = Connector::new(self.reach.clone(), trust::config(ca_bundle)?);
        let client = Client::builder(Until(self.tasks.clone()))
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .build(connector);
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        clients.insert(ca_bundle.into(), client.clone());
        Ok(client)
    }
}

/// The whole of an answer, if it is not too large.
async fn whole(response: Response<Incoming>) -> Result<Bytes, String> {
    let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
    body.map(|body| body.to_bytes()).map_err(|error| match error.downcast::<hyper::Error>() {
        Ok(error) => words::of_error(&*error),
        Err(_) => format!("the answer is larger than {MAX_ANSWER_BYTES} bytes"),
    })
}

/// Runs what keeps a connection going until the server stops: nothing is lost with it.
#[derive(Clone)]
struct Until(Tasks);

impl<F> hyper::rt::Executor<F> for Until
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        let stop = self.0.stopping().clone();
        self.0.spawn(async move {
            stop.run_until_cancelled(task).await;
        });
    }
}
