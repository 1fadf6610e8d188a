import { describe, expect, it } from 'vitest';
import { gunzipSync } from 'node:zlib';
import { DamagedBackupError } from '../../src/backup/errors.ts';
import { hexCrc } from '../../src/backup/hex-crc.ts';
import { seal } from '../../src/backup/seal.ts';
import { decodeSegment, encodeHeader, encodeRecord, type SegmentHeader } from '../../src/backup/segment.ts';
import { encodeEntries } from '../../src/storage/entry.ts';
import { address, okCall, stateEntry } from '../storage/fixtures.ts';

const name = 'acme/log/00000007.log';
const header: SegmentHeader = {
  log: 1,
  tenant: 'acme',
  number: 7,
  began: '2026-11-21T10:15:00.123Z',
  after: 'previous',
};
const records = [1, 2, 3].map((n) => ({
  atMs: 1_795_256_100_000 + n,
  entry: encodeEntries([stateEntry(address('größe\tund "Art"'), n, `wert ${n} ✓`, okCall(`k${n}`, n))]),
}));
const text = encodeHeader(header) + records.map(({ atMs, entry }) => encodeRecord(atMs, entry)).join('');
const bytes = Buffer.from(text);

describe('a segment', () => {
  it('is read as it was written', () => {
    expect(decodeSegment(bytes, name)).toEqual({ header, records, torn: false });
    expect(decodeSegment(Buffer.from(encodeHeader(header)), name)).toEqual({ header, records: [], torn: false });
  });

  it('that was cut off in an append gives all records before the cut, and says that it is torn', () => {
    const ends = [...bytes.keys()].filter((at) => bytes[at] === 0x0a).map((at) => at + 1);
    for (let length = ends[0]!; length < bytes.length; length += 1) {
      const whole = ends.filter((end) => end <= length).length - 1;
      const { records: found, torn } = decodeSegment(bytes.subarray(0, length), name);
      expect(found, `${length} bytes`).toEqual(records.slice(0, whole));
      expect(torn, `${length} bytes`).toBe(!ends.includes(length));
    }
  });

  it('whose header is not whole is damaged, because the first append is whole or not at all', () => {
    for (const length of [0, 1, encodeHeader(header).length - 1])
      expect(() => decodeSegment(bytes.subarray(0, length), name)).toThrow(`${name} has no whole first line`);
  });

  it('with a flipped bit is found, wherever the bit is', () => {
    for (const flipped of allFlips(bytes)) expect(() => decodeSegment(flipped, name)).toThrow(DamagedBackupError);
  });

  it('is named with the line that is damaged', () => {
    const at = bytes.indexOf('wert 2');
    expect(() => decodeSegment(flip(bytes, at * 8), name)).toThrow(`${name} fails its check in line 3`);
  });

  it.each([
    ['another format', { ...header, log: 2 }, 'does not begin with a header that this version of Fermata reads'],
    ['no tenant', { ...header, tenant: '../up' }, 'has a header that lacks tenant, number, began or after'],
    ['no number', { ...header, number: 0 }, 'has a header that lacks'],
    ['no time', { ...header, began: 'today' }, 'has a header that lacks'],
    ['no past', { ...header, after: 'lunch' }, 'has a header that lacks'],
    ['nothing', null, 'does not begin with a header'],
  ])('whose header has %s is refused though its checksum fits', (_what, fields, message) => {
    expect(() => decodeSegment(lineOf(JSON.stringify(fields)), name)).toThrow(`${name} ${message}`);
  });

  it('with a line that is no record is refused though its checksum fits', () => {
    for (const rest of ['', '\t', 'x\tentry', '17', '-1\tentry'])
      expect(() => decodeSegment(Buffer.concat([bytes, lineOf(rest)]), name)).toThrow(
        `${name} has no record in line 5`,
      );
  });

  it('takes no record of two lines, nor one without a time', () => {
    expect(() => encodeRecord(1, 'a\nb')).toThrow('an entry is one line');
    expect(() => encodeRecord(1.5, 'a')).toThrow('a time in whole milliseconds');
  });
});

describe('a sealed segment', () => {
  const sealedName = `${name}.gz`;

  it('is read as it was written, and by gzip too', () => {
    expect(decodeSegment(seal(bytes), sealedName)).toEqual({ header, records, torn: false });
    expect(gunzipSync(seal(bytes))).toEqual(bytes);
  });

  it('with a flipped bit is found, wherever the bit is', () => {
    for (const flipped of allFlips(seal(bytes)))
      expect(() => decodeSegment(flipped, sealedName)).toThrow(DamagedBackupError);
  });

  it('that was cut off is found, wherever the cut is, and so is what was added', () => {
    const sealed = seal(bytes);
    for (let length = 0; length < sealed.length; length += 1)
      expect(() => decodeSegment(sealed.subarray(0, length), sealedName)).toThrow(DamagedBackupError);
    expect(() => decodeSegment(Buffer.concat([sealed, Buffer.from('x')]), sealedName)).toThrow(DamagedBackupError);
  });

  it('has no torn end, unpacked or not', () => {
    const torn = bytes.subarray(0, -5);
    expect(() => decodeSegment(seal(torn), sealedName)).toThrow(
      `${sealedName} fails its check in line 4, the last one`,
    );
    expect(() => decodeSegment(torn, sealedName)).toThrow(`${sealedName} fails its check in line 4, the last one`);
  });
});

function lineOf(rest: string): Buffer {
  return Buffer.from(`${hexCrc(rest)}\t${rest}\n`);
}

function* allFlips(whole: Buffer): Generator<Buffer> {
  for (let bit = 0; bit < whole.length * 8; bit += 1) yield flip(whole, bit);
}

function flip(whole: Buffer, bit: number): Buffer {
  const flipped = Buffer.from(whole);
  flipped[bit >> 3]! ^= 1 << (bit & 7);
  return flipped;
}
