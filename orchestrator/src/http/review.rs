//! What is answered and not stored: questions of who may do what and who somebody is, and tokens of service accounts.

use super::Inner;
use super::resource::Target;
use crate::front_door::{Body, Shown, WriteOptions, Written};
use jiff::Timestamp;
use peapod_api::Error;
use peapod_core::auth::{self, Attributes, User, account, review};
use peapod_core::snapshot::Snapshot;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// POST of a question, which webhooks may change or refuse to have answered. Errors: 400, 403, 422.
pub(super) async fn answer(
    api: &Inner,
    user: &User,
    target: &Target<'_>,
    body: &Body,
    options: &WriteOptions,
) -> Result<Written, Error> {
    let (snapshot, kind) = (permitted(api, user, target)?, &target.kind);
    let (mut question, mut warnings) =
        api.door.read(&kind.api_version(), &kind.kind, body, options.field_validation)?;
    warnings.extend(api.door.admit_part(user, &target.to_front_door(), &mut question, options).await?);
    question["status"] = match &*kind.kind {
        "TokenReview" => of_token(api, &question)?,
        _ => review::answer(&snapshot, user, target.namespace, &question)?,
    };
    Ok(created(question, warnings))
}

/// POST of a TokenRequest for a service account. Errors: 400, 403, 404, 409, 422.
pub(super) async fn token(
    api: &Inner,
    user: &User,
    target: &Target<'_>,
    body: &Body,
    options: &WriteOptions,
) -> Result<Written, Error> {
    let snapshot = permitted(api, user, target)?;
    let (mut request, mut warnings) =
        api.door.read("authentication.k8s.io/v1", "TokenRequest", body, options.field_validation)?;
    warnings.extend(api.door.admit_part(user, &target.to_front_door(), &mut request, options).await?);
    let (now, id) = (api.door.now(), Uuid::new_v4().to_string());
    let account = (target.namespace, target.name);
    let claims = account::claims(&snapshot, user, account, &mut request, now, &id)?;
    let token = api.tokens.sign(&claims).map_err(|error| {
        tracing::error!(error, "a token could not be signed");
        Error::internal("the token could not be signed")
    })?;
    let until = Timestamp::from_second(claims.exp).unwrap_or(Timestamp::MAX);
    request["metadata"] = json!({"name": target.name, "namespace": target.namespace,
        "creationTimestamp": peapod_api::meta::time(now)});
    request["status"] = json!({"token": token, "expirationTimestamp": peapod_api::meta::time(until)});
    Ok(created(request, warnings))
}

fn permitted(api: &Inner, user: &User, target: &Target<'_>) -> Result<Arc<Snapshot>, Error> {
    let snapshot = api.cache.snapshot();
    let asked = Attributes::new("create", &target.kind, target.namespace, target.name);
    auth::authorize(&snapshot, user, &asked.part(target.subresource))?;
    Ok(snapshot)
}

fn created(value: Value, warnings: Vec<String>) -> Written {
    Written { shown: Shown::Value(value), created: true, warnings }
}

/// The status of a TokenReview.
fn of_token(api: &Inner, review: &Value) -> Result<Value, Error> {
    let token = review["spec"]["token"].as_str().unwrap_or_default();
    if token.is_empty() {
        let kind = "TokenReview.authentication.k8s.io";
        return Err(Error::bad_request(format!("token is required for {kind} in authentication")));
    }
    let audiences = review["spec"]["audiences"].as_array().into_iter().flatten();
    let audiences: Vec<String> = audiences.filter_map(Value::as_str).map(String::from).collect();
    Ok(match api.authenticator.review(token, &audiences) {
        Ok((user, audiences)) => {
            json!({"authenticated": true, "user": review::describe(&user), "audiences": audiences})
        }
        Err(why) => json!({"user": {}, "error": why}),
    })
}
