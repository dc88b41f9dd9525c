// What people do with the dashboard, in a real browser: `node journeys.mjs NAME`, run by tests/tests/dashboard.rs.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { api, ask, check, env, inBrowser, link, open, screenshot, server, signIn, until } from './browser.mjs';

const guest = (name) => fileURLToPath(new URL(`../../modules/dist/${name}`, import.meta.url));
const row = (page, name) => page.getByRole('row').filter({ hasText: name });
const pods = '/api/v1/namespaces/default/pods';
const pod = (name, image, more = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, ...more.metadata },
  spec: { containers: [{ name: 'main', image, ...more.container }], ...more.spec },
});

/** Drops a file on the page as a hand with a mouse would. */
async function drop(page, name, path) {
  const bytes = [...readFileSync(path)];
  const transfer = await page.evaluateHandle(
    ([name, bytes]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([new Uint8Array(bytes)], name));
      return transfer;
    },
    [name, bytes],
  );
  await page.dispatchEvent('main', 'dragover', { dataTransfer: transfer });
  await page.dispatchEvent('main', 'drop', { dataTransfer: transfer });
}

const journeys = {
  /** The link signs in once; what happens in the cluster appears without a reload. */
  async sign_in() {
    await inBrowser(async (page, context) => {
      const address = await link();
      const response = await page.goto(address);
      const headers = response.headers();
      const policy = headers['content-security-policy'];
      check(policy.startsWith("default-src 'none'; script-src 'self'; style-src 'self'"), `the policy is strict: ${policy}`);
      check(headers['x-content-type-options'] === 'nosniff' && headers['referrer-policy'] === 'no-referrer', 'nosniff, no-referrer');
      check(headers['content-encoding'] === 'br' && headers.etag !== '', 'the page comes compressed, with an ETag');
      await page.getByRole('heading', { name: 'Overview' }).waitFor();
      check(!page.url().includes('code='), 'the code is gone from the address');
      await until('the overview counts the node', () => page.getByText('of 1 ready').isVisible());
      await screenshot(page, 'overview-empty');

      const second = await context.newPage();
      await second.goto(address);
      await second.getByText('the sign-in link is not valid any more').waitFor();
      console.log('ok: the link does not work a second time');
      await screenshot(second, 'sign-in-again');
      await second.close();

      await open(page, 'Pods');
      await page.getByText('There are no Pods.').waitFor();
      await api('POST', pods, pod('sleeper-1', 'sleeper', { metadata: { labels: { app: 'sleeper' } } }));
      await row(page, 'sleeper-1').getByText('Running').waitFor();
      console.log('ok: a pod that was made elsewhere appears and runs');
      await api('POST', pods, pod('nowhere', 'sleeper', { container: { resources: { requests: { memory: '900Gi' } } } }));
      await row(page, 'nowhere').getByText('Pending').waitFor();
      await screenshot(page, 'pods');

      await page.keyboard.press('/');
      await page.keyboard.type('status:run app=sleeper');
      await page.getByText('1 of 2').waitFor();
      check(!(await row(page, 'nowhere').isVisible()), 'the filter, reached by a key, leaves out what does not match');
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'Name', exact: true }).click();
      await until('a click on the title turns the order', async () => (await page.getByRole('row').nth(1).textContent()).includes('sleeper-1'));

      await row(page, 'nowhere').getByRole('link').click();
      await page.getByText('No node takes it.').waitFor();
      check(await page.getByText(/nodes are available/).first().isVisible(), 'a Pending pod says why');
      await screenshot(page, 'pod-pending');
      await page.getByRole('button', { name: 'YAML' }).click();
      await page.getByText('memory: 900Gi').waitFor();
      await screenshot(page, 'pod-yaml');
      await api('DELETE', `${pods}/nowhere`);
      await page.getByText('Deleted').waitFor();
      console.log('ok: a pod that is deleted elsewhere says so');

      await page.reload();
      await page.getByText('There is no Pod nowhere.').waitFor();
      console.log('ok: a reload stays signed in and where it was');
      await page.getByLabel('Namespace').selectOption('kube-system');
      await open(page, 'Pods');
      await page.getByText('There are no Pods in the namespace kube-system.').waitFor();

      const token = await page.evaluate(() => JSON.parse(sessionStorage.getItem('peapod.session')).token);
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByLabel('Bearer token').waitFor();
      const after = () => fetch(`${server()}/api/v1/nodes`, { headers: { authorization: `Bearer ${token}` } });
      // The page waits for no server to leave.
      await until('after the sign-out the token is worth nothing', async () => (await after()).status === 401);
      await screenshot(page, 'sign-in');
    });
  },

  /** A file is dropped, runs, is followed, scaled and replaced. */
  async drop() {
    await inBrowser(async (page) => {
      await signIn(page);
      await drop(page, 'My Hello.wasm', guest('hello.wasm'));
      await page.getByRole('heading', { name: 'Run My Hello.wasm' }).waitFor();
      check((await page.getByLabel('Name', { exact: true }).inputValue()) === 'my-hello', 'the name comes from the file');
      check((await page.getByLabel('Port').inputValue()) === '80', 'a handler of HTTP gets port 80');
      await page.getByLabel('Name', { exact: true }).fill('Not a name');
      await page.getByText('lower-case letters').waitFor();
      await page.getByLabel('Name', { exact: true }).fill('web');
      await screenshot(page, 'drop');
      await page.getByRole('button', { name: 'Run', exact: true }).click();
      await page.getByRole('heading', { name: 'web is starting' }).waitFor();
      const port = (await api('GET', '/api/v1/namespaces/default/services/web')).spec.ports[0].nodePort;
      check((await page.getByRole('link', { name: `:${port}` }).count()) === 1, 'it says where the Service is');
      const at = `http://${new URL(server()).hostname}:${port}/`;
      await until('the Service answers', () => fetch(at).then((response) => response.ok, () => false));

      await page.getByRole('button', { name: 'Show the Deployment' }).click();
      await page.getByText('1 of 1 pods ready').waitFor();
      await page.getByRole('spinbutton', { name: 'Replicas' }).fill('3');
      await page.getByRole('button', { name: 'Scale', exact: true }).click();
      await page.getByText('3 of 3 pods ready').waitFor();
      await screenshot(page, 'deployment');
      await page.getByRole('button', { name: 'One pod less' }).click();
      await page.getByText('2 of 2 pods ready').waitFor();
      console.log('ok: it scales up and down');

      await drop(page, 'web.wasm', guest('hello.wasm'));
      await page.getByText('There is a Deployment web already').waitFor();
      await page.getByRole('button', { name: 'Replace' }).click();
      await page.getByRole('heading', { name: 'web is starting' }).waitFor();
      await page.getByRole('button', { name: 'Close' }).click();
      const replicas = (await api('GET', '/apis/apps/v1/namespaces/default/deployments/web')).spec.replicas;
      check(replicas === 2, 'a file that takes the place of another keeps the number of pods');
    });
  },

  /** A log is followed, paused, and read of the run before. */
  async logs() {
    await inBrowser(async (page) => {
      await signIn(page);
      const counter = pod('counter', 'writer', {
        spec: { volumes: [{ name: 'v', emptyDir: {} }] },
        container: { args: ['/data/lines', '0.1'], volumeMounts: [{ name: 'v', mountPath: '/data' }] },
      });
      await api('POST', pods, counter);
      await page.goto(`${server()}/ui/#/pods/default/counter`);
      const log = page.getByRole('log');
      await log.getByText(/wrote line 3 /).waitFor();
      await log.getByText(/wrote line 30 /).waitFor();
      console.log('ok: the log follows');
      await page.getByRole('button', { name: 'Pause' }).click();
      await page.getByRole('button', { name: /Resume \(\d+ new\)/ }).waitFor();
      const lines = await log.locator('div').count();
      await page.getByRole('button', { name: /Resume \([1-9]\d new\)/ }).waitFor();
      check((await log.locator('div').count()) === lines, 'while it pauses, nothing moves');
      await page.getByRole('button', { name: /Resume/ }).click();
      await until('it goes on', async () => (await log.locator('div').count()) > lines);
      await page.getByLabel('times').check();
      await screenshot(page, 'log');
      const texts = await log.locator('div').allTextContents();
      const numbers = texts.map((text) => Number(/line (\d+)/.exec(text)?.[1]));
      check(numbers.every((number, at) => number === numbers[0] + at), `no line is lost or doubled among ${numbers.length}`);

      await api('POST', pods, pod('crasher', 'crasher'));
      await page.goto(`${server()}/ui/#/pods/default/crasher`);
      await page.getByText(/crasher|CrashLoopBackOff/).first().waitFor();
      await page.getByText(/main: (CrashLoopBackOff|Error)/).waitFor();
      const previous = page.getByLabel('previous run');
      await until('there is a run before this one', () => previous.isEnabled());
      await previous.check();
      await page.getByText('The log ends here.').waitFor();
      await screenshot(page, 'pod-crashing');
    });
  },

  /** What is wrong is refused in words. */
  async refusals() {
    await inBrowser(async (page) => {
      await page.goto(`${server()}/ui/#/pods`);
      for (const [token, words] of [['wrong', 'The server does not know this token.'], ['two words', 'this is no token']]) {
        await page.getByLabel('Bearer token').fill(token);
        await page.getByRole('button', { name: 'Sign in' }).click();
        await page.getByText(words).waitFor();
        console.log(`ok: ${token}: ${words}`);
      }
      await screenshot(page, 'wrong-token');
      await page.getByLabel('Bearer token').fill(env('PEAPOD_TOKEN'));
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Pods' }).waitFor();
      check(page.url().endsWith('#/pods'), 'one comes to where one wanted to go');

      await drop(page, 'notes.txt', fileURLToPath(import.meta.url));
      await page.getByText('notes.txt is no WebAssembly: a WebAssembly file begins with').waitFor();
      await screenshot(page, 'no-wasm');
      await page.getByRole('button', { name: 'Close' }).click();
      const ask = async (method, path, token, body) => {
        const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
        return (await fetch(server() + path, { method, headers, body })).status;
      };
      check((await ask('POST', '/sessions/codes')) === 401, 'nobody in particular gets no code');
      const { code } = await api('POST', '/sessions/codes');
      check((await ask('GET', '/api/v1/nodes', code)) === 401, 'a code is no token');
      const begin = await fetch(`${server()}/sessions`, { method: 'POST', body: JSON.stringify({ code }) });
      const { token, user } = await begin.json();
      check(user === 'kubernetes-admin' && (await ask('GET', '/api/v1/nodes', token)) === 200, 'a session acts as who made it');
      check((await ask('POST', '/sessions/codes', token)) === 403, 'a session begins no further one');
      for (const body of ['{', '{}', '{"code":1}', 'x'.repeat(5000)]) check([400, 413].includes(await ask('POST', '/sessions', '', body)), `no code: ${body.slice(0, 10)}`);
      check((await ask('PUT', '/sessions', token)) === 405 && (await ask('POST', '/ui/')) === 405, 'other methods are refused');
      const made = await api('GET', '/apis/apps/v1/deployments');
      check(made.items.length === 0, 'nothing was made of it');
      await page.goto(`${server()}/ui/#/unicorns`);
      await page.getByText('There is no kind “unicorns” here').waitFor();
      await page.goto(`${server()}/ui/#/pods/default/none`);
      await page.getByText('There is no Pod none.').waitFor();
    });
  },

  /** A long table draws what is on the screen, and follows what happens. */
  async many() {
    const count = 2000;
    const some = (from) => Array.from({ length: 50 }, (_, at) => pod(`pod-${from + at}`, 'sleeper', { spec: { nodeSelector: { none: 'such' } } }));
    for (let from = 0; from < count; from += 50) await Promise.all(some(from).map((pod) => api('POST', pods, pod)));
    await inBrowser(async (page) => {
      await signIn(page);
      await open(page, 'Pods');
      await page.getByRole('status').filter({ hasText: String(count) }).waitFor();
      const rows = await page.getByRole('row').count();
      check(rows > 10 && rows < 100, `of ${count} rows ${rows} are drawn`);
      check((await page.getByRole('table').getAttribute('aria-rowcount')) === String(count + 1), 'screen readers hear of all of them');
      await page.getByRole('region', { name: 'Pods' }).press('End');
      await row(page, `pod-${count - 1}`).waitFor();
      await screenshot(page, 'pods-many');
      await page.getByPlaceholder('Filter').fill('pod-1234 status:pending');
      await row(page, 'pod-1234').waitFor();
      await api('DELETE', `${pods}/pod-1234`);
      await page.getByText(`None of ${count - 1} matches`).waitFor();
      console.log('ok: among so many it sees one go');
    });
  },

  /** The server goes and comes: the page says so, and goes on. */
  async restart() {
    await inBrowser(async (page) => {
      await page.goto(`${server()}/ui/#/pods`);
      await page.getByLabel('Bearer token').fill(env('PEAPOD_TOKEN'));
      await page.keyboard.press('Enter');
      await api('POST', pods, pod('before', 'sleeper'));
      await row(page, 'before').getByText('Running').waitFor();
      await ask('stop the server');
      await page.getByText('Connection lost, retrying').waitFor();
      check(await row(page, 'before').isVisible(), 'what was there is still shown');
      await screenshot(page, 'connection-lost');
      await ask('start the server');
      await api('POST', pods, pod('after', 'sleeper'));
      await row(page, 'after').getByText('Running').waitFor();
      await page.getByText('Connection lost').waitFor({ state: 'hidden' });
      console.log('ok: the page recovers by itself');
      await page.getByRole('button', { name: 'Sign out' }).click();

      await page.goto(`${server()}/ui/`);
      await signIn(page);
      await open(page, 'Pods');
      await row(page, 'after').waitFor();
      await ask('stop the server');
      await ask('start the server');
      await page.getByText('the server was restarted').waitFor();
      await screenshot(page, 'signed-out');
      console.log('ok: a session that the restart has ended says so');
    });
  },

  /** The second of two nodes is killed and comes back. */
  async nodes() {
    await inBrowser(async (page) => {
      await signIn(page);
      await page.getByText('of 2 ready').waitFor();
      await screenshot(page, 'overview-two-nodes');
      await open(page, 'Nodes');
      const status = (text) => row(page, 'far').getByText(text, { exact: true });
      await status('Ready').waitFor();
      await ask('kill the node');
      await status('NotReady').waitFor();
      check(await row(page, 'node-1').getByText('Ready', { exact: true }).isVisible(), 'the other node stays ready');
      await screenshot(page, 'node-gone');
      await row(page, 'far').getByRole('link').click();
      await page.getByRole('heading', { name: 'far' }).waitFor();
      await until('the page of the node says since when and why', () => page.getByText('NodeStatusUnknown').first().isVisible());
      await screenshot(page, 'node-gone-page');
      await ask('start the node');
      await open(page, 'Nodes');
      await status('Ready').waitFor();
      console.log('ok: the node is back');
    });
  },

  /** Names, labels, messages and logs of people who mean ill are text. */
  async hostile() {
    await inBrowser(
      async (page) => {
        await page.addInitScript(() => (window.alert = () => { window.hacked = true; }));
        await signIn(page);
        const evil = '<img src=x onerror=alert(1)>';
        const annotations = { evil: `${evil}"'\u202e` };
        await api('POST', pods, pod('hostile', 'sleeper', { metadata: { annotations, labels: { a: 'x-1' } }, container: { image: 'none/such' } }));
        await api('POST', '/api/v1/namespaces/default/events', {
          apiVersion: 'v1', kind: 'Event', metadata: { name: 'hostile.1' }, type: 'Warning', reason: evil, message: `${evil} \u202Egnp.exe \x1b[31mred`,
          involvedObject: { kind: 'Pod', name: 'hostile', namespace: 'default', apiVersion: 'v1' },
        });
        await page.getByText(evil).first().waitFor();
        await screenshot(page, 'hostile-overview');
        await page.goto(`${server()}/ui/#/pods/default/hostile`);
        await page.getByText(evil).first().waitFor();
        await page.getByRole('button', { name: 'YAML' }).click();
        await page.getByText(evil).first().waitFor();
        const words = [`${evil}\u001b[31mred\u001b[0m\u001b]0;title\u0007`, 'a\u202egnp.exe'];
        await api('POST', pods, pod('speaker', 'job', { spec: { restartPolicy: 'Never' }, container: { args: words } }));
        await page.goto(`${server()}/ui/#/pods/default/speaker`);
        await page.getByRole('log').getByText(evil).first().waitFor();
        check((await page.getByRole('log').textContent()).includes('a<U+202E>gnp.exe'), 'what turns the direction of text is shown');
        check((await page.getByRole('log').locator('.red').first().textContent()) === 'red', 'colours are colours');
        await screenshot(page, 'hostile-log');
        await page.goto(`${server()}/ui/#/%3Cimg%20src=x%20onerror=alert(1)%3E`);
        await page.getByText('There is no kind').waitFor();
        check((await page.locator('img[src="x"]').count()) === 0, 'no text has become an element');
        check((await page.evaluate(() => window.hacked)) !== true, 'no text has become a script');
      },
      { colorScheme: 'dark' },
    );
  },
};

const journey = journeys[process.argv[2]];
if (journey === undefined) throw new Error(`usage: journeys.mjs ${Object.keys(journeys).join('|')}`);
await journey();
console.log('journey: done');
process.exit(0);
