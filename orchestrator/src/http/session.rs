//! `/sessions`: how a browser signs in and out.
//!
//! - `POST /sessions/codes`, as the user: a one-time code.
//! - `POST /sessions` with `{"code": ...}`, as nobody: a session token for it.
//! - `GET /sessions`: as whom one acts. `DELETE /sessions`: ends the session that asks.

use super::answer::{self, Answer, JSON};
use super::{Inner, Request, read_body};
use crate::authn;
use crate::sessions::{CODE_FOR, SESSION_FOR};
use http::{Method, StatusCode};
use peapod_api::Error;
use peapod_api::error::Reason;
use peapod_core::auth::{ANONYMOUS, User};
use serde_json::{Value, json};
use std::time::Instant;

/// Largest body.
const MAX_BODY_BYTES: usize = 4 << 10;

/// Whether `path` is one of these.
pub(super) fn is_here(path: &str) -> bool {
    matches!(path, "/sessions" | "/sessions/codes")
}

/// Errors: 401 for a code that is not valid, 403 for who may not do that, 405.
pub(super) async fn answer(api: &Inner, user: &User, request: Request) -> Result<Answer, Error> {
    let (token, now) = (authn::bearer_token(&request.headers), Instant::now());
    match (request.method.clone(), request.path.as_str()) {
        (Method::POST, "/sessions") => begin(api, request).await,
        (Method::POST | Method::GET | Method::DELETE, _) if user.name == ANONYMOUS => {
            Err(Error::new(Reason::Unauthorized, "Unauthorized"))
        }
        (Method::POST, "/sessions/codes") => {
            // Else a session could go on for ever.
            if token.is_some_and(|token| api.sessions.credential(token, now).is_some()) {
                let message = "a session cannot begin another one: sign in with a credential of your own";
                return Err(Error::new(Reason::Forbidden, message));
            }
            let credential = api.authenticator.credential(&request.peer, &request.headers)?;
            let code = api.sessions.code(credential, now);
            Ok(created(&json!({ "code": code, "expiresInSeconds": CODE_FOR.as_secs() })))
        }
        (Method::GET, "/sessions") => Ok(answer::json(&json!({ "user": user.name, "groups": user.groups }))),
        (Method::DELETE, "/sessions") => {
            token.into_iter().for_each(|token| api.sessions.end(token, now));
            Ok(answer::json(&json!({})))
        }
        _ => Err(Error::method_not_allowed()),
    }
}

async fn begin(api: &Inner, request: Request) -> Result<Answer, Error> {
    let body = read_body(request.body, MAX_BODY_BYTES).await?;
    let body: Value = serde_json::from_slice(&body)
        .map_err(|error| Error::bad_request(format!("the body is no JSON: {error}")))?;
    let code = body["code"].as_str();
    let code = code.ok_or_else(|| {
        Error::bad_request(format!("code: invalid value {}: expected a string", body["code"]))
    })?;
    let session = api.sessions.begin(code, Instant::now()).ok_or_else(|| {
        let message = "the sign-in link is not valid any more: it works once, within 5 minutes; `peapod dashboard` \
                       prints a new one";
        Error::new(Reason::Unauthorized, message)
    })?;
    let user = api.authenticator.judge(&session.credential)?;
    tracing::info!(user = user.name, "a session began");
    Ok(created(&json!({
        "token": session.token, "user": user.name, "groups": user.groups,
        "expiresInSeconds": SESSION_FOR.as_secs(),
    })))
}

fn created(value: &Value) -> Answer {
    answer::whole(StatusCode::CREATED, JSON, value.to_string())
}
