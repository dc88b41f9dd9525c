//! The rules of the repository that can be tested.

use peapod_tests::root;
use std::path::{Path, PathBuf};

/// Files that may hold `unsafe`, with the reason.
const UNSAFE: &[(&str, &str)] = &[
    (
        "agent/src/runtime/",
        "wasmtime's deserialize trusts the bytes that it maps, which are authenticated first; system calls of scheduling",
    ),
    ("orchestrator/tests/", "the crash tests put a VFS of their own under SQLite"),
    ("orchestrator/src/store/", "the crash tests put a VFS of their own under SQLite"),
];
/// Lines past which a file hides a concept of its own.
const MAX_LINES: usize = 600;

fn sources(ends: &[&str]) -> Vec<PathBuf> {
    let listed = std::process::Command::new("git")
        .arg("-C")
        .arg(root())
        .args(["ls-files"])
        .output()
        .expect("git runs");
    let text = String::from_utf8(listed.stdout).expect("paths are UTF-8");
    let files = text.lines().filter(|path| ends.iter().any(|end| path.ends_with(end)));
    files.map(|path| root().join(path)).filter(|path| path.exists()).collect()
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("below the root").display().to_string()
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn unsafe_code_stays_where_it_has_a_reason() {
    for path in sources(&[".rs"]) {
        let name = relative(&path);
        let allowed = name.starts_with("modules/") || UNSAFE.iter().any(|(place, _)| name.starts_with(place));
        let uses = text(&path).lines().any(|line| line.contains("allow(unsafe_code)"));
        assert!(!uses || allowed || name == "tests/tests/tidy.rs", "{name} allows unsafe code");
    }
}

#[test]
fn control_plane_and_agent_meet_only_in_the_api() {
    let manifest = |path: &str| text(&root().join(path));
    assert!(!manifest("agent/Cargo.toml").contains("peapod-orchestrator"));
    assert!(!manifest("agent/Cargo.toml").contains("peapod-core"));
    assert!(!manifest("orchestrator/Cargo.toml").contains("peapod-agent"));
    for pure in ["orchestrator/api/Cargo.toml", "orchestrator/core/Cargo.toml"] {
        let manifest = manifest(pure);
        let dependencies =
            manifest.split("[dev-dependencies]").next().expect("split gives at least one part");
        for banned in ["tokio", "hyper", "rusqlite", "rand", "warp", "uuid"] {
            let used = dependencies.lines().any(|line| {
                line.starts_with(&format!("{banned}.")) || line.starts_with(&format!("{banned} "))
            });
            assert!(!used, "{pure} depends on {banned}");
        }
    }
}

#[test]
fn pure_packages_read_no_clock() {
    for path in sources(&[".rs"]) {
        let name = relative(&path);
        let pure = name.starts_with("orchestrator/api/src") || name.starts_with("orchestrator/core/src");
        for clock in ["Timestamp::now", "SystemTime::now", "Instant::now"] {
            assert!(!pure || !text(&path).contains(clock), "{name} reads a clock");
        }
    }
}

#[test]
fn files_are_short_enough_to_read() {
    for path in sources(&[".rs", ".ts", ".svelte"]) {
        let lines = text(&path).lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines; what concept is missing?", relative(&path));
    }
}

#[test]
fn nothing_is_left_for_later() {
    for path in sources(&[".rs", ".ts", ".svelte", ".sh"]) {
        let name = relative(&path);
        if name == "tests/tests/tidy.rs" {
            continue;
        }
        for word in ["TODO", "FIXME", "XXX", "todo!(", "unimplemented!(", "#[ignore"] {
            assert!(!text(&path).contains(word), "{name} holds {word}");
        }
    }
}

#[test]
fn every_source_file_says_what_it_is_for() {
    for path in sources(&[".rs"]) {
        let name = relative(&path);
        let is_test = name.contains("/tests/") || name.ends_with("tests.rs");
        let is_guest = name.starts_with("modules/");
        let is_command = name.starts_with("cli/src/commands/");
        let said = text(&path).trim_start().starts_with("//!");
        assert!(said || is_test || is_guest || is_command, "{name} does not begin with //!");
    }
}

#[test]
fn the_lock_files_are_committed() {
    assert!(root().join("Cargo.lock").exists());
    let lock = text(&root().join("web/package-lock.json"));
    let elsewhere = lock
        .lines()
        .find(|line| line.contains("\"resolved\"") && !line.contains("https://registry.npmjs.org/"));
    assert_eq!(elsewhere, None, "web/package-lock.json names another registry than the public one");
}
