//! What a node asks of another, as a request and back. Pure.

use crate::network::NetworkError;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use peapod_api::pod_traffic::{
    DESTINATION, DESTINATION_NODE, FAILURE, SOURCE, SOURCE_NODE, TCP_PATH, UDP_PATH,
};
use std::net::SocketAddr;

/// A stream or a row of datagrams from one node to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The node that asks.
    pub source_node: String,
    /// The node that is asked.
    pub destination_node: String,
    /// What for.
    pub transport: Transport,
}

/// What a call carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One connection of a pod of the source node to one of the destination node.
    Tcp {
        /// The pod that dials.
        source: SocketAddr,
        /// The pod that is dialled.
        destination: SocketAddr,
    },
    /// All datagrams in this direction.
    Udp,
}

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The node itself was not reached: another one may do.
    #[error("not reached: {0}")]
    Unreachable(String),
    /// The node was reached and said no.
    #[error(transparent)]
    Refused(#[from] NetworkError),
}

/// The errors that travel, and their names.
const FAILURES: [(NetworkError, &str); 6] = [
    (NetworkError::AccessDenied, "access-denied"),
    (NetworkError::ConnectionRefused, "connection-refused"),
    (NetworkError::ConnectionReset, "connection-reset"),
    (NetworkError::HostUnreachable, "host-unreachable"),
    (NetworkError::SocketLimit, "socket-limit"),
    (NetworkError::TimedOut, "timed-out"),
];

impl Call {
    /// The request that makes this call.
    ///
    /// # Errors
    /// A node's name is none; a few words.
    pub fn request<B>(&self, body: B) -> Result<Request<B>, String> {
        let (path, addresses) = match self.transport {
            Transport::Tcp { source, destination } => (TCP_PATH, Some((source, destination))),
            Transport::Udp => (UDP_PATH, None),
        };
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://peapod{path}"))
            .header(SOURCE_NODE, &self.source_node)
            .header(DESTINATION_NODE, &self.destination_node);
        if let Some((source, destination)) = addresses {
            request = request.header(SOURCE, source.to_string()).header(DESTINATION, destination.to_string());
        }
        request.body(body).map_err(|error| error.to_string())
    }

    /// What a request asks for; none for a path that is not of pod traffic.
    ///
    /// # Errors
    /// A header is missing or wrong; a sentence.
    pub fn of<B>(request: &Request<B>) -> Option<Result<Call, String>> {
        let headers = request.headers();
        let transport = match request.uri().path() {
            TCP_PATH => addresses(headers),
            UDP_PATH => Ok(Transport::Udp),
            _ => return None,
        };
        Some(transport.and_then(|transport| {
            let node = |name| text(headers, name).map(str::to_string);
            Ok(Call { source_node: node(SOURCE_NODE)?, destination_node: node(DESTINATION_NODE)?, transport })
        }))
    }
}

fn addresses(headers: &HeaderMap) -> Result<Transport, String> {
    let address = |name| {
        let text = text(headers, name)?;
        text.parse().map_err(|_| format!("header {name}: {text:?} is no IP:PORT"))
    };
    Ok(Transport::Tcp { source: address(SOURCE)?, destination: address(DESTINATION)? })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, String> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.ok_or_else(|| format!("header {name} is missing"))
}

/// The answer that says `error`.
pub(super) fn refusal<B: Default>(error: NetworkError) -> Response<B> {
    let name =
        FAILURES.iter().find(|(known, _)| *known == error).map_or("host-unreachable", |(_, name)| name);
    let mut response = answer(StatusCode::BAD_GATEWAY);
    response.headers_mut().insert(HeaderName::from_static(FAILURE), HeaderValue::from_static(name));
    response
}

/// An answer without a body.
pub(super) fn answer<B: Default>(status: StatusCode) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = status;
    response
}

/// Whether the answer means that the stream is open.
pub(super) fn judge<B>(response: &Response<B>) -> Result<(), CallError> {
    if response.status().is_success() {
        return Ok(());
    }
    let name = response.headers().get(FAILURE).and_then(|name| name.to_str().ok());
    let known = FAILURES.iter().find(|(_, known)| Some(*known) == name);
    Err(match known {
        Some((error, _)) => CallError::Refused(*error),
        None => CallError::Unreachable(format!("the answer was {}", response.status())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(transport: Transport) -> Call {
        Call { source_node: "edge-1".into(), destination_node: "edge-2".into(), transport }
    }

    #[test]
    fn a_call_is_read_as_it_was_written() {
        let tcp = Transport::Tcp {
            source: "10.244.0.2:40000".parse().unwrap(),
            destination: "10.244.1.2:80".parse().unwrap(),
        };
        for transport in [tcp, Transport::Udp] {
            let request = call(transport).request(()).unwrap();
            assert_eq!(Call::of(&request), Some(Ok(call(transport))));
        }
        let mut request = call(tcp).request(()).unwrap();
        request.headers_mut().insert(SOURCE, "localhost:80".parse().unwrap());
        assert!(Call::of(&request).unwrap().unwrap_err().contains("\"localhost:80\" is no IP:PORT"));
        request.headers_mut().remove(DESTINATION_NODE);
        request.headers_mut().insert(SOURCE, "10.244.0.2:1".parse().unwrap());
        assert!(Call::of(&request).unwrap().unwrap_err().contains(DESTINATION_NODE));
        assert_eq!(Call::of(&Request::get("/pods").body(()).unwrap()), None);
    }

    #[test]
    fn a_refusal_keeps_its_reason_and_anything_else_is_another_nodes_turn() {
        for (error, _) in FAILURES {
            assert_eq!(judge(&refusal::<()>(error)), Err(CallError::Refused(error)));
        }
        assert_eq!(judge(&answer::<()>(StatusCode::OK)), Ok(()));
        for status in [StatusCode::SERVICE_UNAVAILABLE, StatusCode::NOT_FOUND, StatusCode::BAD_GATEWAY] {
            assert!(matches!(judge(&answer::<()>(status)), Err(CallError::Unreachable(_))), "{status}");
        }
    }
}
