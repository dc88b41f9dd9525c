//! Where things are: the data directory and the kubeconfig.

use anyhow::Context;
use clap::Args;
use std::path::{Path, PathBuf};

/// How a client command finds the server.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Server {
    /// Kubeconfig file of the server.
    #[arg(long, env = "KUBECONFIG", global = true, value_name = "FILE", hide_env_values = true)]
    kubeconfig: Option<PathBuf>,
    /// Data directory of a server on this machine; its kubeconfig is used.
    #[arg(long, env = "PEAPOD_DATA_DIR", global = true, value_name = "DIR", hide_env_values = true)]
    pub(crate) data_dir: Option<PathBuf>,
}

impl Server {
    /// The data directory that was named, or the default one.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(default_data_dir)
    }

    /// The kubeconfig that was named, that of the data directory that was named, or that of the default one.
    ///
    /// # Errors
    /// There is no such file; the message says what to do.
    pub(crate) fn kubeconfig(&self) -> anyhow::Result<PathBuf> {
        let of_data_dir = self.data_dir.as_ref().map(|dir| dir.join("kubeconfig"));
        let path = self.kubeconfig.clone().or(of_data_dir);
        let path = path.unwrap_or_else(|| default_data_dir().join("kubeconfig"));
        path.try_exists()
            .ok()
            .filter(|there| *there)
            .map(|_| path.clone())
            .with_context(|| format!("no kubeconfig at {}: is the server up? `peapod up` starts one, --kubeconfig or --data-dir name another", path.display()))
    }
}

/// `/var/lib/peapod` for root, else below the user's data home.
pub(crate) fn default_data_dir() -> PathBuf {
    let home = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let user = std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share"));
    let writable = std::fs::metadata("/var/lib").is_ok_and(|m| !m.permissions().readonly()) && is_root();
    match home.or(user) {
        Some(base) if !writable => base.join("peapod"),
        _ => PathBuf::from("/var/lib/peapod"),
    }
}

fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|text| {
        text.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
    })
}
