/** What a runtime's end over NATS tells a scrape. */
import { setTimeout as delay } from 'node:timers/promises';
import type { NatsConnection } from 'nats';
import { type Sample, sample } from '../host/meters.ts';
import { streams } from './nats-names.ts';
import type { NatsSlotLink } from './nats-slot-link.ts';

/** Less than a scrape waits for a thread; JetStream answers in milliseconds or is in trouble. */
const answerMsMax = 500;

/** While JetStream does not answer, what it would have to be asked for is left out. */
export async function slotSamples(nc: NatsConnection, link: Pick<NatsSlotLink, 'numbers' | 'lag'>): Promise<Sample[]> {
  const lag = link.lag().then(({ frames }) => sample('fermata_nats_lag_frames', frames));
  const dead = deadLetters(nc).then((count) => sample('fermata_dead_letters', count));
  const told = await Promise.all([lag, dead].map(inTime));
  const { held, redeliveries, deadLetters: buried } = link.numbers();
  return [
    ...told.flat(),
    sample('fermata_nats_held_frames', held),
    sample('fermata_nats_redelivered_total', redeliveries),
    sample('fermata_dead_letters_total', buried),
  ];
}

async function inTime(asked: Promise<Sample>): Promise<Sample[]> {
  const late = delay(answerMsMax, [], { ref: false });
  return await Promise.race([asked.then((told) => [told]).catch(() => []), late]);
}

async function deadLetters(nc: NatsConnection): Promise<number> {
  const manager = await nc.jetstreamManager({ checkAPI: false, timeout: answerMsMax });
  return (await manager.streams.info(streams.dead)).state.messages;
}
