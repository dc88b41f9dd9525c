//! What `up` does besides serving: loads images, applies manifests, tells the user what to type next.

use crate::client::Client;
use crate::commands::apply::apply as apply_object;
use crate::commands::resource;
use crate::manifest;
use crate::table::print;
use anyhow::{Context, bail};
use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use peapod_api::meta;
use peapod_orchestrator::ControlPlane;
use serde_json::Value;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// How long `ready` waits for what was applied.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// Loads each NAME.wasm of `dir` as NAME:latest. A folder that is missing is a warning.
pub(crate) async fn load_images(plane: &ControlPlane, dir: &Path) -> anyhow::Result<()> {
    if !dir.is_dir() {
        eprintln!("warning: --images {}: no such folder; no image was loaded", dir.display());
        return Ok(());
    }
    let entries =
        std::fs::read_dir(dir).with_context(|| format!("--images: cannot read {}", dir.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "wasm"));
    files.sort();
    for file in &files {
        let name = file.file_stem().and_then(|s| s.to_str()).unwrap_or_default().to_lowercase();
        let module =
            std::fs::read(file).with_context(|| format!("--images: cannot read {}", file.display()))?;
        plane
            .push_image(&name, "latest", module)
            .await
            .with_context(|| format!("--images: {}", file.display()))?;
    }
    print(&format!("images: {} from {}\n", files.len(), dir.display()));
    Ok(())
}

/// Waits until the node is ready, applies every manifest and waits until what was applied is available.
pub(crate) async fn apply(client: &Client, manifests: &[PathBuf], node_name: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + READY_TIMEOUT;
    wait(client, &format!("/api/v1/nodes/{node_name}"), &format!("node {node_name}"), deadline).await?;
    let mut applied = Vec::new();
    for file in manifests {
        for object in manifest::read(file)? {
            let line = apply_object(client, &object, "default", true).await;
            print(&format!("{}\n", line.with_context(|| file.display().to_string())?));
            applied.push(resource::place(client, &object, "default").await?);
        }
    }
    for place in applied {
        if let Err(error) = wait(client, &place.path, &place.called, deadline).await {
            eprintln!("warning: {error:#}");
        }
    }
    Ok(())
}

async fn wait(client: &Client, path: &str, called: &str, deadline: Instant) -> anyhow::Result<()> {
    match tokio::time::timeout_at(deadline, available(client, path)).await {
        Ok(outcome) => outcome,
        Err(_) => bail!(
            "{called} is not ready after {} s: kubectl describe {called} says why",
            READY_TIMEOUT.as_secs()
        ),
    }
}

/// Watches an object, there or yet to come, until it is available.
async fn available(client: &Client, path: &str) -> anyhow::Result<()> {
    let (collection, name) = path.rsplit_once('/').context("an object has a path")?;
    let path = format!("{collection}?watch=true&fieldSelector=metadata.name%3D{name}");
    loop {
        let response = client.send(Method::GET, &path, &[("accept", "application/json")], Bytes::new());
        let (mut body, mut text) = (response.await?.into_body(), Vec::new());
        while let Some(frame) = body.frame().await {
            text.extend(frame.context("the connection was lost")?.into_data().unwrap_or_default());
            // An event is a line.
            while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = text.drain(..=end).collect();
                let event: Value = serde_json::from_slice(&line).context("a watch event is no JSON")?;
                let there = event["type"] == "ADDED" || event["type"] == "MODIFIED";
                if there && is_available(&event["object"]) {
                    return Ok(());
                }
            }
        }
    }
}

/// Nodes and pods are available when they are Ready (or done), Deployments when all replicas are; others at once.
fn is_available(object: &Value) -> bool {
    match object["kind"].as_str() {
        Some("Node") => meta::condition_is_true(object, "Ready"),
        Some("Pod") => meta::condition_is_true(object, "Ready") || object["status"]["phase"] == "Succeeded",
        Some("Deployment") => {
            let wanted = object["spec"]["replicas"].as_i64().unwrap_or(1);
            let status = &object["status"];
            status["observedGeneration"] == object["metadata"]["generation"]
                && status["updatedReplicas"].as_i64().unwrap_or(0) >= wanted
                && status["availableReplicas"].as_i64().unwrap_or(0) >= wanted
        }
        _ => true,
    }
}

/// What to type next: kubectl, the dashboard, and curl for every NodePort.
pub(crate) async fn next_steps(client: &Client, data_dir: &Path, host: IpAddr) -> String {
    let mut text = format!(
        "\n  export KUBECONFIG={}\n  kubectl get pods\n  peapod dashboard    # prints a link to the dashboard\n",
        data_dir.join("kubeconfig").display()
    );
    let services = client.get("/api/v1/services").await.unwrap_or_default();
    for service in services["items"].as_array().into_iter().flatten() {
        let ports = service["spec"]["ports"].as_array().into_iter().flatten();
        for port in ports.filter_map(|port| port["nodePort"].as_u64()) {
            let name = service["metadata"]["name"].as_str().unwrap_or_default();
            text += &format!(
                "  curl http://{}    # Service {name}\n",
                std::net::SocketAddr::new(host, port as u16)
            );
        }
    }
    text + "\nctrl-C stops everything; the same command goes on where it was.\n"
}
