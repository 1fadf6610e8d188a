/**
 * A planted bug: when a shard dies, nobody tells those who wait for it. The faults must find it.
 */
import { Pending } from '../../../src/gateway/pending.ts';

Pending.prototype.ofShard = () => [];
