//! Content-addressed blobs: `blobs/sha256/HEX`, whole and verified or not there.

use super::error::Refusal;
use super::name::Digest;
use crate::files::{self, PUBLIC};
use crate::http::Body;
use bytes::Bytes;
use futures_util::StreamExt;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

/// Largest blob.
pub(crate) const MAX_BLOB_BYTES: u64 = 512 << 20;
/// Uploads that are open at a time.
const MAX_UPLOADS: usize = 64;
/// An upload that nothing was added to for so long is forgotten when another begins.
const UPLOAD_IDLE: Duration = Duration::from_secs(3600);

type Shared = Arc<tokio::sync::Mutex<Upload>>;

/// The blobs and the uploads under way.
pub(crate) struct Blobs {
    directory: PathBuf,
    uploads_directory: PathBuf,
    /// With the time of the last use.
    uploads: Mutex<HashMap<String, (Instant, Shared)>>,
}

/// A blob that is being written.
struct Upload {
    path: PathBuf,
    file: File,
    hasher: Sha256,
    size: u64,
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Renamed when it was finished: then there is nothing to remove.
        let _ = fs::remove_file(&self.path);
    }
}

impl Blobs {
    /// Opens the blobs below `root`. Uploads that an earlier process left are removed.
    pub(crate) fn open(root: &Path) -> io::Result<Blobs> {
        let (directory, uploads_directory) = (root.join("blobs/sha256"), root.join("uploads"));
        if uploads_directory.exists() {
            fs::remove_dir_all(&uploads_directory)?;
        }
        fs::create_dir_all(&directory)?;
        fs::create_dir_all(&uploads_directory)?;
        Ok(Blobs { directory, uploads_directory, uploads: Mutex::default() })
    }

    /// Where a blob is, whether or not it is there.
    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(digest.hex())
    }

    /// Size of a blob in bytes; none if it is not there.
    pub(crate) fn size(&self, digest: &Digest) -> Option<u64> {
        fs::metadata(self.path(digest)).ok().map(|metadata| metadata.len())
    }

    /// A small blob's bytes.
    pub(crate) fn read(&self, digest: &Digest) -> io::Result<Vec<u8>> {
        fs::read(self.path(digest))
    }

    /// Stores bytes that are at hand.
    pub(crate) fn put(&self, bytes: &[u8]) -> io::Result<Digest> {
        let digest = Digest::of(bytes);
        if self.size(&digest) != Some(bytes.len() as u64) {
            files::write_atomic(&self.path(&digest), bytes, PUBLIC)?;
        }
        Ok(digest)
    }

    /// Begins an upload and gives its id.
    pub(crate) async fn begin(&self) -> Result<String, Refusal> {
        let id = Uuid::new_v4().to_string();
        let path = self.uploads_directory.join(&id);
        self.uploads.lock().retain(|_, (used, _)| used.elapsed() < UPLOAD_IDLE);
        if self.uploads.lock().len() >= MAX_UPLOADS {
            return Err(Refusal::too_many("uploads are open"));
        }
        let file = File::from_std(files::create(&path, PUBLIC)?);
        let upload = Upload { path, file, hasher: Sha256::new(), size: 0 };
        let shared = Arc::new(tokio::sync::Mutex::new(upload));
        self.uploads.lock().insert(id.clone(), (Instant::now(), shared));
        Ok(id)
    }

    fn upload(&self, id: &str) -> Result<Shared, Refusal> {
        let mut uploads = self.uploads.lock();
        let (used, upload) = uploads.get_mut(id).ok_or_else(Refusal::upload_unknown)?;
        *used = Instant::now();
        Ok(upload.clone())
    }

    /// Bytes of an upload so far.
    pub(crate) async fn uploaded(&self, id: &str) -> Result<u64, Refusal> {
        Ok(self.upload(id)?.lock().await.size)
    }

    /// Appends `body`, which begins at `offset` if that is known. Returns the size so far. A broken body or one past the
    /// limit ends the upload.
    pub(crate) async fn append(&self, id: &str, offset: Option<u64>, body: Body) -> Result<u64, Refusal> {
        let upload = self.upload(id)?;
        let mut upload = upload.lock().await;
        if offset.is_some_and(|offset| offset != upload.size) {
            return Err(Refusal::range_invalid(format!("the upload has {} bytes", upload.size)));
        }
        let written = upload.write(body).await;
        if written.is_err() {
            self.uploads.lock().remove(id);
        }
        written
    }

    /// Ends an upload that must have `digest`: from now on the blob is there.
    pub(crate) async fn finish(&self, id: &str, digest: &Digest) -> Result<(), Refusal> {
        let upload = self.upload(id)?;
        self.uploads.lock().remove(id);
        let mut upload = upload.lock().await;
        let found = Digest::finish(upload.hasher.clone());
        if found != *digest {
            return Err(Refusal::digest_invalid(format!("the upload's digest is {found}, not {digest}")));
        }
        upload.file.flush().await?;
        upload.file.sync_all().await?;
        files::rename(&upload.path, &self.path(digest))?;
        Ok(())
    }

    /// Ends an upload without a blob.
    pub(crate) fn cancel(&self, id: &str) -> Result<(), Refusal> {
        self.uploads.lock().remove(id).map(drop).ok_or_else(Refusal::upload_unknown)
    }
}

impl Upload {
    async fn write(&mut self, mut body: Body) -> Result<u64, Refusal> {
        while let Some(piece) = body.next().await {
            let piece: Bytes =
                piece.map_err(|error| Refusal::upload_invalid(format!("the body broke off: {error}")))?;
            self.size += piece.len() as u64;
            if self.size > MAX_BLOB_BYTES {
                return Err(Refusal::too_large(MAX_BLOB_BYTES));
            }
            self.hasher.update(&piece);
            self.file.write_all(&piece).await?;
        }
        Ok(self.size)
    }
}
