/** The permissions that docs/distributed.md gives to gateways and runtimes, as a real nats-server takes them: enough for all that they do. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'nats';
import { expect, onTestFinished, test } from 'vitest';
import { slotOf } from '../../src/protocol/placement.ts';
import { slots, subjects } from '../../src/transport/nats-names.ts';
import { fermata, newFolder } from '../cli/command-fixture.ts';
import { post } from '../support/http.ts';
import { NatsServer } from '../support/nats-server.ts';
import { root, ServerProcess, type Side } from '../support/server.ts';
import { freePort } from '../support/stage.ts';
import { mint } from '../support/token.ts';
import { eventually } from '../support/wait.ts';

const tenant = 'acme';
const slot = slotOf(tenant, slots);

function documented(): string {
  const [, block] =
    /^(authorization \{\n[^]*?^\})$/m.exec(readFileSync(join(root, 'docs/distributed.md'), 'utf8')) ?? [];
  if (block === undefined) throw new Error('docs/distributed.md shows no permissions');
  return block.replace(/\$(GATEWAY|RUNTIME|OPERATOR)_PASSWORD/g, '"secret of $1"');
}

test('calls, a move, a dead letter and a stop need nothing that is not permitted', async () => {
  const nats = await NatsServer.start({ config: documented() });
  onTestFinished(() => nats.close());
  const servers: ServerProcess[] = [];
  onTestFinished(async () => void (await Promise.all(servers.map((server) => server.kill9()))));
  const envOf = (user: string) => ({
    NATS_URL: nats.url,
    NATS_USER: user,
    NATS_PASSWORD: `secret of ${user.toUpperCase()}`,
  });
  const launch = async (side: Side): Promise<ServerProcess> => {
    const options = { side, app: 'ledger', dataDir: newFolder(), port: await freePort(), env: envOf(side) };
    const server = new ServerProcess(options);
    servers.push(server);
    return await server.ready();
  };
  const [, , gateway] = await Promise.all([launch('runtime'), launch('runtime'), launch('gateway')]);
  const run = (...words: string[]) => fermata(words, envOf('operator'));
  const token = await mint({ tenant });
  const increment = async () => (await post(gateway.address, ['counter', 'c', 'increment'], { token })).json();

  expect(await increment()).toMatchObject({ result: 1 });
  const status = JSON.parse((await run('status', '--json')).out) as Status;
  const to = status.nodes.find(({ id }) => id !== status.slots[slot]!.owner)!;
  expect(await run('move', '--tenant', tenant, '--to', to.id)).toMatchObject({ exitCode: 0 });
  expect(await increment()).toMatchObject({ result: 2 });

  const nc = await connect({ servers: nats.url, user: 'operator', pass: 'secret of OPERATOR' });
  onTestFinished(() => nc.close());
  nc.publish(subjects.calls(slot), 'no frame');
  await eventually('a dead letter', async () => (await run('dlq', 'list')).out.includes('unreadable'));
  for (const server of servers) expect(await server.term()).toMatchObject({ code: 0 });
  const denied = [
    ...servers.flatMap(({ logs }) => logs.map((line) => JSON.stringify(line))),
    ...nats.output.split('\n'),
  ];
  expect(denied.filter((line) => /permission|violation/i.test(line))).toEqual([]);
}, 90_000);

test.each([
  ['gateway', subjects.out('0123456789abcdef'), 'answer in the name of a runtime'],
  ['gateway', '$KV.fermata_slots.slot.1', 'say who owns a slot'],
  ['runtime', subjects.calls(slot), 'make calls in the name of a gateway'],
  ['runtime', '$KV.fermata_directory.gateway.x', 'stand in the directory as a gateway'],
])('the %s may not publish to %s, which would be to %s', async (user, subject) => {
  const nats = await NatsServer.start({ config: documented() });
  onTestFinished(() => nats.close());
  const nc = await connect({ servers: nats.url, user, pass: `secret of ${user.toUpperCase()}` });
  onTestFinished(() => nc.close());
  const refused: string[] = [];
  void (async () => {
    for await (const status of nc.status()) refused.push(JSON.stringify(status));
  })();
  nc.publish(subject, 'x');
  await eventually('the refusal', () => refused.some((status) => /permissions.violation/i.test(status)));
});

interface Status {
  readonly nodes: readonly { readonly id: string }[];
  readonly slots: readonly { readonly owner: string | null }[];
}
