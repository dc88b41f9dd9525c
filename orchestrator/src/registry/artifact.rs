//! The documents of a WebAssembly image, as the CNCF's layout of wasm OCI artifacts has them. Pure.

use super::name::Digest;
use serde_json::json;

/// The manifest of one image.
pub(super) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
/// A layer that is one wasm file.
const LAYER_TYPE: &str = "application/wasm";

/// What a registry keeps besides the file. The same file always gives the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The config, JSON; a blob like the file.
    pub config: String,
    /// The manifest, JSON, which names both.
    pub manifest: String,
}

impl Artifact {
    /// The media type of [`Artifact::manifest`].
    pub const MEDIA_TYPE: &str = MANIFEST_TYPE;

    /// The image that consists of `wasm`, a module or a component in binary or text form. Errors: it is neither.
    pub fn of(wasm: &[u8]) -> Result<Artifact, String> {
        let os = target(wasm).ok_or("it is no WebAssembly module or component")?;
        let layer = Digest::of(wasm);
        let config =
            json!({ "architecture": "wasm", "os": os, "layerDigests": [layer.as_str()] }).to_string();
        let config_digest = Digest::of(config.as_bytes());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST_TYPE,
            "config": { "mediaType": CONFIG_TYPE, "digest": config_digest.as_str(), "size": config.len() },
            "layers": [{ "mediaType": LAYER_TYPE, "digest": layer.as_str(), "size": wasm.len() }],
        })
        .to_string();
        Ok(Artifact { config, manifest })
    }
}

/// `wasip1` for a module, `wasip2` for a component, by the version field or the first word.
fn target(wasm: &[u8]) -> Option<&'static str> {
    let text = wasm.trim_ascii_start();
    match wasm.get(..8) {
        Some(b"\0asm\x01\0\0\0") => Some("wasip1"),
        Some(b"\0asm\x0d\0\x01\0") => Some("wasip2"),
        _ if text.starts_with(b"(component") => Some("wasip2"),
        _ if text.starts_with(b"(") => Some("wasip1"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_components_and_text_are_told_apart() {
        for (wasm, os) in [
            (b"\0asm\x01\0\0\0".as_slice(), Some("wasip1")),
            (b"\0asm\x0d\0\x01\0\0", Some("wasip2")),
            (b"  (module)", Some("wasip1")),
            (b"(component)", Some("wasip2")),
            (b"\x7fELF", None),
            (b"", None),
        ] {
            let artifact = Artifact::of(wasm).ok();
            assert_eq!(artifact.is_some(), os.is_some(), "{wasm:?}");
            let named = |artifact: &Artifact| artifact.config.contains(os.unwrap_or_default());
            assert!(artifact.iter().all(named), "{artifact:?}");
        }
    }
}
