/** A runtime's end for `bench/frames.ts`: answers every call of a frame at once, without running anything. */
import { workerData } from 'node:worker_threads';
import { systemClock } from '../src/host/clock.ts';
import type { NatsConfig } from '../src/host/config.ts';
import { createLog } from '../src/host/log.ts';
import { decodeInbound, inboundOp, OutboundFrame } from '../src/protocol/envelope.ts';
import { answerMain } from '../src/host/thread.ts';
import { connectNats } from '../src/transport/nats-connection.ts';
import { natsSlotLink } from '../src/transport/nats-slot-link.ts';

const { nats, runtime } = workerData as { nats: NatsConfig; runtime: string };
const log = createLog({ level: 'warn', pretty: false }, 'runtime');
const clock = systemClock;

answerMain({
  async take(slot) {
    const nc = await connectNats(nats, { name: 'bench-runtime', log });
    const link = natsSlotLink(nc, { runtime, log, clock, streams: { replicas: 1 } });
    link.onFrame((frame) => {
      const answers = new OutboundFrame();
      for (const envelope of decodeInbound(frame.text))
        if (envelope[0] === inboundOp.call) answers.add('K', envelope[2], 1, 0, '12345');
      const records = answers.take();
      if (records !== undefined) link.send(frame.gateway, frame.slot, records);
      frame.done();
    });
    await link.take(slot as number, 1);
  },
});
