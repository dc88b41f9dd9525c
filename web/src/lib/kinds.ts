/** What kinds of object there are, and where they are found. */
import type { Client } from './client';

export interface Kind {
  /** Empty for the core group. */
  group: string;
  version: string;
  plural: string;
  kind: string;
  namespaced: boolean;
}

const kind = (group: string, plural: string, name: string, namespaced = true): Kind => ({
  group,
  version: 'v1',
  plural,
  kind: name,
  namespaced,
});

export const NODES = kind('', 'nodes', 'Node', false);
export const NAMESPACES = kind('', 'namespaces', 'Namespace', false);
export const PODS = kind('', 'pods', 'Pod');
export const SERVICES = kind('', 'services', 'Service');
export const EVENTS = kind('', 'events', 'Event');
export const DEPLOYMENTS = kind('apps', 'deployments', 'Deployment');
export const REPLICA_SETS = kind('apps', 'replicasets', 'ReplicaSet');

/** What every server has and the page leads to first. */
export const KNOWN: Kind[] = [NODES, DEPLOYMENTS, REPLICA_SETS, PODS, SERVICES, NAMESPACES, EVENTS];

/** `pods`, `deployments.apps`: how addresses of the page name a kind. */
export function idOf(kind: Kind): string {
  return kind.group === '' ? kind.plural : `${kind.plural}.${kind.group}`;
}

/** The kind that one object names to refer to another; the first of that name if it says nothing of the group. */
export function referred(kinds: Kind[], { apiVersion = '', kind }: { apiVersion?: string; kind?: string }): Kind | undefined {
  const group = apiVersion.includes('/') ? apiVersion.split('/')[0] : '';
  return kinds.find((known) => known.kind === kind && (apiVersion === '' || known.group === group));
}

/** `ReplicaSets`: the kind's name for more than one, as people write it. */
export function titleOf(kind: Kind): string {
  const lower = kind.kind.toLowerCase();
  const same = kind.plural.startsWith(lower) ? lower.length : lower.length - 1;
  return kind.kind.slice(0, same) + kind.plural.slice(same);
}

/** The kinds of each API group, the core group first, in the order of their names. */
export function byGroup(kinds: Kind[]): Record<string, Kind[]> {
  const groups: Record<string, Kind[]> = {};
  for (const kind of kinds.toSorted((a, b) => a.group.localeCompare(b.group))) (groups[kind.group] ??= []).push(kind);
  return groups;
}

/** The path of a collection; all namespaces if `namespace` is empty. */
export function collectionPath(kind: Kind, namespace = ''): string {
  const root = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const scope = kind.namespaced && namespace !== '' ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${root}${scope}/${kind.plural}`;
}

/** The path of one object. */
export function objectPath(kind: Kind, namespace: string, name: string): string {
  return `${collectionPath(kind, namespace)}/${encodeURIComponent(name)}`;
}

interface ResourceList {
  groupVersion?: string;
  resources?: { name: string; kind: string; namespaced: boolean; verbs: string[] }[];
}

/** Everything that can be listed and watched, by discovery. Throws ApiError or LostError. */
export async function discover(client: Client): Promise<Kind[]> {
  const groups = (await client.json('/apis')) as { groups?: { preferredVersion?: { groupVersion?: string } }[] };
  const paths = (groups.groups ?? []).map(({ preferredVersion }) => `/apis/${preferredVersion?.groupVersion ?? ''}`);
  const lists = await Promise.all(['/api/v1', ...paths].map((path) => client.json(path) as Promise<ResourceList>));
  return lists.flatMap(readResources);
}

function readResources({ groupVersion = 'v1', resources = [] }: ResourceList): Kind[] {
  const [group, version] = groupVersion.includes('/') ? groupVersion.split('/') : ['', groupVersion];
  return resources
    .filter(({ name, verbs }) => !name.includes('/') && verbs.includes('list') && verbs.includes('watch'))
    .map(({ name, kind, namespaced }) => ({ group: group ?? '', version: version ?? 'v1', plural: name, kind, namespaced }));
}
