//! The last touch to an answer: made YAML of or indented for people, compressed for those who asked and where it pays.

use super::Request;
use super::accept::Encoding;
use super::answer::{self, Answer, Broken, Document, JSON};
use super::list::in_turn;
use super::query::Query;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::{HeaderMap, HeaderValue, Method, header};
use http_body_util::BodyExt;
use hyper::body::Body;
use peapod_core::schema::{protobuf, yaml};
use serde_json::Value;
use std::io::Write;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Smaller answers are sent as they are, as Kubernetes does.
const COMPRESS_FROM_BYTES: u64 = 128 << 10;
/// Clients whose users read JSON.
const READ_BY_PEOPLE: [&str; 3] = ["curl", "Wget", "Mozilla/5.0"];

/// What a request says of the form of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wishes {
    yaml: bool,
    pretty: bool,
    gzip: bool,
}

impl Wishes {
    pub(super) fn of(request: &Request) -> Wishes {
        let gzip = request.method == Method::GET && accepts_gzip(request.header(header::ACCEPT_ENCODING));
        let yaml = is_negotiated(&request.path)
            && request.accept.is_some_and(|wanted| wanted.encoding == Encoding::Yaml);
        Wishes { yaml, pretty: is_for_people(&request.query, &request.headers), gzip }
    }
}

/// Whether clients choose the encoding of what the path answers: objects and discovery.
fn is_negotiated(path: &str) -> bool {
    matches!(path.split('/').nth(1), Some("api" | "apis"))
}

/// `pretty`, or a user agent behind which somebody sits.
fn is_for_people(query: &Query, headers: &HeaderMap) -> bool {
    if query.get("pretty").is_some() {
        return query.flag("pretty");
    }
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    READ_BY_PEOPLE.iter().any(|prefix| agent.starts_with(prefix))
}

fn accepts_gzip(header: &str) -> bool {
    header.split(',').any(|entry| {
        let (coding, quality) = entry.split_once(';').unwrap_or((entry, ""));
        let ruled_out = quality.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0);
        coding.trim().eq_ignore_ascii_case("gzip") && !ruled_out
    })
}

/// `answer` in the form that was wished for. What streams without an end stays as it is.
pub(super) async fn finish(answer: Answer, wishes: Wishes, encoders: &Arc<Semaphore>) -> Answer {
    let content_type = answer.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_json = content_type.is_some_and(|text| text.starts_with(JSON));
    let is_ours = is_json || content_type.is_some_and(|text| text.starts_with(protobuf::CONTENT_TYPE));
    let size = match (answer.body().size_hint().exact(), answer.extensions().get::<Document>()) {
        (Some(size), _) => size,
        (None, Some(Document)) => u64::MAX,
        (None, None) => return answer,
    };
    let rewrite: Option<Rewrite> = match content_type {
        Some(JSON) if wishes.yaml => Some((YAML, to_yaml)),
        _ if wishes.pretty && is_json => Some((JSON, indent)),
        _ => None,
    };
    let gzip = wishes.gzip
        && size >= COMPRESS_FROM_BYTES
        && !answer.headers().contains_key(header::CONTENT_ENCODING);
    if !is_ours || rewrite.is_none() && !gzip {
        return answer;
    }
    let answer = match rewrite {
        Some(rewrite) => rewritten(answer, size, encoders, rewrite).await,
        None => answer,
    };
    if gzip { compressed(answer, encoders.clone()) } else { answer }
}

const YAML: &str = "application/yaml";

/// Another writing of a JSON document, and its content type where that changes.
type Rewrite = (&'static str, fn(&Bytes) -> Bytes);

/// The same document for people, who do not read long ones: it is taken together for that.
async fn rewritten(
    answer: Answer,
    size: u64,
    encoders: &Arc<Semaphore>,
    (content_type, rewrite): Rewrite,
) -> Answer {
    let (mut head, body) = answer.into_parts();
    let Ok(body) = body.collect().await else { return answer::error(&lost()) };
    let body = body.to_bytes();
    let work = move || rewrite(&body);
    let body = if size < COMPRESS_FROM_BYTES { Ok(work()) } else { in_turn(encoders, work).await };
    let Ok(body) = body else { return answer::error(&lost()) };
    head.headers.remove(header::CONTENT_LENGTH);
    if content_type != JSON {
        head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    Answer::from_parts(head, body.into())
}

/// The same document, compressed piece by piece as the client takes it.
fn compressed(answer: Answer, encoders: Arc<Semaphore>) -> Answer {
    let (mut head, body) = answer.into_parts();
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let pieces = stream::try_unfold((body.into_data_stream(), Some(encoder)), move |(mut body, encoder)| {
        let encoders = encoders.clone();
        async move {
            let Some(mut encoder) = encoder else { return Ok(None) };
            let piece = body.next().await.transpose().map_err(|error| Broken(error.to_string()))?;
            let compressing = move || match piece {
                Some(piece) => {
                    encoder.write_all(&piece)?;
                    Ok((std::mem::take(encoder.get_mut()), Some(encoder)))
                }
                None => Ok((encoder.finish()?, None)),
            };
            let done: std::io::Result<_> = in_turn(&encoders, compressing).await?;
            let (piece, encoder) = done.map_err(|error| Broken(error.to_string()))?;
            Ok(Some((Bytes::from(piece), (body, encoder))))
        }
    });
    head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    head.headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    head.headers.remove(header::CONTENT_LENGTH);
    // What the encoder keeps back for later makes no piece.
    let pieces = pieces.try_filter(|piece| std::future::ready(!piece.is_empty()));
    let (_, body) = answer::document(JSON, pieces).into_parts();
    Answer::from_parts(head, body)
}

fn lost() -> peapod_api::Error {
    peapod_api::Error::internal("the answer could not be encoded")
}

fn indent(body: &Bytes) -> Bytes {
    let read: Result<Value, _> = serde_json::from_slice(body);
    let written = read.and_then(|value| serde_json::to_vec_pretty(&value));
    written.map_or_else(
        |_| body.clone(),
        |mut text| {
            text.push(b'\n');
            text.into()
        },
    )
}

fn to_yaml(body: &Bytes) -> Bytes {
    let read: Option<Value> = serde_json::from_slice(body).ok();
    read.and_then(|value| yaml::written(&value).ok()).map_or_else(|| body.clone(), Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::super::answer;
    use super::*;
    use serde_json::json;
    use std::io::Read;

    async fn finished(answer: Answer, pretty: bool, gzip: bool) -> (HeaderMap, Bytes) {
        let (head, body) = finish(answer, Wishes { yaml: false, pretty, gzip }, &Arc::new(Semaphore::new(1)))
            .await
            .into_parts();
        (head.headers, body.collect().await.unwrap().to_bytes())
    }

    #[tokio::test]
    async fn large_answers_are_compressed_for_those_who_ask() {
        let large = json!({"data": "x".repeat(200 << 10)});
        let (headers, body) = finished(answer::json(&large), false, true).await;
        assert_eq!(headers["content-encoding"], "gzip");
        assert_eq!(headers["vary"], "Accept-Encoding");
        let mut text = String::new();
        flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, large.to_string());
        assert!(body.len() < text.len() / 10);
        for (answer, gzip) in [
            (answer::json(&large), false),
            (answer::json(&json!({})), true),
            (answer::text("x".repeat(200 << 10)), true),
        ] {
            assert!(!finished(answer, false, gzip).await.0.contains_key("content-encoding"));
        }
        assert!(accepts_gzip("br;q=1.0, gzip;q=0.8") && accepts_gzip("GZIP"));
        assert!(!accepts_gzip("") && !accepts_gzip("gzip;q=0, br") && !accepts_gzip("identity"));
    }

    #[tokio::test]
    async fn yaml_is_made_of_objects_alone() {
        let wishes = Wishes { yaml: true, pretty: true, gzip: false };
        let finished = async |answer: Answer| {
            let (head, body) = finish(answer, wishes, &Arc::new(Semaphore::new(1))).await.into_parts();
            (head.headers["content-type"].clone(), body.collect().await.unwrap().to_bytes())
        };
        let (content_type, body) = finished(answer::json(&json!({"a": ["1"]}))).await;
        assert_eq!((content_type.to_str().unwrap(), &body[..]), ("application/yaml", &b"a:\n- \"1\"\n"[..]));
        assert_eq!(finished(answer::text("{}")).await.0, "text/plain; charset=utf-8");
        assert!(is_negotiated("/api/v1/pods") && is_negotiated("/apis") && !is_negotiated("/version"));
    }

    #[tokio::test]
    async fn people_read_indented_json() {
        let (_, body) = finished(answer::json(&json!({"a": [1]})), true, false).await;
        assert_eq!(body, "{\n  \"a\": [\n    1\n  ]\n}\n");
        assert_eq!(finished(answer::text("{}"), true, false).await.1, "{}");
        let wishes = |query: &str, agent: &'static str| {
            let headers = HeaderMap::from_iter([(header::USER_AGENT, HeaderValue::from_static(agent))]);
            is_for_people(&Query::parse(query), &headers)
        };
        assert!(wishes("pretty=true", "kubectl/v1.36") && wishes("", "curl/8.0"));
        assert!(!wishes("", "kubectl/v1.36") && !wishes("pretty=false", "curl/8.0"));
    }
}
