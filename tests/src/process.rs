//! A real `peapod` process: where it runs, what it says, how it ends.

use crate::wait;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// How long a start may take on a loaded machine.
const START_SECONDS: u64 = 90;

/// What ends sooner has not waited for the grace of pods, which is 30 s, not even on a loaded machine.
pub const PROMPT: Duration = Duration::from_secs(20);

/// What sets a process's clock: Debian's package faketime. The loader fills in the machine's name for its libraries.
const CLOCK: &str = "/usr/$LIB/faketime/libfaketimeMT.so.1";

/// The built binary.
pub fn peapod() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test.ancestors().nth(2).expect("tests lie in target/PROFILE/deps");
    let path = profile.join("peapod");
    assert!(path.exists(), "{} is missing: run `cargo build -p peapod`", path.display());
    path
}

/// Where a process runs: an address, and the network namespace that has it.
#[derive(Clone, Debug)]
pub struct Place {
    /// What the process listens on.
    pub host: IpAddr,
    /// As `ip netns` names it; none: the machine's own.
    pub namespace: Option<String>,
}

impl Place {
    /// A loopback address of its own, so that the ports of several processes do not meet.
    pub fn own() -> Place {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let (own, process) = (NEXT.fetch_add(1, Ordering::Relaxed), std::process::id().to_le_bytes());
        Place { host: IpAddr::from([127, 1 + process[1] % 120, process[0], own]), namespace: None }
    }

    /// An address in a network namespace that the test has made.
    pub fn in_namespace(name: &str, host: IpAddr) -> Place {
        Place { host, namespace: Some(name.into()) }
    }

    /// A command that runs there. `ip netns exec` becomes the program: its process is the program's.
    pub fn command(&self, program: &Path) -> Command {
        let Some(namespace) = &self.namespace else { return Command::new(program) };
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(program);
        command
    }
}

/// A process that can be started again and again. Dropping it kills it, and shows its log if the test has failed.
pub struct Process {
    name: String,
    place: Place,
    args: Vec<String>,
    clock: Option<String>,
    log: PathBuf,
    output: Arc<Mutex<Vec<String>>>,
    child: Option<Child>,
}

impl Process {
    /// One that will run `peapod` with `args`; standard error goes to the file `log`.
    pub fn new(name: &str, place: &Place, args: Vec<String>, log: PathBuf) -> Process {
        let (output, clock, child) = (Arc::default(), None, None);
        Process { name: name.into(), place: place.clone(), args, clock, log, output, child }
    }

    /// Starts the process.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = OpenOptions::new().create(true).append(true).open(&self.log).expect("a log file");
        self.output = Arc::default();
        let mut child = self.spawn(log);
        let (output, pipe) = (self.output.clone(), child.stdout.take().expect("stdout is piped"));
        std::thread::spawn(move || {
            // Reads to the end, so that the process never blocks on its own output.
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                output.lock().expect("no reader panics").push(line);
            }
        });
        self.child = Some(child);
    }

    fn spawn(&self, log: File) -> Child {
        let mut command = self.place.command(&peapod());
        command.args(&self.args).env_remove("RUST_BACKTRACE").stdin(Stdio::null());
        if let Some(offset) = &self.clock {
            command.envs([
                ("LD_PRELOAD", CLOCK),
                ("FAKETIME", offset),
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ]);
        }
        command.stdout(Stdio::piped()).stderr(log).spawn().expect("peapod starts")
    }

    /// With these arguments at the next start.
    pub fn set_args(&mut self, args: Vec<String>) {
        self.args = args;
    }

    /// With a wall clock that is wrong at the next start, e.g. by `-365d`.
    pub fn set_clock(&mut self, offset: &str) {
        self.clock = Some(offset.into());
    }

    /// Waits for a line of standard output that begins with `prefix` and gives the rest of it.
    pub fn says(&mut self, prefix: &str) -> String {
        wait::until(&format!("{prefix:?} from {}", self.name), START_SECONDS, || {
            let ended = self.child.as_mut().is_none_or(|child| child.try_wait().ok().flatten().is_some());
            let lines = self.output.lock().expect("no reader panics").clone();
            match lines.iter().find_map(|line| line.strip_prefix(prefix)) {
                Some(rest) => Ok(rest.to_string()),
                None if ended => panic!("{} has ended:\n{}", self.name, self.log_text()),
                None => Err(format!("it said {lines:?}\n{}", self.log_text())),
            }
        })
    }

    /// Waits for `text` on standard error.
    pub fn complains(&self, text: &str) {
        wait::until(&format!("{text:?} from {}", self.name), START_SECONDS, || {
            let log = self.log_text();
            if log.contains(text) { Ok(()) } else { Err(log) }
        });
    }

    /// What it wrote to standard error, at all its starts.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the process runs").id()
    }

    /// Where it runs.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("the process runs");
        child.kill().expect("kill");
        child.wait().expect("wait");
    }

    /// SIGTERM; fails unless the process ends well within `limit`.
    pub fn terminate(&mut self, limit: Duration) {
        let killed = Command::new("kill").arg(self.pid().to_string()).status().expect("kill runs");
        assert!(killed.success());
        let status = self.ends(limit);
        assert!(status.success(), "it ended with {status}:\n{}", self.log_text());
    }

    /// Waits until the process has ended by itself.
    pub fn ends(&mut self, limit: Duration) -> ExitStatus {
        let mut child = self.child.take().expect("the process runs");
        wait::until(&format!("the end of {}", self.name), limit.as_secs().max(1), || {
            child.try_wait().expect("wait").ok_or_else(|| "still there".to_string())
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- log of {}\n{}", self.name, self.log_text());
        }
    }
}
