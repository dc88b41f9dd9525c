/** Times for people. */

const UNITS: [string, number][] = [
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
  ['s', 1],
];

/** `12s`, `5m30s`, `3h`, `2d4h`: as kubectl prints ages. A clock that runs ahead shows 0s. */
export function age(fromMillis: number, nowMillis: number): string {
  const seconds = Math.max(0, Math.floor((nowMillis - fromMillis) / 1000));
  if (seconds < 120) return `${seconds}s`;
  const at = UNITS.findIndex(([, size]) => seconds >= size);
  const [unit, size] = UNITS[at] ?? ['s', 1];
  const whole = Math.floor(seconds / size);
  const [smaller, smallerSize] = UNITS[at + 1] ?? ['', 0];
  const rest = whole < 10 && smallerSize > 0 ? Math.floor((seconds % size) / smallerSize) : 0;
  return `${whole}${unit}${rest > 0 ? `${rest}${smaller}` : ''}`;
}

/** The local date and time of an RFC 3339 text; the text itself if it is none. */
export function localTime(text: string): string {
  const millis = Date.parse(text);
  return Number.isNaN(millis) ? text : new Date(millis).toLocaleString();
}
