//! Pulling: from a name and a policy to an image on the disk.

use super::{Flight, ImageError, ImageName, ImageSource, ImageStore, Manifest, ResolvedImage, SingleFlight};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A container's `imagePullPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    /// Ask the source each time; bytes that are here are not fetched again.
    Always,
    /// Ask only when the name is not known here.
    IfNotPresent,
    /// Never ask.
    Never,
}

impl PullPolicy {
    /// The policy of that name; an absent one is `Always` for the tag `latest` and else `IfNotPresent`.
    pub fn of(policy: Option<&str>, name: &ImageName) -> PullPolicy {
        match policy {
            Some("Always") => PullPolicy::Always,
            Some("Never") => PullPolicy::Never,
            Some("IfNotPresent") => PullPolicy::IfNotPresent,
            _ if name.digest().is_none() && name.tag() == "latest" => PullPolicy::Always,
            _ => PullPolicy::IfNotPresent,
        }
    }
}

/// A successful pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The image.
    pub image: ResolvedImage,
    /// Whether the source was asked (an event `Pulled` says one or the other).
    pub asked: bool,
    /// How long it took, waiting for another pull of the same image included.
    pub elapsed: Duration,
}

/// Pulls images into a store, one pull per image at a time.
#[derive(Clone)]
pub struct Puller {
    store: Arc<ImageStore>,
    source: Arc<dyn ImageSource>,
    flights: SingleFlight,
}

impl Puller {
    /// A puller from `source` into `store`.
    pub fn new(store: Arc<ImageStore>, source: Arc<dyn ImageSource>) -> Puller {
        Puller { store, source, flights: SingleFlight::default() }
    }

    /// The store.
    pub fn store(&self) -> &Arc<ImageStore> {
        &self.store
    }

    /// Finds or pulls `image`, as written in a container's spec. A container that has run before goes on with its `last`
    /// digest while the source does not answer.
    ///
    /// # Errors
    /// `InvalidImageName`, `ErrImageNeverPull`, `RegistryUnavailable` or `ErrImagePull` (try again later).
    pub async fn pull(
        &self,
        image: &str,
        policy: PullPolicy,
        last: Option<&str>,
    ) -> Result<Pulled, ImageError> {
        let began = Instant::now();
        let name = ImageName::parse(image)?;
        let _flight = self.flights.enter(&name.to_string()).await;
        let present = self.store.get(&name);
        let (image, asked) = match (policy, present) {
            (PullPolicy::IfNotPresent | PullPolicy::Never, Some(present)) => (present, false),
            (PullPolicy::Never, None) => {
                return Err(ImageError::new(
                    ImageError::ERR_IMAGE_NEVER_PULL,
                    format!("Container image {image:?} is not present with pull policy of Never"),
                ));
            }
            _ => match (self.fetch(&name).await, last.and_then(|digest| self.store.blob(digest))) {
                (Err(error), Some(same)) if error.reason == ImageError::REGISTRY_UNAVAILABLE => (same, false),
                (fetched, _) => (fetched.map_err(|error| in_context(image, error))?, true),
            },
        };
        Ok(Pulled { image, asked, elapsed: began.elapsed() })
    }

    async fn fetch(&self, name: &ImageName) -> Result<ResolvedImage, ImageError> {
        let manifest = self.source.manifest(name).await?;
        let image = self.blob(name, &manifest).await?;
        self.store
            .set(name, &image.digest)
            .map_err(|error| super::failed(format!("cannot store the image's name: {error}")))?;
        Ok(image)
    }

    async fn blob(&self, name: &ImageName, manifest: &Manifest) -> Result<ResolvedImage, ImageError> {
        // Two names can point to one blob: the second waits for the first one's bytes.
        let flight: Flight = self.flights.enter(&manifest.digest).await;
        if let Some(present) = self.store.blob(&manifest.digest) {
            return Ok(present);
        }
        let bytes = self.source.blob(name, &manifest.digest).await?;
        self.store.put(&flight, manifest, bytes).await
    }
}

fn in_context(image: &str, error: ImageError) -> ImageError {
    ImageError { reason: error.reason, message: format!("failed to pull image {image:?}: {}", error.message) }
}

#[cfg(test)]
mod tests;
