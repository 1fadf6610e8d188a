/** Managed nats-servers in temporary data directories, what they log, and what the kernel knows of them. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type NatsConnection } from 'nats';
import pino from 'pino';
import { onTestFinished } from 'vitest';
import { ManagedNats } from '../../src/cli/nats-server.ts';
import type { NatsServerConfig } from '../../src/host/config.ts';
import { needs } from '../support/needs.ts';

export interface Line {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fermata-managed-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function serverConfig(changes: Partial<NatsServerConfig> = {}): NatsServerConfig {
  return { bin: needs('nats-server'), host: '127.0.0.1', port: 0, leafRemotes: [], domain: undefined, ...changes };
}

export function recordedLog(lines: Line[]): pino.Logger {
  return pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line) as Line) });
}

export interface Started {
  readonly nats: ManagedNats;
  readonly dataDir: string;
  readonly lines: readonly Line[];
}

/** Stopped at the end of the test, if nobody did before. */
export async function startNats(changes: Partial<NatsServerConfig> = {}, dataDir = newFolder()): Promise<Started> {
  const lines: Line[] = [];
  const nats = await ManagedNats.start({ config: serverConfig(changes), dataDir, log: recordedLog(lines) });
  onTestFinished(() => nats.stop(2000));
  return { nats, dataDir, lines };
}

/** A client that does not give up. */
export async function connectTo({ nats }: ManagedNats): Promise<NatsConnection> {
  const client = await connect({
    servers: [...nats.servers],
    user: nats.user!,
    pass: nats.password!,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 50,
  });
  onTestFinished(() => client.close());
  return client;
}

/** A script that stands where nats-server should be. */
export function fakeProgram(text: string): string {
  const path = join(newFolder(), 'nats-server');
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** Dead ones that nobody has waited for yet do not count. */
export function isAlive(pid: number): boolean {
  const state = statOf(pid)?.[0];
  return state !== undefined && state !== 'Z';
}

export function parentOf(pid: number): number {
  return Number(statOf(pid)?.[1]);
}

export function sessionOf(pid: number): number {
  return Number(statOf(pid)?.[3]);
}

/** State, parent, process group, session and so on: what follows the name in /proc. */
function statOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
