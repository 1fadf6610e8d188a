/**
 * The sources, the apps of the tests and the planted bugs as JavaScript, in `.built/`: what the npm package ships starts in
 * two thirds of the processor time that a checkout takes, and the tests start hundreds of servers.
 *
 * Built once before the tests of a run, by vitest and by `npm run torture`. Only what changed is written, so a run beside
 * another one does not pull files away under it. Types are checked elsewhere.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = join(root, '.built');

export function build(): void {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  execFileSync(process.execPath, [tsc, '-p', join(root, 'test/tsconfig.json')], { stdio: 'inherit' });
  // `import 'fermata'` means the nearest package of that name.
  copyFileSync(join(root, 'package.json'), join(folder, 'package.json'));
}

/** For vitest. */
export default build;

/** What a source file of src/, workers/, test/support or test/torture was built to. */
export function built(source: string): string {
  return join(folder, 'dist', relative(root, source)).replace(/\.ts$/, '.js');
}
