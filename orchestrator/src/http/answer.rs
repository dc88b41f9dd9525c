//! Answers: bodies, content types, errors.

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{HeaderValue, StatusCode, header};
use peapod_api::Error;
use serde_json::Value;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use warp::Reply;

/// What every handler gives back.
pub(crate) type Answer = warp::reply::Response;

/// `application/json`
pub(crate) const JSON: &str = "application/json";

/// An answer with a body that is there already.
pub(crate) fn whole(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Answer::new(body.into().into());
    *answer.status_mut() = status;
    set_header(&mut answer, header::CONTENT_TYPE, content_type);
    answer
}

/// 200 with JSON.
pub(crate) fn json(value: &Value) -> Answer {
    whole(StatusCode::OK, JSON, value.to_string())
}

/// 200 with plain text.
pub(crate) fn text(text: impl Into<String>) -> Answer {
    whole(StatusCode::OK, "text/plain; charset=utf-8", text.into())
}

/// 200 with a body that comes in pieces.
pub(crate) fn stream(content_type: &str, pieces: impl Stream<Item = Bytes> + Send + 'static) -> Answer {
    stream_that_may_break(content_type, pieces.map(Ok))
}

/// 200 with a body that comes in pieces. after an error the client sees that it is not whole.
pub(crate) fn stream_that_may_break(
    content_type: &str,
    pieces: impl Stream<Item = Result<Bytes, Broken>> + Send + 'static,
) -> Answer {
    let mut answer = warp::reply::stream(Pieces(Mutex::new(Box::pin(pieces)))).into_response();
    set_header(&mut answer, header::CONTENT_TYPE, content_type);
    answer
}

/// 200 with a document that comes in pieces: its end comes by itself, unlike a watch's.
pub(crate) fn document(
    content_type: &str,
    pieces: impl Stream<Item = Result<Bytes, Broken>> + Send + 'static,
) -> Answer {
    let mut answer = stream_that_may_break(content_type, pieces);
    answer.extensions_mut().insert(Document);
    answer
}

/// Marks answers of [`document`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Document;

/// Why a body is not whole.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Broken(pub(crate) String);

/// The `Status` of an error.
pub(crate) fn error(error: &Error) -> Answer {
    let status = StatusCode::from_u16(error.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = whole(status, JSON, error.status().to_string());
    if let Some(seconds) = error.retry_after_seconds() {
        set_header(&mut answer, header::RETRY_AFTER, &seconds.to_string());
    }
    add_warnings(&mut answer, error.warnings());
    answer
}

/// Sets a header whose value comes from outside; one that no header can carry is left out.
pub(crate) fn set_header(answer: &mut Answer, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

/// Adds one `Warning` header for each text, in the form that clients print.
pub(crate) fn add_warnings(answer: &mut Answer, warnings: &[String]) {
    for warning in warnings {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"").replace(char::is_control, " ");
        if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{quoted}\"").as_bytes()) {
            answer.headers_mut().append(header::WARNING, value);
        }
    }
}

/// A stream that is only polled, never shared: the lock makes it `Sync`, which response bodies have to be, and is
/// never taken.
struct Pieces<S>(Mutex<S>);

impl<S: Stream<Item = Result<Bytes, Broken>> + Unpin> Stream for Pieces<S> {
    type Item = Result<Bytes, Broken>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let inner = self.0.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
        Pin::new(inner).poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_quoted() {
        let mut answer = text("");
        add_warnings(&mut answer, &["unknown field \"spec.x\"".into(), "two\nlines".into()]);
        let values: Vec<_> = answer.headers().get_all(header::WARNING).iter().collect();
        assert_eq!(values[0], r#"299 - "unknown field \"spec.x\"""#);
        assert_eq!(values[1], r#"299 - "two lines""#);
    }
}
