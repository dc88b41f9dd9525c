// Run by page.sh: node page.mjs PODS
import { api, inBrowser, server, env } from '../web/browser.mjs';

const pods = Number(process.argv[2]);
const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

// No node takes them: what is measured is the page, not the pods.
const pod = (index) => ({
  metadata: { name: `pod-${index}`, labels: { app: `app-${index % 20}` } },
  spec: { nodeSelector: { none: 'such' }, containers: [{ name: 'main', image: 'hello' }] },
});
for (let from = 0; from < pods; from += 50) {
  const some = Array.from({ length: Math.min(50, pods - from) }, (_, index) => pod(from + index));
  await Promise.all(some.map((pod) => api('POST', '/api/v1/namespaces/default/pods', pod)));
}

async function load() {
  let [bytes, millis] = [0, 0];
  await inBrowser(async (page) => {
    const network = await page.context().newCDPSession(page);
    await network.send('Network.enable');
    const own = new Set();
    network.on('Network.responseReceived', ({ requestId, response }) => response.url.startsWith(`${server()}/ui/`) && own.add(requestId));
    network.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => (bytes += own.has(requestId) ? encodedDataLength : 0));
    const session = JSON.stringify({ token: env('PEAPOD_TOKEN'), user: 'bench', own: false });
    await page.addInitScript((session) => {
      sessionStorage.setItem('peapod.session', session);
      const look = () => (document.querySelector('tbody tr[aria-rowindex]') ? (window.filled = performance.now()) : requestAnimationFrame(look));
      look();
    }, session);
    await page.goto(`${server()}/ui/#/pods`);
    await page.getByRole('status').filter({ hasText: String(pods) }).waitFor();
    millis = await page.evaluate(() => window.filled);
  });
  return { bytes, millis };
}

const log = console.log;
console.log = () => undefined;
const loads = [];
for (let run = 0; run < 5; run++) loads.push(await load());
log(`first load of the page: ${(median(loads.map(({ bytes }) => bytes)) / 1024).toFixed(1)} KiB on the wire   (goal: below 300)`);
log(`navigation to a table filled with ${pods} pods: median ${median(loads.map(({ millis }) => millis)).toFixed(0)} ms`);
process.exit(0);
