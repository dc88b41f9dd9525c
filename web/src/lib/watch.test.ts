import { describe, expect, it } from 'vitest';
import { ApiError, type Client, type Json } from './client';
import { ObjectReader, type KubeObject } from './objects';
import { TableReader } from './table';
import { Collection, follow, retryNow, withQuery, type Link, type WatchEvent } from './watch';

const pod = (name: string, version: number, phase = 'Running'): Json => ({
  kind: 'Pod',
  metadata: { namespace: 'd', name, resourceVersion: String(version) },
  status: { phase },
});
const list = (version: number, ...items: Json[]): Json => ({ metadata: { resourceVersion: String(version) }, items });
const phases = (collection: Collection<KubeObject>) =>
  [...collection.items].map(([key, value]) => `${key} ${String(value.status?.phase)}`);

describe('the fold of a list and its events', () => {
  it('adds, changes and deletes', async () => {
    const collection = new Collection(new ObjectReader<KubeObject>());
    await collection.list([list(5, pod('a', 3), pod('b', 4)), list(5, pod('c', 2))]);
    expect(collection.version).toBe('5');
    collection.apply({ type: 'MODIFIED', object: pod('a', 6, 'Failed') });
    collection.apply({ type: 'DELETED', object: pod('b', 7) });
    collection.apply({ type: 'ADDED', object: pod('e', 8) });
    expect(phases(collection)).toEqual(['d/a Failed', 'd/c Running', 'd/e Running']);
    expect(collection.version).toBe('8');
  });

  it('moves on by bookmarks, and a new list takes the place of all', async () => {
    const collection = new Collection(new ObjectReader<KubeObject>());
    await collection.list([list(5, pod('a', 3))]);
    collection.apply({ type: 'BOOKMARK', object: { kind: 'Pod', metadata: { resourceVersion: '90' } } });
    expect([collection.version, collection.items.size]).toEqual(['90', 1]);
    await collection.list([list(91, pod('z', 91))]);
    expect(phases(collection)).toEqual(['d/z Running']);
  });

  it('reads the rows of Tables', async () => {
    const row = (name: string, version: string) => ({ cells: [name, null, 3], object: { metadata: { name, resourceVersion: version } } });
    const reader = new TableReader();
    const collection = new Collection(reader);
    const columnDefinitions = [{ name: 'Name', priority: 0 }, { name: 'IP', priority: 1 }, { name: 'Restarts', priority: 0 }];
    await collection.list([{ metadata: { resourceVersion: '7' }, columnDefinitions, rows: [row('a', '3'), row('b', '4')] }]);
    collection.apply({ type: 'DELETED', object: { kind: 'Table', columnDefinitions: null, rows: [row('a', '8')] } });
    expect(reader.columns.map(({ name }) => name)).toEqual(['Name', 'IP', 'Restarts']);
    expect([...collection.items.values()].map(({ cells }) => cells)).toEqual([['b', '', '3']]);
    expect(collection.version).toBe('8');
  });

  it('gives the server’s ERROR as an error', () => {
    const collection = new Collection(new ObjectReader<KubeObject>());
    const object = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
    expect(() => collection.apply({ type: 'ERROR', object })).toThrow('too old resource version');
  });
});

/** A server of scripted answers: each request takes the next one. */
function scripted(answers: (Json | WatchEvent[] | Error)[]) {
  const asked: string[] = [];
  const next = (path: string) => {
    asked.push(path);
    const answer = answers.shift();
    if (answer === undefined) throw new ApiError(401, 'Unauthorized', 'the script is over');
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const client = {
    json: async (path: string) => next(path) as Json,
    send: async (path: string) => new Response((next(path) as WatchEvent[]).map((event) => JSON.stringify(event) + '\n').join('')),
  } as unknown as Client;
  return { client, asked };
}

async function run(answers: (Json | WatchEvent[] | Error)[]) {
  const { client, asked } = scripted(answers);
  const [links, seen]: [Link[], string[]] = [[], []];
  const sink = {
    changed: (items: ReadonlyMap<string, KubeObject>) => seen.push([...items.keys()].join(' ')),
    link: (link: Link) => {
      links.push(link);
      // Nobody waits in a test.
      if (link.state === 'lost') setTimeout(() => retryNow.dispatchEvent(new Event('now')));
    },
  };
  await follow(client, '/api/v1/pods', new ObjectReader<KubeObject>(), sink, new AbortController().signal);
  return { asked, seen, states: links.map((link) => (link.state === 'lost' && link.refused ? 'refused' : link.state)) };
}

describe('following a collection', () => {
  it('lists in pages and watches from the list’s revision', async () => {
    const first = { metadata: { resourceVersion: '5', continue: 'more' }, items: [pod('a', 1)] };
    const { asked, seen } = await run([first, list(5, pod('b', 2)), [{ type: 'ADDED', object: pod('c', 6) }]]);
    expect(asked.slice(0, 3)).toEqual([
      '/api/v1/pods?limit=500',
      '/api/v1/pods?limit=500&continue=more',
      '/api/v1/pods?watch=true&allowWatchBookmarks=true&resourceVersion=5',
    ]);
    expect([...new Set(seen)]).toEqual(['d/a', 'd/a d/b', 'd/a d/b d/c']);
  });

  it('goes on after a lost connection where it was, and keeps what it has meanwhile', async () => {
    const { asked, seen, states } = await run([
      list(5, pod('a', 1)),
      [{ type: 'ADDED', object: pod('b', 9) }],
      new Error('connection refused'),
      [{ type: 'DELETED', object: pod('a', 10) }],
    ]);
    expect(asked[3]).toContain('resourceVersion=9');
    expect([...new Set(seen)]).toEqual(['d/a', 'd/a d/b', 'd/b']);
    expect(states).toEqual(['loading', 'live', 'lost', 'lost', 'live', 'lost']);
  });

  it('lists anew when its revision has expired', async () => {
    const expired = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' };
    const { asked, seen } = await run([
      list(5, pod('a', 1)),
      [{ type: 'ERROR', object: expired }],
      list(900, pod('z', 800)),
      new ApiError(410, 'Expired', 'too old'),
      list(950, pod('y', 940)),
    ]);
    expect(asked.filter((path) => path.includes('limit='))).toHaveLength(3);
    expect(seen.at(-1)).toBe('d/y');
  });

  it('watches nothing before a list is whole, and shows what was there until the new one is', async () => {
    const first = { metadata: { resourceVersion: '5', continue: 'more' }, items: [pod('a', 1)] };
    const again = { metadata: { resourceVersion: '8', continue: 'more' }, items: [pod('z', 7)] };
    const { asked, seen } = await run([first, new Error('gone'), again, list(8, pod('y', 6)), []]);
    expect(asked[2]).toBe('/api/v1/pods?limit=500');
    expect([...new Set(seen)]).toEqual(['d/a', 'd/z d/y']);
    expect(asked[4]).toContain('resourceVersion=8');
  });

  it('tells a refusal from a lost connection, and ends when the token is not valid', async () => {
    const { states, asked } = await run([new ApiError(403, 'Forbidden', 'pods is forbidden'), new ApiError(503, '', 'starting')]);
    expect(states).toEqual(['loading', 'refused', 'lost']);
    expect(asked).toHaveLength(3);
  });
});

it('adds to queries', () => {
  expect(withQuery('/a', {})).toBe('/a');
  expect(withQuery('/a?b=c', { d: 'e=f' })).toBe('/a?b=c&d=e%3Df');
});
