// What Headlamp asks of a cluster, against that of KUBECONFIG: its backend passes on what its pages send, with the user's token
// and, for lists and objects that are on the screen, as WebSockets.
//
// Prints a line for each step that passed; any surprise ends it with a stack trace.

import assert from 'node:assert/strict';
import https from 'node:https';
import WebSocket from 'ws';
import { KubeConfig } from '@kubernetes/client-node';
import { run } from './kit.mjs';

const namespace = 'default';
const config = new KubeConfig();
config.loadFromDefault();
const { server } = config.getCurrentCluster();
const token = process.env.TOKEN;
const ca = Buffer.from(config.getCurrentCluster().caData, 'base64');
const json = { Accept: 'application/json', 'Content-Type': 'application/json' };

/** Status and body of a request, the body read if it is JSON. */
function ask(method, path, body, headers = {}) {
  const options = { method, ca, headers: { ...json, Authorization: `Bearer ${token}`, ...headers } };
  return new Promise((resolve, reject) => {
    const request = https.request(`${server}${path}`, options, (answer) => {
      const pieces = [];
      answer.on('data', (piece) => pieces.push(piece)).on('end', () => {
        const text = Buffer.concat(pieces).toString();
        const isJson = (answer.headers['content-type'] ?? '').startsWith('application/json');
        resolve([answer.statusCode, isJson ? JSON.parse(text) : text]);
      });
    });
    request.on('error', reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** The body of a request that must succeed. */
async function get(path) {
  const [code, body] = await ask('GET', path);
  assert.equal(code, 200, `${path}: ${code} ${JSON.stringify(body)}`);
  return body;
}

/** A socket as Headlamp opens it, with its token among the protocols, and a way to wait for its next message. */
async function open(path, offered = token) {
  const encoded = Buffer.from(offered).toString('base64url');
  const protocols = ['base64.binary.k8s.io', `base64url.bearer.authorization.k8s.io.${encoded}`];
  const socket = new WebSocket(`${server.replace('https', 'wss')}${path}`, protocols, { ca, origin: server });
  const [messages, waiting] = [[], []];
  socket.on('message', (data, isBinary) => {
    const message = { text: data.toString(), isBinary };
    const next = waiting.shift();
    if (next) next(message);
    else messages.push(message);
  });
  await new Promise((resolve, reject) => {
    socket.on('open', resolve).on('error', reject);
  });
  assert.equal(socket.protocol, 'base64.binary.k8s.io');
  const next = () => (messages.length ? messages.shift() : new Promise((resolve) => { waiting.push(resolve); }));
  return { socket, next };
}

const configMap = (name, data) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data });

async function signsIn() {
  assert.equal(await get('/healthz'), 'ok');
  assert.equal((await get('/version')).major, '1');
  const rules = { spec: { namespace } };
  const [code, reviewed] = await ask('POST', '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', rules);
  assert.deepEqual([code, reviewed.status.resourceRules[0].verbs], [201, ['*']]);
  const access = {
    apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: { verb: 'delete', resource: 'pods', namespace } },
  };
  const [, allowed] = await ask('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', access);
  assert.equal(allowed.status.allowed, true);
}

async function readsWhatItShows() {
  const lists = [
    '/api/v1/nodes', '/api/v1/pods', '/api/v1/namespaces', '/api/v1/services', '/api/v1/configmaps', '/api/v1/secrets',
    '/api/v1/serviceaccounts', '/api/v1/persistentvolumes', '/api/v1/persistentvolumeclaims', '/api/v1/endpoints',
    '/api/v1/resourcequotas', '/api/v1/limitranges', '/api/v1/events?limit=2000', '/apis/apps/v1/deployments',
    '/apis/apps/v1/daemonsets', '/apis/apps/v1/statefulsets', '/apis/apps/v1/replicasets', '/apis/batch/v1/jobs',
    '/apis/batch/v1/cronjobs', '/apis/networking.k8s.io/v1/ingresses', '/apis/networking.k8s.io/v1/ingressclasses',
    '/apis/networking.k8s.io/v1/networkpolicies', '/apis/storage.k8s.io/v1/storageclasses',
    '/apis/rbac.authorization.k8s.io/v1/roles', '/apis/rbac.authorization.k8s.io/v1/clusterroles',
    '/apis/rbac.authorization.k8s.io/v1/rolebindings', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
    '/apis/policy/v1/poddisruptionbudgets', '/apis/scheduling.k8s.io/v1/priorityclasses', '/apis/node.k8s.io/v1/runtimeclasses',
    '/apis/coordination.k8s.io/v1/leases', '/apis/autoscaling/v2/horizontalpodautoscalers',
    '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
    '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations',
    '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations',
  ];
  for (const path of lists) {
    const list = await get(path);
    assert.ok(list.kind.endsWith('List') && Array.isArray(list.items) && list.metadata.resourceVersion, path);
  }
  // What is not there hides a part of a page.
  const absent = [
    '/apis/metrics.k8s.io/v1beta1/nodes', '/apis/autoscaling.k8s.io/v1', '/apis/gateway.networking.k8s.io/v1/gateways',
  ];
  for (const path of absent) {
    assert.equal((await ask('GET', path))[0], 404, path);
  }
}

async function documentsItsEditor() {
  const { swagger, definitions } = await get('/openapi/v2');
  assert.equal(swagger, '2.0');
  const deployment = definitions['io.k8s.api.apps.v1.Deployment'];
  assert.deepEqual(deployment['x-kubernetes-group-version-kind'], [{ group: 'apps', kind: 'Deployment', version: 'v1' }]);
  assert.ok(deployment.description && deployment.properties.spec.$ref in { '#/definitions/io.k8s.api.apps.v1.DeploymentSpec': 1 });
}

async function editsObjects() {
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  assert.equal((await ask('POST', path, configMap('edited', { a: '1' })))[0], 201);
  // An object that is there already is replaced at the version that was read.
  const [code, refused] = await ask('POST', path, configMap('edited', { a: '2' }));
  assert.deepEqual([code, refused.reason], [409, 'AlreadyExists']);
  const { metadata: { resourceVersion } } = await get(`${path}/edited`);
  const body = configMap('edited', { a: '2' });
  body.metadata.resourceVersion = resourceVersion;
  assert.equal((await ask('PUT', `${path}/edited`, body))[0], 200);
  assert.equal((await ask('PUT', `${path}/edited`, body))[0], 409);
  const merge = { 'Content-Type': 'application/merge-patch+json' };
  const [, patched] = await ask('PATCH', `${path}/edited`, { data: { b: '3' } }, merge);
  assert.deepEqual(patched.data, { a: '2', b: '3' });
  assert.equal((await ask('PATCH', '/api/v1/nodes/node-1', { spec: { unschedulable: true } }, merge))[1].spec.unschedulable, true);
  assert.equal((await ask('PATCH', '/api/v1/nodes/node-1', { spec: { unschedulable: false } }, merge))[0], 200);
  const scale = '/apis/apps/v1/namespaces/default/deployments/hello/scale';
  assert.equal((await ask('PUT', scale, { ...await get(scale), spec: { replicas: 1 } }))[1].spec.replicas, 1);
}

async function followsByWebSocket() {
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const { metadata: { resourceVersion } } = await get(path);
  const { socket, next } = await open(`${path}?watch=1&resourceVersion=${resourceVersion}`);
  await ask('POST', path, configMap('followed', { a: '1' }));
  await ask('DELETE', `${path}/followed`);
  for (const type of ['ADDED', 'DELETED']) {
    const { text, isBinary } = await next();
    const event = JSON.parse(text);
    assert.deepEqual([event.type, event.object.metadata.name, isBinary], [type, 'followed', false]);
  }
  // Many events in one piece of the stream are as many messages.
  const all = await open(`${path}?watch=1`);
  assert.equal(JSON.parse((await all.next()).text).type, 'ADDED');
  const pong = new Promise((resolve) => { socket.on('pong', resolve); });
  socket.ping();
  await pong;
  const short = await open(`${path}?watch=1&resourceVersion=${resourceVersion}&timeoutSeconds=1`);
  const code = await new Promise((resolve) => { short.socket.on('close', resolve); });
  assert.equal(code, 1000, 'a watch whose time is up says goodbye');
  for (const followed of [socket, all.socket]) {
    const closed = new Promise((resolve) => { followed.on('close', resolve); });
    followed.close();
    await closed;
  }
}

async function readsLogsByWebSocket() {
  const { items: [pod] } = await get(`/api/v1/namespaces/${namespace}/pods?labelSelector=app%3Dtalker`);
  const path = `/api/v1/namespaces/${namespace}/pods/${pod.metadata.name}/log`;
  const { socket, next } = await open(`${path}?container=talker&follow=true&tailLines=100`);
  let log = '';
  while (!log.endsWith('done\n')) {
    const { text, isBinary } = await next();
    assert.equal(isBinary, false);
    log += Buffer.from(text, 'base64').toString();
  }
  socket.close();
}

async function refusesBeforeItSwitches() {
  for (const [path, offered, code] of [
    [`/api/v1/namespaces/${namespace}/configmaps?watch=1`, 'nonsense', 401],
    ['/api/v1/unicorns?watch=1', token, 404],
    [`/api/v1/namespaces/${namespace}/configmaps?watch=1&labelSelector=a+in`, token, 400],
    [`/api/v1/namespaces/${namespace}/configmaps`, token, 200],
  ]) {
    await assert.rejects(open(path, offered), new RegExp(`Unexpected server response: ${code}`), path);
  }
}

await run([
  signsIn, readsWhatItShows, documentsItsEditor, editsObjects, followsByWebSocket, readsLogsByWebSocket, refusesBeforeItSwitches,
]);
