//! What a volume is made of: objects, facts of the pod, tokens of its service account.

use super::files::{self, DEFAULT_MODE, Files, inside};
use super::reference::{Content, Kind, Reference};
use crate::api::{Api, escape};
use crate::pods::env;
use crate::pods::spec::{AccountToken, Container, DownwardItem, KeyedVolume, Pod, ResourceFieldRef};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::Method;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// A token is fetched anew once this share of its life is over, in percent, ...
const RENEW_AFTER_PERCENT: u64 = 80;
/// ... or this time.
const RENEW_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// When to ask again for a token that could not be had.
const ASK_AGAIN: Duration = Duration::from_secs(60);
/// How long a token counts that is asked for without a time, and at least, in seconds.
const LIFETIME_SECONDS: (u64, u64) = (3600, 600);

/// One source of a volume.
pub(super) enum Part {
    /// A ConfigMap or a Secret.
    Object { kind: Kind, volume: KeyedVolume, reference: Arc<Reference> },
    /// Facts of the pod, which may change.
    Pod { items: Vec<DownwardItem>, mode: Option<u32> },
    /// A token of the pod's service account.
    Token { wanted: AccountToken, mode: Option<u32>, api: Api, held: Mutex<Option<Held>> },
}

/// A token that the node has.
pub(super) struct Held {
    token: Vec<u8>,
    renew_at: Instant,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    token: String,
}

impl Part {
    /// Its files. `dir` holds those that were written before. Errors: a sentence, as kubelet's where it has one.
    pub(super) async fn files(&self, pod: &Pod, dir: &Path) -> Result<Files, String> {
        match self {
            Part::Object { kind, volume, reference } => {
                let (noun, name) = (kind.noun(), &volume.name);
                let content = match reference.content().await {
                    Some(content) => content,
                    None if volume.optional => Arc::new(Content::new()),
                    None => return Err(format!("{noun} \"{name}\" not found")),
                };
                let about = format!("{noun} {}/{name}", pod.metadata.namespace);
                files::project(volume, &content).map_err(|why| format!("{about}: {why}"))
            }
            Part::Pod { items, mode } => items.iter().map(|item| file_of(pod, item, *mode)).collect(),
            Part::Token { wanted, mode, .. } => {
                let path = inside(&wanted.path)?;
                let token = self.token(pod, &dir.join(path)).await?;
                Ok(Files::from([(path.to_string(), (mode.unwrap_or(DEFAULT_MODE), token))]))
            }
        }
    }

    /// Resolves when the files may have changed. `pods` is a receiver that has seen the pod of the last files.
    pub(super) fn changed(&self, pods: &watch::Receiver<Arc<Pod>>) -> BoxFuture<'static, ()> {
        async fn of<T>(mut changes: watch::Receiver<T>) {
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        match self {
            Part::Object { reference, .. } => of(reference.changes()).boxed(),
            Part::Pod { .. } => of(pods.clone()).boxed(),
            Part::Token { held, .. } => {
                let at =
                    held.lock().as_ref().map_or_else(|| Instant::now() + ASK_AGAIN, |held| held.renew_at);
                tokio::time::sleep_until(at).boxed()
            }
        }
    }

    /// The token: the one that is held until it is time for another. Where the API does not answer, the one that is
    /// held or was written before.
    async fn token(&self, pod: &Pod, file: &Path) -> Result<Vec<u8>, String> {
        let Part::Token { wanted, api, held, .. } = self else { return Ok(Vec::new()) };
        let now = Instant::now();
        let old = match &*held.lock() {
            Some(held) if held.renew_at > now => return Ok(held.token.clone()),
            Some(held) => Some(held.token.clone()),
            None => None,
        };
        let (token, again) = match ask(api, pod, wanted).await {
            Ok(token) => (token, renew_after(wanted)),
            Err(error) => {
                let before = if error.code == 0 { tokio::fs::read(file).await.ok() } else { None };
                let kept = old.or(before).ok_or_else(|| format!("failed to fetch token: {error}"))?;
                (kept, ASK_AGAIN)
            }
        };
        *held.lock() = Some(Held { token: token.clone(), renew_at: now + again });
        Ok(token)
    }
}

async fn ask(api: &Api, pod: &Pod, wanted: &AccountToken) -> Result<Vec<u8>, crate::api::ApiError> {
    let (metadata, account) = (&pod.metadata, pod.spec.service_account_name.as_deref().unwrap_or("default"));
    let namespace = escape(&metadata.namespace);
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{}/token", escape(account));
    let mut request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {
        "expirationSeconds": wanted.expiration_seconds.unwrap_or(LIFETIME_SECONDS.0),
        "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": metadata.name, "uid": metadata.uid}}});
    if !wanted.audience.is_empty() {
        request["spec"]["audiences"] = json!([wanted.audience]);
    }
    let answer: Answer = api.send(Method::POST, &path, Some(("application/json", &request))).await?;
    Ok(answer.status.token.into_bytes())
}

fn renew_after(wanted: &AccountToken) -> Duration {
    let (usual, least) = LIFETIME_SECONDS;
    let lifetime = wanted.expiration_seconds.unwrap_or(usual).max(least);
    Duration::from_secs(lifetime * RENEW_AFTER_PERCENT / 100).min(RENEW_AFTER)
}

fn file_of(pod: &Pod, item: &DownwardItem, mode: Option<u32>) -> Result<(String, (u32, Vec<u8>)), String> {
    let path = inside(&item.path)?;
    let text = match (&item.field_ref, &item.resource_field_ref) {
        (Some(field), _) => match field.field_path.as_str() {
            "metadata.labels" => lines(&pod.metadata.labels),
            "metadata.annotations" => lines(&pod.metadata.annotations),
            path => env::metadata_field(pod, path).ok_or_else(|| format!("unsupported fieldPath: {path}"))?,
        },
        (None, Some(field)) => of_container(pod, field)?,
        (None, None) => return Err(format!("{path}: neither fieldRef nor resourceFieldRef is given")),
    };
    Ok((path.into(), (item.mode.or(mode).unwrap_or(DEFAULT_MODE), text.into_bytes())))
}

fn of_container(pod: &Pod, field: &ResourceFieldRef) -> Result<String, String> {
    env::resource_field(pod, &Container::default(), field)
}

/// One line for each: `key="value"`.
fn lines(map: &BTreeMap<String, String>) -> String {
    map.iter().map(|(key, value)| format!("{key}={value:?}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_the_pod_are_written_as_kubelet_writes_them() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "d", "labels": {"b": "2", "a": "say \"hi\""}},
            "spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "1500m"}}}]}}))
        .unwrap();
        let file = |item: serde_json::Value| {
            file_of(&pod, &serde_json::from_value(item).unwrap(), Some(0o600))
                .map(|(path, (mode, text))| (path, mode, String::from_utf8(text).unwrap()))
        };
        let labels = file(json!({"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}})).unwrap();
        assert_eq!(labels, ("l".into(), 0o600, "a=\"say \\\"hi\\\"\"\nb=\"2\"".into()));
        let one = json!({"path": "l", "mode": 0o400, "fieldRef": {"fieldPath": "metadata.labels['b']"}});
        assert_eq!(file(one).unwrap(), ("l".into(), 0o400, "2".into()));
        let limit =
            json!({"path": "x", "resourceFieldRef": {"containerName": "c", "resource": "limits.cpu"}});
        assert_eq!(file(limit).unwrap().2, "2");
        for bad in [
            json!({"path": "../x", "fieldRef": {"fieldPath": "metadata.name"}}),
            json!({"path": "x", "fieldRef": {"fieldPath": "status.podIP"}}),
            json!({"path": "x"}),
        ] {
            assert!(file(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_is_renewed_before_it_ends() {
        let after =
            |seconds| renew_after(&AccountToken { expiration_seconds: seconds, ..AccountToken::default() });
        assert_eq!(after(None), Duration::from_secs(2880));
        assert_eq!(after(Some(600)), Duration::from_secs(480));
        assert_eq!(after(Some(1_000_000)), RENEW_AFTER);
    }
}
