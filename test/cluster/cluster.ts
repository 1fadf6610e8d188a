/** A nats-server and the nodes of one test, gone after it; and what tests ask of several nodes together. */
import { afterEach, beforeEach, expect } from 'vitest';
import { slots } from '../../src/transport/nats-names.ts';
import { slotOf } from '../../src/protocol/placement.ts';
import { NatsServer } from '../support/nats-server.ts';
import { dial, ensureOn, TestNode } from './fixtures.ts';

export interface Cluster {
  readonly server: NatsServer;
  /** A node that has yet to start. */
  open(id: string, options?: Parameters<typeof TestNode.open>[2]): Promise<TestNode>;
}

/** For the top of a file: one anew for each of its tests. */
export function clusterPerTest(): Cluster {
  let server: NatsServer | undefined;
  let nodes: TestNode[] = [];
  beforeEach(async () => {
    server = await NatsServer.start();
    const nc = await dial(server);
    await ensureOn(nc)();
    await nc.close();
  });
  afterEach(async () => {
    await Promise.all(nodes.map((node) => node.die()));
    nodes = [];
    await server?.close();
  });
  return {
    get server() {
      return server!;
    },
    async open(id, options) {
      const node = await TestNode.open(server!, id, options);
      nodes.push(node);
      return node;
    },
  };
}

export const allSlots = Array.from({ length: slots }, (_, slot) => slot);

export function ownedByAny(some: readonly TestNode[]): number[] {
  return some.flatMap((node) => node.slots).toSorted((a, b) => a - b);
}

/** A tenant that lies in the slot. */
export function tenantIn(slot: number): string {
  for (let n = 0; ; n += 1) if (slotOf(`tenant-${n}`, slots) === slot) return `tenant-${n}`;
}

/** The epochs under which the nodes were told to serve it, one node after the other, must rise. */
export function expectRisingEpochs(slot: number, some: readonly TestNode[]): void {
  const told = some.flatMap((node) => node.told).filter((one) => one.slot === slot && one.epoch !== 'lost');
  const epochs = told.map(({ epoch }) => epoch as number);
  expect(epochs).toEqual([...new Set(epochs)].toSorted((a, b) => a - b));
}
