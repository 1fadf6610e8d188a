/** `/metrics` of the shipped command: what an operator's scraper sees while clients do this and that. */
import { expect, onTestFinished, test } from 'vitest';
import { metricCatalog } from '../../src/host/metric-catalog.ts';
import { Cluster } from '../support/cluster.ts';
import { post, send } from '../support/http.ts';
import { freePort, Stage } from '../support/stage.ts';
import { mint } from '../support/token.ts';
import { eventually } from '../support/wait.ts';

type Series = ReadonlyMap<string, number>;

async function scrape(adminPort: string): Promise<Series> {
  const answer = await fetch(`http://127.0.0.1:${adminPort}/metrics`);
  expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  const lines = (await answer.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

function ofSeveralMachines(name: string): boolean {
  return /^fermata_(nats_|dead_letters|slots$|lease_held$)/.test(name);
}

function newStage(): Stage {
  const stage = new Stage();
  onTestFinished(() => stage.end());
  return stage;
}

test('a scraper sees calls, turns, commits, refusals, sockets and storage, and no name of anybody', async () => {
  const stage = newStage();
  const adminPort = await freePort();
  const server = await stage.serve({ app: 'examples/counter.ts', args: ['--admin-port', adminPort, '--shards', '2'] });
  const before = await scrape(adminPort);
  const client = await stage.connect(server, { v1: true });
  await client.subscribe('counter', 'secret-room');
  for (let calls = 0; calls < 20; calls += 1) await client.rpc('counter', 'secret-room', 'add', { amount: 1 });
  await client.call({ actor: 'nobody', actorId: 'x', method: 'add' });
  await client.call({ actor: 'counter', actorId: 'x', method: 'nope' });
  expect((await post(server.address, ['counter', 'c', 'add'], { token: 'none' })).status).toBe(401);

  const after = await eventually('the counts are there', async () => {
    const seen = await scrape(adminPort);
    return seen.get('fermata_tenants') === 1 ? seen : undefined!;
  });
  const rise = (series: string): number => after.get(series)! - (before.get(series) ?? 0);
  expect(rise('fermata_calls_total{outcome="ok"}')).toBe(20);
  expect(rise('fermata_calls_total{outcome="rejected"}')).toBe(2);
  expect(rise('fermata_refusals_total{code="UNKNOWN_ACTOR"}')).toBe(1);
  expect(rise('fermata_refusals_total{code="UNKNOWN_METHOD"}')).toBe(1);
  expect(rise('fermata_refusals_total{code="UNAUTHORIZED"}')).toBe(1);
  expect(rise('fermata_call_duration_seconds_count')).toBe(22);
  expect(rise('fermata_turn_duration_seconds_count')).toBeGreaterThanOrEqual(20);
  expect(rise('fermata_commit_duration_seconds_count')).toBeGreaterThanOrEqual(20);
  expect(rise('fermata_patches_total')).toBe(20);
  expect(rise('fermata_messages_received_total')).toBeGreaterThanOrEqual(23);
  expect(rise('fermata_messages_sent_total')).toBeGreaterThanOrEqual(42);
  expect(rise('fermata_sent_bytes_total')).toBeGreaterThan(42 * 20);
  expect(rise('fermata_sockets')).toBe(1);
  expect(rise('fermata_sessions{state="attached"}')).toBe(1);
  expect(after.get('fermata_ready')).toBe(1);
  expect(after.get('fermata_mailbox_items')).toBe(0);
  expect(after.get('fermata_calls_in_flight')).toBe(0);
  for (const thread of ['gateway-0', 'shard-0', 'shard-1', 'keeper']) {
    expect(after.get(`fermata_thread_up{thread="${thread}"}`)).toBe(1);
    expect(after.get(`fermata_event_loop_delay_seconds{thread="${thread}",quantile="0.99"}`)).toBeLessThan(5);
  }

  const names = new Set(
    Array.from(after.keys(), (series) => series.split('{')[0]!.replace(/_(bucket|sum|count)$/, '')),
  );
  const own = Array.from(names).filter((name) => name.startsWith('fermata_'));
  const noSchedule = ['fermata_backup_age_seconds', 'fermata_backup_overdue', 'fermata_backup_failing_tenants'];
  expect(own.toSorted()).toEqual(
    Object.keys(metricCatalog)
      .filter((name) => !noSchedule.includes(name) && !ofSeveralMachines(name))
      .toSorted(),
  );
  expect(Array.from(after.keys()).join('\n')).not.toMatch(/secret-room|acme|tenant="|counter/);

  await client.close();
  await eventually(
    'the socket is counted out',
    async () => (await scrape(adminPort)).get('fermata_sockets') === 0 || undefined!,
  );
});

test('of several machines each tells its part, and together all there is', async () => {
  const [gatewayPort, runtimePort] = [await freePort(), await freePort()];
  const cluster = await Cluster.start({
    app: 'ledger',
    gateways: 1,
    runtimes: 1,
    gatewayArgs: ['--admin-port', gatewayPort],
    runtimeArgs: ['--admin-port', runtimePort],
  });
  onTestFinished(() => cluster.end());
  const token = await mint();
  await post(cluster.gateways[0]!.address, ['counter', 'c', 'increment'], { token });
  const [gateway, runtime] = [await scrape(gatewayPort), await scrape(runtimePort)];
  expect(gateway.get('fermata_nats_up')).toBe(1);
  expect(gateway.get('fermata_nats_unacked_frames')).toBe(0);
  expect(gateway.has('fermata_slots')).toBe(false);
  expect(runtime.get('fermata_nats_up')).toBe(1);
  expect(runtime.get('fermata_slots')).toBe(64);
  expect(runtime.get('fermata_lease_held')).toBe(1);
  expect(runtime.get('fermata_dead_letters')).toBe(0);
  const told = new Set([...gateway.keys(), ...runtime.keys()]);
  expect(Object.keys(metricCatalog).filter((name) => ofSeveralMachines(name) && !told.has(name))).toEqual([]);

  await cluster.nats.down();
  await eventually('NATS is missed', async () => (await scrape(runtimePort)).get('fermata_nats_up') === 0, 15_000);
  expect((await scrape(runtimePort)).has('fermata_nats_lag_frames')).toBe(false);
}, 60_000);

test('a shard that died is counted, and its counters stay', async () => {
  const stage = newStage();
  const adminPort = await freePort();
  const server = await stage.serve({
    app: 'deadly',
    args: ['--admin-port', adminPort],
    env: { TALLY: '/dev/null', MENDED: '/nowhere' },
  });
  const client = await stage.connect(server, { v1: true });
  for (let calls = 0; calls < 5; calls += 1) await client.rpc('deadly', 'd', 'add');
  const before = await scrape(adminPort);
  expect((await client.call({ actor: 'deadly', actorId: 'd', method: 'kill' })).outcome).toBe('unknown');
  const after = await eventually('the shard is back', async () => {
    const seen = await scrape(adminPort);
    return seen.get('fermata_thread_up{thread="shard-0"}') === 1 &&
      seen.get('fermata_thread_restarts_total{kind="shard"}') === 1
      ? seen
      : undefined!;
  });
  expect(after.get('fermata_calls_total{outcome="unknown"}')).toBe(1);
  for (const series of ['fermata_commit_duration_seconds_count', 'fermata_activations_total'])
    expect(after.get(series)).toBeGreaterThanOrEqual(before.get(series)!);
});

test('what belongs to operators is not to be had from the port of the clients', async () => {
  const stage = newStage();
  const adminPort = await freePort();
  const server = await stage.serve({ app: 'examples/counter.ts', args: ['--admin-port', adminPort] });
  expect((await send(server.address, 'GET', '/metrics')).status).toBe(404);
  const admin = `http://127.0.0.1:${adminPort}`;
  expect((await send(admin, 'POST', '/metrics')).status).toBe(405);
  expect((await send(admin, 'GET', '/v1/actors/counter/c/state')).status).toBe(404);
});
