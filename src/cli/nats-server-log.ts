/**
 * The log of a managed nats-server, line by line, as lines of ours: about `nats`, its levels as ours, no secret.
 *
 * What it says at INF is for people who look into it, hence debug. Warnings and errors may be caused by strangers that
 * knock at its port, so they pass a gate. The last errors are kept, to say why a start failed.
 */
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { LogGate } from '../host/log-gate.ts';
import type { Logger } from '../host/log.ts';

const complaintsMax = 5;
const charsMax = 1000;

export class NatsServerLog {
  readonly #log: Logger;
  readonly #gate: LogGate;
  readonly #secrets: readonly string[];
  readonly #complaints: string[] = [];

  constructor(log: Logger, secrets: readonly string[]) {
    this.#log = log.child({ about: 'nats' });
    this.#gate = new LogGate(this.#log, () => performance.now());
    this.#secrets = secrets.filter((secret) => secret.length > 0).sort((a, b) => b.length - a.length);
  }

  read(stream: Readable): void {
    createInterface({ input: stream }).on('line', (line) => this.#take(line));
  }

  /** What it complained of since the last time that this was asked. */
  takeComplaints(): string {
    return this.#complaints.splice(0).join('; ');
  }

  close(): void {
    this.#gate.close();
  }

  #take(line: string): void {
    const [, level, said] = /^\[\d+\] \[([A-Z]{3})\] ?(.*)$/.exec(line) ?? [];
    const text = this.#withoutSecrets((said ?? line).slice(0, charsMax)).trim();
    if (text === '') return;
    if (level === 'INF' || level === 'DBG' || level === 'TRC' || expected.test(text)) {
      this.#log.debug(text);
    } else if (level === 'WRN') {
      this.#gate.write('nats-server warns', 'warn', {}, text);
    } else {
      // Without a level it is the end of a process that failed: wrong configuration, or a Go panic.
      if (this.#complaints.push(text) > complaintsMax) this.#complaints.shift();
      this.#gate.write('nats-server fails', 'error', {}, text);
    }
  }

  #withoutSecrets(text: string): string {
    let clean = text.replace(/:\/\/[^\s@/]+@/g, '://[hidden]@');
    for (const secret of this.#secrets) clean = clean.replaceAll(secret, '[hidden]');
    return clean;
  }
}

/** Of its configuration file, which only we can read. */
const expected = /^Plaintext passwords detected/;
