/** HTTP requests with the path exactly as given: `fetch` would tidy up `..` and its encodings before sending them. */
import { request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';

/** The body of an answer: that of a call, or a state. */
export interface Json {
  readonly result?: unknown;
  readonly error?: {
    readonly code: string;
    readonly message: string;
    readonly outcome: string;
    readonly retryable: boolean;
  };
  readonly [field: string]: unknown;
}

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Names and values in turn, as they came: a header that came twice is there twice. */
  readonly rawHeaders: readonly string[];
  /** @throws SyntaxError when the text is no JSON */
  json(): Json;
}

export interface HttpAsk {
  readonly token?: string;
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly input?: unknown;
  /** The certificate that an https address is trusted by. */
  readonly ca?: string;
  /** The address of this machine that the request comes from. */
  readonly from?: string;
}

/** POST /v1/actors/:type/:id/:method, each part encoded. */
export async function post(address: string, path: readonly string[], ask: HttpAsk = {}): Promise<HttpAnswer> {
  return await send(address, 'POST', `/v1/actors/${path.map(encodeURIComponent).join('/')}`, ask);
}

export async function getState(address: string, type: string, id: string, ask: HttpAsk = {}): Promise<HttpAnswer> {
  return await send(address, 'GET', `/v1/actors/${type}/${encodeURIComponent(id)}/state`, ask);
}

export function send(address: string, method: string, path: string, ask: HttpAsk = {}): Promise<HttpAnswer> {
  const { token, key, input, headers = {}, ca, from } = ask;
  const { protocol, hostname, port } = new URL(address);
  const request = protocol === 'https:' ? tlsRequest : plainRequest;
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        hostname,
        port,
        method,
        path,
        agent: false,
        ...(ca === undefined ? {} : { ca }),
        ...(from === undefined ? {} : { localAddress: from }),
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(key === undefined ? {} : { 'idempotency-key': key }),
          ...headers,
        },
      },
      (incoming) => {
        let text = '';
        incoming.setEncoding('utf8');
        incoming.on('data', (chunk: string) => (text += chunk));
        incoming.on('error', reject);
        incoming.on('end', () => {
          resolve({
            status: incoming.statusCode ?? 0,
            text,
            headers: incoming.headers,
            rawHeaders: incoming.rawHeaders,
            json: () => JSON.parse(text) as Json,
          });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(input === undefined ? undefined : JSON.stringify(input));
  });
}
