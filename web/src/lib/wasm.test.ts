import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { manifests } from './run';
import { inspect, nameOf, nameProblem, portProblem } from './wasm';

const guest = (name: string) => new Uint8Array(readFileSync(new URL(`../../../modules/dist/${name}`, import.meta.url)));
const bytes = (...values: number[]) => new Uint8Array(values);

it('tells what real files are', () => {
  expect(inspect('hello.wasm', guest('hello.wasm'))).toEqual({ kind: 'component', handlesHttp: true });
  expect(inspect('echo.wasm', guest('echo.wasm'))).toEqual({ kind: 'module', handlesHttp: false });
  expect(inspect('echo-p2.wasm', guest('echo-p2.wasm'))).toEqual({ kind: 'component', handlesHttp: false });
});

it('says why a file is no WebAssembly', () => {
  const why = (...values: number[]) => () => inspect('x.wasm', bytes(...values));
  expect(why()).toThrow('x.wasm is no WebAssembly: the file is empty.');
  expect(why(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0)).toThrow('this one with 7f 45 4c 46');
  expect(why(0, 0x61, 0x73)).toThrow('this one with 00 61 73');
  expect(why(0, 0x61, 0x73, 0x6d, 9, 0, 0, 0)).toThrow('its version is 09 00 00 00');
  expect(() => inspect('x.wat', new TextEncoder().encode('\n (module (func))'))).toThrow('text form');
});

it('makes names and checks them', () => {
  expect(['My App_v2.wasm', '2048.wasm', '.wasm', 'hello', 'ü.wasm'].map(nameOf)).toEqual(['my-app-v2', 'app', 'app', 'hello', 'app']);
  for (const name of ['a', 'my-app-2', 'a'.repeat(63)]) expect(nameProblem(name), name).toBeUndefined();
  for (const name of ['', 'A', '-a', 'a-', '2a', 'a.b', 'a'.repeat(64), '<b>']) expect(nameProblem(name), name).toBeDefined();
  expect([1, 65535].map(portProblem)).toEqual([undefined, undefined]);
  for (const port of [0, 65536, 1.5, NaN]) expect(portProblem(port)).toBeDefined();
});

it('leaves the number of replicas to who set it', () => {
  const { deployment, service } = manifests({ namespace: 'd', name: 'web', port: 80 }, 'web:123');
  expect(deployment.spec).not.toHaveProperty('replicas');
  expect(service.spec).toMatchObject({ type: 'NodePort', selector: { app: 'web' }, ports: [{ port: 80, targetPort: 80 }] });
});
