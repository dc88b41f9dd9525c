/** What a Pod's status says, in plain words. */
import type { Json } from './client';
import { collectionPath, PODS } from './kinds';
import { newestFirst, type KubeEvent, type KubeObject } from './objects';
import { withQuery } from './watch';

export interface ContainerView {
  name: string;
  image: string;
  init: boolean;
  /** `Running`, `CrashLoopBackOff`, `Completed`... */
  state: string;
  /** What the state means, and the node's message. */
  detail: string;
  ready: boolean;
  restarts: number;
  /** Whether it has ended and is not started again. */
  ended: boolean;
  /** Whether there is a log of the run before this one. */
  hasPrevious: boolean;
}

interface Status {
  name?: string;
  ready?: boolean;
  restartCount?: number;
  state?: State;
  lastState?: State;
}

interface State {
  waiting?: { reason?: string; message?: string };
  running?: { startedAt?: string };
  terminated?: { reason?: string; message?: string; exitCode?: number; finishedAt?: string };
}

/** What reasons mean, for who does not know Kubernetes' words. */
const REASONS: Record<string, string> = {
  ContainerCreating: 'The node is getting it ready.',
  PodInitializing: 'It waits for the init containers.',
  ErrImagePull: 'The image could not be fetched.',
  ImagePullBackOff: 'The image could not be fetched; the node tries again after a pause.',
  InvalidImageName: 'The image has a name that is none.',
  ErrImageNeverPull: 'The image is not on the node, and imagePullPolicy forbids to fetch it.',
  CreateContainerConfigError: 'What it needs, a ConfigMap or Secret for example, is not there.',
  CrashLoopBackOff: 'It ended again and again; the node starts it anew after a pause.',
  OOMKilled: 'It used more memory than its limit allows.',
  Error: 'It ended with an error.',
  Completed: 'It ended in order.',
  DeadlineExceeded: 'It ran longer than it may.',
};

/** The containers in the order in which they start, init containers first. */
export function containersOf(pod: KubeObject): ContainerView[] {
  const lists: [string, string, boolean][] = [
    ['initContainers', 'initContainerStatuses', true],
    ['containers', 'containerStatuses', false],
  ];
  return lists.flatMap(([specs, statuses, init]) => {
    const known = (pod.status?.[statuses] as Status[] | undefined) ?? [];
    const wanted = (pod.spec?.[specs] as { name?: string; image?: string }[] | undefined) ?? [];
    return wanted.map(({ name = '', image = '' }) => ({ name, image, init, ...view(known.find((s) => s.name === name)) }));
  });
}

function view(status: Status | undefined): Omit<ContainerView, 'name' | 'image' | 'init'> {
  const rest = {
    ready: status?.ready ?? false,
    restarts: status?.restartCount ?? 0,
    ended: status?.state?.terminated !== undefined,
    hasPrevious: (status?.restartCount ?? 0) > 0,
  };
  const { waiting, running, terminated } = status?.state ?? {};
  const last = status?.lastState?.terminated;
  if (running !== undefined) return { state: 'Running', detail: '', ...rest };
  if (terminated !== undefined) return { state: terminated.reason ?? 'Terminated', detail: ended(terminated), ...rest };
  if (waiting === undefined) return { state: 'Waiting', detail: '', ...rest };
  const reason = waiting.reason ?? 'Waiting';
  const before = last === undefined ? '' : `Last time: ${ended(last)}`;
  return { state: reason, detail: words(REASONS[reason], waiting.message, before), ...rest };
}

function ended({ reason, message, exitCode }: NonNullable<State['terminated']>): string {
  const code = exitCode === undefined ? '' : `Exit code ${exitCode}.`;
  return words(REASONS[reason ?? ''], code, message);
}

function words(...parts: (string | undefined)[]): string {
  const said = parts.map((part) => part?.trim() ?? '').filter(Boolean);
  return said.map((part, at) => (at < said.length - 1 && /[\w)\]]$/.test(part) ? `${part}.` : part)).join(' ');
}

/** Why a pod does not run as it should; undefined if it does. The newest warning is quoted where the status says little. */
export function whyNot(pod: KubeObject, events: KubeEvent[]): string | undefined {
  const { phase, reason, message } = (pod.status ?? {}) as Json & { phase?: string; reason?: string; message?: string };
  if (pod.metadata?.deletionTimestamp !== undefined) return 'It is being deleted.';
  if (reason !== undefined || phase === 'Failed') {
    return words(`The pod has failed${reason === undefined ? '' : `: ${reason}`}.`, message) || undefined;
  }
  if (phase === 'Succeeded') return undefined;
  const scheduled = pod.status?.conditions?.find((condition) => condition.type === 'PodScheduled');
  if (scheduled?.status === 'False') {
    return words('No node takes it.', scheduled.message ?? warning(events)?.message);
  }
  if (pod.spec?.nodeName === undefined) return 'It waits for the scheduler to choose a node.';
  const stuck = containersOf(pod).filter((container) => needsWords(container));
  if (stuck.length > 0) return stuck.map(({ name, state, detail }) => words(`${name}: ${state}.`, detail)).join('\n');
  const ready = pod.status?.conditions?.find((condition) => condition.type === 'Ready');
  if (phase === 'Running' && ready?.status === 'False') {
    return words('It runs but is not ready: it gets no requests.', warning(events)?.message ?? ready.message);
  }
  return phase === 'Pending' ? 'The node is getting it ready.' : undefined;
}

function needsWords({ state, init }: ContainerView): boolean {
  return state !== 'Running' && state !== 'Completed' && !(init && state === 'Waiting') && state !== 'PodInitializing';
}

function warning(events: KubeEvent[]): KubeEvent | undefined {
  return newestFirst(events).find((event) => event.type === 'Warning');
}

interface Selector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key?: string; operator?: string; values?: string[] }[];
}

/** The path of the pods that belong to an object: a node's, a workload's, a Service's; undefined if it has none. */
export function podsOf(object: KubeObject): string | undefined {
  const { name = '', namespace = '' } = object.metadata ?? {};
  if (object.kind === 'Node') return withQuery(collectionPath(PODS), { fieldSelector: `spec.nodeName=${name}` });
  const selector = object.spec?.selector as Selector | Record<string, string> | undefined;
  if (selector === undefined || selector === null) return undefined;
  const labels = object.kind === 'Service' ? { matchLabels: selector as Record<string, string> } : (selector as Selector);
  const labelSelector = selectorText(labels);
  return labelSelector === '' ? undefined : withQuery(collectionPath(PODS, namespace), { labelSelector });
}

function selectorText({ matchLabels = {}, matchExpressions = [] }: Selector): string {
  const equal = Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`);
  const others = matchExpressions.map(({ key = '', operator, values = [] }) => {
    if (operator === 'Exists') return key;
    if (operator === 'DoesNotExist') return `!${key}`;
    return `${key} ${operator === 'NotIn' ? 'notin' : 'in'} (${values.join(',')})`;
  });
  return [...equal, ...others].join(',');
}
