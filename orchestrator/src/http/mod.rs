//! The HTTP API: from a request to an answer.

pub(crate) mod accept;
pub(crate) mod answer;
mod discovery;
mod encode;
mod finish;
mod gather;
mod health;
mod list;
pub(crate) mod listener;
mod log;
mod openapi;
mod pages;
mod path;
pub(crate) mod query;
mod read;
mod resource;
mod review;
mod seats;
mod session;
pub(crate) mod socket;
mod told;
mod ui;
mod watch;
mod write;

use crate::authn::{Authenticator, Peer};
use crate::cache::Cache;
use crate::front_door::FrontDoor;
use crate::metrics::{Metrics, Reading};
use crate::nodes::Nodes;
use crate::pki::Tokens;
use crate::registry::{Asked, Registry};
use crate::sessions::Sessions;
use crate::tasks::Tasks;
use accept::Accept;
use answer::Answer;
use bytes::{Buf, Bytes, BytesMut};
use discovery::Discovery;
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, Method};
use hyper::upgrade::OnUpgrade;
use openapi::OpenApi;
use pages::Pages;
use path::ResourcePath;
use peapod_api::Error;
use peapod_api::error::Reason;
use peapod_core::auth::{self, User};
use query::Query;
use seats::Seats;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use ui::Ui;
use uuid::Uuid;
use warp::Filter;
use warp::filters::BoxedFilter;

/// Largest body of a request, the registry's uploads aside.
pub(crate) const MAX_BODY_BYTES: usize = 3 << 20;
/// How long a request may take; watches, logs and the registry's uploads are no such requests.
const REQUEST_WITHIN: Duration = Duration::from_secs(60);

/// A request's body. `Sync` because requests are borrowed across awaits; bodies are.
pub(crate) type Body = Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send + Sync>>;

/// The API. Clones are the same.
#[derive(Clone)]
pub(crate) struct Api(Arc<Inner>);

/// What the API is made of.
pub(crate) struct Inner {
    pub(crate) cache: Cache,
    pub(crate) door: FrontDoor,
    pub(crate) nodes: Nodes,
    pub(crate) registry: Registry,
    pub(crate) authenticator: Authenticator,
    pub(crate) sessions: Sessions,
    pub(crate) tokens: Tokens,
    pub(crate) ui: Ui,
    pub(crate) discovery: Discovery,
    pub(crate) openapi: OpenApi,
    pub(crate) pages: Pages,
    pub(crate) metrics: Metrics,
    /// Ends watches and logs.
    pub(crate) stop: CancellationToken,
    tasks: Tasks,
    sockets: Arc<Semaphore>,
    url: String,
    seats: Seats,
    /// Costly answers that are encoded or compressed at a time, off the threads that serve connections.
    pub(crate) encoders: Arc<Semaphore>,
}

/// What the API stands on.
pub(crate) struct Ground {
    pub(crate) cache: Cache,
    pub(crate) door: FrontDoor,
    pub(crate) nodes: Nodes,
    pub(crate) registry: Registry,
    pub(crate) admin_token: String,
    pub(crate) tokens: Tokens,
    /// Where nodes and pods reach the server: `https://10.0.0.1:6443`.
    pub(crate) url: String,
    /// `127.0.0.1:6443`
    pub(crate) address: String,
    /// Where connections run.
    pub(crate) tasks: Tasks,
}

/// A request that has been taken apart.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    /// In which form objects are wanted; none if in none that there is.
    pub(crate) accept: Option<Accept>,
    pub(crate) peer: Peer,
    pub(crate) body: Body,
}

impl Request {
    /// A header's text, empty where it is absent.
    pub(crate) fn header(&self, name: http::header::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// The one filter: whatever the path, the API answers.
pub(crate) fn filter(api: Api) -> BoxedFilter<(Answer,)> {
    warp::method()
        .and(warp::path::full())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Peer>())
        .and(warp::ext::optional::<OnUpgrade>())
        .and(warp::body::stream())
        .then(move |method, path: warp::path::FullPath, query: String, headers, peer, upgrade, body| {
            let (path, query, body) = (path.as_str().into(), Query::parse(&query), pieces(body));
            let mut request = Request { method, path, query, headers, accept: None, peer, body };
            request.accept = accept::negotiate(request.header(http::header::ACCEPT));
            let wish = socket::Wish::of(&request, upgrade);
            let api = api.clone();
            async move { api.answer(request, wish).await }
        })
        .boxed()
}

fn pieces<B: Buf>(body: impl Stream<Item = Result<B, warp::Error>> + Send + Sync + 'static) -> Body {
    Box::pin(body.map(|piece| piece.map(|mut piece| piece.copy_to_bytes(piece.remaining()))))
}

/// The whole of a body. Errors: 413 past the limit, 400 for one that breaks off.
pub(crate) async fn read_body(mut body: Body, limit_bytes: usize) -> Result<Bytes, Error> {
    let mut whole = BytesMut::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| Error::bad_request(format!("the body broke off: {error}")))?;
        if whole.len() + piece.len() > limit_bytes {
            let message = format!("Request entity too large: limit is {limit_bytes}");
            return Err(Error::new(Reason::RequestEntityTooLarge, message));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

impl Api {
    pub(crate) fn new(ground: Ground) -> Api {
        let sessions = Sessions::default();
        let authenticator = Authenticator::new(
            &ground.admin_token,
            ground.door.clone(),
            sessions.clone(),
            ground.tokens.clone(),
        );
        Api(Arc::new(Inner {
            cache: ground.cache,
            door: ground.door,
            nodes: ground.nodes,
            registry: ground.registry,
            authenticator,
            sessions,
            tokens: ground.tokens,
            url: ground.url,
            ui: Ui::default(),
            discovery: Discovery::new(&ground.address),
            openapi: OpenApi::default(),
            pages: Pages::default(),
            metrics: Metrics::default(),
            stop: ground.tasks.stopping().clone(),
            tasks: ground.tasks,
            sockets: Arc::new(Semaphore::new(socket::MAX_SOCKETS)),
            seats: Seats::default(),
            encoders: Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from))),
        }))
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn nodes(&self) -> &Nodes {
        &self.0.nodes
    }

    async fn answer(&self, request: Request, wish: Option<socket::Wish>) -> Answer {
        let (started, id) = (Instant::now(), Uuid::new_v4());
        let (verb, resource) = resource::label(self.0.cache.snapshot().kinds(), &request);
        let wishes = finish::Wishes::of(&request);
        let answered = self.limited(request).await.and_then(|answer| match wish {
            Some(wish) => wish.grant(answer, &self.0.sockets, &self.0.tasks),
            None => Ok(answer),
        });
        let mut answer = answered.unwrap_or_else(|error| {
            tracing::debug!(%id, verb, resource, code = error.code(), %error, "a request was refused");
            if error.code() >= 500 {
                tracing::warn!(%id, verb, resource, %error, "a request failed");
            }
            answer::error(&error)
        });
        answer = finish::finish(answer, wishes, &self.0.encoders).await;
        answer::set_header(&mut answer, http::header::HeaderName::from_static("audit-id"), &id.to_string());
        answer.headers_mut().entry(http::header::CACHE_CONTROL).or_insert(NOT_CACHED);
        self.0.metrics.request(verb, resource, answer.status().as_u16(), started.elapsed());
        answer
    }

    async fn limited(&self, request: Request) -> Result<Answer, Error> {
        if let Some(answer) = self.0.ui.answer(&request.method, &request.path, &request.headers) {
            return Ok(answer);
        }
        let user = self.0.authenticator.authenticate(&request.peer, &request.headers)?;
        // Held until the answer begins: watches and logs that stream need none.
        let _seat = self.0.seats.take(&user)?;
        if request.path == "/v2" || request.path.starts_with("/v2/") {
            return Ok(self.ask_registry(&user, request).await);
        }
        let within = request.query.timeout()?.unwrap_or(REQUEST_WITHIN).min(REQUEST_WITHIN);
        let routed = tokio::time::timeout(within, self.route(&user, request));
        routed.await.unwrap_or_else(|_| {
            let message = "Timeout: request did not complete within the allotted timeout";
            Err(Error::new(Reason::Timeout, message))
        })
    }

    async fn ask_registry(&self, user: &User, request: Request) -> Answer {
        let Request { method, path, query, headers, body, .. } = request;
        let asked = Asked { method: &method, path: &path, query: &query, headers: &headers, body };
        self.0.registry.answer(&self.0.cache.snapshot(), user, asked).await
    }

    async fn route(&self, user: &User, request: Request) -> Result<Answer, Error> {
        if let Some(path) = ResourcePath::parse(&request.path) {
            return resource::answer(&self.0, user, path, request).await;
        }
        if session::is_here(&request.path) {
            return session::answer(&self.0, user, request).await;
        }
        let verb = request.method.as_str().to_lowercase();
        auth::authorize_path(&self.0.cache.snapshot(), user, &verb, &request.path)?;
        if request.method != Method::GET && request.method != Method::HEAD {
            return Err(Error::method_not_allowed());
        }
        self.plain(&request).await
    }

    /// Paths that are no resources.
    async fn plain(&self, request: &Request) -> Result<Answer, Error> {
        let path = if request.path == "/" { "/" } else { request.path.trim_end_matches('/') };
        match path {
            "/" => Ok(answer::json(&serde_json::json!({ "paths": health::PATHS }))),
            "/.well-known/openid-configuration" => Ok(answer::json(&self.0.tokens.discovery(&self.0.url))),
            "/openid/v1/jwks" => {
                let keys = self.0.tokens.jwks().to_string();
                Ok(answer::whole(http::StatusCode::OK, "application/jwk-set+json", keys))
            }
            "/version" => Ok(answer::json(&health::version())),
            "/metrics" => Ok(answer::text(self.0.metrics.text(&self.reading()))),
            _ if path.starts_with("/openapi/") => {
                self.0.openapi.answer(self.0.cache.snapshot().kinds(), path, &request.headers).await
            }
            _ if health::is_check(path) => Ok(health::check(&self.0, path, &request.query)),
            _ => {
                let found = self.0.discovery.answer(self.0.cache.snapshot().kinds(), path, &request.headers);
                found.unwrap_or_else(|| Err(Error::no_such_path()))
            }
        }
    }

    fn reading(&self) -> Reading {
        let snapshot = self.0.cache.snapshot();
        let mut objects = BTreeMap::new();
        for kind in snapshot.kinds().resources() {
            let resource = kind.resource();
            let count = snapshot.list(&resource, None).count();
            objects.insert(resource, count);
        }
        Reading { revision: snapshot.revision(), nodes_connected: self.0.nodes.len(), objects }
    }
}

/// Answers are the state of a moment.
const NOT_CACHED: http::HeaderValue = http::HeaderValue::from_static("no-cache, private");
