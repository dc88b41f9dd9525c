/** What a dropped file is. */

/** Largest file that the registry takes. */
export const FILE_LIMIT_BYTES = 512 << 20;

export interface Program {
  kind: 'module' | 'component';
  /** Whether it handles HTTP requests itself: such a pod is served on the first of its ports. */
  handlesHttp: boolean;
}

const MAGIC = [0x00, 0x61, 0x73, 0x6d];
const HANDLER = 'wasi:http/incoming-handler';

/** Tells by the first bytes. Throws Error with words for people. */
export function inspect(fileName: string, bytes: Uint8Array): Program {
  const no = (why: string) => new Error(`${fileName} is no WebAssembly: ${why}`);
  if (bytes.length === 0) throw no('the file is empty.');
  if (startsWithText(bytes)) {
    throw no('it is its text form. wasm-tools parse FILE -o FILE.wasm makes the binary form.');
  }
  if (bytes.length < 8 || MAGIC.some((byte, at) => bytes[at] !== byte)) {
    throw no(`a WebAssembly file begins with the bytes 00 61 73 6d, this one with ${hex(bytes.subarray(0, 4))}.`);
  }
  const version = hex(bytes.subarray(4, 8));
  if (version === '01 00 00 00') return { kind: 'module', handlesHttp: false };
  if (version === '0d 00 01 00') return { kind: 'component', handlesHttp: includes(bytes, HANDLER) };
  throw no(`its version is ${version}; 01 00 00 00 (module) and 0d 00 01 00 (component) are known.`);
}

function startsWithText(bytes: Uint8Array): boolean {
  return /^\s*\((module|component)\b/.test(new TextDecoder().decode(bytes.subarray(0, 200)));
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

function includes(bytes: Uint8Array, text: string): boolean {
  const wanted = new TextEncoder().encode(text);
  for (let at = bytes.indexOf(wanted[0] ?? 0); at >= 0; at = bytes.indexOf(wanted[0] ?? 0, at + 1)) {
    if (wanted.every((byte, index) => bytes[at + index] === byte)) return true;
  }
  return false;
}

/** A name for what a file runs as: `My App_v2.wasm` gives `my-app-v2`. */
export function nameOf(fileName: string): string {
  const stem = fileName.replace(/\.(wasm|wat)$/i, '').toLowerCase();
  const name = stem.replace(/[^a-z0-9]+/g, '-').replace(/^[^a-z]+/, '').slice(0, 50).replace(/-+$/, '');
  return name === '' ? 'app' : name;
}

/** What is wrong with a name of a Deployment and a Service; undefined if nothing is. */
export function nameProblem(name: string): string | undefined {
  if (/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name)) return undefined;
  return 'Up to 63 lower-case letters, digits and -, with a letter first and no - at the end.';
}

/** What is wrong with a port; undefined if nothing is. */
export function portProblem(port: number): string | undefined {
  return Number.isInteger(port) && port >= 1 && port <= 65535 ? undefined : 'A whole number from 1 to 65535.';
}
