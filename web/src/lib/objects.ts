/** The few fields of Kubernetes' objects that the page reads. Everything is optional: nothing is trusted to be there. */
import type { Json } from './client';
import type { Entry, Reader } from './watch';

export interface Metadata {
  name?: string;
  namespace?: string;
  uid?: string;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: { apiVersion?: string; kind?: string; name?: string }[];
}

export interface Condition {
  type?: string;
  status?: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
}

export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata?: Metadata;
  spec?: Json;
  status?: Json & { conditions?: Condition[] };
}

export interface KubeEvent extends KubeObject {
  type?: string;
  reason?: string;
  message?: string;
  count?: number;
  series?: { count?: number; lastObservedTime?: string };
  firstTimestamp?: string | null;
  lastTimestamp?: string | null;
  eventTime?: string | null;
  involvedObject?: { kind?: string; apiVersion?: string; namespace?: string; name?: string; fieldPath?: string };
}

/** Reads objects as they are. */
export class ObjectReader<T extends KubeObject> implements Reader<T> {
  readonly accept = 'application/json';

  entries(object: Json): Entry<T>[] {
    const items = (object.items as T[] | undefined) ?? ('items' in object ? [] : [object as T]);
    return items.map((value) => ({ key: `${value.metadata?.namespace ?? ''}/${value.metadata?.name ?? ''}`, value }));
  }
}

/** Milliseconds since 1970 when an event was last seen. */
export function lastSeen(event: KubeEvent): number {
  const text =
    event.series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime ?? event.metadata?.creationTimestamp ?? '';
  return Date.parse(text) || 0;
}

/** How often. */
export function timesSeen(event: KubeEvent): number {
  return event.series?.count ?? event.count ?? 1;
}

/** Newest first. */
export function newestFirst(events: KubeEvent[]): KubeEvent[] {
  return [...events].sort((a, b) => lastSeen(b) - lastSeen(a));
}

/** A condition that says True. */
export function holds(object: KubeObject, type: string): boolean {
  return object.status?.conditions?.some((c) => c.type === type && c.status === 'True') ?? false;
}
