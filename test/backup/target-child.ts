/**
 * Writes to a directory target in a process of its own, to be killed or to be given a bad disk:
 *
 *     <directory> put <name> <path>        says `done` or what went wrong
 *     <directory> append <name> <offset> <text>
 *     <directory> busy                     writes for ever: two objects that are replaced and one that grows
 */
import { encodeHeader, encodeRecord } from '../../src/backup/segment.ts';
import { directoryTarget } from '../../src/backup/directory-target.ts';
import { busyBase, busyBytes, busyHeader, busyLog, busyManifest } from './busy.ts';

const [directory = '', what, name = '', third = '', text = ''] = process.argv.slice(2);
const target = directoryTarget(directory);

async function busy(): Promise<never> {
  let offset = 0;
  for (let n = 0; ; n += 1) {
    const rest = encodeRecord(n, `entry ${n} ${'x'.repeat(5000)}`);
    const bytes = Buffer.from(n === 0 ? encodeHeader(busyHeader) + rest : rest);
    await Promise.all([
      target.put(busyBase, third),
      target.putText(busyManifest, String(n % 10).repeat(busyBytes)),
      target.append(busyLog, offset, bytes),
    ]);
    offset += bytes.length;
    console.log(n);
  }
}

try {
  if (what === 'put') await target.put(name, third);
  else if (what === 'append') await target.append(name, Number(third), Buffer.from(text));
  else await busy();
  console.log('done');
} catch (error) {
  console.log(error instanceof Error ? error.message : error);
}
