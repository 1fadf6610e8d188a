/**
 * Whose data was in a file that SQLite cannot read, or whose rows cannot be trusted: names found in the raw bytes, of
 * the file and its WAL.
 *
 * An entry's CRC and header, `12345678⇥["tenant","type","id",7,1,"state"]⇥`, and a line of a row's contents,
 * `3⇥tenant⇥type⇥`, have tabs where JSON text never does; so nobody makes another tenant's name appear by what he stores. Rows that were deleted may
 * still be there: their tenants have files and are closed off anyway. A name whose bytes are gone is not found.
 *
 * Only for files that nobody has open: closing a descriptor would drop the process's locks on them.
 */
import { readFileSync } from 'node:fs';
import { isTenant } from '../protocol/address.ts';
import { look } from './paths.ts';

const entryPattern =
  /[0-9a-f]{8}\t\["([a-z0-9][a-z0-9_-]{0,62})","[A-Za-z][A-Za-z0-9_-]{0,63}","(?:[^"\\\n\t]|\\.){1,2048}",\d+,\d+,"(?:none|state|patches)"\]\t/g;
const contentsPattern = /[0-9]\t([a-z0-9][a-z0-9_-]{0,62})\t[A-Za-z][A-Za-z0-9_-]{0,63}\t/g;

export function tenantsInBytes(path: string): Set<string> {
  const tenants = new Set<string>();
  for (const place of [path, `${path}-wal`]) {
    if (look(place)?.isFile() !== true) continue;
    const text = readFileSync(place, 'latin1');
    for (const pattern of [entryPattern, contentsPattern])
      for (const [, name] of text.matchAll(pattern)) if (isTenant(name)) tenants.add(name);
  }
  return tenants;
}
