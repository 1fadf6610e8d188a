import { crc32 } from 'node:zlib';

/**
 * Over everything that a row of a tenant file says, the table that it is in, and whose it is; so that a row of another
 * table, actor or tenant is noticed. Names hold no control characters, and what is free text comes as JSON or at the end.
 */
export function rowCrc(table: string, tenant: string, type: string, id: string, ...rest: (string | number)[]): number {
  return crc32(`${table}\n${tenant}\n${type}\n${id}\n${rest.join('\n')}`);
}
