//! The harness of the end-to-end tests: real `peapod` processes on free ports, stock kubectl, plain HTTP.

pub mod cluster;
pub mod http;
pub mod kubectl;
pub mod node;
pub mod process;
pub mod relay;
pub mod switch;
pub mod wait;

use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the repository")
}

/// A file of the repository.
pub fn file(path: &str) -> PathBuf {
    root().join(path)
}

/// A program that `tests/install/all.sh` brought.
///
/// # Panics
/// It is not there; the message says how to get it.
pub fn tool(name: &str) -> PathBuf {
    let dir = std::env::var_os("PEAPOD_TOOLS").map_or_else(|| root().join("target/tools"), PathBuf::from);
    let path = dir.join(name);
    assert!(
        path.exists(),
        "{} is missing: run `bash tests/install/all.sh {}`",
        path.display(),
        dir.display()
    );
    path
}
