/** A node in a process of its own, so that it can be stopped in its tracks. Says on stdout what happens to it. */
import type { NatsServer } from '../support/nats-server.ts';
import { TestNode } from './fixtures.ts';

const [url = '', id = ''] = process.argv.slice(2);
const server = { url } as NatsServer;
const say = (what: string): void => {
  process.stdout.write(`${what}\n`);
};
const node = await TestNode.open(server, id, {
  onDeposed: (why) => {
    say(`deposed, lease ${node.lease.held ? 'held' : 'over'}: ${why}`);
    process.exit(70);
  },
});
await node.start();
say(`owns ${node.slots.length}`);
process.stdin.on('end', () => process.exit(0)).resume();
