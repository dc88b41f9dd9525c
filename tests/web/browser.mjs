// What the journeys share: a real Chromium, the API as a second client asks it, and the test that runs the processes.
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const require = createRequire(new URL('../../web/package.json', import.meta.url));
const { chromium } = require('playwright-core');

/** Milliseconds that anything may take on a loaded machine. */
export const PATIENCE = 60_000;
const SCREENSHOTS = fileURLToPath(new URL('../../target/screenshots/', import.meta.url));

export const env = (name) => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`the environment has no ${name}`);
  return value;
};
/** Where the server is: https://127.0.0.1:6443 */
export const server = () => env('PEAPOD_SERVER');

export function check(condition, what) {
  if (!condition) throw new Error(`not so: ${what}`);
  console.log(`ok: ${what}`);
}

/** Looks until `condition` gives something true. */
export async function until(what, condition) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const found = await condition();
    if (found) return console.log(`ok: ${what}`), found;
    if (Date.now() > deadline) throw new Error(`not within ${PATIENCE} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Asks the API as the administrator, not through the page. */
export async function api(method, path, body, type = 'application/json') {
  const headers = { authorization: `Bearer ${env('PEAPOD_TOKEN')}`, 'content-type': type };
  const response = await fetch(server() + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${answer.message}`);
  return answer;
}

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Has the test that started this script do something with the processes; gives its answer. */
export async function ask(what) {
  console.log(`? ${what}`);
  const { value, done } = await answers.next();
  if (done) throw new Error(`the test did not answer: ${what}`);
  return value;
}

/** Runs `journey` in a browser of its own; fails on what the page itself calls an error. */
export async function inBrowser(journey, options = {}) {
  const args = ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'];
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args });
  try {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 800 }, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE);
    const [errors, foreign] = [[], []];
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error' && /Content Security Policy|Trusted/i.test(message.text())) errors.push(message.text());
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(server()) && !request.url().startsWith('data:')) foreign.push(request.url());
    });
    try {
      await journey(page, context);
    } catch (error) {
      console.log(`errors of the page: ${errors.join('; ')}`);
      await screenshot(page, 'failure').catch(() => undefined);
      throw error;
    }
    check(errors.length === 0, `the page made no error ${errors.join('; ')}`);
    check(foreign.length === 0, `the page fetched nothing from elsewhere ${foreign.join(' ')}`);
  } finally {
    await browser.close();
  }
}

/** A picture below target/screenshots. */
export async function screenshot(page, name) {
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: `${SCREENSHOTS}${name}.png` });
  console.log(`screenshot: ${name}.png`);
}

/** A new link, as `peapod dashboard` prints it. */
export const link = () => ask('link');

/** Opens the page and signs in by a link. */
export async function signIn(page) {
  await page.goto(await link());
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
}

/** Goes to a page by its name in the navigation. */
export async function open(page, name) {
  await page.getByRole('navigation').getByRole('link', { name, exact: true }).click();
  await page.getByRole('heading', { name, level: 1 }).waitFor();
}
