//! Errors as the wire knows them: every failure of a request becomes a `Status` here and nowhere else.

use crate::field::FieldError;
use serde_json::{Value, json};
use std::fmt;

/// `metav1.StatusReason` with its HTTP code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names are Kubernetes' own
pub enum Reason {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    AlreadyExists,
    Conflict,
    Expired,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    Invalid,
    TooManyRequests,
    InternalError,
    ServiceUnavailable,
    Timeout,
}

const REASONS: [Reason; 16] = [
    Reason::BadRequest,
    Reason::Unauthorized,
    Reason::Forbidden,
    Reason::NotFound,
    Reason::MethodNotAllowed,
    Reason::NotAcceptable,
    Reason::Conflict,
    Reason::AlreadyExists,
    Reason::Expired,
    Reason::RequestEntityTooLarge,
    Reason::UnsupportedMediaType,
    Reason::Invalid,
    Reason::TooManyRequests,
    Reason::InternalError,
    Reason::ServiceUnavailable,
    Reason::Timeout,
];

impl Reason {
    /// The HTTP status code that goes with the reason.
    pub fn code(self) -> u16 {
        match self {
            Reason::BadRequest => 400,
            Reason::Unauthorized => 401,
            Reason::Forbidden => 403,
            Reason::NotFound => 404,
            Reason::MethodNotAllowed => 405,
            Reason::NotAcceptable => 406,
            Reason::AlreadyExists | Reason::Conflict => 409,
            Reason::Expired => 410,
            Reason::RequestEntityTooLarge => 413,
            Reason::UnsupportedMediaType => 415,
            Reason::Invalid => 422,
            Reason::TooManyRequests => 429,
            Reason::InternalError => 500,
            Reason::ServiceUnavailable => 503,
            Reason::Timeout => 504,
        }
    }
}

/// One entry of `status.details.causes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Machine-readable, e.g. `FieldValueInvalid`.
    pub reason: String,
    /// Human-readable.
    pub message: String,
    /// The field's path, e.g. `spec.containers[0].name`; empty where there is none.
    pub field: String,
}

/// A failed request. `Display` is the message that the client reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    reason: Reason,
    message: String,
    group: String,
    kind: String,
    name: String,
    uid: String,
    causes: Vec<Cause>,
    retry_after_seconds: Option<u32>,
    continue_token: String,
    /// Code and reason in the words of somebody else, which take the place of the reason's own.
    answered: Option<(u16, String)>,
    warnings: Vec<String>,
}

impl Error {
    /// An error of `reason` that concerns no object in particular.
    pub fn new(reason: Reason, message: impl Into<String>) -> Error {
        Error(Box::new(Inner {
            reason,
            message: message.into(),
            group: String::new(),
            kind: String::new(),
            name: String::new(),
            uid: String::new(),
            causes: Vec::new(),
            retry_after_seconds: None,
            continue_token: String::new(),
            answered: None,
            warnings: Vec::new(),
        }))
    }

    /// What somebody else, whom the server has asked, answers: any code of failure and any reason, or none.
    pub fn answered(code: u16, reason: &str, message: impl Into<String>) -> Error {
        let known = REASONS.iter().find(|known| format!("{known:?}") == reason);
        let known = known.or_else(|| REASONS.iter().find(|known| known.code() == code));
        let mut error = Error::new(known.copied().unwrap_or(Reason::BadRequest), message);
        error.0.answered = Some((code, reason.into()));
        error
    }

    /// Takes over the `details` of the Status that somebody else has answered.
    pub fn detailed(mut self, details: &Value) -> Error {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        let cause = |cause: &Value| Cause {
            reason: text(&cause["reason"]),
            message: text(&cause["message"]),
            field: text(&cause["field"]),
        };
        let inner = &mut *self.0;
        inner.group = text(&details["group"]);
        inner.kind = text(&details["kind"]);
        inner.name = text(&details["name"]);
        inner.uid = text(&details["uid"]);
        inner.causes = details["causes"].as_array().into_iter().flatten().map(cause).collect();
        let seconds = details["retryAfterSeconds"].as_u64().filter(|seconds| *seconds > 0);
        inner.retry_after_seconds = seconds.and_then(|seconds| u32::try_from(seconds).ok());
        self
    }

    fn about(reason: Reason, resource: &str, name: &str, message: String) -> Error {
        let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
        let mut error = Error::new(reason, message);
        error.0.group = group.into();
        error.0.kind = plural.into();
        error.0.name = name.into();
        error
    }

    /// 404 for an object; `resource` is `pods` or `deployments.apps`.
    pub fn not_found(resource: &str, name: &str) -> Error {
        Error::about(Reason::NotFound, resource, name, format!("{resource} {name:?} not found"))
    }

    /// 404 for a path that the server does not serve.
    pub fn no_such_path() -> Error {
        Error::new(Reason::NotFound, "the server could not find the requested resource")
    }

    /// 404 for a kind that the server does not serve, as `jobs.batch/v1`.
    pub fn not_served(resource: &str) -> Error {
        let why = "the server could not find the requested resource: this cluster does not serve";
        Error::new(
            Reason::NotFound,
            format!("{why} {resource} (`kubectl api-resources` lists what it serves)"),
        )
    }

    /// 405.
    pub fn method_not_allowed() -> Error {
        let why = "the server does not allow this method on the requested resource";
        Error::new(Reason::MethodNotAllowed, why)
    }

    /// 409: the name is taken.
    pub fn already_exists(resource: &str, name: &str) -> Error {
        Error::about(Reason::AlreadyExists, resource, name, format!("{resource} {name:?} already exists"))
    }

    /// 409 with the given explanation.
    pub fn conflict(resource: &str, name: &str, why: &str) -> Error {
        let message = format!("Operation cannot be fulfilled on {resource} {name:?}: {why}");
        Error::about(Reason::Conflict, resource, name, message)
    }

    /// 409: the object changed since the client read it.
    pub fn modified(resource: &str, name: &str) -> Error {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Error::conflict(resource, name, why)
    }

    /// 409: `what` of the object, such as `UID`, is not the one that the client names.
    pub fn precondition(
        resource: &str,
        name: &str,
        what: &str,
        wanted: &str,
        found: impl fmt::Display,
    ) -> Error {
        let why =
            format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}");
        Error::conflict(resource, name, &why)
    }

    /// 409 of server-side apply: `causes` name the managers and the fields.
    pub fn apply_conflict(message: impl Into<String>, causes: Vec<Cause>) -> Error {
        let mut error = Error::new(Reason::Conflict, message);
        error.0.causes = causes;
        error
    }

    /// 422: `kind` is the kind's name (`Pod`), `group` its API group.
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Error {
        let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let list = if text.len() == 1 { text[0].clone() } else { format!("[{}]", text.join(", ")) };
        let qualified = if group.is_empty() { kind.to_string() } else { format!("{kind}.{group}") };
        let mut error = Error::new(Reason::Invalid, format!("{qualified} {name:?} is invalid: {list}"));
        error.0.group = group.into();
        error.0.kind = kind.into();
        error.0.name = name.into();
        error.0.causes = errors.iter().map(FieldError::cause).collect();
        error
    }

    /// 400 with the given message.
    pub fn bad_request(message: impl Into<String>) -> Error {
        Error::new(Reason::BadRequest, message)
    }

    /// 403 for an object: `pods "x" is forbidden: WHY`.
    pub fn forbidden(resource: &str, name: &str, why: &str) -> Error {
        let subject = if name.is_empty() { resource.to_string() } else { format!("{resource} {name:?}") };
        Error::about(Reason::Forbidden, resource, name, format!("{subject} is forbidden: {why}"))
    }

    /// As [`Error::forbidden`], for a reason of whoever denied it.
    pub fn denied(reason: Reason, resource: &str, name: &str, why: &str) -> Error {
        let mut error = Error::forbidden(resource, name, why);
        error.0.reason = reason;
        error
    }

    /// 410: the revision that the client asked for was compacted away.
    pub fn expired(message: impl Into<String>) -> Error {
        Error::new(Reason::Expired, message)
    }

    /// 500; `message` must hold nothing that a client should not read.
    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(Reason::InternalError, format!("Internal error occurred: {}", message.into()))
    }

    /// Adds a cause to the details.
    pub fn because(mut self, cause: Cause) -> Error {
        self.0.causes.push(cause);
        self
    }

    /// Adds a `Retry-After`, in seconds.
    pub fn retry_after(mut self, seconds: u32) -> Error {
        self.0.retry_after_seconds = Some(seconds);
        self
    }

    /// Adds a token with which the list may be continued all the same.
    pub fn continuing(mut self, token: String) -> Error {
        self.0.continue_token = token;
        self
    }

    /// Adds what the client is told besides.
    pub fn warning(mut self, warnings: impl IntoIterator<Item = String>) -> Error {
        self.0.warnings.extend(warnings);
        self
    }

    /// What the client is told besides.
    pub fn warnings(&self) -> &[String] {
        &self.0.warnings
    }

    /// The machine-readable reason; the nearest one of what somebody else has answered.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// The HTTP status code.
    pub fn code(&self) -> u16 {
        self.0.answered.as_ref().map_or_else(|| self.0.reason.code(), |(code, _)| *code)
    }

    /// Seconds after which a client may try again.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        self.0.retry_after_seconds
    }

    /// The details' causes.
    pub fn causes(&self) -> &[Cause] {
        &self.0.causes
    }

    /// The `metav1.Status` object that is sent.
    pub fn status(&self) -> Value {
        let inner = &*self.0;
        let mut details = serde_json::Map::new();
        for (key, text) in
            [("name", &inner.name), ("group", &inner.group), ("kind", &inner.kind), ("uid", &inner.uid)]
        {
            if !text.is_empty() {
                details.insert(key.into(), text.as_str().into());
            }
        }
        if !inner.causes.is_empty() {
            details.insert("causes".into(), inner.causes.iter().map(Cause::value).collect());
        }
        if let Some(seconds) = inner.retry_after_seconds {
            details.insert("retryAfterSeconds".into(), seconds.into());
        }
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": inner.message, "code": self.code(),
        });
        match &inner.answered {
            None => status["reason"] = format!("{:?}", inner.reason).into(),
            Some((_, reason)) if reason.is_empty() => {}
            Some((_, reason)) => status["reason"] = reason.as_str().into(),
        }
        if !inner.continue_token.is_empty() {
            status["metadata"]["continue"] = inner.continue_token.as_str().into();
        }
        if !details.is_empty() {
            status["details"] = details.into();
        }
        status
    }
}

impl Cause {
    fn value(&self) -> Value {
        let mut cause = json!({ "reason": self.reason, "message": self.message });
        if !self.field.is_empty() {
            cause["field"] = self.field.as_str().into();
        }
        cause
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kubernetes_own() {
        let error = Error::not_found("deployments.apps", "web");
        assert_eq!(error.to_string(), r#"deployments.apps "web" not found"#);
        assert_eq!(error.status()["details"], json!({"name": "web", "group": "apps", "kind": "deployments"}));
        assert_eq!(error.code(), 404);
    }

    #[test]
    fn what_somebody_else_says_is_passed_on() {
        let details = json!({"name": "n", "group": "g", "kind": "k", "uid": "u", "retryAfterSeconds": 7,
            "causes": [{"reason": "R", "message": "m", "field": "spec.x"}]});
        let error = Error::answered(422, "Invalid", "no").detailed(&details);
        assert_eq!((&error.status()["details"], error.retry_after_seconds()), (&details, Some(7)));
        assert_eq!(Error::answered(422, "", "no").detailed(&Value::Null).status().get("details"), None);
    }

    #[test]
    fn several_field_errors_stand_in_brackets() {
        let errors = [
            FieldError::required("spec.containers", ""),
            FieldError::invalid("spec.replicas", &json!(-1), "must be greater than or equal to 0"),
        ];
        let error = Error::invalid("apps", "Deployment", "web", &errors);
        assert_eq!(
            error.to_string(),
            "Deployment.apps \"web\" is invalid: [spec.containers: Required value, \
             spec.replicas: Invalid value: -1: must be greater than or equal to 0]"
        );
        assert_eq!(error.status()["details"]["causes"][1]["reason"], "FieldValueInvalid");
    }
}
