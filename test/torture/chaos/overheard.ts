/**
 * What a client tells nobody, overheard at its socket: which of its calls were refused and made again, the names that the
 * server gave it, and how its streams went on.
 */
import type { Socket, SocketConstructor } from '../../../src/client/socket.ts';

export class Overheard {
  /** Ids of calls that an answer other than `ok` and `failed` was given to: they may come later than others. */
  readonly refused = new Set<string>();
  readonly clientIds = new Set<string>();
  /** Second welcomes, by whether the old session was to be had. */
  resumed = 0;
  anew = 0;
  snapshots = 0;
  patches = 0;

  /** Sockets that are listened to. */
  wrap(Base: SocketConstructor): SocketConstructor {
    return new Proxy(Base, {
      construct: (target, [url, protocols]: [string, string[]]): Socket => {
        const socket = new target(url, protocols);
        const seen = { welcomes: 0 };
        socket.addEventListener('message', ({ data }) => this.#hear(String(data), seen));
        return socket;
      },
    });
  }

  #hear(text: string, seen: { welcomes: number }): void {
    if (text.startsWith('{"type":"state:patch"')) this.patches += 1;
    else if (text.startsWith('{"type":"state:snapshot"')) this.snapshots += 1;
    else if (text.startsWith('{"type":"rpc:result"') && /"outcome":"(rejected|unknown)"/.test(text))
      this.refused.add((JSON.parse(text) as { id: string }).id);
    else if (text.startsWith('{"type":"welcome"')) {
      const { clientId, resumed } = JSON.parse(text) as { clientId: string; resumed: boolean };
      this.clientIds.add(clientId);
      if (resumed) this.resumed += 1;
      else if (seen.welcomes > 0) this.anew += 1;
      seen.welcomes += 1;
    }
  }
}
