import { expect, it } from 'vitest';
import { age } from './age';
import { delayMillis } from './backoff';
import { idOf, titleOf, collectionPath, objectPath, referred, DEPLOYMENTS, NODES, PODS, REPLICA_SETS, SERVICES } from './kinds';
import { LineSplitter } from './lines';
import { lastSeen, timesSeen } from './objects';
import { formatBytes, parseQuantity, short } from './quantity';
import { objectHref, parseRoute } from './route';
import { codeOf } from './sign-in';
import { toneOf } from './tone';

it('reads and prints quantities', () => {
  const cases: [string, number | undefined][] = [
    ['2', 2], ['500m', 0.5], ['1.5Gi', 1.5 * 2 ** 30], ['16777216Ki', 2 ** 34], ['1e3', 1000], ['2k', 2000], ['1E', 1e18],
    ['100n', 1e-7], ['', undefined], ['two', undefined], ['1Kib', undefined], ['1 Gi', undefined], ['mi', undefined], ['1i', undefined],
  ];
  for (const [text, expected] of cases) {
    const parsed = parseQuantity(text);
    if (expected === undefined) expect(parsed, text).toBeUndefined();
    else expect(parsed, text).toBeCloseTo(expected, 9);
  }
  expect([0, 512, 2 ** 20, 23.4 * 2 ** 30].map(formatBytes)).toEqual(['0 B', '512 B', '1 MiB', '23.4 GiB']);
  expect([2, 0.25, 640.4].map(short)).toEqual(['2', '0.25', '640']);
});

it('prints ages as kubectl does', () => {
  const cases: [number, string][] = [[-5, '0s'], [0, '0s'], [119, '119s'], [120, '2m'], [330, '5m30s'], [601, '10m'], [3 * 3600 + 60, '3h1m'], [52 * 3600, '2d4h'], [40 * 86400, '40d']];
  for (const [seconds, expected] of cases) expect(age(0, seconds * 1000)).toBe(expected);
});

it('waits longer each time, up to a limit', () => {
  expect([0, 1, 2, 10, 1000].map((failures) => delayMillis(failures, 1))).toEqual([500, 1000, 2000, 15000, 15000]);
  expect(delayMillis(0, 0)).toBe(250);
});

it('takes addresses apart and puts them together', () => {
  expect(parseRoute('')).toEqual({ page: 'overview' });
  expect(parseRoute('#/')).toEqual({ page: 'overview' });
  expect(parseRoute('#/deployments.apps')).toEqual({ page: 'list', kind: 'deployments.apps' });
  for (const [namespace, name] of [['default', 'web-1'], ['', 'node-1'], ['a/b', '<b>%']] as const) {
    expect(parseRoute(objectHref('pods', namespace, name))).toEqual({ page: 'object', kind: 'pods', namespace, name });
  }
  expect(parseRoute('#/pods/%E0%A4%A/x')).toEqual({ page: 'object', kind: 'pods', namespace: '%E0%A4%A', name: 'x' });
});

it('finds a sign-in code only where it is one', () => {
  expect(codeOf('#code=0123abcDEF')).toBe('0123abcDEF');
  for (const hash of ['', '#/', '#code=', '#code=a&b=c', '#code=<script>', '#/code=1']) expect(codeOf(hash)).toBeUndefined();
});

it('knows where kinds are', () => {
  expect([NODES, PODS, REPLICA_SETS].map(titleOf)).toEqual(['Nodes', 'Pods', 'ReplicaSets']);
  expect(titleOf({ ...PODS, plural: 'networkpolicies', kind: 'NetworkPolicy' })).toBe('NetworkPolicies');
  expect(titleOf({ ...PODS, plural: 'endpoints', kind: 'Endpoints' })).toBe('Endpoints');
  expect(idOf(DEPLOYMENTS)).toBe('deployments.apps');
  expect(collectionPath(DEPLOYMENTS, 'a')).toBe('/apis/apps/v1/namespaces/a/deployments');
  expect(collectionPath(NODES, 'a')).toBe('/api/v1/nodes');
  expect(objectPath(PODS, 'a', 'x/../y')).toBe('/api/v1/namespaces/a/pods/x%2F..%2Fy');
});

it('splits lines wherever pieces end, and cuts those without end', () => {
  const splitter = new LineSplitter(8);
  expect([splitter.push('ab'), splitter.push('c\nd'), splitter.push('\n\nef')]).toEqual([[], ['abc'], ['d', '']]);
  expect(splitter.push('0123456789')).toEqual(['ef012345']);
  expect(splitter.push('more of it')).toEqual([]);
  expect(splitter.push('the end\nnext\n')).toEqual(['next']);
  expect(splitter.push('last')).toEqual([]);
  expect(splitter.end()).toEqual(['last']);
});

it('colours what it does not know as bad, so that nobody misses it', () => {
  const tones = ['Running', 'Completed', 'Pending', 'CrashLoopBackOff', 'NotReady', 'Ready,SchedulingDisabled', 'Init:0/2'].map(toneOf);
  expect(tones).toEqual(['good', 'plain', 'busy', 'bad', 'bad', 'busy', 'busy']);
});

it('finds the kind that a reference means', () => {
  const other = { ...SERVICES, group: 'serving.example.com' };
  const kinds = [other, SERVICES, DEPLOYMENTS];
  expect(referred(kinds, { apiVersion: 'v1', kind: 'Service' })).toBe(SERVICES);
  expect(referred(kinds, { apiVersion: 'serving.example.com/v1', kind: 'Service' })).toBe(other);
  expect(referred(kinds, { kind: 'Service' })).toBe(other);
  expect(referred(kinds, { apiVersion: 'v1', kind: 'Deployment' })).toBeUndefined();
});

it('counts events of old and new forms', () => {
  const at = '2030-01-01T00:00:00Z';
  expect([{}, { count: 3 }, { series: { count: 7, lastObservedTime: at } }].map(timesSeen)).toEqual([1, 3, 7]);
  expect([{ lastTimestamp: at }, { series: { count: 2, lastObservedTime: at }, eventTime: '2029-01-01T00:00:00Z' }].map(lastSeen)).toEqual([Date.parse(at), Date.parse(at)]);
});
