"""What programs do with the Python client, against the cluster of KUBECONFIG in a namespace of its own.

Prints a line for each step that passed; any surprise ends it with a traceback.
"""

import threading

from kubernetes import client, config, dynamic, watch
from kubernetes.client.rest import ApiException

NAMESPACE = "python"
APPLY = "application/apply-patch+yaml"


def refused(code, call):
    """The `Status` with which the server refuses a call."""
    try:
        call()
    except ApiException as error:
        assert error.status == code, f"{error.status} instead of {code}: {error.body}"
        return error
    raise AssertionError(f"not refused with {code}")


def config_map(name, data, **metadata):
    meta = client.V1ObjectMeta(name=name, namespace=NAMESPACE, **metadata)
    return client.V1ConfigMap(metadata=meta, data=data)


def deployment(name, replicas):
    labels = {"app": name}
    container = client.V1Container(
        name="hello",
        image="hello",
        ports=[client.V1ContainerPort(container_port=80, name="http")],
        resources=client.V1ResourceRequirements(requests={"cpu": "1m"}),
    )
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels=labels), spec=client.V1PodSpec(containers=[container])
    )
    spec = client.V1DeploymentSpec(
        replicas=replicas, selector=client.V1LabelSelector(match_labels=labels), template=template
    )
    return client.V1Deployment(
        api_version="apps/v1", kind="Deployment", metadata=client.V1ObjectMeta(name=name), spec=spec
    )


def create_and_read(core):
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
    made = core.create_namespaced_config_map(NAMESPACE, config_map("a", {"k": "v"}, labels={"set": "one"}))
    assert made.metadata.uid and made.metadata.resource_version and made.metadata.creation_timestamp
    read = core.read_namespaced_config_map("a", NAMESPACE)
    assert read.data == {"k": "v"} and read.metadata.uid == made.metadata.uid
    again = refused(409, lambda: core.create_namespaced_config_map(NAMESPACE, config_map("a", {})))
    assert '"reason":"AlreadyExists"' in again.body.replace(" ", "")
    missing = refused(404, lambda: core.read_namespaced_config_map("nobody", NAMESPACE))
    assert 'configmaps \\"nobody\\" not found' in missing.body
    bad = refused(422, lambda: core.create_namespaced_config_map(NAMESPACE, config_map("Not_A_Name", {})))
    assert "metadata.name" in bad.body
    dry = core.create_namespaced_config_map(NAMESPACE, config_map("dry", {}), dry_run="All")
    assert dry.metadata.uid
    refused(404, lambda: core.read_namespaced_config_map("dry", NAMESPACE))
    secret = client.V1Secret(metadata=client.V1ObjectMeta(name="s"), string_data={"password": "p"})
    assert core.create_namespaced_secret(NAMESPACE, secret).data == {"password": "cA=="}


def update_with_precondition(core):
    stale = core.read_namespaced_config_map("a", NAMESPACE)
    fresh = core.read_namespaced_config_map("a", NAMESPACE)
    fresh.data["k"] = "second"
    core.replace_namespaced_config_map("a", NAMESPACE, fresh)
    stale.data["k"] = "lost"
    conflict = refused(409, lambda: core.replace_namespaced_config_map("a", NAMESPACE, stale))
    assert "the object has been modified" in conflict.body
    assert core.read_namespaced_config_map("a", NAMESPACE).data["k"] == "second"


def patch_in_every_form(core, apps):
    operations = [
        {"op": "test", "path": "/data/k", "value": "second"},
        {"op": "add", "path": "/data/j", "value": "json"},
    ]
    patched = core.patch_namespaced_config_map("a", NAMESPACE, operations)
    assert patched.data == {"k": "second", "j": "json"}
    failing = [{"op": "test", "path": "/data/k", "value": "other"}]
    refused(422, lambda: core.patch_namespaced_config_map("a", NAMESPACE, failing))
    merged = core.patch_namespaced_config_map(
        "a", NAMESPACE, {"data": {"k": None, "m": "merge"}}, _content_type="application/merge-patch+json"
    )
    assert merged.data == {"j": "json", "m": "merge"}
    apps.create_namespaced_deployment(NAMESPACE, deployment("web", 0))
    containers = [{"name": "hello", "env": [{"name": "A", "value": "1"}]}]
    strategic = apps.patch_namespaced_deployment(
        "web",
        NAMESPACE,
        {"spec": {"template": {"spec": {"containers": containers}}}},
        _content_type="application/strategic-merge-patch+json",
    )
    merged = strategic.spec.template.spec.containers
    assert len(merged) == 1 and merged[0].image == "hello" and merged[0].env[0].name == "A"


def apply(core, manager, data, **options):
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "applied", "namespace": NAMESPACE},
        "data": data,
    }
    return core.patch_namespaced_config_map(
        "applied", NAMESPACE, body, field_manager=manager, _content_type=APPLY, **options
    )


def apply_with_conflict(core):
    made = apply(core, "one", {"shared": "1", "own": "1"})
    assert [entry.manager for entry in made.metadata.managed_fields] == ["one"]
    conflict = refused(409, lambda: apply(core, "two", {"shared": "2"}))
    assert "FieldManagerConflict" in conflict.body and ".data.shared" in conflict.body, conflict.body
    forced = apply(core, "two", {"shared": "2"}, force=True)
    assert forced.data == {"shared": "2", "own": "1"}
    owners = {entry.manager: entry.fields_v1["f:data"] for entry in forced.metadata.managed_fields}
    assert owners == {"one": {"f:own": {}}, "two": {"f:shared": {}}}, owners
    given_up = apply(core, "two", {})
    assert given_up.data == {"own": "1"}


def lists_in_pages(core):
    for number in range(7):
        labels = {"page": "yes", "number": str(number)}
        core.create_namespaced_config_map(NAMESPACE, config_map(f"page-{number}", {}, labels=labels))
    names, token, version = [], None, None
    while True:
        page = core.list_namespaced_config_map(NAMESPACE, label_selector="page=yes", limit=3, _continue=token)
        version = version or page.metadata.resource_version
        assert page.metadata.resource_version == version, "pages are of one moment"
        if token is None:
            core.create_namespaced_config_map(NAMESPACE, config_map("page-late", {}, labels={"page": "yes"}))
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert names == [f"page-{number}" for number in range(7)], names
    some = core.list_namespaced_config_map(NAMESPACE, label_selector="number in (1,2),page")
    assert [item.metadata.name for item in some.items] == ["page-1", "page-2"]
    one = core.list_namespaced_config_map(NAMESPACE, field_selector="metadata.name=page-3")
    assert len(one.items) == 1
    refused(400, lambda: core.list_namespaced_config_map(NAMESPACE, field_selector="data.k=v"))
    refused(400, lambda: core.list_namespaced_config_map(NAMESPACE, label_selector="a in"))


def watches(core):
    begin = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version
    seen = []

    def follow():
        stream = watch.Watch().stream(
            core.list_namespaced_config_map,
            NAMESPACE,
            label_selector="watched=yes",
            resource_version=begin,
            timeout_seconds=30,
        )
        for event in stream:
            seen.append((event["type"], event["object"].metadata.name))
            if event["type"] == "DELETED":
                return

    follower = threading.Thread(target=follow)
    follower.start()
    core.create_namespaced_config_map(NAMESPACE, config_map("w", {}, labels={"watched": "yes"}))
    core.create_namespaced_config_map(NAMESPACE, config_map("unseen", {}))
    core.patch_namespaced_config_map("w", NAMESPACE, [{"op": "add", "path": "/data", "value": {"x": "y"}}])
    core.delete_namespaced_config_map("w", NAMESPACE)
    follower.join(60)
    assert seen == [("ADDED", "w"), ("MODIFIED", "w"), ("DELETED", "w")], seen


def replace_scale(apps, replicas):
    """Scales at the version that is read, which is another one if a controller has written meanwhile."""
    while True:
        scale = apps.read_namespaced_deployment_scale("web", NAMESPACE)
        assert (scale.spec.replicas, scale.status.selector) == (0, "app=web")
        scale.spec.replicas = replicas
        try:
            return apps.replace_namespaced_deployment_scale("web", NAMESPACE, scale)
        except ApiException as error:
            assert error.status == 409, error.body


def subresources(core, apps):
    assert replace_scale(apps, 1).spec.replicas == 1
    for event in watch.Watch().stream(apps.list_namespaced_deployment, NAMESPACE, timeout_seconds=60):
        if event["object"].status.ready_replicas == 1:
            break
    else:
        raise AssertionError("the Deployment did not get ready")
    apps.patch_namespaced_deployment_scale("web", NAMESPACE, {"spec": {"replicas": 0}})
    assert apps.read_namespaced_deployment("web", NAMESPACE).spec.replicas == 0
    condition = {"type": "Progressing", "status": "True", "reason": "ByHand", "message": ""}
    status = apps.patch_namespaced_deployment_status(
        "web",
        NAMESPACE,
        {"spec": {"replicas": 9}, "status": {"conditions": [condition]}},
        _content_type="application/strategic-merge-patch+json",
    )
    assert status.spec.replicas == 0, "a status patch does not change the spec"


def dynamic_client(api):
    dynamic_api = dynamic.DynamicClient(api)
    resource = dynamic_api.resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "dynamic"}, "data": {"d": "1"}}
    assert dynamic_api.server_side_apply(resource, body, namespace=NAMESPACE, field_manager="py").data.d == "1"
    assert resource.get(name="dynamic", namespace=NAMESPACE).data.d == "1"
    resource.delete(name="dynamic", namespace=NAMESPACE)
    kinds = {resource.kind for resource in dynamic_api.resources.search(group="apps")}
    assert {"Deployment", "ReplicaSet"} <= kinds, kinds


def delete(core, apps):
    kept = core.read_namespaced_config_map("a", NAMESPACE)
    other = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="00000000-0000-0000-0000-000000000000"))
    refused(409, lambda: core.delete_namespaced_config_map("a", NAMESPACE, body=other))
    same = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=kept.metadata.uid))
    assert core.delete_namespaced_config_map("a", NAMESPACE, body=same)["status"] == "Success"
    core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="page=yes")
    left = {item.metadata.name for item in core.list_namespaced_config_map(NAMESPACE).items}
    assert not any(name.startswith("page-") for name in left) and "applied" in left, left
    apps.delete_namespaced_deployment("web", NAMESPACE, propagation_policy="Foreground")
    for event in watch.Watch().stream(
        core.list_namespace, field_selector=f"metadata.name={NAMESPACE}", timeout_seconds=60
    ):
        if event["type"] == "ADDED":
            core.delete_namespace(NAMESPACE)
        if event["type"] == "DELETED":
            return
    raise AssertionError("the namespace did not go")


def main():
    config.load_kube_config()
    api = client.ApiClient()
    core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
    steps = [
        (create_and_read, [core]),
        (update_with_precondition, [core]),
        (patch_in_every_form, [core, apps]),
        (apply_with_conflict, [core]),
        (lists_in_pages, [core]),
        (watches, [core]),
        (subresources, [core, apps]),
        (dynamic_client, [api]),
        (delete, [core, apps]),
    ]
    for step, arguments in steps:
        step(*arguments)
        print("passed", step.__name__, flush=True)
    print("done")


if __name__ == "__main__":
    main()
