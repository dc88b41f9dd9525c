//! Stock kubectl, old and new.

use crate::process::Place;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

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

    /// The value of a jsonpath expression.
    pub fn path(&self, what: &str, path: &str) -> String {
        let mut args: Vec<&str> = vec!["get"];
        args.extend(what.split_whitespace());
        let output = format!("jsonpath={path}");
        args.extend(["-o", &output]);
        self.args(&args).ok()
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
