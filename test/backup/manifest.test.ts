import { expect, it } from 'vitest';
import { DamagedBackupError } from '../../src/backup/errors.ts';
import { hexCrc } from '../../src/backup/hex-crc.ts';
import { decodeManifest, encodeManifest, type Manifest } from '../../src/backup/manifest.ts';

const name = 'acme/base/20261121T101500123Z.json';
const manifest: Manifest = {
  format: 1,
  tenant: 'acme',
  began: '2026-11-21T10:15:00.123Z',
  finished: '2026-11-21T10:15:00.456Z',
  sequence: 1200,
  logFrom: 7,
  sha256: '0123456789abcdef'.repeat(4),
  bytes: 4096,
  rows: { actors: 3, calls: 17 },
  versions: { fermata: '0.1.0', sqlite: '3.51.0', file: 2 },
};

it('what was written is read again, with and without an archived log', () => {
  expect(decodeManifest(encodeManifest(manifest), name)).toEqual(manifest);
  const { logFrom: _, ...alone } = manifest;
  expect(decodeManifest(encodeManifest(alone), name)).toEqual(alone);
  expect(encodeManifest(alone)).not.toContain('logFrom');
});

it('every flipped bit is found', () => {
  const bytes = Buffer.from(encodeManifest(manifest));
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const flipped = Buffer.from(bytes);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    expect(() => decodeManifest(flipped.toString('utf8'), name), `bit ${bit}`).toThrow(DamagedBackupError);
  }
});

it('every cut is found', () => {
  const text = encodeManifest(manifest);
  // The last is its line feed, which says nothing.
  for (let length = 0; length < text.length - 1; length += 1)
    expect(() => decodeManifest(text.slice(0, length), name), `${length} characters`).toThrow(DamagedBackupError);
});

it.each([
  ['format', 2, 'has 2 as format, not 1, the one that this version of Fermata reads'],
  ['tenant', '../up', 'has "../up" as tenant, not the name of a tenant'],
  ['began', '2026-11-21', 'has "2026-11-21" as began, not a time such as'],
  ['finished', undefined, 'has nothing as finished, not a time such as'],
  ['sequence', -1, 'has -1 as sequence, not a whole number'],
  ['logFrom', 0, 'has 0 as logFrom, not the number of a segment'],
  ['sha256', 'abc', 'has "abc" as sha256, not 64 hex digits'],
  ['bytes', 1.5, 'has 1.5 as bytes, not a whole number'],
  ['rows', { actors: '3' }, 'has {"actors":"3"} as rows, not a whole number for each table'],
  ['versions', { fermata: '0.1.0' }, 'has {"fermata":"0.1.0"} as versions, not those of'],
])('a %s that cannot be is named, though its checksum fits', (field, value, message) => {
  const fields = { ...manifest, [field]: value };
  const text = JSON.stringify({ ...fields, crc: hexCrc(JSON.stringify(fields)) });
  expect(() => decodeManifest(text, name)).toThrow(`${name} ${message}`);
});

it('what is no manifest at all is called so, with the name of the object', () => {
  expect(() => decodeManifest('SQLite format 3', name)).toThrow(`${name} is no JSON`);
  expect(() => decodeManifest('[]', name)).toThrow(`${name} is no manifest`);
  expect(() => decodeManifest(JSON.stringify(manifest), name)).toThrow(`${name} does not fit its own checksum`);
});
