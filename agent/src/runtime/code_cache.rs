//! Compiled code on the agent's disk. The runtime maps these files as native code and trusts their bytes, so each one is
//! authenticated: a private directory (0700), and beside every file its HMAC under a key that only the agent can read.

use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes of compiled code that are kept; the files used longest ago go first.
const MAX_CACHE_BYTES: u64 = 4 << 30;
const KEY_BYTES: usize = 32;
const BLOCK_BYTES: usize = 64;

/// The cache for one engine fingerprint.
pub(super) struct CodeCache {
    dir: PathBuf,
    key: [u8; KEY_BYTES],
    fingerprint: String,
}

impl CodeCache {
    /// Opens `dir`, creating it and its key if they are not there. Code of other engine versions is removed.
    pub(super) fn open(dir: &Path, fingerprint: String) -> io::Result<CodeCache> {
        create_private_dir(dir)?;
        let key = read_or_create_key(&dir.join("key"))?;
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() && entry.file_name() != fingerprint.as_str() {
                fs::remove_dir_all(entry.path())?;
            }
        }
        let dir = dir.join(&fingerprint);
        create_private_dir(&dir)?;
        Ok(CodeCache { dir, key, fingerprint })
    }

    fn code_path(&self, digest: &str) -> PathBuf {
        self.dir.join(file_name(digest)).with_extension("cwasm")
    }

    fn tag_path(&self, digest: &str) -> PathBuf {
        self.dir.join(file_name(digest)).with_extension("hmac")
    }

    /// The path of authentic code for `digest`. What does not carry our tag is removed, as if it were not there.
    pub(super) fn find(&self, digest: &str) -> Option<PathBuf> {
        let path = self.code_path(digest);
        let code = File::open(&path).ok()?;
        let tag = fs::read(self.tag_path(digest)).unwrap_or_default();
        match self.tag(digest, code) {
            Ok(expected) if equal(&expected, &tag) => {
                let _ = File::open(&path).and_then(|file| file.set_modified(std::time::SystemTime::now()));
                Some(path)
            }
            outcome => {
                tracing::warn!(digest, error = ?outcome.err(), "compiled code is not authentic: compiling again");
                self.remove(digest);
                None
            }
        }
    }

    /// Keeps code for `digest` and returns where.
    pub(super) fn store(&self, digest: &str, code: &[u8]) -> io::Result<PathBuf> {
        self.evict(code.len() as u64)?;
        let tag = self.tag(digest, code)?;
        let path = self.code_path(digest);
        write_private(&path, code)?;
        write_private(&self.tag_path(digest), &tag)?;
        Ok(path)
    }

    /// Forgets what is kept for `digest`.
    pub(super) fn remove(&self, digest: &str) {
        let _ = fs::remove_file(self.tag_path(digest));
        let _ = fs::remove_file(self.code_path(digest));
    }

    /// HMAC-SHA256 over the fingerprint, the digest and the code.
    fn tag(&self, digest: &str, mut code: impl Read) -> io::Result<[u8; 32]> {
        let mut pads = ([0x36u8; BLOCK_BYTES], [0x5cu8; BLOCK_BYTES]);
        for (index, byte) in self.key.iter().enumerate() {
            pads.0[index] ^= byte;
            pads.1[index] ^= byte;
        }
        let mut inner = Sha256::new_with_prefix(pads.0);
        for part in [&self.fingerprint, digest] {
            inner.update((part.len() as u64).to_le_bytes());
            inner.update(part);
        }
        io::copy(&mut code, &mut inner)?;
        Ok(Sha256::new_with_prefix(pads.1).chain_update(inner.finalize()).finalize().into())
    }

    /// Makes room for `bytes` more.
    fn evict(&self, bytes: u64) -> io::Result<()> {
        let mut kept = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            kept.push((metadata.modified()?, metadata.len(), entry.path()));
        }
        let mut total = bytes + kept.iter().map(|(_, length, _)| length).sum::<u64>();
        kept.sort();
        for (_, length, path) in kept {
            if total <= MAX_CACHE_BYTES {
                break;
            }
            fs::remove_file(path)?;
            total -= length;
        }
        Ok(())
    }
}

fn file_name(digest: &str) -> String {
    digest.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

fn create_private_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    // A directory that was there before may be open to others.
    fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o700))
}

fn read_or_create_key(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    if let Ok(bytes) = fs::read(path)
        && let Ok(key) = bytes.try_into()
    {
        return Ok(key);
    }
    let mut key = [0; KEY_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    write_private(path, &key)?;
    Ok(key)
}

/// Writes a file readable by the agent alone, whole or not at all.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(format!("{:016x}.tmp", fastrand::u64(..)));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let outcome =
        file.write_all(bytes).and_then(|()| file.sync_data()).and_then(|()| fs::rename(&temporary, path));
    if outcome.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    outcome
}

/// Compares without telling by its time where two tags differ.
fn equal(expected: &[u8; 32], given: &[u8]) -> bool {
    given.len() == expected.len()
        && expected.iter().zip(given).fold(0u8, |differing, (a, b)| differing | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn code_is_found_again_by_another_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = CodeCache::open(dir.path(), "f1".into()).unwrap().store("sha256:aa", b"code").unwrap();
        let again = CodeCache::open(dir.path(), "f1".into()).unwrap();
        assert_eq!(again.find("sha256:aa"), Some(path.clone()));
        assert_eq!(again.find("sha256:bb"), None);
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o700);
        CodeCache::open(dir.path(), "f2".into()).unwrap();
        assert_eq!(again.find("sha256:aa"), None);
    }

    #[test]
    fn tampered_code_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let cache = CodeCache::open(dir.path(), "f1".into()).unwrap();
        let path = cache.store("sha256:aa", b"code").unwrap();
        fs::write(&path, b"evil").unwrap();
        assert_eq!(cache.find("sha256:aa"), None);
        assert!(!path.exists());
    }

    #[test]
    fn code_of_another_image_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let cache = CodeCache::open(dir.path(), "f1".into()).unwrap();
        cache.store("sha256:aa", b"code").unwrap();
        fs::rename(cache.code_path("sha256:aa"), cache.code_path("sha256:bb")).unwrap();
        fs::rename(cache.tag_path("sha256:aa"), cache.tag_path("sha256:bb")).unwrap();
        assert_eq!(cache.find("sha256:bb"), None);
    }
}
