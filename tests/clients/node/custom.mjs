// What operators and their users do with @kubernetes/client-node: a kind of their own, and the subresources of pods and accounts.
//
// Works in the cluster of KUBECONFIG, in a namespace of its own; prints a line for each step that passed, and ends with a stack
// trace at any surprise.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import {
  ApiextensionsV1Api, AuthenticationV1Api, CoreV1Api, CustomObjectsApi, KubeConfig, KubernetesObjectApi, PatchStrategy, Watch,
  loadYaml, makeInformer,
} from '@kubernetes/client-node';
import { as, refused, run } from './kit.mjs';

const namespace = 'woods';
const where = { group: 'peapod.test', version: 'v1', namespace, plural: 'trees' };
const path = `/apis/peapod.test/v1/namespaces/${namespace}/trees`;
const config = new KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(CoreV1Api);
const extensions = config.makeApiClient(ApiextensionsV1Api);
const objects = config.makeApiClient(CustomObjectsApi);

const tree = (name, spec) => ({
  apiVersion: 'peapod.test/v1', kind: 'Tree', metadata: { name, namespace }, spec,
});

const create = (body, options) => objects.createNamespacedCustomObject({ ...where, body, ...options });
const patch = (body, strategy, options) => objects.patchNamespacedCustomObject(
  { ...where, name: 'oak', body, ...options }, as(strategy),
);

/** The first object that a watch shows and that is good. */
function until(watched, options, good) {
  return new Promise((resolve, reject) => {
    new Watch(config).watch(watched, { timeoutSeconds: 60, ...options }, (type, object) => {
      if (good(type, object)) resolve(object);
    }, (error) => reject(error ?? new Error('what is waited for did not come'))).catch(reject);
  });
}

async function defines() {
  await core.createNamespace({ body: { metadata: { name: namespace } } });
  // Its own reader gives fields the names that the client's models have, such as `_default`.
  const body = loadYaml(await readFile(new URL('../tree.json', import.meta.url), 'utf8'));
  await extensions.createCustomResourceDefinition({ body });
  const established = (type, { status }) => status?.conditions?.some((c) => c.type === 'Established' && c.status === 'True');
  const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  await until(definitions, { fieldSelector: 'metadata.name=trees.peapod.test' }, established);
  const resources = await objects.getAPIResources({ group: 'peapod.test', version: 'v1' });
  assert.deepEqual(resources.resources.map(({ name }) => name).sort(), ['trees', 'trees/scale', 'trees/status']);
}

async function creates() {
  const made = await create(tree('oak', { species: 'oak' }));
  assert.deepEqual([made.spec, made.metadata.generation], [{ species: 'oak', leaves: 3 }, 1]);
  const bad = await refused(422, () => create(tree('x', { species: 'rose' })));
  assert.equal(bad.details.causes[0].field, 'spec.species');
  const strict = await refused(400, () => create(tree('x', { species: 'yew', height: 1 }), { fieldValidation: 'Strict' }));
  assert.match(strict.message, /unknown field "spec.height"/);
  const any = KubernetesObjectApi.makeApiClient(config);
  assert.equal((await any.read({ apiVersion: 'peapod.test/v1', kind: 'Tree', metadata: { name: 'oak', namespace } })).spec.leaves, 3);
}

async function patches() {
  const merged = await patch({ spec: { leaves: 5 }, status: { phase: 'Green' } }, PatchStrategy.MergePatch);
  assert.deepEqual([merged.spec.leaves, merged.status, merged.metadata.generation], [5, undefined, 2]);
  const json = await patch([{ op: 'replace', path: '/spec/leaves', value: 6 }], PatchStrategy.JsonPatch);
  assert.equal(json.spec.leaves, 6);
  await refused(415, () => patch({ spec: { leaves: 7 } }, PatchStrategy.StrategicMergePatch));
  const branches = (...list) => tree('oak', { species: 'oak', branches: list });
  const apply = (body, fieldManager, force) => patch(body, PatchStrategy.ServerSideApply, { fieldManager, force });
  await apply(branches({ name: 'a', length: 1 }), 'one', true);
  const two = branches({ name: 'b' }, { name: 'a', length: 2 });
  const conflict = await refused(409, () => apply(two, 'two'));
  assert.equal(conflict.details.causes[0].field, '.spec.branches[name="a"].length');
  assert.deepEqual((await apply(two, 'two', true)).spec.branches, [{ name: 'b' }, { name: 'a', length: 2 }]);
}

async function hasSubresources() {
  const body = { spec: { leaves: 99 }, status: { phase: 'Green', leaves: 6 } };
  const patched = await objects.patchNamespacedCustomObjectStatus({ ...where, name: 'oak', body }, as(PatchStrategy.MergePatch));
  assert.deepEqual([patched.status, patched.spec.leaves], [{ phase: 'Green', leaves: 6 }, 6]);
  const scale = await objects.getNamespacedCustomObjectScale({ ...where, name: 'oak' });
  assert.deepEqual([scale.kind, scale.spec.replicas, scale.status.replicas], ['Scale', 6, 6]);
  scale.spec.replicas = 8;
  await objects.replaceNamespacedCustomObjectScale({ ...where, name: 'oak', body: scale });
  assert.equal((await objects.getNamespacedCustomObject({ ...where, name: 'oak' })).spec.leaves, 8);
}

async function informs() {
  const informer = makeInformer(config, path, () => objects.listNamespacedCustomObject(where));
  const seen = [];
  const gone = new Promise((resolve, reject) => {
    for (const event of ['add', 'update', 'delete']) {
      informer.on(event, ({ metadata, spec }) => {
        if (metadata.name !== 'yew') return;
        seen.push([event, spec.leaves]);
        if (event === 'delete') resolve();
      });
    }
    informer.on('error', reject);
  });
  await informer.start();
  await create(tree('yew', { species: 'yew' }));
  const body = { spec: { leaves: 0 } };
  await objects.patchNamespacedCustomObject({ ...where, name: 'yew', body }, as(PatchStrategy.MergePatch));
  await objects.deleteNamespacedCustomObject({ ...where, name: 'yew' });
  await gone;
  assert.deepEqual(seen, [['add', 3], ['update', 0], ['delete', 0]]);
  await informer.stop();
}

async function podsHaveSubresources() {
  const spec = { containers: [{ name: 'a', image: 'job' }], restartPolicy: 'Never', schedulerName: 'nobody' };
  await core.createNamespacedPod({ namespace, body: { metadata: { name: 'waits' }, spec } });
  const binding = { metadata: { name: 'waits' }, target: { kind: 'Node', name: 'node-1' } };
  await core.createNamespacedPodBinding({ name: 'waits', namespace, body: binding });
  const pods = `/api/v1/namespaces/${namespace}/pods`;
  await until(pods, { fieldSelector: 'metadata.name=waits' }, (type, pod) => pod.status?.phase === 'Succeeded');
  assert.match(await core.readNamespacedPodLog({ name: 'waits', namespace }), /done\n$/);
  await core.createNamespacedPodEviction({ name: 'waits', namespace, body: { metadata: { name: 'waits', namespace } } });
  await refused(404, () => core.createNamespacedPodEviction({ name: 'nobody', namespace, body: { metadata: { name: 'nobody' } } }));
}

async function accountsHaveTokens() {
  await core.createNamespacedServiceAccount({ namespace, body: { metadata: { name: 'bird' } } });
  const body = { spec: { audiences: ['nest'], expirationSeconds: 3600 } };
  const { status: { token } } = await core.createNamespacedServiceAccountToken({ name: 'bird', namespace, body });
  const review = { spec: { token, audiences: ['nest'] } };
  const { status } = await config.makeApiClient(AuthenticationV1Api).createTokenReview({ body: review });
  assert.deepEqual([status.authenticated, status.user.username], [true, `system:serviceaccount:${namespace}:bird`]);
}

async function deletes() {
  await patch({ metadata: { finalizers: ['peapod.test/hold'] } }, PatchStrategy.MergePatch);
  await objects.deleteNamespacedCustomObject({ ...where, name: 'oak' });
  assert.ok((await objects.getNamespacedCustomObject({ ...where, name: 'oak' })).metadata.deletionTimestamp);
  await patch({ metadata: { finalizers: null } }, PatchStrategy.MergePatch);
  await refused(404, () => objects.getNamespacedCustomObject({ ...where, name: 'oak' }));
  await extensions.deleteCustomResourceDefinition({ name: 'trees.peapod.test' });
  await core.deleteNamespace({ name: namespace });
}

await run([
  defines, creates, patches, hasSubresources, informs, podsHaveSubresources, accountsHaveTokens, deletes,
]);
