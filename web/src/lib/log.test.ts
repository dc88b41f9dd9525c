import { expect, it } from 'vitest';
import { spans, visibleText } from './ansi';
import type { Client } from './client';
import { followLog, LogBuffer } from './log';
import { retryNow } from './watch';

const texts = (buffer: LogBuffer) => buffer.lines.map(({ text }) => text);

it('keeps the newest lines and counts the others', () => {
  const buffer = new LogBuffer(3);
  buffer.push(['2026-01-01T00:00:01Z a b', '2026-01-01T00:00:02Z', '2026-01-01T00:00:03Z c', '2026-01-01T00:00:04Z d']);
  expect([texts(buffer), buffer.dropped]).toEqual([['', 'c', 'd'], 1]);
});

it('goes on after a broken stream without losing or doubling lines', () => {
  const buffer = new LogBuffer();
  expect(buffer.resume()).toBeUndefined();
  buffer.push(['2026-01-01T00:00:01Z a', '2026-01-01T00:00:02.5Z b', '2026-01-01T00:00:02.5Z b']);
  expect(buffer.resume()).toBe('2026-01-01T00:00:02.5Z');
  buffer.push(['2026-01-01T00:00:02Z old', '2026-01-01T00:00:02.500Z b', '2026-01-01T00:00:02.5Z b', '2026-01-01T00:00:02.5Z b', '2026-01-01T00:00:03Z c']);
  expect(texts(buffer)).toEqual(['a', 'b', 'b', 'b', 'c']);
});

it('follows through lost connections until the container has ended', async () => {
  const asked: string[] = [];
  const answers = ['2026-01-01T00:00:01Z a\n', new Error('gone'), '2026-01-01T00:00:01Z a\n2026-01-01T00:00:02Z b'];
  const client = {
    send: async (path: string) => {
      asked.push(path);
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return new Response(answer);
    },
  } as unknown as Client;
  const [buffer, states]: [LogBuffer, string[]] = [new LogBuffer(), []];
  const sink = {
    changed: () => undefined,
    state: (state: string) => {
      states.push(state);
      if (state === 'lost') setTimeout(() => retryNow.dispatchEvent(new Event('now')));
    },
  };
  const source = { namespace: 'd', pod: 'p', container: 'c', previous: false };
  await followLog(client, source, buffer, sink, () => answers.length > 0, new AbortController().signal);
  expect(texts(buffer)).toEqual(['a', 'b']);
  expect(states).toEqual(['open', 'lost', 'lost', 'open', 'ended']);
  expect(asked[0]).toContain('/api/v1/namespaces/d/pods/p/log?container=c&timestamps=true&follow=true&tailLines=1000');
  expect(asked[2]).toContain('sinceTime=2026-01-01T00%3A00%3A01Z');
});

it('shows colours and disarms everything else', () => {
  expect(spans('\x1b[1;31mno\x1b[0m yes\x1b[2J\x1b]0;title\x07!')).toEqual([
    { text: 'no', classes: 'bold red' },
    { text: ' yes', classes: '' },
    { text: '!', classes: '' },
  ]);
  expect(spans('\x1b[38;5;31mplain\x1b[92mgreen\x1b[39m\r').map(({ classes }) => classes)).toEqual(['', 'green']);
  expect(spans('<script>alert(1)</script>')).toEqual([{ text: '<script>alert(1)</script>', classes: '' }]);
  expect(spans('\x1b]8;;http://evil\x1b\\click').map(({ text }) => text).join('')).toBe('click');
  expect(visibleText('a\x00b\x7f\u202egnp.exe\x9b')).toBe('a\u2400b\u2421<U+202E>gnp.exe<U+009B>');
});
