//! HTTP from a guest's side: [`respond`] to the request at hand, [`get`] what another server has.

use alloc::{format, string::String, vec::Vec};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, IncomingBody, IncomingResponse, OutgoingBody, OutgoingRequest, OutgoingResponse,
    ResponseOutparam, Scheme,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

/// As many bytes as `blocking-write-and-flush` takes at once.
const WRITE_LIMIT_BYTES: usize = 4096;
/// How much is asked for in one read of a body.
const READ_BYTES: u64 = 64 * 1024;

/// Answers with `status` and `body`, as plain text.
pub fn respond(out: ResponseOutparam, status: u16, body: &[u8]) {
    respond_as(out, status, "text/plain; charset=utf-8", body);
}

/// Answers with `status` and `body`, which is of `content_type`.
pub fn respond_as(out: ResponseOutparam, status: u16, content_type: &str, body: &[u8]) {
    let headers = [
        ("content-type".into(), content_type.as_bytes().to_vec()),
        ("content-length".into(), format!("{}", body.len()).into_bytes()),
    ];
    let response = OutgoingResponse::new(Fields::from_list(&headers).unwrap_or_else(|_| Fields::new()));
    // Only a status outside of 100 to 999 is refused; the answer is then 200.
    let _ = response.set_status_code(status);
    let Ok(outgoing) = response.body() else { return };
    ResponseOutparam::set(out, Ok(response));
    let Ok(stream) = outgoing.write() else { return };
    // An error means that the client has gone: there is nobody left to tell.
    let sent = write_all(&stream, body);
    drop(stream);
    if sent.is_ok() {
        let _ = OutgoingBody::finish(outgoing, None);
    }
}

/// Fetches `url` (`http://HOST[:PORT][/PATH]`) and gives the status and the whole body, or says why that failed.
pub fn get(url: &str) -> Result<(u16, Vec<u8>), String> {
    let (authority, path) = split(url)?;
    let request = OutgoingRequest::new(Fields::new());
    let set = request
        .set_scheme(Some(&Scheme::Http))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(path)));
    set.map_err(|()| format!("{url:?} is no URL"))?;
    let response = outgoing_handler::handle(request, None).map_err(|error| format!("{error:?}"))?;
    response.subscribe().block();
    let answer: IncomingResponse = match response.get() {
        Some(Ok(answer)) => answer.map_err(|error| format!("{error:?}"))?,
        _ => return Err("the host gave no answer".into()),
    };
    let status = answer.status();
    let body = answer.consume().map_err(|()| String::from("the answer has no body"))?;
    let bytes = {
        let stream = body.stream().map_err(|()| String::from("the body cannot be read"))?;
        read_to_end(&stream)?
    };
    IncomingBody::finish(body);
    Ok((status, bytes))
}

/// `http://hello:8080/x` is `hello:8080` and `/x`.
fn split(url: &str) -> Result<(&str, &str), String> {
    let rest = url.strip_prefix("http://").ok_or_else(|| format!("{url:?} does not begin with http://"))?;
    match rest.find('/') {
        Some(at) => Ok((&rest[..at], &rest[at..])),
        None => Ok((rest, "/")),
    }
}

fn write_all(stream: &OutputStream, bytes: &[u8]) -> Result<(), StreamError> {
    for chunk in bytes.chunks(WRITE_LIMIT_BYTES) {
        stream.blocking_write_and_flush(chunk)?;
    }
    Ok(())
}

fn read_to_end(stream: &InputStream) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(READ_BYTES) {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
}
