//! Stock kubectl, old and new.

use crate::process::Place;
use crate::{file, wait};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// How long a condition may take; only something broken needs it.
const PATIENCE_SECONDS: u64 = 60;

/// Fails the test unless `text` has all the parts.
pub fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

/// Two tests: `run`, a function of a name, goes with an old kubectl, and with a new one.
#[macro_export]
macro_rules! by_both_kubectls {
    ($run:path) => {
        #[test]
        fn old_kubectl() {
            $run("kubectl-old");
        }

        #[test]
        fn new_kubectl() {
            $run("kubectl-new");
        }
    };
}

/// A kubectl binary pointed at a cluster.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    place: Place,
    kubeconfig: PathBuf,
    home: PathBuf,
}

/// What a command left behind.
#[derive(Debug)]
pub struct Ran {
    /// The command line, for messages.
    pub line: String,
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// Fails the test unless the command succeeded; gives its output.
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{} failed:\n{}{}", self.line, self.out, self.err);
        self.out
    }

    /// Fails the test unless the command failed and said `text`.
    pub fn fails_with(self, text: &str) -> Ran {
        assert_ne!(self.code, 0, "{} succeeded:\n{}", self.line, self.out);
        assert!(
            self.err.contains(text) || self.out.contains(text),
            "{} did not say {text:?}:\n{}{}",
            self.line,
            self.out,
            self.err
        );
        self
    }
}

impl Kubectl {
    /// `program` at `place` with `kubeconfig`; its caches go below `home`.
    pub fn new(program: PathBuf, place: &Place, kubeconfig: &Path, home: &Path) -> Kubectl {
        Kubectl { program, place: place.clone(), kubeconfig: kubeconfig.into(), home: home.into() }
    }

    /// The command, not yet run.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.place.command(&self.program);
        command.args(args).env("KUBECONFIG", &self.kubeconfig).env("HOME", &self.home).stdin(Stdio::null());
        command
    }

    /// Runs with the arguments of a line, split at blanks.
    pub fn run(&self, line: &str) -> Ran {
        self.args(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs with arguments as they are.
    pub fn args(&self, args: &[&str]) -> Ran {
        ran("kubectl", args, self.command(args).output().expect("kubectl starts"))
    }

    /// Runs with text on standard input.
    pub fn stdin(&self, line: &str, text: &str) -> Ran {
        let args: Vec<&str> = line.split_whitespace().collect();
        let mut command = self.command(&args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl starts");
        use std::io::Write;
        let written = child.stdin.take().expect("stdin is piped").write_all(text.as_bytes());
        let output = child.wait_with_output().expect("kubectl ends");
        written.unwrap_or_else(|error| panic!("kubectl {line} did not read its input: {error}"));
        ran("kubectl", &args, output)
    }

    /// Applies a manifest of the repository.
    pub fn apply(&self, manifest: &str) {
        self.args(&["apply", "-f", file(manifest).to_str().expect("paths are UTF-8")]).ok();
    }

    /// Applies a pod; `spec` is YAML of one line.
    pub fn pod(&self, name: &str, spec: &str) {
        self.annotated_pod(name, "", spec);
    }

    /// Applies a pod with annotations, which are the inside of a YAML map.
    pub fn annotated_pod(&self, name: &str, annotations: &str, spec: &str) {
        let metadata = format!("{{name: {name}, labels: {{app: {name}}}, annotations: {{{annotations}}}}}");
        let manifest = format!("apiVersion: v1\nkind: Pod\nmetadata: {metadata}\nspec: {spec}\n");
        self.stdin("apply -f -", &manifest).ok();
    }

    /// Waits until the value of a jsonpath expression is as it should be; gives it.
    pub fn becomes(&self, what: &str, path: &str, good: impl Fn(&str) -> bool) -> String {
        wait::until(&format!("{what} {path}"), PATIENCE_SECONDS, || {
            let value = self.path(what, path);
            if good(&value) { Ok(value) } else { Err(value) }
        })
    }

    /// Waits until a log says `text`; gives the log. `line` is what follows `kubectl logs`.
    pub fn log_says(&self, line: &str, text: &str) -> String {
        wait::until(&format!("{text:?} in the log of {line}"), PATIENCE_SECONDS, || {
            let ran = self.run(&format!("logs {line}"));
            if ran.code == 0 && ran.out.contains(text) { Ok(ran.out) } else { Err(format!("{ran:?}")) }
        })
    }

    /// Follows the log of a pod of the guest `writer` from its first line on for so many `lines`, of which none may be missing.
    pub fn follows_counter(&self, name: &str, lines: usize) {
        // From here on the node is connected; till then there is no log to follow.
        self.log_says(name, "wrote line 1 ");
        let mut command = self.command(&["logs", "-f", name]);
        let mut follower = command.stdout(Stdio::piped()).spawn().expect("kubectl starts");
        let output = BufReader::new(follower.stdout.take().expect("stdout is piped")).lines();
        let seen: Vec<String> = output.take(lines).map_while(Result::ok).collect();
        let expected: Vec<String> =
            (1..=lines).map(|number| format!("wrote line {number} from {name}")).collect();
        assert_eq!(seen, expected);
        follower.kill().expect("kill");
        follower.wait().expect("wait");
    }

    /// Waits until there is an Event of that type (`Normal`, `Warning`) and reason about an object that says `text`.
    pub fn event_says(&self, object: &str, type_: &str, reason: &str, text: &str) {
        let selector = format!("involvedObject.name={object},type={type_},reason={reason}");
        wait::until(&format!("{reason} about {object}"), PATIENCE_SECONDS, || {
            let events = self.run(&format!("get events --field-selector {selector}")).ok();
            if events.contains(text) && !events.is_empty() { Ok(()) } else { Err(events) }
        });
    }

    /// The value of a jsonpath expression.
    pub fn path(&self, what: &str, path: &str) -> String {
        let mut args: Vec<&str> = vec!["get"];
        args.extend(what.split_whitespace());
        let output = format!("jsonpath={path}");
        args.extend(["-o", &output]);
        self.args(&args).ok()
    }
}

/// `kubectl proxy`: the API as plain HTTP, with the rights of the kubeconfig.
pub struct Proxy {
    child: Child,
    address: SocketAddr,
}

impl Proxy {
    /// Starts it on a free port.
    pub fn start(kubectl: &Kubectl) -> Proxy {
        let mut command = kubectl.command(&["proxy", "--port=0"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("kubectl starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("stdout is piped");
        BufReader::new(out).read_line(&mut line).expect("kubectl says where it listens");
        let address = line.trim().rsplit(' ').next().and_then(|address| address.parse().ok());
        Proxy { child, address: address.unwrap_or_else(|| panic!("kubectl proxy says {line:?}")) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `program` left behind.
pub(crate) fn ran(program: &str, args: &[&str], output: Output) -> Ran {
    Ran {
        line: format!("{program} {}", args.join(" ")),
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
