/** A container's log: followed through lost connections, nothing lost and nothing doubled, in bounded memory. */
import { delayMillis } from './backoff';
import { ApiError, messageOf, type Client } from './client';
import { objectPath, PODS } from './kinds';
import { lines } from './lines';
import { pause, withQuery } from './watch';

/** Lines that are kept; older ones go. */
export const LINES_LIMIT = 3000;
/** A longer line is cut. */
const LINE_LIMIT_CHARS = 16 << 10;
/** Lines from before that the first request asks for. */
const TAIL_LINES = 1000;

export interface Line {
  id: number;
  /** RFC 3339, as the node wrote it. */
  time: string;
  text: string;
}

/** The newest lines, each once. */
export class LogBuffer {
  private kept: Line[] = [];
  private next = 0;
  /** Time of the newest line, and how many lines bear it: where a new stream goes on. */
  private last = '';
  private sameAsLast = 0;
  /** Lines of the running stream that bear `last`. */
  private repeated = 0;
  private resuming = false;

  constructor(private readonly limit = LINES_LIMIT) {}

  get lines(): readonly Line[] {
    return this.kept;
  }

  /** How many lines have gone because there were too many. */
  get dropped(): number {
    return this.next - this.kept.length;
  }

  /** Where the next stream should begin; undefined for the first one. */
  resume(): string | undefined {
    [this.resuming, this.repeated] = [this.last !== '', 0];
    return this.last === '' ? undefined : this.last;
  }

  /** Takes lines of the form `TIME TEXT`. */
  push(raw: string[]): void {
    for (const line of raw) {
      const blank = line.indexOf(' ');
      const [time, text] = blank < 0 ? [line, ''] : [line.slice(0, blank), line.slice(blank + 1)];
      if (!this.isKnown(time)) this.add(time, text);
    }
    if (this.kept.length > this.limit) this.kept = this.kept.slice(-this.limit);
  }

  /** A resumed stream begins with lines that were seen: those before the last time, and as many of it as were there. */
  private isKnown(time: string): boolean {
    if (!this.resuming) return false;
    const order = compareTimes(time, this.last);
    if (order < 0 || (order === 0 && this.repeated++ < this.sameAsLast)) return true;
    this.resuming = order === 0;
    return false;
  }

  private add(time: string, text: string): void {
    this.sameAsLast = time === this.last ? this.sameAsLast + 1 : 1;
    this.last = time;
    this.kept.push({ id: this.next++, time, text });
  }
}

/** RFC 3339 times in UTC, with any number of digits after the seconds. */
function compareTimes(a: string, b: string): number {
  const [x, y] = [a, b].map((time) => time.replace(/Z$/, '').replace(/^([^.]*)$/, '$1.').padEnd(30, '0'));
  return x === y ? 0 : (x ?? '') < (y ?? '') ? -1 : 1;
}

export interface LogSource {
  namespace: string;
  pod: string;
  container: string;
  /** The run before this one; such a log has an end. */
  previous: boolean;
}

export interface LogSink {
  changed(): void;
  /** What is said below the lines: `lost` while the connection is. */
  state(state: 'open' | 'ended' | 'lost' | 'refused', why: string): void;
}

/** Follows a log until `signal` is aborted or it has ended. `isRunning`: whether the container may still write. */
export async function followLog(
  client: Client,
  source: LogSource,
  buffer: LogBuffer,
  sink: LogSink,
  isRunning: () => boolean,
  signal: AbortSignal,
): Promise<void> {
  for (let failures = 0; !signal.aborted; ) {
    let why = 'the stream ended';
    try {
      const response = await client.send(path(source, buffer.resume()), { signal });
      sink.state('open', '');
      if (response.body !== null) {
        for await (const batch of lines(response.body, LINE_LIMIT_CHARS)) {
          failures = 0;
          buffer.push(batch);
          sink.changed();
        }
      }
      // The node ends a log with the container, the server ends it when it stops.
      if (source.previous || !isRunning()) return sink.state('ended', '');
    } catch (error) {
      if (signal.aborted) return;
      why = messageOf(error);
      if (error instanceof ApiError && error.code < 500 && error.code !== 429) return sink.state('refused', why);
    }
    sink.state('lost', why);
    await pause(delayMillis(failures++, Math.random()), signal);
  }
}

function path({ namespace, pod, container, previous }: LogSource, sinceTime: string | undefined): string {
  const where = sinceTime === undefined ? { tailLines: String(TAIL_LINES) } : { sinceTime };
  const how: Record<string, string> = previous ? { previous: 'true' } : { follow: 'true' };
  return withQuery(`${objectPath(PODS, namespace, pod)}/log`, { container, timestamps: 'true', ...how, ...where });
}
