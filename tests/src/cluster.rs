//! A real `peapod up` in a temporary directory.

use crate::kubectl::Kubectl;
use crate::{file, tool};
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;

/// How long a start may take on a loaded machine.
const START_TIMEOUT: Duration = Duration::from_secs(90);

/// The built binary.
pub fn peapod() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test.ancestors().nth(2).expect("tests lie in target/PROFILE/deps");
    let path = profile.join("peapod");
    assert!(path.exists(), "{} is missing: run `cargo build -p peapod`", path.display());
    path
}

/// A running cluster of one node. Dropping it kills the process.
pub struct Cluster {
    dir: TempDir,
    host: IpAddr,
    port: u16,
    args: Vec<String>,
    child: Option<Child>,
}

impl Cluster {
    /// Starts with the images of modules/dist and `args` besides.
    pub fn start(args: &[&str]) -> Cluster {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let dir = tempfile::tempdir().expect("a temporary directory");
        // Each cluster of a test run has a loopback address of its own, so that NodePorts do not meet.
        let own = NEXT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id().to_le_bytes();
        let host = IpAddr::from([127, 1 + process[1] % 120, process[0], own]);
        let mut cluster =
            Cluster { dir, host, port: 0, args: args.iter().map(|a| a.to_string()).collect(), child: None };
        cluster.up();
        println!("cluster: {} at https://{}:{}", peapod().display(), cluster.host, cluster.port);
        cluster
    }

    /// Starts the process (again) on the same data directory and waits for its `ready` line.
    pub fn up(&mut self) {
        assert!(self.child.is_none(), "the process runs already");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log()).expect("a log file");
        let mut command = Command::new(peapod());
        command
            .args([
                "up",
                "--listen",
                &format!("{}:{}", self.host, self.port),
                "--node-name",
                "node-1",
                "--data-dir",
            ])
            .arg(self.data_dir())
            .arg("--images")
            .arg(file("modules/dist"))
            .args(&self.args)
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command.spawn().expect("peapod starts");
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            // Reads to the end, so that the process never blocks on its own output.
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        self.child = Some(child);
        let url = loop {
            match receiver.recv_timeout(START_TIMEOUT) {
                Ok(line) => {
                    if let Some(url) = line.strip_prefix("ready ") {
                        break url.to_string();
                    }
                }
                Err(_) => panic!("peapod up did not get ready:\n{}", self.log_text()),
            }
        };
        let address: SocketAddr = url.trim_start_matches("https://").parse().expect("ready tells an address");
        self.port = address.port();
    }

    /// Where its state is.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A directory for the test's own files.
    pub fn scratch(&self) -> &Path {
        self.dir.path()
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// What the process wrote to standard error.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// The address that NodePorts listen on.
    pub fn host(&self) -> IpAddr {
        self.host
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the process runs").id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("the process runs");
        child.kill().expect("kill");
        child.wait().expect("wait");
    }

    /// SIGTERM; fails unless the process ends well within `limit`.
    pub fn terminate(&mut self, limit: Duration) {
        let mut child = self.child.take().expect("the process runs");
        let killed = Command::new("kill").arg(child.id().to_string()).status().expect("kill runs");
        assert!(killed.success());
        let deadline = std::time::Instant::now() + limit;
        crate::wait::until("the end after SIGTERM", limit.as_secs().max(1), || match child.try_wait() {
            Ok(Some(status)) if status.success() => Ok(()),
            Ok(Some(status)) => panic!("it ended with {status}:\n{}", self.log_text()),
            _ => Err("still there".into()),
        });
        assert!(std::time::Instant::now() <= deadline + Duration::from_secs(1));
    }

    /// The newest kubectl that the packages ship.
    pub fn kubectl(&self) -> Kubectl {
        self.kubectl_named("kubectl-new")
    }

    /// `kubectl-new` or `kubectl-old`.
    pub fn kubectl_named(&self, name: &str) -> Kubectl {
        Kubectl::new(tool(name), &self.data_dir().join("kubeconfig"), &self.dir.path().join("home"))
    }

    /// The address of a Service's first NodePort.
    pub fn node_port(&self, service: &str) -> SocketAddr {
        let port = self.kubectl().path(&format!("service {service}"), "{.spec.ports[0].nodePort}");
        SocketAddr::new(
            self.host,
            port.parse().unwrap_or_else(|_| panic!("{service} has no node port: {port:?}")),
        )
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- log of peapod up\n{}", self.log_text());
        }
    }
}
