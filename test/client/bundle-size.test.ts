import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import { describe, expect, it } from 'vitest';

const gzipBytesMax = 12 * 1024;

describe('the bundle of fermata/client', () => {
  it(`has at most ${gzipBytesMax} bytes, minified and compressed`, async () => {
    const code = await bundle(fileURLToPath(new URL('../../src/client/client.ts', import.meta.url)));
    const bytes = gzipSync(code, { level: 9 }).length;
    console.info(`fermata/client: ${bytes} bytes gzip (${code.length} minified), at most ${gzipBytesMax}`);
    expect(code).toMatch(/export\s*\{/);
    // Names of properties survive minification: what is measured is the client.
    expect(code).toContain('resumeToken');
    expect(bytes).toBeLessThanOrEqual(gzipBytesMax);
  });
});

/** As a page would get it, in memory: one module, minified. */
async function bundle(entry: string): Promise<string> {
  const built = await build({
    configFile: false,
    logLevel: 'silent',
    build: {
      write: false,
      minify: true,
      target: 'es2022',
      // Not `lib`: that mode leaves ES modules their white space.
      rolldownOptions: { input: entry, preserveEntrySignatures: 'strict', output: { format: 'es' } },
    },
  });
  const [output] = Array.isArray(built) ? built : [built];
  if (output === undefined || !('output' in output)) throw new Error('vite built nothing');
  return output.output.map((chunk) => (chunk.type === 'chunk' ? chunk.code : '')).join('\n');
}
