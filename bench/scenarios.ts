/**
 * What is measured, as data. A scenario compares variants under the same load in the same minutes: each has the bare echo
 * in it, and all its figures are told as shares of that echo.
 */
import type { CallVariant } from './call-job.ts';
import { numberPlaceholder } from './frame-template.ts';
import type { ServerName } from './servers.ts';

export interface HttpVariant {
  readonly name: string;
  readonly server: ServerName;
  readonly connections: number;
  readonly path: string;
  readonly body: string;
}

export interface FanOutVariant {
  readonly name: string;
  readonly server: ServerName;
  readonly subscribers: number;
  readonly pipelined: number;
}

export type Scenario = { readonly name: string; readonly about: string } & (
  | { readonly kind: 'calls'; readonly variants: readonly CallVariant[] }
  | { readonly kind: 'http'; readonly variants: readonly HttpVariant[] }
  | { readonly kind: 'fan-out'; readonly variants: readonly FanOutVariant[] }
);

const add = { actor: 'counter', method: 'add', input: { amount: 2 }, counts: 2, tenants: 1, keys: 'none' } as const;
const push = { ...add, actor: 'list', method: 'push', input: { text: 'hello there' }, counts: undefined };
const set = { ...add, actor: 'map', method: 'set', input: { number: numberPlaceholder }, counts: undefined };

function load(connections: number, pipelined: number) {
  return {
    echo: { ...add, name: 'echo', server: 'echo', connections, pipelined },
    durable: { ...add, name: 'durable', server: 'fermata', connections, pipelined },
    memory: { ...add, name: 'memory', actor: 'counterMemory', server: 'fermata', connections, pipelined },
    naive: { ...add, name: 'naive', server: 'naive', connections, pipelined },
    nats: { ...add, name: 'over NATS', server: 'nats', connections, pipelined },
  } as const;
}

const single = load(1, 1);
const busy = load(50, 16);
const crowded = load(200, 16);
/** As many calls in flight as 50 × 16. */
const spread = load(200, 4);
const few = load(16, 1);
const http = { path: '/v1/actors/counter/c1/add', body: '{"amount":2}', connections: 50 };

export const scenarios: readonly Scenario[] = [
  {
    name: '1x1',
    about: 'one client, one call at a time: what a call costs in time',
    kind: 'calls',
    variants: [single.echo, single.durable, single.naive, single.memory],
  },
  {
    name: '50x16',
    about: '50 connections, 16 calls in flight on each, one counter per connection',
    kind: 'calls',
    variants: [
      busy.echo,
      busy.durable,
      busy.naive,
      { ...busy.durable, name: 'process', actor: 'counterProcess' },
      busy.memory,
      { ...busy.durable, name: 'durable, numbered', keys: 'numbered' },
      { ...busy.durable, name: 'durable, keyed', keys: 'arbitrary' },
      { ...busy.durable, name: 'durable, 16 tenants', tenants: 16 },
    ],
  },
  {
    name: '200x16',
    about: 'the same with 200 connections',
    kind: 'calls',
    variants: [crowded.echo, crowded.durable, crowded.naive],
  },
  {
    name: 'tenants',
    about: '200 connections, 4 calls in flight on each (800 in all, as with 50x16); one tenant, then one each',
    kind: 'calls',
    variants: [spread.echo, spread.durable, { ...spread.durable, name: 'durable, 200 tenants', tenants: 200 }],
  },
  {
    name: 'nats',
    about:
      'gateway → JetStream → runtime → gateway, three processes beside nats-server, and the same in one process without it',
    kind: 'calls',
    variants: [single.echo, single.durable, single.nats, busy.echo, busy.durable, busy.nats],
  },
  {
    name: 'archive',
    about:
      'what it costs that everything committed is archived for backups; 50 connections, 16 calls in flight on each',
    kind: 'calls',
    variants: [busy.echo, busy.durable, { ...busy.durable, name: 'durable, archived', server: 'archiving' }],
  },
  {
    name: 'shapes',
    about: 'states that cost Immer more: 200 items with push and shift, 10,000 keys; 16 connections, one call each',
    kind: 'calls',
    variants: [
      few.echo,
      few.durable,
      { ...few.durable, ...push, name: 'durable, list' },
      { ...few.durable, ...set, name: 'durable, map' },
    ],
  },
  {
    name: 'http',
    about: 'POST /v1/actors/counter/c1/add by autocannon, 50 connections, one actor',
    kind: 'http',
    variants: [
      { ...http, name: 'echo', server: 'echo' },
      { ...http, name: 'durable', server: 'fermata' },
    ],
  },
  {
    name: 'fan-out',
    about: 'one writer, 100 subscribers of the state; latency from the call to the last subscriber; echo: app.publish',
    kind: 'fan-out',
    variants: [
      { name: 'echo', server: 'echo', subscribers: 100, pipelined: 1 },
      { name: 'durable', server: 'fermata', subscribers: 100, pipelined: 1 },
      { name: 'echo', server: 'echo', subscribers: 100, pipelined: 16 },
      { name: 'durable', server: 'fermata', subscribers: 100, pipelined: 16 },
    ],
  },
];

/** Connections × calls in flight. Rows are compared with the echo of the same load. */
export function loadOf(variant: CallVariant | HttpVariant | FanOutVariant): string {
  if ('subscribers' in variant) return `1→${variant.subscribers} ×${variant.pipelined}`;
  return 'pipelined' in variant ? `${variant.connections}×${variant.pipelined}` : `${variant.connections}×1`;
}
