/**
 * What the client needs of a WebSocket, and where it connects to. The browser's, Node's own (22 and later) and that of
 * npm's `ws` all fit.
 */
export interface Socket {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: { code: number; reason: string }) => void): void;
  addEventListener(type: 'open' | 'error', listener: () => void): void;
}

export type SocketConstructor = new (url: string, protocols: string[]) => Socket;

/**
 * The address to connect to: `ws:`, `wss:`, `http:` and `https:` are understood, an empty path means `/ws`, and in a
 * page a relative address means the page's own server.
 * @throws TypeError when it is no such address
 */
export function socketUrl(address: string | URL): string {
  const page: unknown = Reflect.get(globalThis, 'location');
  const url = page instanceof Object && 'href' in page ? new URL(address, String(page.href)) : new URL(address);
  if (url.protocol === 'http:') url.protocol = 'ws:';
  if (url.protocol === 'https:') url.protocol = 'wss:';
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') {
    throw new TypeError(`url must start with ws:, wss:, http: or https:, not ${url.protocol}`);
  }
  if (url.pathname === '/') url.pathname = '/ws';
  url.hash = '';
  return url.href;
}
