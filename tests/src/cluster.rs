//! A real control plane in a temporary directory: `peapod up`, which is a node as well, or `peapod server`.

use crate::kubectl::{Kubectl, Ran, ran};
use crate::process::{Place, Process, peapod};
use crate::{file, tool};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// A running control plane. Dropping it kills the process.
pub struct Cluster {
    process: Process,
    place: Place,
    verb: &'static str,
    args: Vec<String>,
    port: u16,
    dir: TempDir,
}

impl Cluster {
    /// `peapod up` with the images of modules/dist and `args` besides; its node is `node-1`.
    pub fn start(args: &[&str]) -> Cluster {
        Cluster::start_at(&Place::own(), args)
    }

    /// The same at `place`.
    pub fn start_at(place: &Place, args: &[&str]) -> Cluster {
        Cluster::launch("up", place, &[&["--node-name", "node-1"], args].concat())
    }

    /// `peapod server` at `place`, with the images of modules/dist and `args` besides.
    pub fn server(place: &Place, args: &[&str]) -> Cluster {
        Cluster::launch("server", place, args)
    }

    fn launch(verb: &'static str, place: &Place, args: &[&str]) -> Cluster {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let process = Process::new(&format!("peapod {verb}"), place, Vec::new(), dir.path().join("log"));
        let args = args.iter().map(|arg| arg.to_string()).collect();
        let mut cluster = Cluster { process, place: place.clone(), verb, args, port: 0, dir };
        cluster.up();
        println!("cluster: {} {verb} at https://{}:{}", peapod().display(), place.host, cluster.port);
        cluster
    }

    /// Starts the process (again) on the same data directory and address, and waits for its `ready` line.
    pub fn up(&mut self) {
        let (listen, images) = (SocketAddr::new(self.place.host, self.port), file("modules/dist"));
        let mut all = vec![self.verb.to_string(), "--listen".into(), listen.to_string()];
        all.extend(["--data-dir".into(), self.data_dir().display().to_string()]);
        all.extend(["--images".into(), images.display().to_string()]);
        all.extend(self.args.iter().cloned());
        self.process.set_args(all);
        self.process.start();
        let url = self.process.says("ready ");
        let address: SocketAddr = url.trim_start_matches("https://").parse().expect("ready tells an address");
        self.port = address.port();
    }

    /// Later starts apply nothing. `--apply` was the last of the arguments.
    pub fn without_manifests(&mut self) {
        let first = self.args.iter().position(|arg| arg == "--apply").unwrap_or(self.args.len());
        self.args.truncate(first);
    }

    /// Where its state is.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A directory for the test's own files.
    pub fn scratch(&self) -> &Path {
        self.dir.path()
    }

    /// What the process wrote to standard error.
    pub fn log_text(&self) -> String {
        self.process.log_text()
    }

    /// The address that the API, and NodePorts of `peapod up`, listen on.
    pub fn host(&self) -> IpAddr {
        self.place.host
    }

    /// Where the API is.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.place.host, self.port)
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM; fails unless the process ends well within `limit`.
    pub fn terminate(&mut self, limit: Duration) {
        self.process.terminate(limit);
    }

    /// Runs the binary as a client with the administrator's kubeconfig.
    pub fn peapod(&self, args: &[&str]) -> Ran {
        let mut command = self.place.command(&peapod());
        command.args(args).env("KUBECONFIG", self.kubeconfig()).env_remove("RUST_BACKTRACE");
        ran("peapod", args, command.output().expect("peapod starts"))
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.data_dir().join("kubeconfig")
    }

    /// The newest kubectl that the packages ship.
    pub fn kubectl(&self) -> Kubectl {
        self.kubectl_named("kubectl-new")
    }

    /// `kubectl-new` or `kubectl-old`.
    pub fn kubectl_named(&self, name: &str) -> Kubectl {
        Kubectl::new(tool(name), &self.place, &self.kubeconfig(), &self.dir.path().join("home"))
    }

    /// The address of a Service's first NodePort.
    pub fn node_port(&self, service: &str) -> SocketAddr {
        let port = self.kubectl().path(&format!("service {service}"), "{.spec.ports[0].nodePort}");
        let number = port.parse().unwrap_or_else(|_| panic!("{service} has no node port: {port:?}"));
        SocketAddr::new(self.place.host, number)
    }
}
