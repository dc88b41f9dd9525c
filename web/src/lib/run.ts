/** From a wasm file to running pods: an image in the server's registry, a Deployment and a Service. */
import type { Client, Json } from './client';
import { DEPLOYMENTS, objectPath, SERVICES } from './kinds';

const CONFIG = 'application/vnd.wasm.config.v0+json';
const LAYER = 'application/wasm';
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
/** As whom the objects are applied: dropping a new file over an old one changes only what was set here. */
const FIELD_MANAGER = 'peapod-dashboard';

export interface Wish {
  namespace: string;
  name: string;
  port: number;
}

/** Pushes a file as the OCI distribution specification says. Gives the image's name with a tag of its content. */
export async function push(client: Client, name: string, wasm: Uint8Array<ArrayBuffer>, os: string): Promise<string> {
  const layer = await digest(wasm);
  const config = new TextEncoder().encode(JSON.stringify({ architecture: 'wasm', os, layerDigests: [layer] }));
  for (const blob of [wasm, config]) {
    const path = `/v2/${name}/blobs/uploads/?digest=${encodeURIComponent(await digest(blob))}`;
    await client.send(path, { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: blob });
  }
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: { mediaType: CONFIG, digest: await digest(config), size: config.length },
    layers: [{ mediaType: LAYER, digest: layer, size: wasm.length }],
  };
  // Another file gets another tag, so that the Deployment rolls.
  const tag = layer.slice('sha256:'.length, 'sha256:'.length + 12);
  await client.send(`/v2/${name}/manifests/${tag}`, {
    method: 'PUT',
    headers: { 'content-type': MANIFEST },
    body: JSON.stringify(manifest),
  });
  return `${name}:${tag}`;
}

async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return `sha256:${[...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/** The Deployment and the Service to apply. A Deployment that is there keeps its number of replicas. */
export function manifests({ namespace, name, port }: Wish, image: string): { deployment: Json; service: Json } {
  const labels = { app: name };
  const metadata = { name, namespace, labels };
  const container = { name, image, ports: [{ name: 'main', containerPort: port }] };
  const template = { metadata: { labels }, spec: { containers: [container] } };
  const ports = [{ name: 'main', port, targetPort: port }];
  return {
    deployment: { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec: { selector: { matchLabels: labels }, template } },
    service: { apiVersion: 'v1', kind: 'Service', metadata, spec: { type: 'NodePort', selector: labels, ports } },
  };
}

/** Applies both. Gives the port on which every node serves it. Throws ApiError. */
export async function apply(client: Client, wish: Wish, image: string): Promise<number | undefined> {
  const { deployment, service } = manifests(wish, image);
  const how = `?fieldManager=${FIELD_MANAGER}&force=true`;
  const type = 'application/apply-patch+yaml';
  await client.write('PATCH', objectPath(DEPLOYMENTS, wish.namespace, wish.name) + how, deployment, type);
  const made = await client.write('PATCH', objectPath(SERVICES, wish.namespace, wish.name) + how, service, type);
  return (made.spec as { ports?: { nodePort?: number }[] } | undefined)?.ports?.[0]?.nodePort;
}

/** Sets how many pods a Deployment has. Throws ApiError. */
export async function scale(client: Client, namespace: string, name: string, replicas: number): Promise<void> {
  const path = `${objectPath(DEPLOYMENTS, namespace, name)}/scale`;
  await client.write('PATCH', path, { spec: { replicas } }, 'application/merge-patch+json');
}
