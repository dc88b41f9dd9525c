use super::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Which test shows which honoured fields. Each of those tests names the fields, in JSON or as the agent's own types
/// spell them.
const SHOWN: &[(&str, &str)] = &[
    ("containers_share_volumes_and_init_containers_come_first", "PodSpec.volumes,initContainers,containers"),
    ("containers_share_volumes_and_init_containers_come_first", "Volume.name,emptyDir,configMap"),
    ("containers_share_volumes_and_init_containers_come_first", "VolumeMount.name,mountPath,readOnly"),
    ("containers_share_volumes_and_init_containers_come_first", "Container.name,image,args,volumeMounts"),
    ("restart_policies_are_followed", "PodSpec.restartPolicy"),
    ("a_running_pod_gets_its_grace_which_may_only_shrink", "PodSpec.terminationGracePeriodSeconds"),
    ("a_failing_liveness_probe_restarts_and_a_deadline_ends", "PodSpec.activeDeadlineSeconds"),
    ("selectors_affinity_and_tolerations_are_followed", "PodSpec.nodeSelector,affinity,tolerations"),
    ("selectors_affinity_and_tolerations_are_followed", "Affinity.nodeAffinity"),
    (
        "selectors_affinity_and_tolerations_are_followed",
        "NodeAffinity.requiredDuringSchedulingIgnoredDuringExecution,preferredDuringSchedulingIgnoredDuringExecution",
    ),
    ("selectors_affinity_and_tolerations_are_followed", "NodeSelector.nodeSelectorTerms"),
    ("selectors_affinity_and_tolerations_are_followed", "NodeSelectorTerm.matchExpressions,matchFields"),
    ("selectors_affinity_and_tolerations_are_followed", "NodeSelectorRequirement.key,operator,values"),
    ("selectors_affinity_and_tolerations_are_followed", "PreferredSchedulingTerm.weight,preference"),
    ("selectors_affinity_and_tolerations_are_followed", "Toleration.key,operator,value,effect"),
    ("a_taint_is_borne_as_long_as_it_is_tolerated", "Toleration.tolerationSeconds"),
    ("every_source_is_read", "PodSpec.serviceAccountName"),
    ("a_new_object_is_complete", "PodSpec.serviceAccount"),
    ("a_pod_is_placed_by_whom_it_names", "PodSpec.nodeName,schedulerName"),
    ("what_is_refused_and_warned_of_is_told", "PodSpec.securityContext,topologySpreadConstraints,os"),
    (
        "what_is_refused_and_warned_of_is_told",
        "Affinity.podAffinity,podAntiAffinity Container.securityContext",
    ),
    ("names_come_from_hosts_aliases_and_headless_services", "PodSpec.hostname,subdomain,hostAliases"),
    ("names_come_from_hosts_aliases_and_headless_services", "HostAlias.ip,hostnames"),
    ("a_readiness_gate_is_opened_by_its_condition", "PodSpec.readinessGates PodReadinessGate.conditionType"),
    ("files_arrive_as_they_were_asked_for", "Volume.secret ConfigMapVolumeSource.name,items,optional"),
    (
        "files_arrive_as_they_were_asked_for",
        "SecretVolumeSource.secretName,items,optional KeyToPath.key,path",
    ),
    ("files_arrive_as_they_were_asked_for", "VolumeMount.subPath"),
    (
        "projected_volumes_show_tokens_objects_and_the_pod",
        "Volume.projected ProjectedVolumeSource.sources,defaultMode DownwardAPIProjection.items",
    ),
    (
        "projected_volumes_show_tokens_objects_and_the_pod",
        "VolumeProjection.configMap,secret,downwardAPI,serviceAccountToken",
    ),
    (
        "projected_volumes_show_tokens_objects_and_the_pod",
        "ConfigMapProjection.name,items,optional SecretProjection.name,items,optional",
    ),
    (
        "projected_volumes_show_tokens_objects_and_the_pod",
        "ServiceAccountTokenProjection.audience,expirationSeconds,path",
    ),
    (
        "projected_volumes_show_tokens_objects_and_the_pod",
        "Volume.downwardAPI DownwardAPIVolumeSource.items,defaultMode",
    ),
    (
        "projected_volumes_show_tokens_objects_and_the_pod",
        "DownwardAPIVolumeFile.path,fieldRef,resourceFieldRef,mode",
    ),
    ("a_pod_that_asks_for_it_finds_its_token", "PodSpec.automountServiceAccountToken"),
    ("items_choose_rename_and_set_modes", "KeyToPath.mode ConfigMapVolumeSource.defaultMode"),
    ("items_choose_rename_and_set_modes", "SecretVolumeSource.defaultMode"),
    ("arguments_expand_and_have_a_program_name", "Container.command"),
    ("a_component_is_told_its_working_directory", "Container.workingDir"),
    ("stdin_is_empty_unless_it_is_kept_open", "Container.stdin"),
    ("what_cannot_run_says_why", "Container.imagePullPolicy"),
    ("every_source_is_read", "Container.env,envFrom,resources EnvVar.name,value,valueFrom"),
    ("every_source_is_read", "EnvVarSource.fieldRef,resourceFieldRef,configMapKeyRef,secretKeyRef"),
    ("every_source_is_read", "ObjectFieldSelector.apiVersion,fieldPath"),
    ("every_source_is_read", "ResourceFieldSelector.containerName,resource,divisor"),
    ("every_source_is_read", "ConfigMapKeySelector.name,key,optional SecretKeySelector.name,key"),
    ("every_source_is_read", "EnvFromSource.prefix,configMapRef,secretRef"),
    ("every_source_is_read", "ConfigMapEnvSource.name,optional SecretEnvSource.name,optional"),
    ("environment_comes_from_settings_secrets_and_the_pod_itself", "SecretKeySelector.optional"),
    ("limits_hold_and_requests_are_counted", "ResourceRequirements.limits,requests"),
    ("a_handler_runs_answers_and_goes", "Container.ports,readinessProbe ContainerPort.name,containerPort"),
    ("a_handler_runs_answers_and_goes", "Probe.httpGet HTTPGetAction.path,port"),
    ("a_failing_liveness_probe_restarts_and_a_deadline_ends", "Container.livenessProbe Probe.tcpSocket"),
    ("a_failing_liveness_probe_restarts_and_a_deadline_ends", "TCPSocketAction.port"),
    ("a_startup_probe_gates_the_others_and_restarts_what_never_starts", "Container.startupProbe"),
    (
        "a_probe_keeps_its_times",
        "Probe.initialDelaySeconds,periodSeconds,timeoutSeconds,terminationGracePeriodSeconds",
    ),
    ("thresholds_count_answers_in_a_row", "Probe.successThreshold,failureThreshold"),
    ("a_request_carries_its_path_and_headers", "HTTPGetAction.httpHeaders,scheme HTTPHeader.name,value"),
];

fn walk(ty: &'static Type, seen: &mut BTreeSet<(&'static str, String)>, missing: &mut Vec<String>) {
    for field in &ty.fields {
        let Some(row) = lookup(ty.short_name(), &field.name) else {
            missing.push(format!("{}.{}", ty.short_name(), field.name));
            continue;
        };
        if seen.insert((row.type_, field.name.clone()))
            && row.verdict == Verdict::Honoured
            && let Some(inner) = field.kind.object()
        {
            walk(schema::lookup(&inner.name).unwrap(), seen, missing);
        }
    }
}

#[test]
fn every_field_of_a_pod_spec_has_one_row_and_every_row_a_field() {
    let (mut seen, mut missing) = (BTreeSet::new(), Vec::new());
    walk(schema::lookup(POD_SPEC).unwrap(), &mut seen, &mut missing);
    assert!(missing.is_empty(), "no row for {missing:?}");
    let all: BTreeSet<_> = rows().map(|row| (row.type_, row.field.to_string())).collect();
    assert_eq!(all.len(), rows().count(), "a field has two rows");
    assert!(all.difference(&seen).next().is_none(), "no such field: {:?}", all.difference(&seen));
}

/// Field, and the test that shows it.
fn shown() -> Vec<(String, &'static str)> {
    let mut all = Vec::new();
    for (test, fields) in SHOWN {
        for group in fields.split(' ') {
            let (type_, fields) = group.split_once('.').unwrap();
            all.extend(fields.split(',').map(|field| (format!("{type_}.{field}"), *test)));
        }
    }
    all
}

fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap_or_default());
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, into);
        } else if name.ends_with(".rs") {
            into.push(path);
        }
    }
}

/// The text of the file of each test of the workspace, by the test's name.
fn tests() -> BTreeMap<String, String> {
    let mut files = Vec::new();
    for package in ["orchestrator", "agent", "tests"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(package), &mut files);
    }
    let mut tests = BTreeMap::new();
    for file in files {
        let mut text = std::fs::read_to_string(&file).unwrap();
        if file.ends_with("pod_fields/tests.rs") {
            // The list above names every field.
            text = text.split_off(text.find("\nfn walk").expect("the list is followed by this function"));
        }
        for (at, _) in text.match_indices("test]\n").chain(text.match_indices("\")]\n")) {
            let header = text[at..].lines().nth(1).unwrap_or_default().trim();
            let header = header.strip_prefix("async ").unwrap_or(header);
            if let Some(name) = header.strip_prefix("fn ").and_then(|rest| rest.split('(').next()) {
                tests.insert(name.to_string(), text.clone());
            }
        }
    }
    tests
}

/// `hostAliases` as Rust spells it: `host_aliases`.
fn snake(name: &str) -> String {
    let letter = |c: char| if c.is_uppercase() { format!("_{}", c.to_lowercase()) } else { c.to_string() };
    name.chars().map(letter).collect()
}

#[test]
fn every_honoured_field_names_the_test_that_shows_it() {
    let tests = tests();
    let shown = shown();
    for (field, test) in &shown {
        let (type_, name) = field.split_once('.').unwrap();
        assert!(
            lookup(type_, name).is_some_and(|row| row.verdict == Verdict::Honoured),
            "{field}: no such row"
        );
        let text =
            tests.get(*test).unwrap_or_else(|| panic!("{field} names the test {test}, which is not there"));
        assert!(text.contains(name) || text.contains(&snake(name)), "{test} says nothing of {field}");
    }
    let shown: BTreeSet<String> = shown.into_iter().map(|(field, _)| field).collect();
    let honoured = rows().filter(|row| row.verdict == Verdict::Honoured);
    let unshown: Vec<String> = honoured
        .map(|row| format!("{}.{}", row.type_, row.field))
        .filter(|field| !shown.contains(field))
        .collect();
    assert!(unshown.is_empty(), "no test shows {unshown:?}");
}

/// What is said about one object with one field that is set.
fn said(row: &Row) -> (Vec<FieldError>, Vec<String>) {
    let ty = every_type(schema::lookup(POD_SPEC).unwrap(), row.type_).expect(row.type_);
    let field = ty.field(row.field).unwrap();
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    let something = if field.kind.object().is_some() { json!({"x": 1}) } else { json!("something") };
    judge_object(ty, "at", &json!({ row.field: something }), &mut errors, &mut warnings);
    (errors, warnings)
}

fn every_type(ty: &'static Type, name: &str) -> Option<&'static Type> {
    if ty.short_name() == name {
        return Some(ty);
    }
    let honoured = |field: &&crate::schema::Field| {
        lookup(ty.short_name(), &field.name).is_some_and(|row| row.verdict == Verdict::Honoured)
    };
    let inner = ty.fields.iter().filter(honoured).filter_map(|field| field.kind.object());
    inner.filter_map(|inner| every_type(schema::lookup(&inner.name)?, name)).next()
}

#[test]
fn every_other_field_is_told_to_who_uses_it() {
    for row in rows() {
        let (errors, warnings) = said(row);
        let path = format!("at.{}", row.field);
        match row.verdict {
            Verdict::Honoured => assert!(errors.is_empty() && warnings.is_empty(), "{row:?}"),
            Verdict::Warned(why) => assert_eq!((errors, warnings), (vec![], vec![format!("{path}: {why}")])),
            Verdict::Refused(why) => {
                assert_eq!((errors, warnings), (vec![FieldError::forbidden(&path, why)], vec![]));
            }
        }
    }
}

#[test]
fn what_is_refused_and_warned_of_is_told() {
    let spec = json!({"hostNetwork": true, "volumes": [{"name": "v", "hostPath": {"path": "/"}}],
        "affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{}]},
            "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{}]}},
        "os": {"name": "windows"}, "securityContext": {"fsGroup": 1, "runAsUser": 1},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
        "containers": [{"name": "a", "tty": true, "securityContext": {"runAsUser": 1, "privileged": false},
            "livenessProbe": {"exec": {"command": ["x"]}}, "resources": {"limits": {"nvidia.com/gpu": "1"}}}]});
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    judge("spec", &spec, &mut errors, &mut warnings);
    let fields: Vec<&str> = errors.iter().map(|e| e.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution",
            "spec.containers[0].livenessProbe.exec",
            "spec.hostNetwork",
            "spec.os.name",
            "spec.topologySpreadConstraints[0].whenUnsatisfiable",
            "spec.volumes[0].hostPath",
            "spec.containers[0].resources.limits[nvidia.com/gpu]"
        ]
    );
    let paths: Vec<&str> = warnings.iter().map(|text| text.split(": ").next().unwrap()).collect();
    assert_eq!(
        paths,
        [
            "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution",
            "spec.containers[0].securityContext.runAsUser",
            "spec.containers[0].tty",
            "spec.securityContext.{fsGroup,runAsUser}",
            "spec.topologySpreadConstraints[0].{maxSkew,topologyKey}"
        ]
    );
}

#[test]
fn what_kubectl_and_charts_send_passes() {
    let spec = json!({"enableServiceLinks": true, "dnsPolicy": "ClusterFirst", "securityContext": {},
        "serviceAccountName": "web", "schedulerName": "default-scheduler", "terminationGracePeriodSeconds": 30,
        "affinity": {"nodeAffinity": {}}, "os": {"name": "linux"}, "containers": [{"name": "a", "image": "b",
        "resources": {}, "stdin": true,
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"}],
        "livenessProbe": {"httpGet": {"path": "/", "port": "http", "scheme": "HTTP"}, "timeoutSeconds": 1}}]});
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    judge("spec", &spec, &mut errors, &mut warnings);
    assert_eq!((errors, warnings), (Vec::new(), Vec::<String>::new()));
}
