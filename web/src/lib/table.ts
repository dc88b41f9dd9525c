/** Tables as the server prints them, filtered and sorted here. */
import { visibleText } from './ansi';
import type { Json } from './client';
import type { Entry, Reader } from './watch';

export interface Column {
  name: string;
  /** 0 for what `kubectl get` shows, 1 for `-o wide`. */
  priority: number;
}

export interface Row {
  key: string;
  name: string;
  /** Empty for what has none. */
  namespace: string;
  /** Milliseconds since 1970; 0 if unknown. */
  created: number;
  deleting: boolean;
  cells: string[];
  /** All that a filter looks at, in lower case. */
  text: string;
}

const ACCEPT = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';

interface TableRow {
  cells?: unknown[];
  object?: { metadata?: Metadata };
}

interface Metadata {
  name?: string;
  namespace?: string;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
}

/** Reads Tables; the columns are those of the last one that named any. */
export class TableReader implements Reader<Row> {
  readonly accept = ACCEPT;
  columns: Column[] = [];

  entries(table: Json): Entry<Row>[] {
    const columns = table.columnDefinitions as { name?: string; priority?: number }[] | undefined;
    if (columns !== undefined && columns !== null && columns.length > 0) {
      this.columns = columns.map(({ name, priority }) => ({ name: name ?? '', priority: priority ?? 0 }));
    }
    return ((table.rows as TableRow[] | undefined) ?? []).map((row) => {
      const value = readRow(row);
      return { key: value.key, value };
    });
  }
}

function readRow(row: TableRow): Row {
  const { name = '', namespace = '', creationTimestamp, deletionTimestamp, labels } = row.object?.metadata ?? {};
  const cells = (row.cells ?? []).map((cell) => (cell === null || cell === undefined ? '' : visibleText(String(cell))));
  const labelTexts = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`);
  return {
    key: `${namespace}/${name}`,
    name,
    namespace,
    created: Date.parse(creationTimestamp ?? '') || 0,
    deleting: deletionTimestamp !== undefined,
    cells,
    text: [namespace, ...cells, ...labelTexts].join('\n').toLowerCase(),
  };
}

/** How a table is ordered. */
export interface Order {
  /** Index of a column; -1 for the namespace. */
  column: number;
  descending: boolean;
}

/** Compares texts as people do: `web-9` before `web-10`. */
const collator = new Intl.Collator('en', { numeric: true });

/** Sorted anew; ages by the time of creation, all else by its text. Rows that are equal there go by namespace and name. */
export function sorted(rows: Row[], order: Order, columns: Column[]): Row[] {
  const byAge = ['Age', 'Last Seen'].includes(columns[order.column]?.name ?? '');
  const sign = order.descending ? -1 : 1;
  const text = (row: Row) => (order.column < 0 ? row.namespace : (row.cells[order.column] ?? ''));
  const compare = (a: Row, b: Row) =>
    byAge ? b.created - a.created : text(a) === text(b) ? 0 : collator.compare(text(a), text(b));
  return [...rows].sort(
    (a, b) => sign * compare(a, b) || collator.compare(a.namespace, b.namespace) || collator.compare(a.name, b.name),
  );
}

/**
 * Whether a row is one that `filter` asks for: every word has to occur in it. `status:run` looks into one column,
 * `!word` leaves out.
 */
export function filtered(rows: Row[], filter: string, columns: Column[]): Row[] {
  const tests = filter.toLowerCase().split(/\s+/).filter(Boolean).map((word) => test(word, columns));
  return tests.length === 0 ? rows : rows.filter((row) => tests.every((passes) => passes(row)));
}

function test(word: string, columns: Column[]): (row: Row) => boolean {
  if (word.length > 1 && word.startsWith('!')) {
    const inner = test(word.slice(1), columns);
    return (row) => !inner(row);
  }
  const [, name = '', value = ''] = /^([a-z-]+):(.+)$/.exec(word) ?? [];
  const index = name === '' ? -1 : columns.findIndex((column) => column.name.toLowerCase().startsWith(name));
  if (index >= 0) return (row) => (row.cells[index] ?? '').toLowerCase().includes(value);
  return (row) => row.text.includes(word);
}

/** Which part of a long table is drawn: what is on the screen and some rows around it. */
export function visible(
  count: number,
  rowHeight: number,
  scrollTop: number,
  height: number,
  margin = 15,
): { from: number; to: number } {
  const from = Math.max(0, Math.min(count - 1, Math.floor(scrollTop / rowHeight)) - margin);
  const to = Math.min(count, Math.ceil((scrollTop + height) / rowHeight) + margin);
  return { from, to: Math.max(from, to) };
}
