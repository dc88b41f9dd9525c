import { svelte } from '@sveltejs/vite-plugin-svelte';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

/** Below this many bytes, compressing is not worth a second file. */
const WORTH_BYTES = 512;

/** Writes FILE.br and FILE.gz beside each file of the build, so that the server has nothing to compress. */
function precompress(): Plugin {
  return {
    name: 'precompress',
    apply: 'build',
    writeBundle({ dir }) {
      if (dir === undefined) return;
      for (const name of readdirSync(dir, { recursive: true, encoding: 'utf8' })) {
        const path = join(dir, name);
        if (!statSync(path).isFile() || /\.(br|gz)$/.test(name)) continue;
        const bytes = readFileSync(path);
        if (bytes.length < WORTH_BYTES) continue;
        const params = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
        writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params }));
        writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
      }
    },
  };
}

/** The server that `npm run dev` asks; `PEAPOD_SERVER=https://127.0.0.1:6443`. */
const server = process.env.PEAPOD_SERVER ?? 'https://127.0.0.1:6443';
const proxied = { target: server, secure: false };

export default defineConfig({
  base: './',
  plugins: [svelte(), precompress()],
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    // The page's policy allows no data: URLs.
    assetsInlineLimit: 0,
  },
  server: { proxy: { '/api': proxied, '/apis': proxied, '/v2': proxied, '/sessions': proxied, '/version': proxied } },
  test: { include: ['src/**/*.test.ts'] },
});
