use super::resource;
use crate::client::Client;
use crate::manifest;
use crate::table::print;
use clap::Args;
use http::Method;
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;

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
    let (path, called) = resource::of_object(object, namespace)?;
    let before = client.get(&path).await.ok();
    let path = format!("{path}?fieldManager=peapod&fieldValidation=Strict&force={force}");
    let headers = [("content-type", "application/apply-patch+yaml"), ("accept", "application/json")];
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
    Ok(format!("{called} {what}"))
}
