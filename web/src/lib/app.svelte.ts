/** What the whole page shares: who is signed in, where one is, which namespace is shown, what time it is. */
import { Client, messageOf } from './client';
import { discover, idOf, KNOWN, type Kind } from './kinds';
import { parseRoute, type Route } from './route';
import { codeOf, forget, redeem, remember, remembered, signOut, withToken, type Session } from './sign-in';
import { pause } from './watch';
import { delayMillis } from './backoff';

const NAMESPACE_KEY = 'peapod.namespace';
const SESSION_OVER =
  'You are signed out: the server does not know this session any more. It has ended, or the server was restarted.';

class App {
  session = $state.raw<Session | undefined>();
  /** Why the sign-in is shown, or what went wrong with it. */
  notice = $state('');
  /** A sign-in is under way. */
  busy = $state(false);
  route = $state.raw<Route>({ page: 'overview' });
  /** Empty: all. */
  namespace = $state(sessionStorage.getItem(NAMESPACE_KEY) ?? '');
  /** Moves on each second. */
  now = $state(Date.now());
  kinds = $state.raw<Kind[]>(KNOWN);
  /** Whether the server has said which kinds there are. */
  discovered = $state(false);

  readonly client = $derived(new Client(this.session?.token ?? '', () => this.refused(this.session)));

  /** Begins: by the link's code if the address holds one, else with the session of this tab. */
  async start(): Promise<void> {
    setInterval(() => (this.now = Date.now()), 1000);
    window.addEventListener('hashchange', () => void this.moved());
    const session = remembered();
    if (session !== undefined) this.enter(session);
    await this.moved();
  }

  private async moved(): Promise<void> {
    const code = codeOf(location.hash);
    if (code === undefined) {
      this.route = parseRoute(location.hash);
      return;
    }
    // The code goes out of the address and the history at once.
    history.replaceState(null, '', `${location.pathname}#/`);
    this.route = { page: 'overview' };
    await this.signIn(() => redeem(code));
  }

  signInWithToken(token: string): Promise<void> {
    return this.signIn(() => withToken(token));
  }

  private async signIn(how: () => Promise<Session>): Promise<void> {
    this.busy = true;
    try {
      const session = await how();
      remember(session);
      this.enter(session);
    } catch (error) {
      this.notice = messageOf(error) === 'Unauthorized' ? 'The server does not know this token.' : messageOf(error);
    } finally {
      this.busy = false;
    }
  }

  private enter(session: Session): void {
    this.notice = '';
    this.session = session;
    void this.discover(session);
  }

  /** Finds the other kinds; tries again until the server answers. */
  private async discover(session: Session): Promise<void> {
    const client = new Client(session.token, () => this.refused(session));
    for (let failures = 0; this.session === session; failures++) {
      try {
        const found = await discover(client);
        const known = new Set(KNOWN.map(idOf));
        this.kinds = [...KNOWN, ...found.filter((kind) => !known.has(idOf(kind)))];
        this.discovered = true;
        return;
      } catch {
        await pause(delayMillis(failures, Math.random()), new AbortController().signal);
      }
    }
  }

  private refused(session: Session | undefined): void {
    if (session === undefined || this.session !== session) return;
    forget();
    this.session = undefined;
    this.notice = SESSION_OVER;
  }

  async signOut(): Promise<void> {
    const session = this.session;
    this.session = undefined;
    this.notice = '';
    if (session !== undefined) await signOut(session);
  }

  showNamespace(namespace: string): void {
    this.namespace = namespace;
    sessionStorage.setItem(NAMESPACE_KEY, namespace);
  }

  /** The kind that an address names. */
  kind(id: string): Kind | undefined {
    return this.kinds.find((kind) => idOf(kind) === id);
  }
}

export const app = new App();
