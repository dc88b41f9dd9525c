//! Pulled images on the agent's disk: `blobs/sha256/HEX` and an index from full names to digests.

use super::{Flight, ImageError, ImageName, MAX_IMAGE_BYTES, Manifest, ResolvedImage, failed};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use tokio::io::AsyncWriteExt;

/// The most names that the index keeps.
const MAX_NAMES: usize = 10_000;

/// A content-addressed store. Blobs are whole and verified or not there at all.
#[derive(Debug)]
pub struct ImageStore {
    dir: PathBuf,
    index: Mutex<Index>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Index {
    /// Full image name (with its tag) to digest.
    names: BTreeMap<String, String>,
}

impl ImageStore {
    /// Opens `dir`, creating it if it is not there. A damaged index is an empty one: images are pulled again.
    pub fn open(dir: impl Into<PathBuf>) -> io::Result<ImageStore> {
        let dir = dir.into();
        let blobs = dir.join("blobs/sha256");
        std::fs::create_dir_all(&blobs)?;
        remove_unfinished(&blobs)?;
        let index = match std::fs::read(dir.join("index.json")) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(%error, "the image index is damaged: images are pulled again");
                Index::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Index::default(),
            Err(error) => return Err(error),
        };
        Ok(ImageStore { dir, index: Mutex::new(index) })
    }

    /// The image that `name` pointed to when it was last pulled, if its file is here.
    pub fn get(&self, name: &ImageName) -> Option<ResolvedImage> {
        let known = self.index.lock().names.get(&name.to_string()).cloned();
        // A digest in a name may be the file's own, which needs no index.
        self.blob(known.as_deref().or(name.digest())?)
    }

    /// The file of `digest`, if it is here.
    pub fn blob(&self, digest: &str) -> Option<ResolvedImage> {
        let path = self.blob_path(digest)?;
        let metadata = std::fs::metadata(&path).ok().filter(std::fs::Metadata::is_file)?;
        Some(ResolvedImage { digest: digest.to_owned(), path, size_bytes: metadata.len() })
    }

    fn blob_path(&self, digest: &str) -> Option<PathBuf> {
        let hex = digest.strip_prefix("sha256:")?;
        let valid = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        valid.then(|| self.dir.join("blobs/sha256").join(hex))
    }

    /// Records what `name` points to.
    pub fn set(&self, name: &ImageName, digest: &str) -> io::Result<()> {
        let mut index = self.index.lock();
        let name = name.to_string();
        if index.names.get(&name).is_some_and(|known| known == digest) {
            return Ok(());
        }
        if index.names.len() >= MAX_NAMES {
            index.names.pop_first();
        }
        index.names.insert(name, digest.to_owned());
        let bytes = serde_json::to_vec(&*index).map_err(io::Error::other)?;
        write_whole(&self.dir.join("index.json"), &bytes)
    }

    /// Writes a blob from a stream, checking its length and digest. `flight` shows that nobody else writes it.
    pub(super) async fn put(
        &self,
        _flight: &Flight,
        manifest: &Manifest,
        mut bytes: impl Stream<Item = Result<Bytes, ImageError>> + Unpin,
    ) -> Result<ResolvedImage, ImageError> {
        let path = self
            .blob_path(&manifest.digest)
            .ok_or_else(|| failed(format!("unsupported digest {:?}", manifest.digest)))?;
        if manifest.size_bytes > MAX_IMAGE_BYTES {
            let size_bytes = manifest.size_bytes;
            return Err(failed(format!("{size_bytes} bytes are more than the limit of {MAX_IMAGE_BYTES}")));
        }
        let temporary = path.with_extension(format!("{:016x}.part", fastrand::u64(..)));
        let written = receive(&temporary, manifest, &mut bytes).await;
        let outcome = match written {
            Ok(()) => {
                publish(&temporary, &path).await.map_err(|error| failed(format!("cannot store it: {error}")))
            }
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            let _ = tokio::fs::remove_file(&temporary).await;
            return Err(error);
        }
        Ok(ResolvedImage { digest: manifest.digest.clone(), path, size_bytes: manifest.size_bytes })
    }

    /// Removes every blob that is not in `keep` (digests), and the names that pointed to it. Returns the bytes freed.
    pub fn prune(&self, keep: &HashSet<String>) -> io::Result<u64> {
        let mut index = self.index.lock();
        index.names.retain(|_, digest| keep.contains(digest));
        let bytes = serde_json::to_vec(&*index).map_err(io::Error::other)?;
        write_whole(&self.dir.join("index.json"), &bytes)?;
        let mut freed_bytes = 0;
        for entry in std::fs::read_dir(self.dir.join("blobs/sha256"))? {
            let entry = entry?;
            let digest = format!("sha256:{}", entry.file_name().to_string_lossy());
            if self.blob_path(&digest).is_some() && !keep.contains(&digest) {
                freed_bytes += entry.metadata()?.len();
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(freed_bytes)
    }
}

async fn receive(
    path: &Path,
    manifest: &Manifest,
    bytes: &mut (impl Stream<Item = Result<Bytes, ImageError>> + Unpin),
) -> Result<(), ImageError> {
    let stored = |error: io::Error| failed(format!("cannot store it: {error}"));
    let mut file = tokio::fs::File::create_new(path).await.map_err(stored)?;
    let mut hash = Sha256::new();
    let mut received_bytes = 0u64;
    while let Some(chunk) = bytes.next().await {
        let chunk = chunk?;
        received_bytes += chunk.len() as u64;
        if received_bytes > manifest.size_bytes {
            return Err(failed(format!(
                "the blob is longer than the manifest's {} bytes",
                manifest.size_bytes
            )));
        }
        hash.update(&chunk);
        file.write_all(&chunk).await.map_err(stored)?;
    }
    if received_bytes < manifest.size_bytes {
        return Err(failed(format!(
            "the blob ended after {received_bytes} of {} bytes",
            manifest.size_bytes
        )));
    }
    let digest = format!("sha256:{:x}", hash.finalize());
    if digest != manifest.digest {
        return Err(failed(format!("the blob's digest is {digest}, not {}", manifest.digest)));
    }
    file.sync_data().await.map_err(stored)
}

async fn publish(temporary: &Path, path: &Path) -> io::Result<()> {
    tokio::fs::rename(temporary, path).await?;
    if let Some(dir) = path.parent() {
        tokio::fs::File::open(dir).await?.sync_all().await?;
    }
    Ok(())
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("part");
    let mut file = std::fs::File::create(&temporary)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_data()?;
    std::fs::rename(&temporary, path)
}

/// Removes what an interrupted pull left.
fn remove_unfinished(blobs: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(blobs)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "part") {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}
