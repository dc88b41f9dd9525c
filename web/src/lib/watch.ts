/** List and watch: keeps a collection as the server has it, through lost connections and expired histories. */
import { delayMillis } from './backoff';
import { ApiError, LostError, messageOf, type Client, type Json } from './client';
import { lines } from './lines';

/** One object of a collection, read into what the page needs of it. */
export interface Entry<T> {
  key: string;
  value: T;
}

/** How the objects of a collection are asked for and read. */
export interface Reader<T> {
  accept: string;
  /** The entries of a list, or of an event's object. Must not throw. */
  entries(object: Json): Entry<T>[];
}

/** One line of a watch. */
export interface WatchEvent {
  type: string;
  object: Json;
}

/** The fold of a list and the events since. */
export class Collection<T> {
  items = new Map<string, T>();
  /** The revision from which a watch goes on; empty until a list is whole. */
  version = '';

  constructor(readonly reader: Reader<T>) {}

  /** Takes in a list: the first one page by page, a later one takes the place of everything once it is whole. */
  async list(pages: AsyncIterable<Json> | Iterable<Json>, changed: () => void = () => undefined): Promise<void> {
    const items = this.items.size === 0 ? this.items : new Map<string, T>();
    let version = '';
    for await (const page of pages) {
      for (const { key, value } of this.reader.entries(page)) items.set(key, value);
      version ||= versionOf(page);
      if (items === this.items) changed();
    }
    [this.items, this.version] = [items, version];
    changed();
  }

  /** Takes in one event. Throws ApiError for the server's own ERROR; 410 means that a new list is needed. */
  apply(event: WatchEvent): void {
    if (event.type === 'ERROR') {
      const { code, reason, message } = event.object as { code?: number; reason?: string; message?: string };
      throw new ApiError(code ?? 500, reason ?? '', message ?? 'the watch failed');
    }
    this.version = eventVersion(event.object) || this.version;
    if (event.type === 'BOOKMARK') return;
    for (const { key, value } of this.reader.entries(event.object)) {
      if (event.type === 'DELETED') this.items.delete(key);
      else this.items.set(key, value);
    }
  }
}

interface Meta {
  resourceVersion?: string;
  continue?: string;
}

function metaOf(object: unknown): Meta {
  return (object as { metadata?: Meta } | undefined)?.metadata ?? {};
}

function versionOf(object: Json): string {
  return metaOf(object).resourceVersion ?? '';
}

/** The revision that an event brings: its object's own, or that of a Table's row. */
function eventVersion(object: Json): string {
  const rows = object.rows as { object?: Json }[] | undefined;
  return versionOf(rows?.at(-1)?.object ?? {}) || versionOf(object);
}

/** What is known of the connection to the server; `refused`: it is there and says no. */
export type Link = { state: 'loading' } | { state: 'live' } | { state: 'lost'; why: string; retryAt: number; refused: boolean };

/** Who wants to know what a collection holds. */
export interface Sink<T> {
  /** The collection has changed; it is shared, not copied. */
  changed(items: ReadonlyMap<string, T>): void;
  link(link: Link): void;
}

/** How many objects one answer of a list holds. */
const PAGE_OBJECTS = 500;
/** The server sends a bookmark each minute: a watch that is silent for longer hangs. */
const SILENCE_MILLIS = 100_000;
/** A watch that ended sooner did not do well, even if the server ended it in order. */
const SHORT_MILLIS = 2_000;

/** Waits that a click on "retry now", or the network's return, cuts short. */
export const retryNow = new EventTarget();
if (typeof window !== 'undefined') {
  window.addEventListener('online', () => retryNow.dispatchEvent(new Event('now')));
}

/**
 * Follows a collection until `signal` is aborted or the token is refused.
 * @param path `/api/v1/pods`, with or without a query
 */
export async function follow<T>(
  client: Client,
  path: string,
  reader: Reader<T>,
  sink: Sink<T>,
  signal: AbortSignal,
): Promise<void> {
  const collection = new Collection(reader);
  sink.link({ state: 'loading' });
  for (let failures = 0; !signal.aborted; ) {
    const started = Date.now();
    try {
      if (collection.version === '') {
        await collection.list(listPages(client, path, reader, signal), () => sink.changed(collection.items));
      }
      await watch(client, path, collection, sink, signal);
      if (Date.now() - started < SHORT_MILLIS) throw new LostError('the server ended the stream');
      failures = 0;
    } catch (error) {
      if (signal.aborted || isFinal(error)) return;
      if (Date.now() - started > SHORT_MILLIS) failures = 0;
      const expired = error instanceof ApiError && error.code === 410;
      if (expired) collection.version = '';
      if (expired && failures === 0) {
        failures = 1;
        continue;
      }
      const wait = delayMillis(failures++, Math.random());
      sink.link({ state: 'lost', why: messageOf(error), retryAt: Date.now() + wait, refused: isRefusal(error) });
      await pause(wait, signal);
    }
  }
}

/** The token is not valid: asking again will not help. */
function isFinal(error: unknown): boolean {
  return error instanceof ApiError && error.code === 401;
}

/** The server's word, not a sign that it is away. */
function isRefusal(error: unknown): boolean {
  return error instanceof ApiError && error.code < 500 && error.code !== 410 && error.code !== 429;
}

async function* listPages<T>(client: Client, path: string, reader: Reader<T>, signal: AbortSignal): AsyncGenerator<Json> {
  let token = '';
  do {
    const query = { limit: String(PAGE_OBJECTS), ...(token === '' ? {} : { continue: token }) };
    const page = await client.json(withQuery(path, query), { headers: { accept: reader.accept }, signal });
    yield page;
    token = metaOf(page).continue ?? '';
  } while (token !== '');
}

async function watch<T>(
  client: Client,
  path: string,
  collection: Collection<T>,
  sink: Sink<T>,
  signal: AbortSignal,
): Promise<void> {
  const own = new AbortController();
  const abort = () => own.abort();
  signal.addEventListener('abort', abort);
  let alarm = setTimeout(abort, SILENCE_MILLIS);
  try {
    const query = { watch: 'true', allowWatchBookmarks: 'true', resourceVersion: collection.version };
    const headers = { accept: collection.reader.accept };
    const response = await client.send(withQuery(path, query), { headers, signal: own.signal });
    if (response.body === null) throw new LostError('the answer has no body');
    sink.link({ state: 'live' });
    for await (const batch of lines(response.body)) {
      clearTimeout(alarm);
      alarm = setTimeout(abort, SILENCE_MILLIS);
      const events = batch.filter((line) => line !== '').map((line) => JSON.parse(line) as WatchEvent);
      try {
        for (const event of events) collection.apply(event);
      } finally {
        if (events.length > 0) sink.changed(collection.items);
      }
    }
  } catch (error) {
    if (error instanceof ApiError || (error instanceof LostError && !own.signal.aborted) || signal.aborted) throw error;
    throw new LostError(own.signal.aborted ? 'the server is silent' : `the connection broke (${messageOf(error)})`);
  } finally {
    clearTimeout(alarm);
    signal.removeEventListener('abort', abort);
    own.abort();
  }
}

/** Adds to a path's query. */
export function withQuery(path: string, query: Record<string, string>): string {
  const text = new URLSearchParams(query).toString();
  if (text === '') return path;
  return path + (path.includes('?') ? '&' : '?') + text;
}

/** Ends after `millis`, at an abort, or when somebody asks for a retry. */
export function pause(millis: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      retryNow.removeEventListener('now', end);
      resolve();
    };
    const timer = setTimeout(end, millis);
    signal.addEventListener('abort', end);
    retryNow.addEventListener('now', end);
  });
}
