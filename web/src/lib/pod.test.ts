import { expect, it } from 'vitest';
import type { KubeEvent, KubeObject } from './objects';
import { containersOf, podsOf, whyNot } from './pod';

const spec = { nodeName: 'n', containers: [{ name: 'app', image: 'app:1' }] };
const pod = (status: KubeObject['status'], more: KubeObject = {}): KubeObject => ({ metadata: {}, spec, status: status ?? {}, ...more });
const stateOf = (state: unknown, rest = {}) => ({ containerStatuses: [{ name: 'app', state, ...rest }] });

it('says why a pod is Pending', () => {
  const message = '0/2 nodes are available: 2 Insufficient memory.';
  const conditions = [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }];
  expect(whyNot(pod({ phase: 'Pending', conditions }, { spec: { containers: [] } }), [])).toBe(`No node takes it. ${message}`);
  expect(whyNot(pod({ phase: 'Pending' }, { spec: {} }), [])).toContain('waits for the scheduler');
  const pulling = pod({ phase: 'Pending', ...stateOf({ waiting: { reason: 'ImagePullBackOff', message: 'app:1: not found' } }) });
  expect(whyNot(pulling, [])).toMatch(/^app: ImagePullBackOff\. The image could not be fetched; .* app:1: not found$/);
});

it('says why a pod that runs is not well, and nothing of one that is', () => {
  const crashing = stateOf(
    { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s' } },
    { restartCount: 3, lastState: { terminated: { reason: 'OOMKilled', exitCode: 137 } } },
  );
  expect(whyNot(pod({ phase: 'Running', ...crashing }), [])).toMatch(/CrashLoopBackOff.*back-off 10s\. Last time: It used more memory.*Exit code 137/);
  const running = stateOf({ running: {} });
  const probe: KubeEvent[] = [{ type: 'Warning', message: 'Readiness probe failed: 500' }];
  const notReady = { conditions: [{ type: 'Ready', status: 'False', message: 'containers with unready status: [app]' }] };
  expect(whyNot(pod({ phase: 'Running', ...running, ...notReady }), probe)).toContain('Readiness probe failed: 500');
  expect(whyNot(pod({ phase: 'Running', ...running, conditions: [{ type: 'Ready', status: 'True' }] }), probe)).toBeUndefined();
  expect(whyNot(pod({ phase: 'Succeeded' }), [])).toBeUndefined();
  expect(whyNot(pod({ phase: 'Failed', reason: 'Evicted', message: 'the node is gone' }), [])).toBe('The pod has failed: Evicted. the node is gone');
});

it('lists containers in the order of their start, also those of which nothing is known', () => {
  const both = { spec: { ...spec, initContainers: [{ name: 'init' }] } };
  const ended = { initContainerStatuses: [{ name: 'init', restartCount: 1, state: { terminated: { reason: 'Error', exitCode: 7 } } }] };
  expect(containersOf(pod(ended, both)).map(({ name, state, hasPrevious }) => [name, state, hasPrevious])).toEqual([
    ['init', 'Error', true],
    ['app', 'Waiting', false],
  ]);
  expect(containersOf({})).toEqual([]);
});

it('finds the pods of an object', () => {
  const metadata = { name: 'x', namespace: 'd' };
  const path = (kind: string, selector?: unknown) => {
    const found = podsOf({ kind, metadata, spec: { selector } });
    return found === undefined ? undefined : decodeURIComponent(found).replaceAll('+', ' ');
  };
  expect(path('Node')).toBe('/api/v1/pods?fieldSelector=spec.nodeName=x');
  expect(path('Service', { app: 'web', tier: 'a' })).toBe('/api/v1/namespaces/d/pods?labelSelector=app=web,tier=a');
  const matchExpressions = [{ key: 'a', operator: 'NotIn', values: ['1', '2'] }, { key: 'b', operator: 'DoesNotExist' }];
  expect(path('Deployment', { matchLabels: { app: 'web' }, matchExpressions })).toBe('/api/v1/namespaces/d/pods?labelSelector=app=web,a notin (1,2),!b');
  expect([path('Service'), path('Service', {}), path('ConfigMap')]).toEqual([undefined, undefined, undefined]);
});
