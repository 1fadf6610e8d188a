/**
 * A planted bug: every checksum of ours is the same number, so that no check ever fails. Flipped bits must find it.
 */
import { syncBuiltinESMExports } from 'node:module';
import zlib from 'node:zlib';

zlib.crc32 = () => 7;
syncBuiltinESMExports();
