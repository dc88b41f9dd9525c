// What programs do with @kubernetes/client-node, against the cluster of KUBECONFIG in a namespace of its own.
//
// Prints a line for each step that passed; any surprise ends it with a stack trace.

import assert from 'node:assert/strict';
import {
  AppsV1Api, CoreV1Api, KubeConfig, KubernetesObjectApi, ListWatch, PatchStrategy, Watch, makeInformer,
} from '@kubernetes/client-node';
import { as, refused, run } from './kit.mjs';

const namespace = 'javascript';
const config = new KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(CoreV1Api);
const apps = config.makeApiClient(AppsV1Api);
const objects = KubernetesObjectApi.makeApiClient(config);

const configMap = (name, data, labels = {}) => ({
  apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace, labels }, data,
});

const deployment = (name, replicas) => ({
  apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, namespace },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: { containers: [{ name: 'hello', image: 'hello', ports: [{ containerPort: 80, name: 'http' }] }] },
    },
  },
});

const create = (body) => core.createNamespacedConfigMap({ namespace, body });

async function createAndRead() {
  await core.createNamespace({ body: { metadata: { name: namespace } } });
  const made = await create(configMap('a', { k: 'v' }));
  const read = await core.readNamespacedConfigMap({ name: 'a', namespace });
  assert.equal(read.metadata.uid, made.metadata.uid);
  assert.ok(read.metadata.creationTimestamp instanceof Date);
  assert.equal((await refused(409, () => create(configMap('a', {})))).reason, 'AlreadyExists');
  const missing = await refused(404, () => core.readNamespacedConfigMap({ name: 'nobody', namespace }));
  assert.equal(missing.message, 'configmaps "nobody" not found');
  await refused(422, () => create(configMap('Not_A_Name', {})));
}

async function updateWithPrecondition() {
  const stale = await core.readNamespacedConfigMap({ name: 'a', namespace });
  await core.replaceNamespacedConfigMap({ name: 'a', namespace, body: { ...stale, data: { k: 'second' } } });
  const late = { ...stale, data: { k: 'lost' } };
  const conflict = await refused(409, () => core.replaceNamespacedConfigMap({ name: 'a', namespace, body: late }));
  assert.equal(conflict.reason, 'Conflict');
}

async function patchInEveryForm() {
  const patch = (body, strategy) => core.patchNamespacedConfigMap({ name: 'a', namespace, body }, as(strategy));
  const json = await patch([{ op: 'add', path: '/data/j', value: 'json' }], PatchStrategy.JsonPatch);
  assert.deepEqual(json.data, { k: 'second', j: 'json' });
  await refused(422, () => patch([{ op: 'remove', path: '/data/none' }], PatchStrategy.JsonPatch));
  const merged = await patch({ data: { k: null } }, PatchStrategy.MergePatch);
  assert.deepEqual(merged.data, { j: 'json' });
  await apps.createNamespacedDeployment({ namespace, body: deployment('web', 0) });
  const body = { spec: { template: { spec: { containers: [{ name: 'hello', env: [{ name: 'A', value: '1' }] }] } } } };
  const strategic = await apps.patchNamespacedDeployment(
    { name: 'web', namespace, body }, as(PatchStrategy.StrategicMergePatch),
  );
  const [container, ...others] = strategic.spec.template.spec.containers;
  assert.deepEqual([container.image, container.env[0].value, others.length], ['hello', '1', 0]);
}

async function applyWithConflict() {
  const apply = (manager, data, force) => core.patchNamespacedConfigMap(
    { name: 'applied', namespace, body: configMap('applied', data), fieldManager: manager, force },
    as(PatchStrategy.ServerSideApply),
  );
  await apply('one', { shared: '1', own: '1' });
  const conflict = await refused(409, () => apply('two', { shared: '2' }));
  assert.deepEqual(conflict.details.causes, [
    { reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.data.shared' },
  ]);
  const forced = await apply('two', { shared: '2' }, true);
  const owners = forced.metadata.managedFields.map((entry) => [entry.manager, entry.fieldsV1['f:data']]).sort();
  assert.deepEqual(owners, [['one', { 'f:own': {} }], ['two', { 'f:shared': {} }]]);
}

async function listsInPages() {
  for (let number = 0; number < 7; number += 1) {
    await create(configMap(`page-${number}`, {}, { page: 'yes', number: `${number}` }));
  }
  const names = [];
  let token;
  do {
    const page = await core.listNamespacedConfigMap({ namespace, labelSelector: 'page=yes', limit: 3, _continue: token });
    names.push(...page.items.map((item) => item.metadata.name));
    token = page.metadata._continue;
  } while (token);
  assert.deepEqual(names, [0, 1, 2, 3, 4, 5, 6].map((number) => `page-${number}`));
  const some = await core.listNamespacedConfigMap({ namespace, labelSelector: 'number notin (0,1,2,3),page' });
  assert.equal(some.items.length, 3);
}

async function watches() {
  const { metadata } = await core.listNamespacedConfigMap({ namespace });
  const seen = [];
  const ended = new Promise((resolve, reject) => {
    const options = { resourceVersion: metadata.resourceVersion, labelSelector: 'watched=yes', timeoutSeconds: 30 };
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    new Watch(config).watch(path, options, (type, object) => {
      seen.push([type, object.metadata.name]);
      if (type === 'DELETED') resolve();
    }, (error) => reject(error ?? new Error('the watch ended'))).catch(reject);
  });
  await create(configMap('w', {}, { watched: 'yes' }));
  await create(configMap('unseen', {}));
  await core.patchNamespacedConfigMap(
    { name: 'w', namespace, body: { data: { x: 'y' } } }, as(PatchStrategy.MergePatch),
  );
  await core.deleteNamespacedConfigMap({ name: 'w', namespace });
  await ended;
  assert.deepEqual(seen, [['ADDED', 'w'], ['MODIFIED', 'w'], ['DELETED', 'w']]);
}

async function informs() {
  const path = `/api/v1/namespaces/${namespace}/secrets`;
  const informer = makeInformer(config, path, () => core.listNamespacedSecret({ namespace }));
  const added = new Promise((resolve) => informer.on('add', resolve));
  const failed = new Promise((_, reject) => informer.on('error', reject));
  await informer.start();
  await core.createNamespacedSecret({ namespace, body: { metadata: { name: 's' }, stringData: { password: 'p' } } });
  const secret = await Promise.race([added, failed]);
  assert.equal(secret.data.password, 'cA==');
  assert.ok(informer instanceof ListWatch && informer.get('s', namespace));
  await informer.stop();
}

/** Scales at the version that is read, which is another one if a controller has written meanwhile. */
async function replaceScale(replicas) {
  for (;;) {
    const body = await apps.readNamespacedDeploymentScale({ name: 'web', namespace });
    assert.equal(body.status.selector, 'app=web');
    body.spec.replicas = replicas;
    try {
      return await apps.replaceNamespacedDeploymentScale({ name: 'web', namespace, body });
    } catch (error) {
      assert.equal(error.code, 409, error.body);
    }
  }
}

async function subresources() {
  assert.equal((await replaceScale(2)).spec.replicas, 2);
  const back = [{ op: 'replace', path: '/spec/replicas', value: 0 }];
  await apps.patchNamespacedDeploymentScale({ name: 'web', namespace, body: back }, as(PatchStrategy.JsonPatch));
  const status = await apps.patchNamespacedDeploymentStatus(
    { name: 'web', namespace, body: { spec: { replicas: 9 } } }, as(PatchStrategy.MergePatch),
  );
  assert.equal(status.spec.replicas, 0);
}

async function objectsOfAnyKind() {
  const made = await objects.create(configMap('any', { a: '1' }));
  assert.equal((await objects.read(made)).data.a, '1');
  const patched = await objects.patch(
    configMap('any', { a: '2' }), undefined, undefined, 'me', undefined, PatchStrategy.StrategicMergePatch,
  );
  assert.equal(patched.data.a, '2');
  const listed = await objects.list('v1', 'ConfigMap', namespace);
  assert.ok(listed.items.some((item) => item.metadata.name === 'any'));
  await objects.delete(made);
}

async function deletes() {
  const { metadata } = await core.readNamespacedConfigMap({ name: 'a', namespace });
  const body = (uid) => ({ preconditions: { uid } });
  await refused(409, () => core.deleteNamespacedConfigMap({ name: 'a', namespace, body: body('other') }));
  await core.deleteNamespacedConfigMap({ name: 'a', namespace, body: body(metadata.uid) });
  await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: 'page=yes' });
  const left = (await core.listNamespacedConfigMap({ namespace })).items.map((item) => item.metadata.name);
  assert.ok(left.includes('applied') && !left.some((name) => name.startsWith('page-')), `${left}`);
  await apps.deleteNamespacedDeployment({ name: 'web', namespace, propagationPolicy: 'Foreground' });
  const gone = new Promise((resolve, reject) => {
    const options = { fieldSelector: `metadata.name=${namespace}`, timeoutSeconds: 60 };
    new Watch(config).watch('/api/v1/namespaces', options, (type) => {
      if (type === 'DELETED') resolve();
    }, (error) => reject(error ?? new Error('the namespace did not go'))).catch(reject);
  });
  await core.deleteNamespace({ name: namespace });
  await gone;
}

await run([
  createAndRead, updateWithPrecondition, patchInEveryForm, applyWithConflict, listsInPages, watches, informs,
  subresources, objectsOfAnyKind, deletes,
]);
