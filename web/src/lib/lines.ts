/** Splits a stream of bytes into lines. */

/** A line that is longer is cut: what follows on it is dropped. */
export const LINE_LIMIT_CHARS = 16 << 20;

/** Gathers pieces of text and gives the lines that are whole. */
export class LineSplitter {
  private rest = '';
  private overlong = false;

  constructor(private readonly limit = LINE_LIMIT_CHARS) {}

  /** The lines that end in `piece`, without their line feeds. */
  push(piece: string): string[] {
    const lines = (this.rest + piece).split('\n');
    this.rest = lines.pop() ?? '';
    if (this.overlong && lines.length > 0) {
      lines.shift();
      this.overlong = false;
    }
    const whole = lines.map((line) => (line.length > this.limit ? line.slice(0, this.limit) : line));
    if (this.rest.length > this.limit) {
      if (!this.overlong) whole.push(this.rest.slice(0, this.limit));
      this.rest = '';
      this.overlong = true;
    }
    return whole;
  }

  /** What came after the last line feed. */
  end(): string[] {
    const rest = this.overlong || this.rest === '' ? [] : [this.rest];
    this.rest = '';
    return rest;
  }
}

/** The lines of a response's body, as many at a time as came together. */
export async function* lines(
  body: ReadableStream<Uint8Array>,
  limit = LINE_LIMIT_CHARS,
): AsyncGenerator<string[], void, undefined> {
  const [reader, decoder, splitter] = [body.getReader(), new TextDecoder(), new LineSplitter(limit)];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      yield splitter.push(decoder.decode(value, { stream: true }));
    }
    const last = [...splitter.push(decoder.decode()), ...splitter.end()];
    if (last.length > 0) yield last;
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
