//! Errors as the OCI distribution specification words them.

use crate::http::answer::{Answer, JSON, whole};
use http::StatusCode;
use serde_json::json;

/// A refused request to the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { status, code, message: message.into() }
    }

    pub(crate) fn unauthorized() -> Refusal {
        Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required")
    }

    pub(crate) fn denied() -> Refusal {
        Refusal::new(StatusCode::FORBIDDEN, "DENIED", "requested access to the resource is denied")
    }

    pub(crate) fn blob_unknown(digest: &str) -> Refusal {
        Refusal::new(
            StatusCode::NOT_FOUND,
            "BLOB_UNKNOWN",
            format!("blob {digest} is unknown to the registry"),
        )
    }

    pub(crate) fn manifest_unknown(name: &str, reference: &str) -> Refusal {
        let message = format!("manifest {name}:{reference} is unknown to the registry");
        Refusal::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", message)
    }

    pub(crate) fn name_unknown(name: &str) -> Refusal {
        let message = format!("repository {name} is unknown to the registry");
        Refusal::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", message)
    }

    pub(crate) fn upload_unknown() -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "the upload is unknown to the registry")
    }

    pub(crate) fn name_invalid(name: &str) -> Refusal {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            "NAME_INVALID",
            format!("invalid repository name or tag {name:?}"),
        )
    }

    pub(crate) fn digest_invalid(message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message)
    }

    pub(crate) fn manifest_invalid(message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", message)
    }

    pub(crate) fn upload_invalid(message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", message)
    }

    pub(crate) fn range_invalid(message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID", message)
    }

    pub(crate) fn too_large(limit_bytes: u64) -> Refusal {
        let message = format!("more than the limit of {limit_bytes} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", message)
    }

    pub(crate) fn too_many(what: &str) -> Refusal {
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", format!("too many {what}"))
    }

    pub(crate) fn unsupported() -> Refusal {
        Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "the operation is unsupported")
    }

    /// What went wrong stays in the log.
    pub(crate) fn internal(error: impl std::fmt::Display) -> Refusal {
        tracing::error!(%error, "the registry failed");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", "internal error")
    }

    pub(crate) fn answer(&self) -> Answer {
        let body = json!({ "errors": [{ "code": self.code, "message": self.message }] });
        whole(self.status, JSON, body.to_string())
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Refusal {}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Refusal {
        Refusal::internal(error)
    }
}
