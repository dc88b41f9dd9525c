/** Collections that stay as the server has them, as state of the page. */
import type { Client } from './client';
import { untrack } from 'svelte';
import { TableReader, type Column, type Row } from './table';
import { follow, type Link, type Reader } from './watch';

/** Changes that come close together are drawn together. */
const GATHER_MILLIS = 80;

/** The links of every open collection; what is lost is said once for all. */
class Links {
  private byId = $state.raw<ReadonlyMap<symbol, Link>>(new Map());

  /** The lost link that is tried again first. */
  readonly lost = $derived.by(() => {
    const lost = [...this.byId.values()].filter((link) => link.state === 'lost' && !link.refused);
    return lost.sort((a, b) => retryAt(a) - retryAt(b))[0];
  });

  set(id: symbol, link: Link | undefined): void {
    const next = new Map(this.byId);
    if (link === undefined) next.delete(id);
    else next.set(id, link);
    this.byId = next;
  }
}

function retryAt(link: Link): number {
  return link.state === 'lost' ? link.retryAt : 0;
}

export const links = new Links();

/** One collection, open until `close`. */
export class Live<T> {
  items = $state.raw<T[]>([]);
  /** Whether the first list is there. */
  loaded = $state(false);
  /** Why the server refuses; empty if it does not. */
  refused = $state('');
  private readonly id = Symbol('link');
  private readonly stop = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(client: Client, path: string, reader: Reader<T>) {
    const sink = {
      changed: (items: ReadonlyMap<string, T>) => {
        if (!this.loaded) this.show(items);
        this.timer ??= setTimeout(() => this.show(items), GATHER_MILLIS);
      },
      link: (link: Link) => {
        if (this.stop.signal.aborted) return;
        this.refused = link.state === 'lost' && link.refused ? link.why : '';
        links.set(this.id, link);
      },
    };
    void follow(client, path, reader, sink, this.stop.signal);
  }

  private show(items: ReadonlyMap<string, T>): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.stop.signal.aborted) return;
    this.items = [...items.values()];
    this.loaded = true;
  }

  close(): void {
    this.stop.abort();
    clearTimeout(this.timer);
    links.set(this.id, undefined);
  }
}

/** What a component shows of a collection: opened with it, opened anew when `path` changes, closed with it. */
export function live<T>(client: () => Client, path: () => string, reader: () => Reader<T>): { readonly now: Live<T> | undefined } {
  let current = $state.raw<Live<T> | undefined>();
  $effect(() => {
    const [asked, where, read] = [client(), path(), reader()];
    // What opening it reads is no reason to open it anew.
    const opened = untrack(() => new Live(asked, where, read));
    current = opened;
    return () => opened.close();
  });
  return {
    get now() {
      return current;
    },
  };
}

/** The same of a Table; its columns change together with its rows. */
export function liveTable(client: () => Client, path: () => string): { readonly now: Live<Row> | undefined; readonly columns: Column[] } {
  let reader = new TableReader();
  const rows = live(client, path, () => (reader = new TableReader()));
  return {
    get now() {
      return rows.now;
    },
    get columns() {
      return rows.now?.items === undefined ? [] : reader.columns;
    },
  };
}
