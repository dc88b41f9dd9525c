//! What can go wrong when a machine joins, and between a node and its server: one clear line each, nothing lost, nothing
//! doubled. Real processes, stock kubectl.

use peapod_tests::cluster::Cluster;
use peapod_tests::kubectl::Kubectl;
use peapod_tests::node::Node;
use peapod_tests::process::Place;
use peapod_tests::relay::Relay;
use peapod_tests::wait;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

/// How long a process may take to say no, or to stop, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn node(cluster: &Cluster, name: &str, line: &str) -> Node {
    Node::new(cluster.scratch(), &Place::own(), name, line, &[])
}

/// The one line with which the agent gives up.
fn refusal(node: &mut Node) -> String {
    let before = node.log_text().lines().count();
    node.start();
    let status = node.ends(PATIENCE);
    let log = node.log_text();
    let lines: Vec<&str> = log.lines().skip(before).collect();
    assert_eq!((status.code(), lines.len()), (Some(1), 1), "{log}");
    lines[0].strip_prefix("error: ").unwrap_or_else(|| panic!("{log}")).to_string()
}

fn ready(kubectl: &Kubectl, node: &str) {
    kubectl.run(&format!("wait node/{node} --for=condition=Ready --timeout=60s")).ok();
}

/// A pod that counts aloud, ten lines a second.
fn counter(kubectl: &Kubectl) {
    let manifest = "{apiVersion: v1, kind: Pod, metadata: {name: counter}, spec: {volumes: [{name: v, emptyDir: {}}], \
        containers: [{name: main, image: writer, args: [/data/lines, '0.1'], volumeMounts: [{name: v, mountPath: /data}]}]}}";
    kubectl.stdin("create -f -", manifest).ok();
    kubectl.run("wait pod/counter --for=condition=Ready --timeout=60s").ok();
}

#[test]
fn tokens_and_hashes_that_are_wrong_are_told() {
    let cluster = Cluster::server(&Place::own(), &[]);
    let (line, at) = (cluster.token(&[]), cluster.address());
    let hash = line.trim().rsplit_once("sha256:").unwrap().1;
    let other = line.replace(hash, &"ab".repeat(32));
    let said = refusal(&mut node(&cluster, "a", &other));
    let expected = format!(
        "the server at https://{at} is not trusted: its authority is sha256:{hash}, not sha256:{}",
        "ab".repeat(32)
    );
    assert_eq!(said, expected);

    let expected = format!(
        "the server at https://{at} does not accept the token: it has expired or was never made there; `peapod token create` \
         makes a new one"
    );
    let short = cluster.token(&["--ttl", "1s"]);
    let id = |line: &str| line.split("--token ").nth(1).unwrap().split('.').next().unwrap().to_string();
    wait::until("the end of the token", 60, || {
        let tokens = cluster.peapod(&["token", "ls"]).ok();
        let alive = tokens.lines().any(|row| row.starts_with(&id(&short)) && !row.contains("expired"));
        if alive { Err(tokens) } else { Ok(()) }
    });
    assert_eq!(refusal(&mut node(&cluster, "a", &short)), expected);
    cluster.peapod(&["token", "delete", &id(&line)]).ok();
    assert_eq!(refusal(&mut node(&cluster, "a", &line)), expected);
    assert_eq!(refusal(&mut node(&cluster, "a", &line.replace(&id(&line), "madeup"))), expected);
    cluster.peapod(&["token", "delete", &id(&line)]).fails_with("not found");
    let wrong = refusal(&mut node(&cluster, "a", &line.replace("--token ", "--token X")));
    assert!(wrong.starts_with("--token: it is no join token: expected ID.SECRET"), "{wrong}");
    assert_eq!(cluster.kubectl().run("get nodes,csr -o name").ok(), "", "nothing was left behind");
}

#[test]
fn a_name_belongs_to_the_machine_that_joined_with_it() {
    let cluster = Cluster::server(&Place::own(), &[]);
    let kubectl = cluster.kubectl();
    let line = cluster.token(&[]);
    let mut first = node(&cluster, "far", &line);
    first.up();
    let uid = kubectl.path("node far", "{.metadata.uid}");
    // A token serves many machines, but not two of one name.
    let elsewhere = tempfile::tempdir().unwrap();
    let mut second = Node::new(elsewhere.path(), &Place::own(), "far", &line, &[]);
    let said = refusal(&mut second);
    assert!(said.contains("refused: ") && said.contains("\"far\""), "{said}");
    assert_eq!(refusal(&mut second), said, "it stays so");
    node(&cluster, "near", &line).up();
    // Two agents on one directory.
    let mut twin = Node::new(cluster.scratch(), &Place::own(), "far", &line, &[]);
    twin.start();
    let status = twin.ends(PATIENCE);
    assert_eq!(status.code(), Some(1));
    twin.complains("error: ");
    twin.complains("is in use by another agent");
    assert_eq!(kubectl.path("node far", "{.metadata.uid}"), uid);
    ready(&kubectl, "far");
    // With another name the directory is another node's.
    first.terminate(PATIENCE);
    let renamed = line.trim().to_string() + " --node-name other";
    let args: Vec<String> =
        renamed.split_whitespace().skip_while(|word| *word != "agent").map(Into::into).collect();
    let dir = ["--data-dir".to_string(), first.data_dir().display().to_string()];
    first.set_args([args.as_slice(), &dir].concat());
    first.start();
    assert_eq!(first.ends(PATIENCE).code(), Some(1));
    first.complains("belongs to the node \"far\": use another --data-dir for \"other\"");
}

#[test]
fn a_data_directory_belongs_to_one_cluster() {
    let (one, other) = (Cluster::server(&Place::own(), &[]), Cluster::server(&Place::own(), &[]));
    let mut far = one.join(&Place::own(), "far", &[]);
    far.terminate(PATIENCE);
    let dir = far.data_dir().join("agent/pki").display().to_string();
    let mut moved = Node::new(one.scratch(), &Place::own(), "far", &other.token(&[]), &[]);
    let said = refusal(&mut moved);
    assert!(said.starts_with(&format!("{dir} belongs to a node of another cluster (sha256:")), "{said}");
    let unhashed = format!("agent --server https://{}", other.address());
    let said = refusal(&mut Node::new(one.scratch(), &Place::own(), "far", &unhashed, &[]));
    assert!(said.contains("is not trusted: its authority is sha256:"), "{said}");
    assert!(
        said.contains(&format!("{dir} belongs to a node of another cluster: use another --data-dir")),
        "{said}"
    );
    assert_eq!(other.kubectl().run("get nodes,csr -o name").ok(), "");
    far.up();
    ready(&one.kubectl(), "far");
    let new = refusal(&mut Node::new(other.scratch(), &Place::own(), "new", "agent", &[]));
    assert!(new.contains("this machine has not joined yet: --server is needed"), "{new}");
}

#[test]
fn an_agent_waits_for_a_server_that_is_not_there_yet() {
    let mut cluster = Cluster::server(&Place::own(), &[]);
    let line = cluster.token(&[]);
    cluster.kill();
    let mut far = node(&cluster, "far", &line);
    far.start();
    far.complains(&format!("cannot reach https://{}: connection refused; trying again", cluster.address()));
    cluster.up();
    far.says("joined https://");
    far.says("ready far");
    assert_eq!(far.log_text().matches("trying again").count(), 1, "{}", far.log_text());
    // The same with one that has joined.
    far.kill();
    cluster.kill();
    far.start();
    wait::until("the second complaint", 60, || match far.log_text().matches("trying again").count() {
        2 => Ok(()),
        _ => Err(far.log_text()),
    });
    cluster.up();
    far.says("ready far");
    ready(&cluster.kubectl(), "far");
}

#[test]
fn a_clock_that_is_wrong_by_a_year_is_told_and_does_not_matter() {
    let cluster = Cluster::server(&Place::own(), &[]);
    let kubectl = cluster.kubectl();
    let line = cluster.token(&[]);
    for (offset, direction, name) in [("-365d", "behind", "late"), ("+365d", "ahead of", "early")] {
        let mut far = node(&cluster, name, &line);
        far.set_clock(offset);
        far.up();
        far.complains(&format!(
            " days {direction} the server's: certificates are judged by the server's time"
        ));
        let pod = format!("pod-{name}");
        let manifest = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {pod}}}, spec: {{nodeName: {name}, containers: [{{name: main, image: \
             hello}}]}}}}"
        );
        kubectl.stdin("create -f -", &manifest).ok();
        kubectl.run(&format!("wait pod/{pod} --for=condition=Ready --timeout=60s")).ok();
        // It has joined for good: the next start needs no token, whatever the clock says.
        far.terminate(PATIENCE);
        far.without_token();
        far.up();
        ready(&kubectl, name);
        kubectl.run(&format!("delete pod {pod}")).ok();
    }
}

#[test]
fn a_log_stream_that_breaks_in_the_middle_loses_nothing() {
    let cluster = Cluster::server(&Place::own(), &[]);
    let kubectl = cluster.kubectl();
    let relay = Relay::start(cluster.host(), cluster.address());
    let url = format!("https://{}", relay.address());
    let mut far = node(&cluster, "far", &cluster.token(&["--server", &url]));
    far.up();
    counter(&kubectl);
    kubectl.log_says("counter", "wrote line 1 ");
    let mut command = kubectl.command(&["logs", "-f", "counter"]);
    let mut follower = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let first: Vec<String> = lines.by_ref().take(10).map(Result::unwrap).collect();
    assert_eq!(first[9], "wrote line 10 from counter");
    relay.cut();
    let status = wait::until("the end of kubectl logs -f", 60, || match follower.try_wait().unwrap() {
        Some(status) => Ok(status),
        None => Err("it still follows".into()),
    });
    assert!(!status.success(), "a broken stream is no end of the log");
    println!("kubectl logs -f ended with {status}");
    let gone = kubectl.run("logs counter");
    assert!(gone.code != 0 && gone.err.contains("node \"far\""), "{gone:?}");
    relay.heal();
    let log = wait::until("the log of a node that is back", 60, || {
        let ran = kubectl.run("logs counter");
        if ran.code == 0 { Ok(ran.out) } else { Err(format!("{ran:?}")) }
    });
    let expected: Vec<String> =
        (1..=log.lines().count()).map(|n| format!("wrote line {n} from counter")).collect();
    assert!(expected.len() > 10, "{log}");
    assert_eq!(log.lines().collect::<Vec<_>>(), expected);
    ready(&kubectl, "far");
    assert_eq!(kubectl.path("pod counter", "{.status.containerStatuses[0].restartCount}"), "0");
}
