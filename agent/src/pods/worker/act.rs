//! Doing what has been decided. Nothing here waits: what takes time becomes a task, of which the worker hears later.

use super::{Heard, Live, Worker};
use crate::events::Kind::{Normal, Warning};
use crate::image::{ImageName, PullPolicy};
use crate::pods::create::{self, Created, Order};
use crate::pods::env;
use crate::pods::observed::{Blocked, Failure, Image, Running, Stage, Stopping, Volumes, after};
use crate::pods::status;
use crate::pods::step::{Step, Why};
use crate::probe::{Prober, Role};
use crate::runtime::Container;
use crate::volume;
use jiff::{SignedDuration, Timestamp};
use peapod_api::meta;
use serde_json::json;

/// When to try again what failed for want of an address or a volume.
pub(super) const RETRY: SignedDuration = SignedDuration::from_secs(10);

impl Worker {
    /// Does one step. False if nothing came of it, so that deciding again is of no use.
    pub(super) fn act(&mut self, step: Step, now: Timestamp) -> bool {
        match step {
            Step::Attach => return self.attach(),
            Step::Mount => self.mount(),
            Step::Pull(name) => self.pull(name),
            Step::Start(name) => return self.start(name, now),
            Step::Stop { name, kill_at, why } => self.stop(&name, kill_at, &why),
            Step::Kill(name) => self.kill(&name),
            Step::Fail { reason, message } => {
                self.context.event(&self.pod, None, Normal, reason, message);
                self.seen.failure = Some(Failure { reason: reason.into(), message: message.into() });
            }
            Step::CleanUp => return self.clean_up(),
            Step::Delete => return self.delete(),
            Step::WakeAt(_) => return false,
        }
        true
    }

    fn attach(&mut self) -> bool {
        let (known, namespace) = (&self.context.references, &self.pod.metadata.namespace);
        let named = self.pod.all_containers().flat_map(env::references);
        self.references = named.map(|(kind, name)| known.get(kind, namespace, &name)).collect();
        let wanted = meta::text(&self.pod.status, "podIP").and_then(|ip| ip.parse().ok());
        let uid = &self.pod.metadata.uid;
        let taken = self.context.addresses.lock().take(uid, wanted);
        let identity = match taken {
            None => Err("the node's range of pod addresses is used up".to_string()),
            Some(ip) => self.context.identity(&self.pod, ip),
        };
        match identity {
            Ok(identity) => {
                self.seen.ip = Some(identity.ip);
                self.network = Some(self.context.fabric.attach(identity));
                true
            }
            Err(why) => {
                let message = format!("Failed to create pod sandbox: {why}");
                self.context.event(&self.pod, None, Warning, "FailedCreatePodSandBox", message);
                self.seen.attach_at = Some(after(Timestamp::now(), RETRY));
                true
            }
        }
    }

    fn mount(&mut self) {
        if self.pod.spec.volumes.is_empty() {
            self.seen.volumes = Volumes::Mounted;
            return;
        }
        self.seen.volumes = Volumes::Mounting;
        let (context, dir, pods) = (self.context.clone(), self.context.dir(&self.pod), self.pods.subscribe());
        self.tasks.spawn(async move {
            Heard::Mounted(volume::mount(pods, &dir, &context.references, &context.api).await)
        });
    }

    fn pull(&mut self, name: String) {
        let Some(spec) = self.pod.container(&name) else { return };
        let container = self.seen.containers.entry(name.clone()).or_default();
        let attempts = match container.image {
            Image::Failed { attempts, .. } => attempts,
            _ => 0,
        };
        container.image = Image::Pulling { attempts };
        let last = container.image_id.rsplit_once('@').map(|(_, digest)| digest.to_string());
        let (puller, image) = (self.context.puller.clone(), spec.image.clone());
        let parsed = ImageName::parse(&image);
        let policy = spec.image_pull_policy.clone();
        if let Ok(parsed) = &parsed
            && PullPolicy::of(policy.as_deref(), parsed) == PullPolicy::Always
        {
            self.context.event(&self.pod, Some(&name), Normal, "Pulling", format!("Pulling image {image:?}"));
        }
        self.tasks.spawn(async move {
            let result = match parsed {
                Ok(parsed) => {
                    puller.pull(&image, PullPolicy::of(policy.as_deref(), &parsed), last.as_deref()).await
                }
                Err(error) => Err(error),
            };
            Heard::Pulled { name, result }
        });
    }

    fn start(&mut self, name: String, now: Timestamp) -> bool {
        let container = self.seen.containers.entry(name.clone()).or_default();
        let restarts = container.restarts + u32::from(container.ended().is_some());
        let parts = (self.images.get(&name), &self.network, &self.logs);
        let (Some(image), Some(network), Some(logs)) = parts else {
            container.blocked = Some(Blocked {
                reason: "CreateContainerError".into(),
                message: "the node's disk does not take the container's log".into(),
                retry_at: after(now, RETRY),
            });
            self.open_logs();
            return false;
        };
        let before = std::mem::replace(&mut container.stage, Stage::Starting);
        self.runs += 1;
        let run = self.runs;
        let order = Order {
            pod: self.pod.clone(),
            name: name.clone(),
            image: image.clone(),
            network: network.clone(),
            logs: logs.clone(),
            restarts,
        };
        let context = self.context.clone();
        self.tasks.spawn(async move {
            let result = create::create(&context, order).await.map(Box::new);
            Heard::Created { name, run, before, result }
        });
        true
    }

    /// Starts what has been created, and listens for its start and its end.
    pub(super) fn launch(&mut self, name: String, run: u64, created: Created) {
        let Created { program, spec, log } = created;
        let pod = &self.pod;
        self.context.event(pod, Some(&name), Normal, "Created", format!("Created container: {name}"));
        let container = self.context.runtime.start(program, spec);
        self.view.lock().containers.insert(name.clone(), container.clone());
        let waiting = container.clone();
        self.live.insert(name.clone(), Live { run, container, log, probers: Vec::new() });
        self.tasks.spawn(async move {
            if waiting.started().await {
                return Heard::Started { name, run };
            }
            let exit = waiting.wait().await;
            Heard::Exited { name, run, exit }
        });
    }

    /// Listens for the end of a container.
    pub(super) fn listen(&mut self, name: String, run: u64, container: Container) {
        self.tasks.spawn(async move {
            let exit = container.wait().await;
            Heard::Exited { name, run, exit }
        });
    }

    /// Begins the probes that are due: the startup probe alone, the others once it has passed.
    pub(super) fn begin_probes(&mut self, name: &str) {
        let Some(spec) = self.pod.container(name) else { return };
        let Some(ip) = self.seen.ip else { return };
        let running = self.seen.containers.get(name).and_then(|container| container.running());
        let roles = match (running, &spec.startup_probe) {
            (Some(Running { started: false, .. }), Some(startup)) => vec![(Role::Startup, startup)],
            (Some(_), _) => {
                let liveness = spec.liveness_probe.iter().map(|probe| (Role::Liveness, probe));
                liveness.chain(spec.readiness_probe.iter().map(|probe| (Role::Readiness, probe))).collect()
            }
            (None, _) => Vec::new(),
        };
        let probers: Vec<_> =
            roles.into_iter().map(|(role, probe)| Prober::new(role, probe, spec, ip)).collect();
        probers.into_iter().for_each(|prober| self.probe(name, Box::new(prober)));
    }

    /// Lets a probe go on until it has something to tell.
    pub(super) fn probe(&mut self, name: &str, mut prober: Box<Prober>) {
        let Some(live) = self.live.get_mut(name) else { return };
        let (fabric, name, run) = (self.context.fabric.clone(), name.to_string(), live.run);
        let task = self.tasks.spawn(async move {
            let verdict = prober.next(&fabric).await;
            Heard::Probed { name, run, prober, verdict }
        });
        live.probers.retain(|prober| !prober.is_finished());
        live.probers.push(task);
    }

    fn stop(&mut self, name: &str, kill_at: Timestamp, why: &Why) {
        if let (Why::PodEnds, Some(network)) = (why, &self.network) {
            network.stop_listening();
        }
        let message = match why {
            Why::PodEnds => format!("Stopping container {name}"),
            Why::Unhealthy(message) => message.clone(),
        };
        self.context.event(&self.pod, Some(name), Normal, "Killing", message);
        if let Some(container) = self.seen.containers.get_mut(name) {
            container.stopping = Some(Stopping { kill_at, killed: false });
        }
        if let Some(live) = self.live.get_mut(name) {
            live.probers.drain(..).for_each(|prober| prober.abort());
            live.container.stop();
        }
    }

    fn kill(&mut self, name: &str) {
        if let Some(container) = self.seen.containers.get_mut(name) {
            let kill_at = container.stopping.map_or_else(Timestamp::now, |stopping| stopping.kill_at);
            container.stopping = Some(Stopping { kill_at, killed: true });
        }
        if let Some(live) = self.live.get(name) {
            live.container.kill();
        }
    }

    fn clean_up(&mut self) -> bool {
        if std::mem::replace(&mut self.cleaning, true) {
            return false;
        }
        self.references.clear();
        if let Some(network) = self.network.take() {
            network.close();
        }
        self.context.addresses.lock().release(&self.pod.metadata.uid);
        let volumes = self.context.dir(&self.pod).join("volumes");
        if self.pod.spec.volumes.is_empty() {
            self.seen.cleaned = true;
            return true;
        }
        self.tasks.spawn(async move {
            match tokio::fs::remove_dir_all(&volumes).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(dir = %volumes.display(), %error, "a pod's volumes cannot be removed");
                }
                _ => {}
            }
            Heard::CleanedUp
        });
        false
    }

    /// Deletes the object for good; `uid` keeps a pod of the same name that came later out of it.
    fn delete(&mut self) -> bool {
        if self.gone || std::mem::replace(&mut self.deleting, true) {
            return false;
        }
        let (api, path) = (self.context.api.clone(), self.pod.path());
        let options = json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0,
            "preconditions": {"uid": self.pod.metadata.uid},
        });
        let delay = self.report.delete_delay();
        self.tasks.spawn(async move {
            tokio::time::sleep(delay).await;
            Heard::Deleted(api.delete(&path, &options).await.map(drop))
        });
        false
    }

    /// The state of a container that runs from now on.
    pub(super) fn begun(&self, name: &str, now: Timestamp) -> Option<Running> {
        let spec = self.pod.container(name)?;
        let restarts = self.seen.containers.get(name).map_or(0, |container| container.restarts);
        Some(status::begun(spec, status::container_id(&self.pod, name, restarts, now), now))
    }
}
