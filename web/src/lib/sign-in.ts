/** How a browser signs in: by the one-time code of `peapod dashboard`, or by a bearer token. */
import { ApiError, Client } from './client';

/** Who is signed in. The token is kept in sessionStorage: it ends with the tab. */
export interface Session {
  token: string;
  user: string;
  /** Whether the server made the token for this page, and forgets it at sign-out. */
  own: boolean;
}

const KEY = 'peapod.session';

/** The code of a link `…/ui/#code=CODE`; undefined if the address holds none. */
export function codeOf(hash: string): string | undefined {
  return /^#code=([A-Za-z0-9_-]+)$/.exec(hash)?.[1];
}

/** Exchanges a code for a session. Throws ApiError in the server's words. */
export async function redeem(code: string): Promise<Session> {
  const made = await new Client('').write('POST', '/sessions', { code });
  return { token: String(made.token), user: String(made.user), own: true };
}

/** Signs in with a bearer token. Throws ApiError: 401 for one that the server does not know. */
export async function withToken(text: string): Promise<Session> {
  const token = text.trim();
  if (!/^[\x21-\x7e]+$/.test(token)) throw new ApiError(401, '', 'this is no token: it is one word without blanks');
  const who = await new Client(token).json('/sessions');
  return { token, user: String(who.user), own: false };
}

/** Ends the session, also at the server; that this fails (the server is away) does not keep anybody signed in here. */
export async function signOut(session: Session): Promise<void> {
  forget();
  if (session.own) await new Client(session.token).json('/sessions', { method: 'DELETE' }).catch(() => undefined);
}

export function remember(session: Session): void {
  sessionStorage.setItem(KEY, JSON.stringify(session));
}

export function forget(): void {
  sessionStorage.removeItem(KEY);
}

/** The session of this tab from before a reload. */
export function remembered(): Session | undefined {
  try {
    const session = JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as Partial<Session> | null;
    if (session === null || typeof session.token !== 'string') return undefined;
    return { token: session.token, user: String(session.user), own: session.own === true };
  } catch {
    return undefined;
  }
}
