use super::resource::query;
use crate::client::Client;
use crate::table::{self, Output, print};
use anyhow::Context;
use clap::Subcommand;
use http::Method;
use peapod_orchestrator::Artifact;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::process::ExitCode;

/// `peapod image`.
#[derive(Subcommand, Debug)]
pub(crate) enum Image {
    /// Push a WebAssembly module or component to the server's registry.
    #[command(visible_alias = "load")]
    Push {
        /// The .wasm file.
        file: PathBuf,
        /// NAME or NAME:TAG; the tag is `latest` if there is none.
        name: String,
    },
    /// List the images that the server has.
    Ls {
        /// How to print.
        #[arg(short, long, value_enum)]
        output: Option<Output>,
    },
}

impl Image {
    pub(crate) async fn run(self, client: Client) -> anyhow::Result<ExitCode> {
        match self {
            Image::Push { file, name } => {
                let called = file.display();
                let module = std::fs::read(&file).with_context(|| format!("cannot read {called}"))?;
                let (name, tag) = split(&name);
                let digest = push(&client, module, name, tag).await.with_context(|| called.to_string())?;
                print(&format!("pushed {name}:{tag} {digest}\n"));
            }
            Image::Ls { output } => list(&client, output).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Name and tag.
fn split(image: &str) -> (&str, &str) {
    image.rsplit_once(':').unwrap_or((image, "latest"))
}

fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Pushes a module as the OCI distribution specification says; gives the manifest's digest.
async fn push(client: &Client, module: Vec<u8>, name: &str, tag: &str) -> anyhow::Result<String> {
    let Artifact { config, manifest } = Artifact::of(&module).map_err(anyhow::Error::msg)?;
    for blob in [module, config.into_bytes()] {
        push_blob(client, name, blob).await?;
    }
    let path = format!("/v2/{name}/manifests/{tag}");
    let result = digest(manifest.as_bytes());
    client.send(Method::PUT, &path, &[("content-type", Artifact::MEDIA_TYPE)], manifest).await?;
    Ok(result)
}

/// Sends what the server does not have yet.
async fn push_blob(client: &Client, name: &str, blob: Vec<u8>) -> anyhow::Result<()> {
    if client.send(Method::HEAD, &format!("/v2/{name}/blobs/{}", digest(&blob)), &[], "").await.is_ok() {
        return Ok(());
    }
    let path = format!("/v2/{name}/blobs/uploads/?digest={}", query(&digest(&blob)));
    let headers = [("content-type", "application/octet-stream")];
    let answer = client.send(Method::POST, &path, &headers, blob.clone()).await?;
    if answer.status() == http::StatusCode::CREATED {
        return Ok(());
    }
    let location =
        answer.headers().get("location").and_then(|l| l.to_str().ok()).context("no upload location")?;
    let sign = if location.contains('?') { '&' } else { '?' };
    let path = format!("{location}{sign}digest={}", query(&digest(&blob)));
    client.send(Method::PUT, &path, &headers, blob).await?;
    Ok(())
}

async fn list(client: &Client, output: Option<Output>) -> anyhow::Result<()> {
    let catalog = client.get("/v2/_catalog").await?;
    let mut images = Vec::new();
    for name in catalog["repositories"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let tags = client.get(&format!("/v2/{name}/tags/list")).await?;
        for tag in tags["tags"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let manifest = client.get(&format!("/v2/{name}/manifests/{tag}")).await?;
            let layer = &manifest["layers"][0];
            images.push(
                json!({"name": name, "tag": tag, "digest": layer["digest"], "sizeBytes": layer["size"]}),
            );
        }
    }
    if let Some(output @ (Output::Json | Output::Yaml)) = output {
        return table::print_object(&json!({ "images": images }), output);
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let kib = |value: &Value| format!("{} KiB", value.as_u64().unwrap_or(0).div_ceil(1024));
    let rows: Vec<Vec<String>> = images
        .iter()
        .map(|i| {
            vec![
                text(&i["name"]),
                text(&i["tag"]),
                text(&i["digest"]).chars().take(19).collect(),
                kib(&i["sizeBytes"]),
            ]
        })
        .collect();
    print(&table::columns(&["NAME", "TAG", "DIGEST", "SIZE"].map(String::from), &rows));
    Ok(())
}
