//! Custom resources with an old and a new kubectl, and the definitions of an operator that others wrote.

use peapod_tests::by_both_kubectls;
use peapod_tests::cluster::Cluster;
use peapod_tests::kubectl::{Kubectl, contains};
use peapod_tests::{tool, wait};

const DEFINITION: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: backups.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: backups, singular: backup, kind: Backup, shortNames: [bk], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.copies, statusReplicasPath: .status.copies}
    additionalPrinterColumns:
    - {name: Schedule, type: string, jsonPath: .spec.schedule}
    - {name: Copies, type: integer, jsonPath: .spec.copies}
    - {name: Target, type: string, jsonPath: '.spec.targets[?(@.primary==true)].name', priority: 1}
    selectableFields: [{jsonPath: .spec.schedule}]
    schema:
      openAPIV3Schema:
        type: object
        required: [spec]
        properties:
          spec:
            type: object
            description: What to keep, and how often.
            required: [schedule]
            x-kubernetes-validations:
            - {rule: self.copies <= self.limit, messageExpression: '"at most %d copies, not %d".format([self.limit, self.copies])', fieldPath: .copies}
            - {rule: self.schedule == oldSelf.schedule, message: the schedule stays}
            properties:
              schedule: {type: string, enum: [daily, weekly], description: How often.}
              copies: {type: integer, default: 1, minimum: 0}
              limit: {type: integer, default: 5}
              targets:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  required: [name]
                  properties: {name: {type: string}, primary: {type: boolean}}
          status:
            type: object
            properties: {copies: {type: integer}, phase: {type: string}}
"#;

const BACKUP: &str = "
apiVersion: example.com/v1
kind: Backup
metadata: {name: nightly}
spec: {schedule: daily, targets: [{name: a, primary: true}]}
";

by_both_kubectls!(transcript);

fn transcript(name: &str) {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl_named(name);
    println!("{}", kubectl.run("version").ok());
    contains(&kubectl.stdin("apply -f -", DEFINITION).ok(), &["backups.example.com created"]);
    contains(
        &kubectl.run("wait crd/backups.example.com --for=condition=Established --timeout=60s").ok(),
        &["condition met"],
    );
    contains(&kubectl.run("get crd backups.example.com").ok(), &["CREATED AT"]);
    looking(&kubectl);
    refusing(&kubectl);
    changing(&kubectl);
    contains(&kubectl.run("delete crd backups.example.com").ok(), &["deleted"]);
    kubectl.run("get backups").fails_with("could not find the requested resource");
}

fn looking(kubectl: &Kubectl) {
    contains(&kubectl.stdin("apply -f -", BACKUP).ok(), &["backup.example.com/nightly created"]);
    contains(&kubectl.stdin("apply -f -", BACKUP).ok(), &["unchanged"]);
    contains(&kubectl.run("api-resources --api-group=example.com").ok(), &["bk"]);
    let table = kubectl.run("get bk -o wide").ok();
    let words: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        words,
        [vec!["NAME", "SCHEDULE", "COPIES", "TARGET"], vec!["nightly", "daily", "1", "a"]],
        "{table}"
    );
    contains(&kubectl.run("get all").ok(), &["backup.example.com/nightly"]);
    contains(&kubectl.run("get backups --field-selector spec.schedule=daily -o name").ok(), &["nightly"]);
    assert_eq!(kubectl.run("get backups --field-selector spec.schedule=weekly -o name").ok(), "");
    contains(&kubectl.run("explain backup.spec.schedule").ok(), &["How often."]);
    contains(&kubectl.run("explain backup --recursive").ok(), &["targets"]);
    contains(&kubectl.run("describe backup nightly").ok(), &["Schedule:  daily"]);
}

fn refusing(kubectl: &Kubectl) {
    let edited = |from: &str, to: &str| kubectl.stdin("apply -f -", &BACKUP.replace(from, to));
    edited("schedule: daily", "schedule: hourly")
        .fails_with(r#"spec.schedule: Unsupported value: "hourly": supported values: "daily", "weekly""#);
    edited("schedule: daily", "schedule: daily, copies: 9")
        .fails_with("spec.copies: Invalid value: \"object\": at most 5 copies, not 9");
    edited("schedule: daily", "schedule: weekly").fails_with("the schedule stays");
    edited("schedule: daily", "shedule: daily").fails_with(r#"unknown field "spec.shedule""#);
    edited("name: a", "name: 3").fails_with("must be of type string");
    let other = DEFINITION.replace("backups", "copies").replace("backup,", "copy,").replace("[bk]", "[cp]");
    let refused = kubectl.stdin(
        "apply -f -",
        &other
            .replace("self.limit,", "self.limits,")
            .replace("self.copies <= self.limit", "self.copies <= self.limits"),
    );
    refused.fails_with("undefined field 'limits'");
    kubectl.stdin("apply -f -", &other.replace("type: array", "type: list")).fails_with("spec.validation.openAPIV3Schema.properties[spec].properties[targets].type: Unsupported value: \"list\"");
}

fn changing(kubectl: &Kubectl) {
    let merge = r#"{"spec":{"copies":2}}"#;
    contains(&kubectl.args(&["patch", "backup", "nightly", "--type=merge", "-p", merge]).ok(), &["patched"]);
    kubectl.args(&["patch", "backup", "nightly", "-p", merge]).fails_with("unknown format");
    let apply = |manager: &str, target: &str| {
        let config =
            BACKUP.replace("name: nightly", "name: shared").replace("name: a, primary: true", target);
        kubectl.stdin(&format!("apply --server-side --field-manager={manager} -f -"), &config)
    };
    contains(&apply("one", "name: a, primary: true").ok(), &["serverside-applied"]);
    contains(&apply("two", "name: b").ok(), &["serverside-applied"]);
    assert_eq!(kubectl.path("backup shared", "{.spec.targets[*].name}").split(' ').count(), 2);
    apply("two", "name: a, primary: false")
        .fails_with("conflict with \"one\": .spec.targets[name=\"a\"].primary");
    contains(&kubectl.run("scale backup/nightly --replicas=3").ok(), &["scaled"]);
    assert_eq!(kubectl.path("backup nightly", "{.spec.copies}"), "3");
    let status = r#"{"status":{"phase":"Done"}}"#;
    kubectl.args(&["patch", "backup", "nightly", "--subresource=status", "--type=merge", "-p", status]).ok();
    contains(
        &kubectl.run("wait backup/nightly --for=jsonpath={.status.phase}=Done --timeout=60s").ok(),
        &["condition met"],
    );
    assert_eq!(kubectl.path("backup nightly", "{.metadata.generation}"), "3");
}

#[test]
fn the_definitions_of_an_operator_are_taken_as_they_are() {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl();
    let directory = tool("dask/dask_kubernetes/operator/deployment/helm/dask-kubernetes-operator/crds");
    let files = std::fs::read_dir(&directory).unwrap().map(|file| file.unwrap().path()).collect::<Vec<_>>();
    println!("{} definitions of dask-kubernetes", files.len());
    assert_eq!(files.len(), 4);
    // As Helm does it: the larger ones do not fit into the annotation of a client-side apply.
    contains(
        &kubectl.args(&["create", "-f", directory.to_str().unwrap()]).ok(),
        &["daskclusters.kubernetes.dask.org created"],
    );
    kubectl.run("wait crd --all --for=condition=Established --timeout=60s").ok();
    let cluster_yaml = tool("dask/dask_kubernetes/operator/controller/tests/resources/simplecluster.yaml");
    contains(
        &kubectl.args(&["apply", "-f", cluster_yaml.to_str().unwrap()]).ok(),
        &["daskcluster.kubernetes.dask.org/simple created"],
    );
    assert_eq!(kubectl.path("daskcluster simple", "{.spec.worker.spec.containers[0].name}"), "worker");
    contains(&kubectl.run("explain daskcluster.spec.worker.spec.containers.readinessProbe").ok(), &["FIELD"]);
    let bad = std::fs::read_to_string(&cluster_yaml).unwrap().replace("replicas: 2", "replicas: many");
    kubectl.stdin("apply -f -", &bad).fails_with("spec.worker.replicas in body must be of type integer");
    kubectl.args(&["delete", "-f", directory.to_str().unwrap()]).ok();
    wait::until("the end of the definitions", 30, || match kubectl.run("get crd -o name").ok().as_str() {
        "" => Ok(()),
        left => Err(left.to_string()),
    });
}

#[test]
fn the_command_line_knows_kinds_that_were_defined() {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl();
    let manifest = |name: &str, text: &str| {
        let path = cluster.scratch().join(name);
        std::fs::write(&path, text).expect("a manifest");
        path.to_str().expect("paths are UTF-8").to_string()
    };
    let peapod = |line: &str| cluster.peapod(&line.split(' ').collect::<Vec<_>>());
    peapod("get backups").fails_with("the server doesn't have a resource type \"backups\"");
    let backup = manifest("backup.yaml", BACKUP);
    peapod(&format!("apply -f {backup}"))
        .fails_with("no matches for kind \"Backup\" in version \"example.com/v1\"");
    let definition = manifest("definition.yaml", DEFINITION);
    contains(&peapod(&format!("apply -f {definition}")).ok(), &["backups.example.com created"]);
    kubectl.run("wait crd/backups.example.com --for=condition=Established --timeout=60s").ok();
    for said in ["created", "unchanged"] {
        assert_eq!(
            peapod(&format!("apply -f {backup}")).ok(),
            format!("backup.example.com/nightly {said}\n")
        );
    }
    let changed = manifest("changed.yaml", &BACKUP.replace("schedule: daily", "schedule: hourly"));
    peapod(&format!("apply -f {changed}")).fails_with("spec.schedule: Unsupported value: \"hourly\"");
    for name in ["bk", "backup", "backups", "Backup", "backups.example.com"] {
        contains(&peapod(&format!("get {name}")).ok(), &["NAME", "SCHEDULE", "COPIES", "nightly", "daily"]);
    }
    assert!(!peapod("get bk").ok().contains("TARGET"));
    contains(&peapod("get bk nightly -o wide").ok(), &["TARGET"]);
    contains(&peapod("get bk nightly -o yaml").ok(), &["kind: Backup", "schedule: daily"]);
    contains(&peapod("get bk -A").ok(), &["NAMESPACE", "default"]);
    assert_eq!(peapod("get bk -o name").ok(), "backup.example.com/nightly\n");
    assert_eq!(peapod("delete bk nightly").ok(), "backup.example.com/nightly deleted\n");
    assert!(peapod("get bk").err.contains("No resources found in default namespace"));
    contains(&peapod(&format!("delete -f {definition}")).ok(), &["backups.example.com deleted"]);
}
