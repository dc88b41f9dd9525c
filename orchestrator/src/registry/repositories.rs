//! Which manifests and tags each repository has: one small file per repository.

use super::error::Refusal;
use super::name::{Digest, Reference};
use crate::files::{self, PUBLIC};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Manifests, and tags, that one repository may have.
const MAX_ENTRIES: usize = 10_000;
/// The file of a repository, in the directory of its name. No component of a name begins with an underscore.
const FILE: &str = "_repository.json";

/// All repositories.
pub(crate) struct Repositories {
    directory: PathBuf,
    /// Held while a file is read and written again.
    writing: Mutex<()>,
}

/// One repository's file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Repository {
    /// Media types by digest.
    manifests: BTreeMap<String, String>,
    /// Digests by tag.
    tags: BTreeMap<String, String>,
}

impl Repositories {
    /// Opens the repositories below `root`.
    pub(crate) fn open(root: &Path) -> io::Result<Repositories> {
        let directory = root.join("repositories");
        fs::create_dir_all(&directory)?;
        Ok(Repositories { directory, writing: Mutex::new(()) })
    }

    fn load(&self, name: &str) -> Result<Option<Repository>, Refusal> {
        match fs::read(self.directory.join(name).join(FILE)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(Refusal::internal),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Names a manifest, and its tag if it has one. The manifest's blob is there already.
    pub(crate) fn put(
        &self,
        name: &str,
        digest: &Digest,
        media_type: &str,
        tag: Option<&str>,
    ) -> Result<(), Refusal> {
        let _writing = self.writing.lock();
        let mut repository = self.load(name)?.unwrap_or_default();
        repository.manifests.insert(digest.as_str().into(), media_type.into());
        if let Some(tag) = tag {
            repository.tags.insert(tag.into(), digest.as_str().into());
        }
        if repository.manifests.len() > MAX_ENTRIES || repository.tags.len() > MAX_ENTRIES {
            return Err(Refusal::too_many("manifests or tags in the repository"));
        }
        let directory = self.directory.join(name);
        fs::create_dir_all(&directory)?;
        let text = serde_json::to_vec(&repository).map_err(Refusal::internal)?;
        Ok(files::write_atomic(&directory.join(FILE), &text, PUBLIC)?)
    }

    /// A manifest's digest and media type.
    pub(crate) fn find(&self, name: &str, reference: &Reference) -> Result<(Digest, String), Refusal> {
        let text = match reference {
            Reference::Tag(tag) => tag.as_str(),
            Reference::Digest(digest) => digest.as_str(),
        };
        let unknown = || Refusal::manifest_unknown(name, text);
        let repository = self.load(name)?.ok_or_else(unknown)?;
        let digest = match reference {
            Reference::Tag(tag) => repository.tags.get(tag).ok_or_else(unknown)?,
            Reference::Digest(digest) => digest.as_str(),
        };
        let media_type = repository.manifests.get(digest).ok_or_else(unknown)?;
        Ok((Digest::parse(digest)?, media_type.clone()))
    }

    /// A repository's tags, in order.
    pub(crate) fn tags(&self, name: &str) -> Result<Vec<String>, Refusal> {
        let repository = self.load(name)?.ok_or_else(|| Refusal::name_unknown(name))?;
        Ok(repository.tags.into_keys().collect())
    }

    /// All names, in order.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let (mut names, mut open) = (Vec::new(), vec![PathBuf::new()]);
        while let Some(relative) = open.pop() {
            for entry in fs::read_dir(self.directory.join(&relative))? {
                let entry = entry?;
                if entry.file_name() == FILE {
                    names.push(relative.to_string_lossy().into_owned());
                } else if entry.file_type()?.is_dir() {
                    open.push(relative.join(entry.file_name()));
                }
            }
        }
        names.sort();
        Ok(names)
    }
}
