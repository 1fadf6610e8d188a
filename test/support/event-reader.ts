/**
 * A reader of server-sent events over plain HTTP, as `curl -N` or a service would be: it keeps every byte and reads blocks as
 * the HTML standard says, `id` without data included.
 */
import { type IncomingMessage, request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { eventually } from './wait.ts';

export interface ReaderOptions {
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly lastEventId?: string;
  readonly query?: string;
  /** The certificate that an https address is trusted by. */
  readonly ca?: string;
}

export interface ServerEvent {
  readonly event: string;
  readonly data: unknown;
  /** The last id so far, as a browser gives it. */
  readonly id: string;
}

export class EventReader {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly incoming: IncomingMessage;
  text = '';
  /** True when the answer was whole, false when the line was cut. */
  readonly ended: Promise<boolean>;
  #taken = 0;

  private constructor(incoming: IncomingMessage) {
    this.incoming = incoming;
    this.status = incoming.statusCode ?? 0;
    this.headers = incoming.headers;
    incoming.setEncoding('utf8').on('data', (text: string) => (this.text += text));
    incoming.on('error', () => undefined);
    this.ended = new Promise((resolve) => {
      incoming.on('close', () => resolve(incoming.complete));
    });
  }

  /** Settles with the answer's head. */
  static open(address: string, [type, id]: readonly [string, string], ask: ReaderOptions = {}): Promise<EventReader> {
    const { token, headers = {}, lastEventId, query = '', ca } = ask;
    const { protocol, hostname, port } = new URL(address);
    const outgoing = (protocol === 'https:' ? tlsRequest : plainRequest)({
      hostname,
      port,
      path: `/v1/actors/${type}/${encodeURIComponent(id)}/events${query}`,
      agent: false,
      ...(ca === undefined ? {} : { ca }),
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
        ...headers,
      },
    });
    return new Promise((resolve, reject) => {
      outgoing.on('response', (incoming) => resolve(new EventReader(incoming)));
      outgoing.on('error', reject);
      outgoing.end();
    });
  }

  get events(): ServerEvent[] {
    let id = '';
    return this.#blocks.flatMap((lines) => {
      const fields = new Map(lines.map((line) => line.split(/: ?(.*)/s, 2) as [string, string]));
      id = fields.get('id') ?? id;
      const data = fields.get('data');
      return data === undefined ? [] : [{ event: fields.get('event') ?? 'message', data: JSON.parse(data), id }];
    });
  }

  /** Where a reader that comes back goes on. */
  get lastEventId(): string {
    return (
      this.#blocks
        .flat()
        .findLast((line) => line.startsWith('id: '))
        ?.slice(4) ?? ''
    );
  }

  /** The next event, or the next of this name. */
  async next(name?: string): Promise<ServerEvent> {
    return await eventually(`event ${name ?? ''}`, () => {
      const { events } = this;
      while (this.#taken < events.length) {
        const event = events[this.#taken++]!;
        if (name === undefined || event.event === name) return event;
      }
      return undefined;
    });
  }

  /** All text of an answer that is no stream. */
  async body(): Promise<string> {
    await this.ended;
    return this.text;
  }

  close(): void {
    this.incoming.destroy();
  }

  get #blocks(): string[][] {
    return this.text
      .split('\n\n')
      .slice(0, -1)
      .map((block) => block.split('\n'));
  }
}
