//! Fields of a pod that only a whole cluster can show.

use peapod_tests::cluster::Cluster;

const PHASE: &str = "{.status.phase}";
const READY: &str = "{.status.conditions[?(@.type==\"Ready\")].status}";

#[test]
fn names_come_from_hosts_aliases_and_headless_services() {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl();
    kubectl.pod(
        "server",
        "{hostname: web, subdomain: shop, containers: [{name: a, image: hello, ports: [{containerPort: 80}]}]}",
    );
    kubectl.run("create service clusterip shop --clusterip=None --tcp=80:80").ok();
    kubectl.run("set selector service shop app=server").ok();
    let ip = kubectl.becomes("pod server", "{.status.podIP}", |ip| !ip.is_empty());
    let caller = |name: &str, url: &str| {
        let aliases = format!("[{{ip: {ip}, hostnames: [friend, old.example.com]}}]");
        let spec = format!(
            "{{hostAliases: {aliases}, containers: [{{name: a, image: caller, args: ['{url}', '0.2']}}]}}"
        );
        kubectl.pod(name, &spec);
        kubectl.log_says(name, "hello from web");
    };
    caller("by-alias", "http://old.example.com/");
    caller("by-hostname", "http://web.shop/");
}

#[test]
fn a_readiness_gate_is_opened_by_its_condition() {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl();
    kubectl.pod(
        "gated",
        "{readinessGates: [{conditionType: example.com/live}], containers: [{name: a, image: hello}]}",
    );
    let inner = "{.status.conditions[?(@.type==\"ContainersReady\")].status}";
    kubectl.becomes("pod gated", inner, |status| status == "True");
    let reason = "{.status.conditions[?(@.type==\"Ready\")].reason}";
    kubectl.becomes("pod gated", reason, |reason| reason == "ReadinessGatesNotReady");
    let patch = r#"{"status":{"conditions":[{"type":"example.com/live","status":"True"}]}}"#;
    kubectl.args(&["patch", "pod", "gated", "--subresource=status", "-p", patch]).ok();
    kubectl.becomes("pod gated", READY, |status| status == "True");
}

#[test]
fn a_pod_is_placed_by_whom_it_names() {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl();
    let containers = "containers: [{name: a, image: job}]";
    kubectl.pod("foreign", &format!("{{schedulerName: somebody-else, restartPolicy: Never, {containers}}}"));
    let own = format!("{{schedulerName: nobody, nodeName: node-1, restartPolicy: Never, {containers}}}");
    kubectl.pod("placed", &own);
    kubectl.becomes("pod placed", PHASE, |phase| phase == "Succeeded");
    assert_eq!(kubectl.path("pod foreign", "{.status.phase}{.spec.nodeName}"), "Pending");
}

#[test]
fn limits_hold_and_requests_are_counted() {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl();
    let container = |name: &str, image: &str, resources: &str| {
        let containers = format!("[{{name: a, image: {image}, resources: {resources}}}]");
        kubectl.pod(name, &format!("{{restartPolicy: Never, containers: {containers}}}"));
    };
    container("bomb", "memory-bomb", "{limits: {memory: 16Mi}}");
    container("huge", "job", "{requests: {cpu: 9k}}");
    let reason = "{.status.containerStatuses[0].state.terminated.reason}";
    kubectl.becomes("pod bomb", reason, |reason| reason == "OOMKilled");
    kubectl.event_says("huge", "Warning", "FailedScheduling", "1 Insufficient cpu");
}

#[test]
fn files_arrive_as_they_were_asked_for() {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl();
    kubectl
        .args(&["create", "configmap", "settings", "--from-literal=mode=fast\n", "--from-literal=b=x"])
        .ok();
    kubectl.args(&["create", "secret", "generic", "vault", "--from-literal=word=sesame\n"]).ok();
    // One file of a volume in a folder of the guest's own, beside one of another volume; a volume that is not there but
    // may be missing; and files that two containers share.
    let reader = |name: &str, file: &str, mounts: &str| {
        format!(
            "{{name: {name}, image: reader, args: [{file}, '0.02', '1'], volumeMounts: [\
             {{name: none, mountPath: /none}}, {mounts}]}}"
        )
    };
    let both = "{name: map, mountPath: /etc/app/mode.conf, subPath: deep/mode}, \
         {name: key, mountPath: /etc/app/key, subPath: key}";
    let spec = format!(
        "{{restartPolicy: Never, volumes: [\
         {{name: map, configMap: {{name: settings, items: [{{key: mode, path: deep/mode}}]}}}}, \
         {{name: key, secret: {{secretName: vault, optional: false, items: [{{key: word, path: key}}]}}}}, \
         {{name: none, configMap: {{name: nowhere, optional: true}}}}, {{name: work, emptyDir: {{}}}}], \
         initContainers: [{{name: w, image: writer, args: [/work/out, '0', '1'], \
         volumeMounts: [{{name: work, mountPath: /work}}]}}], containers: [{}, {}, {}]}}",
        reader("map", "/etc/app/mode.conf", both),
        reader("key", "/etc/app/key", both),
        reader("out", "/data/lines", "{name: work, mountPath: /data/lines, subPath: out}"),
    );
    kubectl.pod("files", &spec);
    kubectl.becomes("pod files", PHASE, |phase| phase == "Succeeded");
    assert_eq!(kubectl.run("logs files -c map").ok(), "read fast\n");
    assert_eq!(kubectl.run("logs files -c key").ok(), "read sesame\n");
    assert_eq!(kubectl.run("logs files -c out").ok(), "read line 1 from files\n");
}
