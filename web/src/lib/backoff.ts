/** How long to wait before asking again. */

const FIRST_MILLIS = 500;
const LAST_MILLIS = 15_000;

/**
 * @param failures how often it has failed in a row before this time
 * @param luck from 0 to 1, so that many pages do not come back at the same moment
 */
export function delayMillis(failures: number, luck: number): number {
  const full = Math.min(LAST_MILLIS, FIRST_MILLIS * 2 ** Math.min(failures, 10));
  return Math.round(full * (0.5 + luck / 2));
}
