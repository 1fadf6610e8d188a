import { createRequire } from 'node:module';

/** Of this package, from a checkout and from an installation alike. */
export function version(): string {
  const manifest = createRequire(import.meta.url)('fermata/package.json') as { version: string };
  return manifest.version;
}
