//! Images: a name points to a digest, a digest to one WebAssembly file on the agent's disk.

mod name;
mod pull;
mod registry;
mod single_flight;
mod store;

pub use name::ImageName;
pub use pull::{PullPolicy, Pulled, Puller};
pub use registry::Registry;
pub use single_flight::{Flight, SingleFlight};
pub use store::ImageStore;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use std::path::PathBuf;

/// The largest image that is pulled, in bytes.
pub const MAX_IMAGE_BYTES: u64 = 256 << 20;

/// An image that lies on the agent's disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedImage {
    /// `sha256:` and 64 hex digits.
    pub digest: String,
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub size_bytes: u64,
}

/// What a registry says of a name: the one layer of its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The layer's digest, `sha256:HEX`.
    pub digest: String,
    /// The layer's length.
    pub size_bytes: u64,
}

/// Why an image cannot be used, worded as kubelet reports it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ImageError {
    /// A container's waiting reason: one of the constants of this type.
    pub reason: &'static str,
    /// For people: what failed and what to do.
    pub message: String,
}

impl ImageError {
    /// The name does not parse.
    pub const INVALID_IMAGE_NAME: &'static str = "InvalidImageName";
    /// Pulling failed; the caller backs off (`ImagePullBackOff`) and tries again.
    pub const ERR_IMAGE_PULL: &'static str = "ErrImagePull";
    /// The registry does not answer; the caller backs off and tries again.
    pub const REGISTRY_UNAVAILABLE: &'static str = "RegistryUnavailable";
    /// Policy Never, and the image is not here.
    pub const ERR_IMAGE_NEVER_PULL: &'static str = "ErrImageNeverPull";
    /// The image is here but is no program that this agent can run.
    pub const CREATE_CONTAINER_ERROR: &'static str = "CreateContainerError";

    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> ImageError {
        ImageError { reason, message: message.into() }
    }
}

/// `ErrImagePull`, for that reason.
fn failed(why: String) -> ImageError {
    ImageError::new(ImageError::ERR_IMAGE_PULL, why)
}

/// Where images come from.
#[async_trait]
pub trait ImageSource: Send + Sync {
    /// What `name` points to. `ErrImagePull` when it is not there or the source cannot be reached.
    async fn manifest(&self, name: &ImageName) -> Result<Manifest, ImageError>;

    /// The bytes of `digest`, of the repository that `name` names. They are not trusted: the caller checks them.
    async fn blob(
        &self,
        name: &ImageName,
        digest: &str,
    ) -> Result<BoxStream<'static, Result<Bytes, ImageError>>, ImageError>;
}
