//! Charts that everybody knows, through all that the real Helm does with a release. With all their parts on, the API server
//! takes each object but the pods that a WASI node cannot run, whose refusals are listed here; what it can run runs with a
//! module in place of the images.

mod table;

use peapod_tests::cluster::Cluster;
use peapod_tests::kubectl::{Kubectl, Ran, contains};
use peapod_tests::{file, http, tool, wait};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A chart with all its parts on: what is said of it, and what is refused.
struct Whole {
    chart: &'static str,
    /// Whether `tests/charts/values/CHART-whole.yaml` turns parts on that are off by default.
    values: bool,
    /// How many objects it has, hooks not counted.
    objects: usize,
    /// Objects that are refused, each with the fields of its pod because of which it is; in alphabetical order.
    refused: &'static [(&'static str, &'static [&'static str])],
    /// Warnings: of what, and what is said; in alphabetical order.
    said: &'static [(&'static str, &'static str)],
}

/// A chart with values under which all its pods run (`CHART-runs.yaml`), and what an upgrade changes (`CHART-more.yaml`).
struct Life {
    chart: &'static str,
    /// Objects of the release, of its second revision, as `kubectl get -o name` says them.
    objects: [&'static [&'static str]; 2],
    /// An object, a jsonpath expression, and its value in the first and in the second revision.
    shows: &'static [(&'static str, &'static str, [&'static str; 2])],
    /// The Service that answers on its node port.
    service: &'static str,
    /// A value that the API server does not take, and why it does not.
    bad: (&'static str, &'static str),
}

/// A release in a namespace of its own, both with the chart's name.
struct Release {
    chart: &'static str,
    cluster: Cluster,
    helm: Kubectl,
    kubectl: Kubectl,
}

fn values(chart: &str, name: &str) -> String {
    let path = file(&format!("tests/charts/values/{chart}-{name}.yaml"));
    assert!(path.exists(), "{}", path.display());
    format!("--values {}", path.display())
}

/// What Helm passes on of the API server's warnings, each once; what it says of the chart itself is not of interest.
fn warnings(ran: &Ran) -> BTreeSet<&str> {
    ran.err.lines().filter_map(|line| line.split_once(" warnings.go:70] ")).map(|(_, text)| text).collect()
}

/// `spec.template.spec.volumes[3].hostPath: Forbidden: ...` is `volumes.hostPath`.
fn field(cause: &str) -> String {
    let (path, _) =
        cause.split_once(": Forbidden: ").unwrap_or_else(|| panic!("not refused, but wrong: {cause}"));
    let path = path.rsplit_once("template.spec.").map_or(path, |(_, field)| field);
    path.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest)).collect()
}

/// The objects that Helm could not make, with the fields that are to blame.
fn refusals(ran: &Ran) -> Vec<String> {
    let mut refused: Vec<String> = Vec::new();
    for line in ran.err.lines().filter_map(|line| line.strip_prefix("\t* ")) {
        let (object, causes) = line.split_once(" is invalid: ").unwrap_or_else(|| panic!("{line}"));
        let causes = causes.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(causes);
        let fields: BTreeSet<String> = causes.split(", spec.").map(field).collect();
        refused.push(format!("{object}: {}", Vec::from_iter(fields).join(" ")));
    }
    refused.sort();
    refused
}

impl Release {
    fn of(chart: &'static str) -> Release {
        let cluster = Cluster::start(&[]);
        let (helm, kubectl) = (cluster.kubectl_named("helm"), cluster.kubectl());
        kubectl.run(&format!("config set-context --current --namespace={chart}")).ok();
        let release = Release { chart, cluster, helm, kubectl };
        let version = release.run("show chart CHART").ok();
        let version = version.lines().find(|line| line.starts_with("version: ")).expect("a version");
        println!("Helm {}, {chart} {version}", release.run("version --short").ok().trim());
        contains(&release.run("lint CHART").ok(), &["0 chart(s) failed"]);
        release
    }

    fn run(&self, line: &str) -> Ran {
        let path: PathBuf = tool("charts").join(self.chart);
        let line = line.replace("CHART", path.to_str().expect("UTF-8"));
        self.helm.run(&line)
    }

    fn manifest(&self) -> String {
        self.run(&format!("get manifest {}", self.chart)).ok()
    }

    /// Those objects of the manifest that are there.
    fn there(&self, manifest: &str) -> Vec<String> {
        let found = self.kubectl.stdin("get -f - --ignore-not-found -o name", manifest).ok();
        let mut names: Vec<String> = found.lines().map(String::from).collect();
        names.sort();
        names
    }

    fn is_uninstalled(&self) {
        let manifest = self.manifest();
        let line = format!("uninstall {} --wait --timeout 60s", self.chart);
        contains(&self.run(&line).ok(), &["uninstalled"]);
        wait::until("nothing of the release is left", 30, || match self.there(&manifest)[..] {
            [] => Ok(()),
            ref left => Err(left.join(" ")),
        });
        assert!(!self.run("list --all").ok().contains(self.chart));
        self.run(&format!("status {}", self.chart)).fails_with("release: not found");
    }
}

impl Whole {
    /// Installs and uninstalls it, without its hooks: Helm would wait for their Jobs.
    fn is_taken(&self) {
        let release = Release::of(self.chart);
        let values = if self.values { values(self.chart, "whole") } else { String::new() };
        let rendered = release.run(&format!("template {} CHART --no-hooks {values}", self.chart)).ok();
        let objects = rendered.lines().filter(|line| line.starts_with("kind: ")).count();
        assert_eq!(objects, self.objects, "objects of the chart");

        let ran =
            release.run(&format!("install {} CHART --create-namespace --no-hooks {values}", self.chart));
        let refused = self.refused.iter().map(|(object, fields)| format!("{object}: {}", fields.join(" ")));
        assert_eq!(refusals(&ran), Vec::from_iter(refused));
        let said = self.said.iter().map(|(of, what)| format!("{of}{what}"));
        assert_eq!(Vec::from_iter(warnings(&ran)), Vec::from_iter(said));
        assert_eq!(ran.code == 0, self.refused.is_empty(), "{}", ran.err);
        let there = release.there(&release.manifest());
        assert_eq!(there.len(), self.objects - self.refused.len(), "{there:?}");
        release.is_uninstalled();
    }
}

impl Life {
    /// The release is at its first or second revision's content, ready, and answers.
    fn is_at(&self, release: &Release, revision: usize) {
        let manifest = release.manifest();
        assert_eq!(release.there(&manifest), self.objects[revision - 1]);
        release.kubectl.stdin("diff -f -", &manifest).ok();
        self.shows(release, revision);
        let port = release.kubectl.path(&format!("service {}", self.service), "{.spec.ports[0].nodePort}");
        let at = (release.cluster.host(), port.parse().expect("a node port")).into();
        let (code, body) = wait::until("an answer of the release", 30, || http::get(at, "/"));
        assert_eq!(code, 200, "{body}");
    }

    fn shows(&self, release: &Release, revision: usize) {
        for (object, path, shown) in self.shows {
            // Statuses follow what Helm has waited for.
            release.kubectl.becomes(object, path, |found| found == shown[revision - 1]);
        }
    }

    fn is_lived(&self) {
        let (release, chart) = (Release::of(self.chart), self.chart);
        let (runs, more) = (values(chart, "runs"), values(chart, "more"));
        let wait = "--wait --timeout 60s";
        let user_values =
            |revision: u32| release.run(&format!("get values {chart} --revision {revision}")).ok();

        let said = release.run(&format!("install {chart} CHART --create-namespace {runs} {wait}")).ok();
        contains(&said, &["STATUS: deployed", "REVISION: 1"]);
        self.is_at(&release, 1);
        release
            .run(&format!("install {chart} CHART {runs}"))
            .fails_with("cannot re-use a name that is still in use");

        release.run(&format!("upgrade {chart} CHART {runs} {more} {wait}")).ok();
        self.is_at(&release, 2);
        assert_ne!(user_values(2), user_values(1));

        let (bad, why) = self.bad;
        release.run(&format!("upgrade {chart} CHART --reuse-values --set {bad}")).fails_with(why);
        self.shows(&release, 2);

        release.run(&format!("rollback {chart} 1 {wait}")).ok();
        self.is_at(&release, 1);
        assert_eq!(user_values(4), user_values(1));
        contains(&release.run(&format!("test {chart}")).ok(), &["STATUS: deployed", "TEST SUITE: None"]);
        let history = release.run(&format!("history {chart} -o json")).ok();
        let statuses: Vec<&str> =
            history.split("\"status\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(statuses, ["superseded", "superseded", "failed", "deployed"]);
        release.is_uninstalled();
    }
}

#[test]
fn cilium_is_taken_whole() {
    table::CILIUM.is_taken();
}

#[test]
fn cluster_autoscaler_is_taken_whole() {
    table::CLUSTER_AUTOSCALER.is_taken();
}

#[test]
fn storage_drivers_are_taken_whole() {
    table::CINDER.is_taken();
    table::MANILA.is_taken();
}

#[test]
fn cilium_lives_through_its_releases() {
    table::CILIUM_RUNS.is_lived();
}

#[test]
fn cluster_autoscaler_lives_through_its_releases() {
    table::CLUSTER_AUTOSCALER_RUNS.is_lived();
}
