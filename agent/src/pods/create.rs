//! Everything that a container needs before it can start, gathered off the worker's own path.

use super::context::Context;
use super::env::{self, Objects, Place};
use super::spec::{Container, Pod};
use crate::image::ResolvedImage;
use crate::logs::{PodLogs, RunLog};
use crate::network::PodNetwork;
use crate::runtime::{ContainerSpec, CpuAccount, Program};
use crate::volume;
use crate::volume::reference::Reference;
use std::sync::Arc;

/// A container that can be started.
pub(crate) struct Created {
    pub(crate) program: Arc<Program>,
    pub(crate) spec: ContainerSpec,
    pub(crate) log: RunLog,
}

/// Why a container cannot be created: kubelet's reason and words, and what to watch for a change.
pub(crate) struct Refusal {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) references: Vec<Arc<Reference>>,
}

/// What a container is created from.
pub(crate) struct Order {
    pub(crate) pod: Arc<Pod>,
    pub(crate) name: String,
    pub(crate) image: ResolvedImage,
    pub(crate) network: Arc<PodNetwork>,
    pub(crate) logs: PodLogs,
    /// The number of the run.
    pub(crate) restarts: u32,
}

/// Resolves environment and mounts, loads the program, begins the log.
pub(crate) async fn create(context: &Context, order: Order) -> Result<Created, Refusal> {
    let refuse = |reason, message| Refusal { reason, message, references: Vec::new() };
    let pod = &order.pod;
    let Some(container) = pod.container(&order.name) else {
        return Err(refuse("CreateContainerError", format!("the pod has no container {:?}", order.name)));
    };
    let env = environment(context, &order, container).await?;
    let mounts = volume::mounts(pod, container, &context.dir(pod))
        .map_err(|message| refuse("CreateContainerConfigError", message))?;
    let program = context.runtime.program(&order.image).await;
    let program = program.map_err(|error| refuse(error.reason, error.message))?;
    let log = order.logs.begin(&order.name, order.restarts);
    let log =
        log.map_err(|e| refuse("CreateContainerError", format!("cannot write the container's log: {e}")))?;
    let amount = |name: &str| container.resources.limit(name);
    let positive = |n: i64| u64::try_from(n).ok().filter(|n| *n > 0);
    let spec = ContainerSpec {
        pod_name: pod.metadata.name.clone(),
        name: container.name.clone(),
        args: env::arguments(container, &env),
        env,
        working_dir: container.working_dir.clone().filter(|dir| !dir.is_empty()),
        mounts,
        memory_limit_bytes: amount("memory").and_then(|limit| positive(limit.value())),
        cpu: CpuAccount::new(amount("cpu").and_then(|limit| positive(limit.milli()))),
        network: order.network.clone(),
        ports: container.tcp_ports(),
        stdin: container.stdin,
        stdout: log.stdout(),
        stderr: log.stderr(),
    };
    Ok(Created { program, spec, log })
}

async fn environment(
    context: &Context,
    order: &Order,
    container: &Container,
) -> Result<Vec<(String, String)>, Refusal> {
    let mut objects = Objects::new();
    let mut references = Vec::new();
    for (kind, name) in env::references(container) {
        let reference = context.references.get(kind, &order.pod.metadata.namespace, &name);
        objects.insert((kind, name), reference.content().await);
        references.push(reference);
    }
    let place = Place {
        node_name: context.node_name.clone(),
        host_ip: context.host_ip,
        pod_ip: Some(order.network.ip()),
    };
    env::environment(&order.pod, container, &objects, &place).map_err(|message| Refusal {
        reason: "CreateContainerConfigError",
        message,
        references,
    })
}
