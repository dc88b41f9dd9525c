//! The HTTP question of a probe.

use super::tls;
use crate::network::Fabric;
use crate::pods::spec::HttpGet;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use std::fmt::Display;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};

/// What of a failed answer's body is read for the message.
const MAX_BODY_BYTES: usize = 10 << 10;

/// As messages name what was asked.
pub(super) fn url(to: SocketAddr, get: &HttpGet) -> String {
    let scheme = if is_secure(get) { "https" } else { "http" };
    format!("{scheme}://{to}{}", path(get))
}

fn is_secure(get: &HttpGet) -> bool {
    get.scheme.as_deref().is_some_and(|scheme| scheme.eq_ignore_ascii_case("HTTPS"))
}

fn path(get: &HttpGet) -> String {
    let path = get.path.as_deref().unwrap_or("/");
    if path.starts_with('/') { path.to_string() } else { format!("/{path}") }
}

/// Asks once: any status from 200 to 399 is a pass.
pub(super) async fn get(fabric: &Fabric, to: SocketAddr, get: &HttpGet) -> Result<(), String> {
    let failed = |error: &dyn Display| format!("Get \"{}\": {error}", url(to, get));
    let request = request(to, get).map_err(|error| failed(&error))?;
    let connection = fabric.dial(to).await;
    let connection = connection.map_err(|error| failed(&format!("dial tcp {to}: connect: {error}")))?;
    if is_secure(get) {
        let connection = tls::connect(connection, to.ip()).await.map_err(|error| failed(&error))?;
        exchange(connection, request, failed).await
    } else {
        exchange(connection, request, failed).await
    }
}

/// Sends the request and judges the answer's status; `failed` words what went wrong on the way.
async fn exchange<S>(
    connection: S,
    request: Request<Empty<Bytes>>,
    failed: impl Fn(&dyn Display) -> String,
) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(connection)).await;
    let (mut sender, connection) = handshake.map_err(|error| failed(&error))?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(|error| failed(&error))?;
        let status = answer.status().as_u16();
        if (200..400).contains(&status) {
            return Ok(());
        }
        let _ = Limited::new(answer.into_body(), MAX_BODY_BYTES).collect().await;
        Err(format!("HTTP probe failed with statuscode: {status}"))
    };
    tokio::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // The connection is over; what it has brought is still there to be read.
        _ = connection => exchange.await,
    }
}

fn request(to: SocketAddr, get: &HttpGet) -> Result<Request<Empty<Bytes>>, http::Error> {
    let mut request = Request::get(path(get)).body(Empty::new())?;
    let headers = request.headers_mut();
    for own in &get.http_headers {
        headers.append(HeaderName::from_bytes(own.name.as_bytes())?, HeaderValue::from_str(&own.value)?);
    }
    let default = |name: HeaderName, value: &str| -> Result<_, http::Error> {
        Ok((name, HeaderValue::from_str(value)?))
    };
    for (name, value) in [
        default(header::HOST, &to.to_string())?,
        default(header::USER_AGENT, "kube-probe/1.36")?,
        default(header::ACCEPT, "*/*")?,
        default(header::CONNECTION, "close")?,
    ] {
        headers.entry(name).or_insert(value);
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_request_carries_its_path_and_headers() {
        let get: HttpGet = serde_json::from_value(json!({"path": "healthz?deep=1", "port": 80,
            "httpHeaders": [{"name": "Host", "value": "shop"}, {"name": "X-Key", "value": "k"}]}))
        .unwrap();
        let request = request(([10, 244, 0, 2], 80).into(), &get).unwrap();
        assert_eq!(request.uri(), "/healthz?deep=1");
        let header = |name: &str| request.headers()[name].to_str().unwrap();
        assert_eq!(url(([10, 244, 0, 2], 80).into(), &get), "http://10.244.0.2:80/healthz?deep=1");
        let secure = HttpGet { scheme: Some("HTTPS".into()), ..get.clone() };
        assert_eq!(url(([10, 244, 0, 2], 443).into(), &secure), "https://10.244.0.2:443/healthz?deep=1");
        assert_eq!((header("host"), header("x-key"), header("accept")), ("shop", "k", "*/*"));
    }
}
