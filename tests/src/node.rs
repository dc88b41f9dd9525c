//! A real `peapod agent` that joins a cluster.

use crate::cluster::Cluster;
use crate::process::{Place, Process};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

/// A node in a process of its own; what a process can do, it can.
pub struct Node {
    name: String,
    data_dir: PathBuf,
    process: Process,
}

impl Node {
    /// An agent that is not started yet, with the flags of a line that `peapod token create` printed. Its data are in
    /// `dir/NAME`, NodePorts are on `place`.
    pub fn new(dir: &Path, place: &Place, name: &str, line: &str, args: &[&str]) -> Node {
        let (data_dir, host) = (dir.join(name), place.host.to_string());
        let mut all: Vec<String> =
            line.split_whitespace().skip_while(|word| *word != "agent").map(Into::into).collect();
        assert_eq!(all.first().map(String::as_str), Some("agent"), "no join line: {line:?}");
        all.extend(["--node-name", name, "--node-ip", &host, "--data-dir"].map(Into::into));
        all.push(data_dir.display().to_string());
        all.extend(args.iter().map(|arg| arg.to_string()));
        let process = Process::new(&format!("agent {name}"), place, all, dir.join(format!("{name}.log")));
        Node { name: name.into(), data_dir, process }
    }

    /// The Node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its data directory.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Starts the process and waits until the Node is ready.
    pub fn up(&mut self) {
        self.process.start();
        self.process.says(&format!("ready {}", self.name));
    }

    /// From now on as on a machine that has joined: without the token.
    pub fn without_token(&mut self) {
        let args = ["agent", "--data-dir", &self.data_dir.display().to_string()].map(Into::into);
        let host = ["--node-ip", &self.process.place().host.to_string()].map(Into::into);
        self.process.set_args([args.as_slice(), host.as_slice()].concat());
    }
}

impl Deref for Node {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Node {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Cluster {
    /// What `peapod token create` prints.
    pub fn token(&self, args: &[&str]) -> String {
        self.peapod(&[&["token", "create"], args].concat()).ok()
    }

    /// Starts an agent on a new token and waits until its Node is ready.
    pub fn join(&self, place: &Place, name: &str, args: &[&str]) -> Node {
        let mut node = Node::new(self.scratch(), place, name, &self.token(&[]), args);
        node.up();
        println!("node: {name} at {}", place.host);
        node
    }
}
