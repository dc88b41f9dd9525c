//! The front door over a real cache and a real log on disk.

mod apply;
mod nodes;
mod objects;
mod system;

use super::*;
use crate::cache::Guard;
use crate::store::Sqlite;
use peapod_api::error::Reason;
use peapod_api::selector::{FieldSelector, LabelSelector};
use peapod_api::{Subresource, kinds};
use peapod_core::action::{Action, Propagation};
use peapod_core::served::Served;
use peapod_core::strategy::deletion::Wish;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use tempfile::TempDir;
use tokio::task::JoinSet;

struct World {
    door: FrontDoor,
    root: User,
    _dir: TempDir,
}

async fn world() -> World {
    world_with(Options::default()).await
}

async fn world_with(options: Options) -> World {
    let dir = TempDir::new().unwrap();
    let cache = Cache::open(Sqlite::open(dir.path()).unwrap()).unwrap();
    let door = FrontDoor::new(cache, options);
    let address: SocketAddr = "127.0.0.1:6443".parse().unwrap();
    door.bootstrap(&Advertised { address }).await.unwrap();
    World { door, root: User::new("root", &[auth::MASTERS]), _dir: dir }
}

fn target(resource: &str, name: &str) -> Target {
    let kind: Served = kinds::of_resource(resource).unwrap().into();
    let namespace = if kind.namespaced() { "default" } else { "" };
    Target { kind, namespace: namespace.into(), name: name.into(), subresource: None }
}

fn part(resource: &str, name: &str, subresource: Subresource) -> Target {
    Target { subresource: Some(subresource), ..target(resource, name) }
}

fn body(value: &Value) -> Body {
    Body { media_type: MediaType::Json, bytes: value.to_string().into() }
}

fn options() -> WriteOptions {
    WriteOptions { field_manager: "test".into(), ..WriteOptions::default() }
}

fn config(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {}})
}

fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "a", "image": "hello"}]}})
}

fn deployment(name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "a", "image": "hello"}]}}}})
}

fn service(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"type": "NodePort", "ports": [{"port": 80}], "selector": {"app": "web"}}})
}

impl World {
    async fn create(&self, resource: &str, object: &Value) -> Result<Value, Error> {
        self.create_with(resource, object, options()).await.map(|written| written.shown.value())
    }

    async fn create_with(
        &self,
        resource: &str,
        object: &Value,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        self.door.create(&self.root, target(resource, ""), body(object), options).await
    }

    async fn merge(&self, target: Target, patch: Value) -> Result<Value, Error> {
        let written = self.door.patch(&self.root, target, PatchType::Merge, body(&patch), options()).await?;
        Ok(written.shown.value())
    }

    async fn update(&self, target: Target, object: &Value) -> Result<Value, Error> {
        self.door
            .update(&self.root, target, body(object), options())
            .await
            .map(|written| written.shown.value())
    }

    async fn delete(&self, target: Target, wish: Wish) -> Result<Value, Error> {
        let options = DeleteOptions { wish, ..DeleteOptions::default() };
        self.door.delete(&self.root, target, options).await.map(|written| written.shown.value())
    }

    fn get(&self, target: &Target) -> Option<Value> {
        self.door.cache().snapshot().get(&target.key()).map(|object| object.value())
    }

    async fn bind(&self, name: &str, node: &str) {
        let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"name": node}});
        let to = part("pods", name, Subresource::Binding);
        self.door.create(&self.root, to, body(&binding), options()).await.unwrap();
    }
}
