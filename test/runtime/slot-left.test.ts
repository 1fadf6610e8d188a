import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { actor, createApp } from '../../src/index.ts';
import { slotOf } from '../../src/protocol/placement.ts';
import { z } from 'zod';
import { Rig } from './rig.ts';

const counter = (durability: 'durable' | 'memory') =>
  actor({
    state: z.object({ count: z.number().default(0) }),
    durability,
    methods: { add: { handler: ({ state }) => (state.count += 1) }, get: { handler: ({ state }) => state.count } },
  });
const app = createApp({ actors: { kept: counter('durable'), fleeting: counter('memory') } });
const slots = 64;
const slot = slotOf('t1', slots);

let rig: Rig;

afterEach(async () => {
  await rig.stop();
});

describe('a slot that another process has', () => {
  it('leaves nothing in memory, and its actors go on from their file when it comes back', async () => {
    rig = new Rig(app);
    const session = rig.session();
    await rig.call(session, 'kept', 'k', 'add');
    await rig.call(session, 'fleeting', 'f', 'add');
    const to = join(rig.dataDir, 'outgoing', `${slot}-1`);
    rig.leave(session);
    await rig.keeper.transfer.giveAway({ slot, slots, to, shards: 1 });
    const late = rig.session();
    expect(await rig.call(late, 'kept', 'k', 'add')).toMatchObject({ ok: false, error: { code: 'OVERLOADED' } });
    await rig.keeper.transfer.welcome({ slot, slots, from: [to], shards: 1 });
    expect(await rig.call(late, 'kept', 'k', 'add')).toMatchObject({ ok: true, result: 2 });
    // What lives in memory alone has gone with the slot; an old one must not come back with it.
    expect(await rig.call(late, 'fleeting', 'f', 'add')).toMatchObject({ ok: true, result: 1 });
  });

  it('is no concern of the others', async () => {
    rig = new Rig(app);
    const other = Array.from({ length: 100 }, (_, n) => `u${n}`).find((tenant) => slotOf(tenant, slots) !== slot)!;
    const session = rig.session({ tenant: other });
    await rig.call(session, 'fleeting', 'f', 'add');
    await rig.keeper.transfer.giveAway({ slot, slots, to: join(rig.dataDir, 'outgoing/1-1'), shards: 1 });
    expect(await rig.call(session, 'fleeting', 'f', 'add')).toMatchObject({ ok: true, result: 2 });
  });
});
