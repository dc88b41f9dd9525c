//! What `up` does besides serving: loads images, applies manifests, tells the user what to type next.

use crate::client::Client;
use crate::commands::apply::apply as apply_object;
use crate::commands::resource;
use crate::manifest;
use crate::table::print;
use anyhow::{Context, bail};
use peapod_api::meta;
use peapod_orchestrator::ControlPlane;
use serde_json::Value;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// How long `ready` waits for what was applied.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it looks, while it waits.
const LOOK_EVERY: Duration = Duration::from_millis(10);

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
            applied.push(resource::of_object(&object, "default")?);
        }
    }
    for (path, called) in applied {
        if let Err(error) = wait(client, &path, &called, deadline).await {
            eprintln!("warning: {error:#}");
        }
    }
    Ok(())
}

async fn wait(client: &Client, path: &str, called: &str, deadline: Instant) -> anyhow::Result<()> {
    loop {
        if client.get(path).await.is_ok_and(|object| is_available(&object)) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!(
                "{called} is not ready after {} s: kubectl describe {called} says why",
                READY_TIMEOUT.as_secs()
            );
        }
        tokio::time::sleep(LOOK_EVERY).await;
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
