use super::resource;
use crate::client::Client;
use crate::manifest;
use crate::table::print;
use clap::Args;
use http::Method;
use peapod_api::well_known::LAST_APPLIED;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// What is larger is not noted: all annotations of an object together may have twice that.
const MAX_LAST_APPLIED_BYTES: usize = 128 << 10;

/// `peapod apply`.
#[derive(Args, Debug)]
pub(crate) struct Apply {
    /// Manifest, directory of manifests, or - for standard input; may be given several times.
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    filename: Vec<PathBuf>,
    /// Namespace of objects that name none.
    #[arg(short, long)]
    namespace: Option<String>,
    /// Take over fields that others manage.
    #[arg(long)]
    force_conflicts: bool,
}

impl Apply {
    pub(crate) async fn run(self, client: Client) -> anyhow::Result<ExitCode> {
        let namespace = self.namespace.as_deref().unwrap_or(&client.namespace).to_string();
        let mut code = ExitCode::SUCCESS;
        for file in &self.filename {
            for object in manifest::read(file)? {
                match apply(&client, &object, &namespace, self.force_conflicts).await {
                    Ok(line) => print(&format!("{line}\n")),
                    Err(error) => {
                        eprintln!("error: {error:#}");
                        code = ExitCode::FAILURE;
                    }
                }
            }
        }
        Ok(code)
    }
}

/// Applies one object; gives `deployment.apps/web created`, `configured` or `unchanged`.
pub(crate) async fn apply(
    client: &Client,
    object: &Value,
    namespace: &str,
    force: bool,
) -> anyhow::Result<String> {
    let place = resource::place(client, object, namespace).await?;
    let before = client.get(&place.path).await.ok();
    let path = format!("{}?fieldManager=peapod&fieldValidation=Strict&force={force}", place.path);
    let headers = [("content-type", "application/apply-patch+yaml"), ("accept", "application/json")];
    let object = with_last_applied(object, place.namespaced.then_some(namespace));
    let response = client.send(Method::PATCH, &path, &headers, object.to_string()).await?;
    for warning in response.headers().get_all("warning").iter().filter_map(|w| w.to_str().ok()) {
        eprintln!("Warning: {}", warning.strip_prefix("299 - ").unwrap_or(warning));
    }
    let body = http_body_util::BodyExt::collect(response.into_body()).await?.to_bytes();
    let after: Value = serde_json::from_slice(&body)?;
    let revision = |object: &Value| object["metadata"]["resourceVersion"].clone();
    let what = match before {
        None => "created",
        Some(before) if revision(&before) == revision(&after) => "unchanged",
        Some(_) => "configured",
    };
    Ok(format!("{} {what}", place.called))
}

/// The object with the annotation in which `kubectl apply` looks for what was applied last, in kubectl's own form: a
/// `kubectl apply` of the same file then finds nothing to change and has nothing to warn of.
/// An object of a kind that lives in namespaces is in `namespace` unless it names one.
fn with_last_applied(object: &Value, namespace: Option<&str>) -> Value {
    let mut object = object.clone();
    let metadata = &mut object["metadata"];
    if metadata["annotations"].is_null() {
        metadata["annotations"] = json!({});
    }
    if let Some(annotations) = metadata["annotations"].as_object_mut() {
        annotations.remove(LAST_APPLIED);
    }
    if let Some(namespace) = namespace.filter(|_| metadata["namespace"].is_null()) {
        metadata["namespace"] = namespace.into();
    }
    let text = format!("{object}\n");
    if text.len() <= MAX_LAST_APPLIED_BYTES {
        object["metadata"]["annotations"][LAST_APPLIED] = text.into();
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_applied_is_noted_as_kubectl_notes_it() {
        let map = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "c"}, "data": {"b": "1", "a": "2"}});
        let noted = with_last_applied(&map, Some("shop"));
        let text = noted["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap();
        assert_eq!(
            text,
            "{\"apiVersion\":\"v1\",\"data\":{\"a\":\"2\",\"b\":\"1\"},\"kind\":\"ConfigMap\",\
             \"metadata\":{\"annotations\":{},\"name\":\"c\",\"namespace\":\"shop\"}}\n"
        );
        assert_eq!(with_last_applied(&noted, Some("shop")), noted);
        let node = json!({"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n"}});
        assert!(with_last_applied(&node, None)["metadata"]["namespace"].is_null());
    }
}
