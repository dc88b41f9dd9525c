// What the scenarios share.

import assert from 'node:assert/strict';
import { setHeaderOptions } from '@kubernetes/client-node';

/** The options of a patch of that form. */
export const as = (strategy) => setHeaderOptions('Content-Type', strategy);

/** The `Status` with which the server refuses a call. */
export async function refused(code, call) {
  try {
    await call();
  } catch (error) {
    assert.equal(error.code, code, `${error.code} instead of ${code}: ${error.body}`);
    return typeof error.body === 'string' ? JSON.parse(error.body) : error.body;
  }
  assert.fail(`not refused with ${code}`);
}

/** Runs the steps one after another, and says so. */
export async function run(steps) {
  for (const step of steps) {
    await step();
    console.log('passed', step.name);
  }
  console.log('done');
  process.exit(0);
}
