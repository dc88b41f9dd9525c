//! Images over HTTP: the read half of the OCI distribution API, as the control plane serves it under `/v2/`.

use super::{ImageError, ImageName, ImageSource, MAX_IMAGE_BYTES, Manifest, failed};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, BodyStream, Limited};
use kube::client::Body;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// The manifest type that is asked for and understood.
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// Layer types that are WebAssembly.
const LAYER_TYPES: [&str; 2] = ["application/wasm", "application/vnd.wasm.content.layer.v1+wasm"];
/// The longest manifest or error that is read.
const MAX_MANIFEST_BYTES: usize = 4 << 20;
/// How long a registry may take to begin its answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The control plane's registry, reached by the agent's own client.
#[derive(Clone)]
pub struct Registry {
    client: kube::Client,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OciManifest {
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    media_type: String,
    digest: String,
    size: u64,
}

impl Registry {
    /// A registry at the server that `client` speaks to.
    pub fn new(client: kube::Client) -> Registry {
        Registry { client }
    }

    async fn get(&self, path: &str, accept: &str) -> Result<Response<Body>, ImageError> {
        let request = Request::get(path)
            .header(header::ACCEPT, accept)
            .body(Body::empty())
            .map_err(|error| failed(format!("cannot ask for {path}: {error}")))?;
        match tokio::time::timeout(ANSWER_TIMEOUT, self.client.send(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(unavailable(format!("cannot reach the registry: {error}"))),
            Err(_) => {
                Err(unavailable(format!("the registry did not answer within {} s", ANSWER_TIMEOUT.as_secs())))
            }
        }
    }
}

#[async_trait]
impl ImageSource for Registry {
    async fn manifest(&self, name: &ImageName) -> Result<Manifest, ImageError> {
        let path = format!("/v2/{}/manifests/{}", name.repository(), name.reference());
        let response = self.get(&path, MANIFEST_TYPE).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_MANIFEST_BYTES)
            .collect()
            .await
            .map_err(|error| failed(format!("cannot read the manifest of {name}: {error}")))?
            .to_bytes();
        match status {
            StatusCode::OK => layer(name, &body).and_then(|layer| pinned(name, &body, layer)),
            StatusCode::NOT_FOUND => Err(failed(format!(
                "{name}: not found. Push it with: peapod image push FILE.wasm {}:{}",
                name.repository(),
                name.tag()
            ))),
            _ => Err(failed(format!("{name}: the registry answered {status}: {}", excerpt(&body)))),
        }
    }

    async fn blob(
        &self,
        name: &ImageName,
        digest: &str,
    ) -> Result<BoxStream<'static, Result<Bytes, ImageError>>, ImageError> {
        let path = format!("/v2/{}/blobs/{digest}", name.repository());
        let response = self.get(&path, "*/*").await?;
        if response.status() != StatusCode::OK {
            return Err(failed(format!("{digest}: the registry answered {}", response.status())));
        }
        let frames = BodyStream::new(response.into_body());
        Ok(frames
            .filter_map(|frame| async {
                match frame {
                    Ok(frame) => frame.into_data().ok().map(Ok),
                    Err(error) => Some(Err(failed(format!("the transfer broke off: {error}")))),
                }
            })
            .boxed())
    }
}

/// The one WebAssembly layer of a manifest.
fn layer(name: &ImageName, manifest: &[u8]) -> Result<Manifest, ImageError> {
    let manifest: OciManifest = serde_json::from_slice(manifest)
        .map_err(|error| failed(format!("{name}: not an OCI image manifest: {error}")))?;
    let [layer] = manifest.layers.as_slice() else {
        let count = manifest.layers.len();
        return Err(failed(format!("{name}: the image has {count} layers, a WebAssembly image has one")));
    };
    if !LAYER_TYPES.contains(&layer.media_type.as_str()) {
        let media_type = &layer.media_type;
        return Err(failed(format!("{name}: the image's layer is {media_type}, not {}", LAYER_TYPES[0])));
    }
    if layer.size > MAX_IMAGE_BYTES {
        let size_bytes = layer.size;
        return Err(failed(format!(
            "{name}: {size_bytes} bytes are more than the limit of {MAX_IMAGE_BYTES}"
        )));
    }
    Ok(Manifest { digest: layer.digest.clone(), size_bytes: layer.size })
}

/// A name with a digest accepts the manifest of that digest, or the layer of that digest, and nothing else.
fn pinned(name: &ImageName, manifest: &[u8], layer: Manifest) -> Result<Manifest, ImageError> {
    match name.digest() {
        Some(digest)
            if digest != layer.digest && digest != format!("sha256:{:x}", Sha256::digest(manifest)) =>
        {
            Err(failed(format!("{name}: the registry answered with a manifest of another digest")))
        }
        _ => Ok(layer),
    }
}

fn unavailable(why: String) -> ImageError {
    ImageError::new(ImageError::REGISTRY_UNAVAILABLE, why)
}

fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(200)]).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    const WASM: &[u8] = b"\0asm\x01\0\0\0";

    /// A registry in this process: what the control plane answers.
    fn registry() -> Registry {
        let service = tower::service_fn(|request: Request<Body>| async move {
            let digest = format!("sha256:{}", "ab".repeat(32));
            let manifest = |media_type: &str| {
                format!(r#"{{"layers":[{{"mediaType":"{media_type}","digest":"{digest}","size":8}}]}}"#)
            };
            let (status, body) = match request.uri().path() {
                "/v2/team/hello/manifests/v1" => {
                    assert_eq!(request.headers()[header::ACCEPT], MANIFEST_TYPE);
                    (200, manifest("application/wasm").into_bytes())
                }
                path if path.starts_with("/v2/pinned/manifests/sha256:") => {
                    (200, manifest("application/wasm").into_bytes())
                }
                "/v2/linux/manifests/latest" => (200, manifest("application/tar").into_bytes()),
                "/v2/broken/manifests/latest" => (500, b"out of order".to_vec()),
                path if path == format!("/v2/team/hello/blobs/{digest}") => (200, WASM.to_vec()),
                _ => (404, b"{}".to_vec()),
            };
            let response = Response::builder().status(status).body(Body::from(body)).unwrap();
            Ok::<_, Infallible>(response)
        });
        Registry::new(kube::Client::new(service, "default"))
    }

    fn name(text: &str) -> ImageName {
        ImageName::parse(text).unwrap()
    }

    #[tokio::test]
    async fn a_manifest_leads_to_its_layer() {
        let registry = registry();
        let manifest = registry.manifest(&name("team/hello:v1")).await.unwrap();
        assert_eq!(manifest.size_bytes, 8);
        let blob = registry.blob(&name("team/hello:v1"), &manifest.digest).await.unwrap();
        let chunks: Vec<Bytes> = blob.map(Result::unwrap).collect().await;
        assert_eq!(chunks.concat(), WASM);
    }

    #[tokio::test]
    async fn a_pinned_digest_is_insisted_on() {
        let registry = registry();
        let layer = registry.manifest(&name(&format!("pinned@sha256:{}", "ab".repeat(32)))).await.unwrap();
        assert_eq!(layer.digest, format!("sha256:{}", "ab".repeat(32)));
        let error =
            registry.manifest(&name(&format!("pinned@sha256:{}", "cd".repeat(32)))).await.unwrap_err();
        assert!(error.message.contains("a manifest of another digest"));
    }

    #[tokio::test]
    async fn what_is_no_wasm_image_is_told() {
        let registry = registry();
        let message = async |text| registry.manifest(&name(text)).await.unwrap_err().message;
        assert!(
            message("nothing").await.contains("nothing:latest: not found. Push it with: peapod image push")
        );
        assert!(message("linux").await.contains("layer is application/tar"));
        assert!(message("broken").await.contains("answered 500 Internal Server Error: out of order"));
    }
}
