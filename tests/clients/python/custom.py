"""What operators and their users do with the Python client: a kind of their own, and the subresources of pods and accounts.

Works in the cluster of KUBECONFIG, in a namespace of its own; prints a line for each step that passed, and ends with a traceback
at any surprise.
"""

import json
import pathlib

from kubernetes import client, config, watch
from scenario import APPLY, refused

NAMESPACE = "trees"
MERGE = "application/merge-patch+json"
WHERE = {"group": "peapod.test", "version": "v1", "namespace": NAMESPACE, "plural": "trees"}


def tree(name, **spec):
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"wood": "yes"}}
    return {"apiVersion": "peapod.test/v1", "kind": "Tree", "metadata": metadata, "spec": spec}


def until(call, good, **selection):
    """The first object of a list that is `good`, watched for."""
    for event in watch.Watch().stream(call, timeout_seconds=60, **selection):
        if good(event["object"]):
            return event["object"]
    raise AssertionError("what is waited for did not come")


def defines(api):
    extensions = client.ApiextensionsV1Api(api)
    definition = json.loads((pathlib.Path(__file__).parent.parent / "tree.json").read_text())
    extensions.create_custom_resource_definition(definition)

    def established(read):
        return any(c.type == "Established" and c.status == "True" for c in read.status.conditions or [])

    until(
        extensions.list_custom_resource_definition,
        lambda read: read.status and established(read),
        field_selector="metadata.name=trees.peapod.test",
    )
    groups = {group.name for group in client.ApisApi(api).get_api_versions().groups}
    assert "peapod.test" in groups, groups


def creates(objects):
    made = objects.create_namespaced_custom_object(**WHERE, body=tree("oak", species="oak"))
    assert made["spec"] == {"species": "oak", "leaves": 3}, "defaults are set"
    assert made["metadata"]["generation"] == 1 and "status" not in made
    error = refused(422, lambda: objects.create_namespaced_custom_object(**WHERE, body=tree("x", species="rose")))
    assert 'spec.species: Unsupported value: \\"rose\\": supported values: \\"oak\\", \\"yew\\"' in error.body, error.body
    unknown = tree("x", species="yew", height=3)
    strict = refused(400, lambda: objects.create_namespaced_custom_object(**WHERE, body=unknown, field_validation="Strict"))
    assert "unknown field \\\"spec.height\\\"" in strict.body, strict.body
    listed = objects.list_namespaced_custom_object(**WHERE, label_selector="wood=yes")
    assert [item["metadata"]["name"] for item in listed["items"]] == ["oak"] and listed["kind"] == "TreeList"


def patches(objects):
    def patch(body, content_type, **options):
        return objects.patch_namespaced_custom_object(**WHERE, name="oak", body=body, _content_type=content_type, **options)

    merged = patch({"spec": {"leaves": 5}, "status": {"phase": "Green"}}, MERGE)
    assert merged["spec"]["leaves"] == 5 and "status" not in merged and merged["metadata"]["generation"] == 2
    operations = [{"op": "test", "path": "/spec/leaves", "value": 5}, {"op": "replace", "path": "/spec/leaves", "value": 6}]
    assert patch(operations, "application/json-patch+json")["spec"]["leaves"] == 6
    refused(415, lambda: patch({"spec": {"leaves": 7}}, "application/strategic-merge-patch+json"))
    one = tree("oak", species="oak", branches=[{"name": "a", "length": 1}])
    two = tree("oak", species="oak", branches=[{"name": "b"}, {"name": "a", "length": 2}])
    patch(one, APPLY, field_manager="one", force=True)
    conflict = refused(409, lambda: patch(two, APPLY, field_manager="two"))
    assert '.spec.branches[name=\\"a\\"].length' in conflict.body, conflict.body
    forced = patch(two, APPLY, field_manager="two", force=True)
    assert forced["spec"]["branches"] == [{"name": "b"}, {"length": 2, "name": "a"}], forced["spec"]


def has_subresources(objects):
    status = {"spec": {"leaves": 99}, "status": {"phase": "Green", "leaves": 6}}
    patched = objects.patch_namespaced_custom_object_status(**WHERE, name="oak", body=status, _content_type=MERGE)
    assert patched["status"] == {"phase": "Green", "leaves": 6} and patched["spec"]["leaves"] == 6
    assert objects.get_namespaced_custom_object_status(**WHERE, name="oak")["status"]["phase"] == "Green"
    scale = objects.get_namespaced_custom_object_scale(**WHERE, name="oak")
    assert (scale["spec"]["replicas"], scale["status"]["replicas"]) == (6, 6)
    scale["spec"]["replicas"] = 8
    assert objects.replace_namespaced_custom_object_scale(**WHERE, name="oak", body=scale)["spec"]["replicas"] == 8
    assert objects.get_namespaced_custom_object(**WHERE, name="oak")["spec"]["leaves"] == 8


def watches(objects):
    begin = objects.list_namespaced_custom_object(**WHERE)["metadata"]["resourceVersion"]
    objects.create_namespaced_custom_object(**WHERE, body=tree("yew", species="yew"))
    objects.patch_namespaced_custom_object(**WHERE, name="yew", body={"spec": {"leaves": 0}}, _content_type=MERGE)
    objects.delete_namespaced_custom_object(**WHERE, name="yew")
    seen = []
    stream = watch.Watch().stream(
        objects.list_namespaced_custom_object, **WHERE, resource_version=begin, timeout_seconds=30
    )
    for event in stream:
        seen.append((event["type"], event["object"]["metadata"]["name"], event["object"]["spec"]["leaves"]))
        if event["type"] == "DELETED":
            break
    assert seen == [("ADDED", "yew", 3), ("MODIFIED", "yew", 0), ("DELETED", "yew", 0)], seen


def pods_have_subresources(core):
    container = client.V1Container(name="a", image="job")

    def pod(name, **spec):
        spec = client.V1PodSpec(containers=[container], restart_policy="Never", **spec)
        return client.V1Pod(metadata=client.V1ObjectMeta(name=name), spec=spec)

    core.create_namespaced_pod(NAMESPACE, pod("waits", scheduler_name="nobody"))
    target = client.V1ObjectReference(kind="Node", name="node-1")
    binding = client.V1Binding(metadata=client.V1ObjectMeta(name="waits"), target=target)
    core.create_namespaced_pod_binding("waits", NAMESPACE, binding, _preload_content=False)
    assert core.read_namespaced_pod("waits", NAMESPACE).spec.node_name == "node-1"
    refused(409, lambda: core.create_namespaced_pod_binding("waits", NAMESPACE, binding, _preload_content=False))
    done = {"field_selector": "metadata.name=waits", "namespace": NAMESPACE}
    until(core.list_namespaced_pod, lambda read: read.status.phase == "Succeeded", **done)
    assert core.read_namespaced_pod_log("waits", NAMESPACE).endswith("done\n")
    eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name="waits", namespace=NAMESPACE))
    core.create_namespaced_pod_eviction("waits", NAMESPACE, eviction)
    missing = client.V1Eviction(metadata=client.V1ObjectMeta(name="nobody"))
    refused(404, lambda: core.create_namespaced_pod_eviction("nobody", NAMESPACE, missing))


def accounts_have_tokens(api, core):
    core.create_namespaced_service_account(NAMESPACE, client.V1ServiceAccount(metadata=client.V1ObjectMeta(name="bird")))
    spec = client.V1TokenRequestSpec(audiences=["nest"], expiration_seconds=3600)
    asked = client.AuthenticationV1TokenRequest(spec=spec)
    token = core.create_namespaced_service_account_token("bird", NAMESPACE, asked).status.token
    review = client.V1TokenReview(spec=client.V1TokenReviewSpec(token=token, audiences=["nest"]))
    reviewed = client.AuthenticationV1Api(api).create_token_review(review).status
    assert reviewed.authenticated and reviewed.user.username == f"system:serviceaccount:{NAMESPACE}:bird"


def deletes(api, core, objects):
    finalizer = {"metadata": {"finalizers": ["peapod.test/hold"]}}
    objects.patch_namespaced_custom_object(**WHERE, name="oak", body=finalizer, _content_type=MERGE)
    objects.delete_namespaced_custom_object(**WHERE, name="oak", propagation_policy="Foreground")
    assert "deletionTimestamp" in objects.get_namespaced_custom_object(**WHERE, name="oak")["metadata"]
    released = {"metadata": {"finalizers": None}}
    objects.patch_namespaced_custom_object(**WHERE, name="oak", body=released, _content_type=MERGE)
    refused(404, lambda: objects.get_namespaced_custom_object(**WHERE, name="oak"))
    client.ApiextensionsV1Api(api).delete_custom_resource_definition("trees.peapod.test")
    core.delete_namespace(NAMESPACE)


def main():
    config.load_kube_config()
    api = client.ApiClient()
    core, objects = client.CoreV1Api(api), client.CustomObjectsApi(api)
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
    steps = [
        (defines, [api]),
        (creates, [objects]),
        (patches, [objects]),
        (has_subresources, [objects]),
        (watches, [objects]),
        (pods_have_subresources, [core]),
        (accounts_have_tokens, [api, core]),
        (deletes, [api, core, objects]),
    ]
    for step, arguments in steps:
        step(*arguments)
        print("passed", step.__name__, flush=True)
    print("done")


main()
