//! Why a call failed, in the words that Kubernetes, and Go's libraries for it, have.

use http::StatusCode;
use std::error::Error;
use std::io;

/// Most characters of a webhook's own error page that are passed on.
const MAX_PAGE_CHARACTERS: usize = 256;

/// The cause of an error that has causes.
pub(super) fn of_error(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// Why nothing listens at `address`.
pub(super) fn of_dial(address: &str, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused".into(),
        io::ErrorKind::HostUnreachable => "connect: no route to host".into(),
        io::ErrorKind::NetworkUnreachable => "connect: network is unreachable".into(),
        _ => error.to_string(),
    };
    format!("dial tcp {address}: {why}")
}

/// Why a handshake failed with a server that should be `name`.
pub(super) fn of_tls(name: &str, error: &io::Error) -> String {
    use rustls::CertificateError as C;
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(fault)) = inner else { return format!("tls: {error}") };
    let why = match fault {
        C::UnknownIssuer | C::BadSignature => "certificate signed by unknown authority".into(),
        C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. } => {
            "certificate has expired or is not yet valid".into()
        }
        C::NotValidForName => format!("certificate is not valid for {name}"),
        C::NotValidForNameContext { presented, .. } => {
            format!("certificate is valid for {}, not {name}", presented.join(", "))
        }
        other => other.to_string(),
    };
    format!("tls: failed to verify certificate: x509: {why}")
}

/// What an answer without success means.
pub(super) fn of_status(status: StatusCode, body: &[u8]) -> String {
    let page: String = String::from_utf8_lossy(body).trim().chars().take(MAX_PAGE_CHARACTERS).collect();
    match status.as_u16() {
        400 => "the server rejected our request for an unknown reason".into(),
        401 => "the server has asked for the client to provide credentials".into(),
        403 => "forbidden: the webhook refuses to answer the server".into(),
        404 => "the server could not find the requested resource".into(),
        405 => "the server does not allow this method on the requested resource".into(),
        429 => "the server has received too many requests and has asked us to try again later".into(),
        503 => "the server is currently unable to handle the request".into(),
        504 => "the server was unable to return a response in the time allotted".into(),
        code @ 500.. if page.is_empty() => {
            format!("an error on the server (code {code}) has prevented the request from succeeding")
        }
        500.. => format!("an error on the server ({page:?}) has prevented the request from succeeding"),
        code => {
            format!("the server responded with the status code {code} but did not return more information")
        }
    }
}
