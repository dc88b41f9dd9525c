/** Where in the page one is: the part of the address after `#`. */

export type Route =
  | { page: 'overview' }
  | { page: 'list'; kind: string }
  /** `namespace` is empty for what has none. */
  | { page: 'object'; kind: string; namespace: string; name: string };

/** In place of a namespace where there is none. */
const NO_NAMESPACE = '-';

/** Reads `#/pods` or `#/deployments.apps/default/web`; what cannot be read is the overview. */
export function parseRoute(hash: string): Route {
  const parts = hash.replace(/^#?\/?/, '').split('/').map(decode);
  const [kind, namespace, name] = parts;
  if (kind === undefined || kind === '') return { page: 'overview' };
  if (namespace === undefined || name === undefined || name === '') return { page: 'list', kind };
  return { page: 'object', kind, namespace: namespace === NO_NAMESPACE ? '' : namespace, name };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The address of a list. */
export function listHref(kind: string): string {
  return `#/${encodeURIComponent(kind)}`;
}

/** The address of an object. */
export function objectHref(kind: string, namespace: string, name: string): string {
  return `${listHref(kind)}/${encodeURIComponent(namespace || NO_NAMESPACE)}/${encodeURIComponent(name)}`;
}
