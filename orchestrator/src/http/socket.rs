//! Watches and logs over WebSockets, which is how programs in browsers follow them: every event, or every piece of a log,
//! is a message. Requests are judged and answered as any other; what would be a stream of bytes becomes a socket.

use super::Request;
use super::answer::{Answer, set_header};
use super::listener::end_of;
use crate::authn::{Peer, TOKEN_PROTOCOL};
use crate::tasks::Tasks;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, Stream, StreamExt};
use http::{Method, StatusCode, header};
use http_body_util::BodyExt;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use peapod_api::Error;
use peapod_api::error::Reason;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as Broken, Message};

/// Sockets that are open at a time.
pub(super) const MAX_SOCKETS: usize = 4096;
/// Nothing is expected of clients but pings and a goodbye.
const MAX_INCOMING_BYTES: usize = 64 << 10;
/// Bytes as text, for clients that read no binary messages.
const BASE64: &str = "base64.binary.k8s.io";

/// How the stream of an answer becomes messages; an answer without it becomes no socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// A text for each line.
    Lines,
    /// A message for each piece, in the form of the chosen protocol.
    Pieces,
}

/// A client's wish for a socket.
pub(super) struct Wish {
    upgrade: OnUpgrade,
    accept: String,
    /// As the client offers them, but for the one that is a credential.
    protocols: Vec<String>,
    peer: Peer,
}

/// The protocols that a client offers.
pub(crate) fn protocols(headers: &http::HeaderMap) -> impl Iterator<Item = &str> {
    let lists = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).into_iter();
    lists.filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(',')).map(str::trim)
}

impl Wish {
    /// None: the request asks for no socket, or its connection cannot become one.
    pub(super) fn of(request: &Request, upgrade: Option<OnUpgrade>) -> Option<Wish> {
        let names = |name, wanted: &str| {
            request.header(name).split(',').any(|part| part.trim().eq_ignore_ascii_case(wanted))
        };
        let key = request.headers.get(header::SEC_WEBSOCKET_KEY)?;
        let asks = request.method == Method::GET
            && names(header::UPGRADE, "websocket")
            && names(header::CONNECTION, "upgrade")
            && request.header(header::SEC_WEBSOCKET_VERSION) == "13";
        let own = protocols(&request.headers).filter(|protocol| !protocol.starts_with(TOKEN_PROTOCOL));
        let wish = Wish {
            upgrade: upgrade?,
            accept: derive_accept_key(key.as_bytes()),
            protocols: own.map(Into::into).collect(),
            peer: request.peer.clone(),
        };
        asks.then_some(wish)
    }

    /// Makes a socket of an answer that streams; others stay as they are. Errors: 403 for protocols that nobody here speaks,
    /// 429 for too many sockets.
    pub(super) fn grant(
        self,
        answer: Answer,
        sockets: &Arc<Semaphore>,
        tasks: &Tasks,
    ) -> Result<Answer, Error> {
        let framing = answer.extensions().get::<Framing>().copied();
        let Some(framing) = framing.filter(|_| answer.status() == StatusCode::OK) else { return Ok(answer) };
        let protocol = chosen(framing, &self.protocols)?;
        let permit = sockets.clone().try_acquire_owned().map_err(|_| {
            let message = format!("more than {MAX_SOCKETS} sockets are open, please try again later");
            Error::new(Reason::TooManyRequests, message).retry_after(5)
        })?;
        let mut switching = Answer::default();
        *switching.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        set_header(&mut switching, header::UPGRADE, "websocket");
        set_header(&mut switching, header::CONNECTION, "Upgrade");
        set_header(&mut switching, header::SEC_WEBSOCKET_ACCEPT, &self.accept);
        if let Some(protocol) = &protocol {
            set_header(&mut switching, header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        let messages =
            Messages { framing, base64: protocol.as_deref() == Some(BASE64), rest: BytesMut::new() };
        tasks.spawn(serve(self.upgrade, self.peer, answer, messages, permit));
        Ok(switching)
    }
}

/// Which of the offered protocols is spoken; none offered: none. Events are JSON in each of them.
fn chosen(framing: Framing, offered: &[String]) -> Result<Option<String>, Error> {
    let spoken = |protocol: &&String| framing == Framing::Lines || *protocol == BASE64;
    match offered.iter().find(spoken) {
        None if !offered.is_empty() => {
            let offered = offered.join(" ");
            let message =
                format!("requested protocol(s) are not supported: [{offered}]; supports [{BASE64}]");
            Err(Error::new(Reason::Forbidden, message))
        }
        protocol => Ok(protocol.cloned()),
    }
}

/// Pieces of a stream as messages.
struct Messages {
    framing: Framing,
    base64: bool,
    /// The beginning of a line whose end has not come yet.
    rest: BytesMut,
}

impl Messages {
    fn of(&mut self, piece: Bytes) -> Vec<Message> {
        match self.framing {
            Framing::Pieces if self.base64 => vec![Message::text(STANDARD.encode(&piece))],
            Framing::Pieces => vec![Message::binary(piece)],
            Framing::Lines => {
                self.rest.extend_from_slice(&piece);
                let mut messages = Vec::new();
                while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                    let line = self.rest.split_to(end + 1);
                    messages.push(Message::text(String::from_utf8_lossy(&line).into_owned()));
                }
                messages
            }
        }
    }
}

/// Sends the answer's stream until it ends, the client leaves or its certificate is over.
async fn serve(
    upgrade: OnUpgrade,
    peer: Peer,
    answer: Answer,
    messages: Messages,
    _permit: OwnedSemaphorePermit,
) {
    let Ok(upgraded) = upgrade.await else { return };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_INCOMING_BYTES))
        .max_frame_size(Some(MAX_INCOMING_BYTES));
    let io = TokioIo::new(upgraded);
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
    let stream = answer.into_body().into_data_stream();
    let ended = tokio::select! {
        ended = follow(&mut socket, stream, messages) => ended,
        () = end_of(peer) => Ok(()),
    };
    let goodbye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    if let Err(error) = ended.and(socket.close(Some(goodbye)).await) {
        tracing::debug!(%error, "a socket ended");
    }
}

async fn follow<I, E>(
    socket: &mut WebSocketStream<I>,
    stream: impl Stream<Item = Result<Bytes, E>>,
    mut messages: Messages,
) -> Result<(), Broken>
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut stream = std::pin::pin!(stream);
    loop {
        tokio::select! {
            piece = stream.next() => {
                // A stream that breaks off ends without a goodbye: what came is not all there is.
                let Some(piece) = piece else { return Ok(()) };
                let piece = piece.map_err(|_| Broken::ConnectionClosed)?;
                for message in messages.of(piece) {
                    socket.feed(message).await?;
                }
                socket.flush().await?;
            }
            // Pings are answered by the socket itself.
            said = socket.next() => match said {
                None | Some(Ok(Message::Close(_))) => return Ok(()),
                Some(said) => _ = said?,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(framing: Framing, base64: bool, pieces: &[&'static [u8]]) -> Vec<Message> {
        let mut messages = Messages { framing, base64, rest: BytesMut::new() };
        pieces.iter().flat_map(|piece| messages.of(Bytes::from_static(piece))).collect()
    }

    #[test]
    fn events_are_lines_and_logs_are_pieces() {
        let lines = messages(Framing::Lines, true, &[b"{1}\n{2", b"}\n", b"{3}\n{4}\n{"]);
        assert_eq!(lines, ["{1}\n", "{2}\n", "{3}\n", "{4}\n"].map(Message::text));
        assert_eq!(messages(Framing::Pieces, false, &[b"a\nb"]), [Message::binary(&b"a\nb"[..])]);
        assert_eq!(messages(Framing::Pieces, true, &[b"\xff"]), [Message::text("/w==")]);
    }

    #[test]
    fn a_protocol_is_chosen_of_those_that_are_offered() {
        let choose = |framing, offered: &[&str]| {
            let offered: Vec<String> = offered.iter().map(|name| name.to_string()).collect();
            chosen(framing, &offered).map_err(|error| error.code())
        };
        assert_eq!(choose(Framing::Lines, &[]), Ok(None));
        assert_eq!(choose(Framing::Lines, &["any"]), Ok(Some("any".into())));
        assert_eq!(choose(Framing::Pieces, &[]), Ok(None));
        assert_eq!(choose(Framing::Pieces, &["x", BASE64]), Ok(Some(BASE64.into())));
        assert_eq!(choose(Framing::Pieces, &["x"]), Err(403));
    }
}
