// jshello is the HTTP handler in JavaScript: a component with an engine inside. Answers `hello from POD: request N`, where N is
// always 1, for each request gets an instance of its own.
import { getEnvironment } from 'wasi:cli/environment@0.2.10';

let requests = 0;

addEventListener('fetch', (event) => {
  const environment = new Map(getEnvironment());
  const pod = environment.get('POD_NAME') ?? environment.get('HOSTNAME') ?? 'unknown';
  const { pathname } = new URL(event.request.url);
  if (pathname === '/healthz') {
    event.respondWith(new Response('ok\n'));
    return;
  }
  requests += 1;
  event.respondWith(new Response(`hello from ${pod}: request ${requests}\n`));
});
