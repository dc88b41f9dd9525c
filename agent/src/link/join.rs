//! Joining: a token becomes a certificate. The key is made here and never leaves the machine.

use super::API_PROTOCOL;
use super::address::{CaHash, JoinToken, ServerUrl};
use super::client::of_stream;
use super::dial::{DialError, Dialer};
use super::identity::{self, Asked, Identity};
use super::trust::Anchor;
use crate::api::{Api, ApiError, Retry, Seen};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use peapod_api::well_known::KUBELET_CLIENT;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
/// How long the server may take to sign before it is asked again.
const SIGNED_WITHIN: Duration = Duration::from_secs(60);
/// How often it is said that something is still awaited.
const SAY_EVERY: Duration = Duration::from_secs(60);
/// Delays between attempts.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// What a machine joins with.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// Where the server is.
    pub server: ServerUrl,
    /// What it takes the machine for.
    pub token: JoinToken,
    /// By what the machine knows the server.
    pub ca_hash: CaHash,
    /// The name of the node to be.
    pub node_name: String,
    /// Where the identity will be kept.
    pub dir: PathBuf,
}

/// Why a machine cannot join. One line each.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Trying again may help.
    #[error("{0}")]
    Later(String),
    /// Somebody has to do something.
    #[error("{0}")]
    Never(String),
}

impl From<DialError> for JoinError {
    fn from(error: DialError) -> JoinError {
        if error.is_temporary() {
            JoinError::Later(error.to_string())
        } else {
            JoinError::Never(error.to_string())
        }
    }
}

/// Says what is awaited, at first and then every minute.
struct Notice<'a> {
    say: &'a (dyn Fn(&str) + Sync),
    last: Option<Instant>,
}

impl Notice<'_> {
    fn wait(&mut self, why: &str) {
        if self.last.is_none_or(|last| last.elapsed() >= SAY_EVERY) {
            (self.say)(&format!("{why}; trying again"));
            self.last = Some(Instant::now());
        }
    }
}

/// Joins the cluster, however long it takes the server to be there; `say` is told what is awaited.
///
/// # Errors
/// The server is not the one that is meant, or does not want this machine; one line.
pub async fn join(request: &JoinRequest, say: &(dyn Fn(&str) + Sync)) -> anyhow::Result<Identity> {
    let dialer = Dialer::anonymous(request.server.clone(), Anchor::Hash(request.ca_hash))
        .map_err(anyhow::Error::msg)?;
    let (mut retry, mut notice) = (Retry::new(RETRY.0, RETRY.1), Notice { say, last: None });
    loop {
        let asked = identity::ask(&request.dir, &request.node_name)?;
        match attempt(request, &dialer, &asked).await {
            Ok(certificate) => {
                let authority =
                    dialer.authority().ok_or_else(|| anyhow::anyhow!("the server showed no authority"))?;
                let pair = format!("{certificate}{}", asked.key_pem);
                return Identity::store(&request.dir, &request.node_name, &request.server, &authority, pair);
            }
            Err(JoinError::Never(why)) => {
                identity::forget_asked(&request.dir);
                anyhow::bail!("{why}");
            }
            Err(JoinError::Later(why)) => notice.wait(&why),
        }
        tokio::time::sleep(retry.delay()).await;
    }
}

/// One attempt over one connection. Gives the certificate, PEM.
async fn attempt(request: &JoinRequest, dialer: &Dialer, asked: &Asked) -> Result<String, JoinError> {
    let stream = dialer.dial(API_PROTOCOL).await?;
    let client = of_stream(stream, &request.server.authority(), Some(request.token.as_str())).await;
    let api = Api::new(client.map_err(|error| JoinError::Later(format!("{}: {error}", request.server)))?);
    let refused = |error: ApiError| match error.code {
        401 => JoinError::Never(format!(
            "the server at {} does not accept the token: it has expired or was never made there; `peapod token create` makes a new one",
            request.server
        )),
        400 | 403 | 404 | 405 | 422 => {
            JoinError::Never(format!("the server at {} refused: {error}", request.server))
        }
        _ => JoinError::Later(format!("{}: {error}", request.server)),
    };
    certify(&api, asked).await.map_err(|failure| match failure {
        Failure::Api(error) => refused(error),
        Failure::Refused(why) => JoinError::Never(format!("the server at {} refused: {why}", request.server)),
        Failure::Slow => {
            JoinError::Later(format!("the server at {} has not signed the certificate yet", request.server))
        }
    })
}

/// Why there is no certificate.
pub(super) enum Failure {
    Api(ApiError),
    /// It was denied, or could not be signed.
    Refused(String),
    Slow,
}

/// Asks for a certificate and waits until it is signed. Gives it, PEM.
pub(super) async fn certify(api: &Api, asked: &Asked) -> Result<String, Failure> {
    let object = json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
        "metadata": {"name": asked.name},
        "spec": {"request": STANDARD.encode(&asked.request_pem), "signerName": KUBELET_CLIENT,
            "usages": ["digital signature", "client auth"]},
    });
    match api.create(REQUESTS, &object).await {
        // An earlier attempt has asked already.
        Err(error) if error.code != 409 => return Err(Failure::Api(error)),
        _ => {}
    }
    let selector = format!("fieldSelector=metadata.name%3D{}", asked.name);
    let mut seen = std::pin::pin!(api.watch::<Value>(REQUESTS.into(), selector));
    let decided = async {
        while let Some(change) = seen.next().await {
            let request = match change {
                Seen::Listed(requests) | Seen::Recalled(requests) => requests.into_iter().next(),
                Seen::Applied(request) => Some(request),
                Seen::Deleted(_) => None,
            };
            match request.map(|request| decision(&request)) {
                None => return Err(Failure::Slow),
                Some(Some(decision)) => return decision.map_err(Failure::Refused),
                Some(None) => {}
            }
        }
        Err(Failure::Slow)
    };
    tokio::time::timeout(SIGNED_WITHIN, decided).await.unwrap_or(Err(Failure::Slow))
}

/// The certificate, or why there will be none; nothing while that is open.
fn decision(request: &Value) -> Option<Result<String, String>> {
    let status = &request["status"];
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let mut refusals = conditions.filter(|c| c["type"] == "Denied" || c["type"] == "Failed");
    if let Some(refusal) = refusals.next() {
        return Some(Err(refusal["message"].as_str().unwrap_or("no reason was given").into()));
    }
    let certificate = STANDARD.decode(status["certificate"].as_str()?).ok()?;
    Some(String::from_utf8(certificate).map_err(|_| "the certificate is no text".into()))
}

/// Waits until the server answers this node. `say` is told what is awaited.
///
/// # Errors
/// The server is not the one that the node joined; one line.
pub async fn first_contact(
    dialer: &Dialer,
    identity: &Identity,
    say: &(dyn Fn(&str) + Sync),
) -> anyhow::Result<()> {
    let (mut retry, mut notice) = (Retry::new(RETRY.0, RETRY.1), Notice { say, last: None });
    loop {
        match greet(dialer, identity).await {
            Ok(()) => return Ok(()),
            Err(JoinError::Later(why)) => notice.wait(&why),
            Err(JoinError::Never(why)) => anyhow::bail!("{why}"),
        }
        tokio::time::sleep(retry.delay()).await;
    }
}

async fn greet(dialer: &Dialer, identity: &Identity) -> Result<(), JoinError> {
    let dialled = dialer.dial(API_PROTOCOL).await.map_err(|error| match error {
        DialError::OtherAuthority(..) => JoinError::Never(format!(
            "{error}; {} belongs to a node of another cluster: use another --data-dir, or remove it to join anew",
            identity.dir().display()
        )),
        other => other.into(),
    });
    let server = dialer.server();
    let client = of_stream(dialled?, &server.authority(), None).await;
    let api = Api::new(client.map_err(|error| JoinError::Later(format!("{server}: {error}")))?);
    let path = format!("/api/v1/nodes/{}", identity.node_name());
    match api.get(&path).await {
        Err(error) if error.code == 401 => Err(JoinError::Later(format!(
            "the server at {server} does not accept this node's certificate{}: if its clock is right, `kubectl delete node {}`, \
             remove {} and join anew",
            expiry(identity),
            identity.node_name(),
            identity.dir().display()
        ))),
        Err(error) if error.code == 404 => Ok(()),
        Err(error) => Err(JoinError::Later(format!("{server}: {error}"))),
        Ok(_) => Ok(()),
    }
}

fn expiry(identity: &Identity) -> String {
    let end = identity.validity_seconds().and_then(|(_, end)| jiff::Timestamp::from_second(end).ok());
    end.map(|end| format!(" (valid until {end:.0})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_open_until_it_is_signed_or_refused() {
        assert_eq!(decision(&json!({})), None);
        let approved = json!({"type": "Approved", "status": "True"});
        assert_eq!(decision(&json!({"status": {"conditions": [approved]}})), None);
        let denied = json!({"type": "Denied", "status": "True", "message": "the name is taken"});
        assert_eq!(
            decision(&json!({"status": {"conditions": [denied]}})),
            Some(Err("the name is taken".into()))
        );
        let status = json!({"conditions": [approved], "certificate": STANDARD.encode("PEM")});
        assert_eq!(decision(&json!({ "status": status })), Some(Ok("PEM".into())));
    }
}
