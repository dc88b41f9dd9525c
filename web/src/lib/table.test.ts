import { expect, it } from 'vitest';
import { filtered, sorted, TableReader, visible, type Row } from './table';

const reader = new TableReader();
const rows = reader
  .entries({
    columnDefinitions: [{ name: 'Name' }, { name: 'Status' }, { name: 'Restarts' }, { name: 'Age' }],
    rows: [
      { cells: ['web-10', 'Running', 2, '5m'], object: { metadata: { name: 'web-10', namespace: 'b', labels: { app: 'web' }, creationTimestamp: '2026-01-01T00:00:00Z' } } },
      { cells: ['web-9', 'Pending', 10, '5m'], object: { metadata: { name: 'web-9', namespace: 'a', labels: { app: 'web' }, creationTimestamp: '2026-01-02T00:00:00Z' } } },
      { cells: ['db', 'Running', 0, '1m'], object: { metadata: { name: 'db', namespace: 'a', deletionTimestamp: '2026-01-03T00:00:00Z' } } },
      {},
    ],
  })
  .map(({ value }) => value);
const names = (rows: Row[]) => rows.map(({ name }) => name);

it('sorts as people do, ages by time, equals by name', () => {
  const sort = (column: number, descending = false) => names(sorted(rows, { column, descending }, reader.columns));
  expect(sort(0)).toEqual(['', 'db', 'web-9', 'web-10']);
  expect(sort(2, true)).toEqual(['web-9', 'web-10', 'db', '']);
  expect(sort(3).slice(0, 2)).toEqual(['web-9', 'web-10']);
  expect(sort(-1)).toEqual(['', 'db', 'web-9', 'web-10']);
  expect(sort(1)).toEqual(['', 'web-9', 'db', 'web-10']);
});

it('filters by words, columns and exclusion', () => {
  const filter = (text: string) => names(filtered(rows, text, reader.columns));
  expect(filter('')).toHaveLength(4);
  expect(filter('WEB run')).toEqual(['web-10']);
  expect(filter('status:pend')).toEqual(['web-9']);
  expect(filter('app=web !status:pending')).toEqual(['web-10']);
  expect(filter('unknown:x')).toEqual([]);
  expect(filter('!')).toEqual([]);
});

it('survives rows that say nothing', () => {
  expect(rows[3]).toMatchObject({ key: '/', cells: [], created: 0, deleting: false });
  expect(rows[2]?.deleting).toBe(true);
});

it('draws what is on the screen', () => {
  expect(visible(10_000, 36, 0, 720)).toEqual({ from: 0, to: 35 });
  expect(visible(10_000, 36, 36_000, 720)).toEqual({ from: 985, to: 1035 });
  expect(visible(3, 36, 0, 720)).toEqual({ from: 0, to: 3 });
  expect(visible(0, 36, 0, 720)).toEqual({ from: 0, to: 0 });
  expect(visible(5, 36, 90_000, 720)).toEqual({ from: 0, to: 5 });
});
