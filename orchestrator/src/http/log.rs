//! `pods/log`: validated here, answered by the node that runs the pod.

use super::answer::{self, Answer, Broken};
use super::query::Query;
use super::socket::Framing;
use crate::nodes::Nodes;
use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, BodyStream, Limited};
use hyper::body::Incoming;
use jiff::Timestamp;
use peapod_api::error::Reason;
use peapod_api::{Error, FieldError, Object};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// How much of a node's error text is read.
const MAX_ERROR_BYTES: usize = 4096;

/// Streams a container's log. Errors: 400 and 422 as Kubernetes gives them, 503 if the node is not connected.
pub(crate) async fn read(
    nodes: &Nodes,
    pod: &Object,
    query: &Query,
    stop: CancellationToken,
) -> Result<Answer, Error> {
    let options = options(pod.name(), query)?;
    let value = pod.value();
    let container = container(pod.name(), &value["spec"], query.text("container"))?;
    let Some(node) = &pod.header.node else { return Ok(answer::text("")) };
    let path = format!("/containerLogs/{}/{}/{container}", pod.namespace(), pod.name());
    let path = if options.is_empty() { path } else { format!("{path}?{options}") };
    let response = nodes.get(node, &path).await?;
    if !response.status().is_success() {
        return Err(refusal(response.status().as_u16(), response.into_body()).await);
    }
    let mut answer = answer::stream_that_may_break("text/plain", pieces(node, response.into_body(), stop));
    answer.extensions_mut().insert(Framing::Pieces);
    Ok(answer)
}

/// The node's pieces. When its connection is lost in the middle, so is the answer's: what came is not all there is.
fn pieces(
    node: &str,
    body: Incoming,
    stop: CancellationToken,
) -> impl futures_util::Stream<Item = Result<Bytes, Broken>> + Send + use<> {
    let node = node.to_string();
    let frames = BodyStream::new(body).take_until(stop.cancelled_owned());
    let pieces = frames.filter_map(move |frame| {
        let piece = match frame {
            Ok(frame) => frame.into_data().ok().map(Ok),
            Err(error) => {
                tracing::info!(node, %error, "a log broke off");
                Some(Err(Broken(format!("the connection to node {node:?} was lost"))))
            }
        };
        async { piece }
    });
    // A connection that failed says so for ever.
    pieces.scan(false, |over, piece| {
        let ended = std::mem::replace(over, piece.is_err());
        async move { (!ended).then_some(piece) }
    })
}

/// What the node said, as a Status.
async fn refusal(code: u16, body: Incoming) -> Error {
    let text =
        Limited::new(body, MAX_ERROR_BYTES).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let status: Option<Value> = serde_json::from_slice(&text).ok();
    let message = status.as_ref().and_then(|status| status["message"].as_str()).map(str::to_string);
    let message = message.unwrap_or_else(|| String::from_utf8_lossy(&text).trim().to_string());
    match code {
        404 => Error::new(Reason::NotFound, message),
        400..500 => Error::bad_request(message),
        _ => {
            tracing::warn!(code, message, "a node could not read a log");
            Error::internal("the node could not read the log")
        }
    }
}

/// The container that is meant. Errors: 400 in Kubernetes' words.
fn container<'a>(pod: &str, spec: &'a Value, wanted: &'a str) -> Result<&'a str, Error> {
    let names = |list: &'a Value| -> Vec<&'a str> {
        list.as_array().into_iter().flatten().filter_map(|c| c["name"].as_str()).collect()
    };
    let (containers, init) = (names(&spec["containers"]), names(&spec["initContainers"]));
    if !wanted.is_empty() {
        let known = containers.iter().chain(&init).any(|name| *name == wanted);
        let unknown = || Error::bad_request(format!("container {wanted} is not valid for pod {pod}"));
        return if known { Ok(wanted) } else { Err(unknown()) };
    }
    let must = format!("a container name must be specified for pod {pod}");
    let (containers_text, init_text) = (containers.join(" "), init.join(" "));
    match (containers.as_slice(), init.is_empty()) {
        ([only], _) => Ok(only),
        ([], _) => Err(Error::bad_request(must)),
        (_, true) => Err(Error::bad_request(format!("{must}, choose one of: [{containers_text}]"))),
        (_, false) => Err(Error::bad_request(format!(
            "{must}, choose one of: [{containers_text}] or one of the init containers: [{init_text}]"
        ))),
    }
}

/// The validated options as the node's query.
fn options(pod: &str, query: &Query) -> Result<String, Error> {
    let (mut out, mut errors) = (form_urlencoded::Serializer::new(String::new()), Vec::new());
    for flag in ["follow", "previous", "timestamps"] {
        if query.flag(flag) {
            out.append_pair(flag, "true");
        }
    }
    for (name, least, rule) in [
        ("tailLines", 0, "must be greater than or equal to 0"),
        ("sinceSeconds", 1, "must be greater than 0"),
        ("limitBytes", 1, "must be greater than 0"),
    ] {
        match query.number(name)? {
            Some(number) if number < least => errors.push(FieldError::invalid(name, &json!(number), rule)),
            Some(number) => _ = out.append_pair(name, &number.to_string()),
            None => {}
        }
    }
    if let Some(text) = query.get("sinceTime").filter(|text| !text.is_empty()) {
        let time: Timestamp = text
            .parse()
            .map_err(|_| Error::bad_request(format!("sinceTime: {text:?} is no RFC 3339 time")))?;
        out.append_pair("sinceTime", &time.to_string());
        if query.get("sinceSeconds").is_some() {
            errors.push(FieldError::forbidden(
                "",
                "at most one of `sinceTime` or `sinceSeconds` may be specified",
            ));
        }
    }
    if !matches!(query.text("stream"), "" | "All") {
        let value = json!(query.text("stream"));
        errors.push(FieldError::not_supported("stream", &value, &["All"]));
    }
    if errors.is_empty() { Ok(out.finish()) } else { Err(Error::invalid("", "PodLogOptions", pod, &errors)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(spec: &Value, wanted: &str) -> Result<String, String> {
        container("p", spec, wanted).map(Into::into).map_err(|error| error.to_string())
    }

    #[test]
    fn containers_are_chosen_as_kubernetes_does() {
        let (one, two) =
            (json!({"containers": [{"name": "a"}]}), json!({"containers": [{"name": "a"}, {"name": "b"}]}));
        assert_eq!(pick(&one, ""), Ok("a".into()));
        assert_eq!(pick(&two, "b"), Ok("b".into()));
        let error = "a container name must be specified for pod p, choose one of: [a b]";
        assert_eq!(pick(&two, ""), Err(error.into()));
        assert_eq!(pick(&two, "c"), Err("container c is not valid for pod p".into()));
        let with_init =
            json!({"containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "i"}]});
        assert_eq!(pick(&with_init, "i"), Ok("i".into()));
        assert!(pick(&with_init, "").unwrap_err().ends_with("[a b] or one of the init containers: [i]"));
    }

    #[test]
    fn options_are_checked_and_passed_on() {
        let read = |text: &str| options("p", &Query::parse(text));
        let all =
            "container=a&follow=true&previous=false&tailLines=5&sinceSeconds=10&limitBytes=9&timestamps=true";
        assert_eq!(
            read(all).unwrap(),
            "follow=true&timestamps=true&tailLines=5&sinceSeconds=10&limitBytes=9"
        );
        assert_eq!(read("sinceTime=2026-01-01T00:00:00Z").unwrap(), "sinceTime=2026-01-01T00%3A00%3A00Z");
        for (text, code) in [
            ("tailLines=-1", 422),
            ("sinceSeconds=0", 422),
            ("limitBytes=0", 422),
            ("sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z", 422),
            ("stream=Stdout", 422),
            ("sinceTime=yesterday", 400),
            ("tailLines=x", 400),
        ] {
            assert_eq!(read(text).unwrap_err().code(), code, "{text}");
        }
    }
}
