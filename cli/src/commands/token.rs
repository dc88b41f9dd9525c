use crate::client::Client;
use crate::table::{self, print};
use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use http::Method;
use jiff::{SignedDuration, Timestamp};
use peapod_agent::link::{CaHash, JoinToken, ServerUrl};
use peapod_api::well_known::{JOIN_TOKEN, JOIN_TOKEN_PREFIX};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::process::ExitCode;

const SECRETS: &str = "/api/v1/namespaces/kube-system/secrets";
/// What ids and secrets are made of: 36 characters.
const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// `peapod token`.
#[derive(Subcommand, Debug)]
pub(crate) enum Token {
    /// Make a token and print the command that joins a machine with it.
    Create(Create),
    /// List the tokens that there are; their secrets are not shown.
    Ls,
    /// Delete a token: nobody joins with it any more, who has joined stays.
    Delete {
        /// ID or ID.SECRET.
        token: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Create {
    /// How long machines may join with it, e.g. 30m or 24h; 0 for ever.
    #[arg(long, value_name = "TIME", default_value = "24h")]
    ttl: String,
    /// The server's URL in the line; where the API is advertised if there is none.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
}

impl Token {
    pub(crate) async fn run(self, client: Client) -> anyhow::Result<ExitCode> {
        match self {
            Token::Create(create) => create.run(&client).await?,
            Token::Ls => list(&client).await?,
            Token::Delete { token } => {
                let id = token.split('.').next().unwrap_or_default();
                if format!("{id}.0123456789abcdef").parse::<JoinToken>().is_err() {
                    bail!("{token:?} is no token: expected ID or ID.SECRET");
                }
                let path = format!("{SECRETS}/{JOIN_TOKEN_PREFIX}{id}");
                client.json(Method::DELETE, &path, &[], "").await.with_context(|| format!("token {id}"))?;
                print(&format!("token {id} deleted\n"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Create {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let ttl = lifetime(&self.ttl)?;
        let server = match &self.server {
            Some(server) => server.parse().map_err(|why| anyhow::anyhow!("--server: {why}"))?,
            None => advertised(client).await?,
        };
        let hash = CaHash::of(client.authority())
            .context("the kubeconfig's certificate-authority cannot be read")?;
        let (id, secret) = (random_text(6)?, random_text(16)?);
        let expiration =
            ttl.map(|ttl| Timestamp::now().checked_add(ttl)).transpose().context("--ttl is too long")?;
        let mut data = json!({
            "token-id": id, "token-secret": secret, "usage-bootstrap-authentication": "true",
            "auth-extra-groups": "system:bootstrappers:peapod:node",
        });
        if let Some(expiration) = expiration {
            data["expiration"] = format!("{expiration:.0}").into();
        }
        let object = json!({"apiVersion": "v1", "kind": "Secret", "type": JOIN_TOKEN, "stringData": data,
            "metadata": {"name": format!("{JOIN_TOKEN_PREFIX}{id}"), "namespace": "kube-system"}});
        let headers = [("content-type", "application/json")];
        client.json(Method::POST, SECRETS, &headers, object.to_string()).await?;
        print(&format!("peapod agent --server {server} --token {id}.{secret} --ca-hash {hash}\n"));
        if server.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
            eprintln!(
                "warning: {server} is reached from this machine only: start the server with --listen 0.0.0.0:{}, or name \
                 another URL by --server",
                server.port
            );
        }
        Ok(())
    }
}

/// None: for ever.
fn lifetime(text: &str) -> anyhow::Result<Option<SignedDuration>> {
    if text == "0" {
        return Ok(None);
    }
    let time: Option<SignedDuration> = text.parse().ok().filter(|time: &SignedDuration| time.is_positive());
    time.map(Some)
        .with_context(|| format!("--ttl {text:?} is no time: expected e.g. 30m, 24h, or 0 for ever"))
}

/// Where the cluster says that its API is.
async fn advertised(client: &Client) -> anyhow::Result<ServerUrl> {
    let endpoints = client.get("/api/v1/namespaces/default/endpoints/kubernetes").await?;
    let subset = &endpoints["subsets"][0];
    let host = subset["addresses"][0]["ip"]
        .as_str()
        .context("the cluster does not say where its API is: use --server")?;
    let port = subset["ports"][0]["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(6443);
    Ok(ServerUrl { host: host.into(), port })
}

fn random_text(length: usize) -> anyhow::Result<String> {
    let provider = rustls::crypto::ring::default_provider();
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut byte = [0];
        provider
            .secure_random
            .fill(&mut byte)
            .map_err(|_| anyhow::anyhow!("the system has no randomness"))?;
        // The largest multiple of 36 in a byte: every character is as likely as any other.
        if byte[0] < 252 {
            text.push(char::from(ALPHABET[usize::from(byte[0]) % ALPHABET.len()]));
        }
    }
    Ok(text)
}

async fn list(client: &Client) -> anyhow::Result<()> {
    let secrets =
        client.get(&format!("{SECRETS}?fieldSelector=type%3D{}", JOIN_TOKEN.replace('/', "%2F"))).await?;
    let now = Timestamp::now();
    let row = |secret: &Value| {
        let read = |key: &str| {
            let bytes = STANDARD.decode(secret["data"][key].as_str().unwrap_or_default()).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let expiration = read("expiration");
        let left = match expiration.parse::<Timestamp>() {
            Ok(end) if end > now => {
                format!("{:#}", SignedDuration::from_mins(end.duration_since(now).as_mins()))
            }
            Ok(_) => "expired".into(),
            Err(_) => "for ever".into(),
        };
        vec![read("token-id"), left, if expiration.is_empty() { "never".into() } else { expiration }]
    };
    let rows: Vec<Vec<String>> = secrets["items"].as_array().into_iter().flatten().map(row).collect();
    print(&table::columns(&["ID", "TTL", "EXPIRES"].map(String::from), &rows));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_and_secrets() {
        assert_eq!(lifetime("24h").unwrap(), Some(SignedDuration::from_hours(24)));
        assert_eq!(lifetime("1h30m").unwrap(), Some(SignedDuration::from_mins(90)));
        assert_eq!(lifetime("0").unwrap(), None);
        for wrong in ["", "-1h", "soon", "24"] {
            assert!(lifetime(wrong).unwrap_err().to_string().contains("24h"), "{wrong}");
        }
        let token = format!("{}.{}", random_text(6).unwrap(), random_text(16).unwrap());
        assert!(token.parse::<JoinToken>().is_ok(), "{token}");
        assert_ne!(random_text(16).unwrap(), random_text(16).unwrap());
    }
}
