use anyhow::Context;
use clap::Args;
use peapod_agent::Config;
use peapod_agent::network::EgressRules;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What a node is started with, alone or together with a control plane.
#[derive(Args, Debug)]
pub(crate) struct NodeArgs {
    /// The node's name; this machine's host name if there is none.
    #[arg(long, value_name = "NAME")]
    pub(crate) node_name: Option<String>,
    /// Pods that the node takes; what vm.max_map_count carries if it is not given.
    #[arg(long, value_name = "N")]
    max_pods: Option<u32>,
    /// What pods may reach outside of the cluster: a CIDR or a host name, each with or without :PORT.
    #[arg(long, value_name = "CIDR|HOST")]
    allow_egress: Vec<String>,
    /// Start no pod with the annotation peapod.dev/allow-egress: only --allow-egress counts.
    #[arg(long)]
    forbid_egress_annotation: bool,
}

impl NodeArgs {
    /// The name that was given, or this machine's. Errors: it is no name of a Node.
    pub(crate) fn name(&self) -> anyhow::Result<String> {
        let Some(name) = &self.node_name else { return Ok(host_name()) };
        if is_node_name(name) {
            return Ok(name.clone());
        }
        anyhow::bail!(
            "--node-name {name:?}: expected lower-case letters, digits, '-' and '.', with a letter or digit at both ends"
        )
    }

    /// The configuration of an agent that keeps its state in `dir`.
    pub(crate) fn config(&self, node_name: &str, dir: PathBuf) -> anyhow::Result<Config> {
        let egress = EgressRules::parse(self.allow_egress.iter().map(String::as_str));
        let mut config = Config::new(node_name, dir);
        config.max_pods = self.max_pods;
        config.egress = egress.map_err(|error| anyhow::anyhow!("--allow-egress: {error}"))?;
        config.egress_annotation = !self.forbid_egress_annotation;
        Ok(config)
    }
}

fn is_node_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let inner = label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// This machine's name as a Node's name: lower case, `localhost` if there is none.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_lowercase();
    if is_node_name(&name) { name } else { "localhost".into() }
}

/// The agent's directory, which it has for itself as long as the file is open. Errors: it cannot be used, or another
/// process uses it.
pub(crate) fn lock(dir: &Path) -> anyhow::Result<File> {
    let open = || -> std::io::Result<File> {
        fs::create_dir_all(dir)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        File::options().create(true).truncate(false).write(true).open(dir.join("lock"))
    };
    let file = open().with_context(|| format!("cannot use the data directory {}", dir.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => anyhow::bail!("{} is in use by another agent", dir.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_nodes() {
        for name in ["edge-1", "a", "edge-1.example.com"] {
            assert!(is_node_name(name), "{name}");
        }
        for name in ["", "Edge", "-a", "a-", "a..b", "a_b", &"a".repeat(254)] {
            assert!(!is_node_name(name), "{name}");
        }
    }

    #[test]
    fn a_directory_has_one_agent() {
        let dir = tempfile::tempdir().unwrap();
        let held = lock(dir.path()).unwrap();
        assert!(lock(dir.path()).unwrap_err().to_string().contains("in use"));
        drop(held);
        lock(dir.path()).unwrap();
    }
}
