/**
 * Is there a connection just now? The library says so by events; what is published while there is none would pile up in its
 * buffer, so that everybody here asks first.
 */
import { Events, type NatsConnection } from 'nats';

export interface ConnectionStatus {
  readonly up: boolean;
  /** Hears of no more changes. */
  stop(): void;
}

/** `onChange` is called with every change, `true` when the connection is there again. */
export function watchConnection(nc: NatsConnection, onChange: (up: boolean) => void): ConnectionStatus {
  let up = !nc.isClosed() && nc.info !== undefined;
  let stopped = false;
  const change = (next: boolean): void => {
    if (stopped || up === next) return;
    up = next;
    onChange(next);
  };
  const follow = async (): Promise<void> => {
    for await (const { type } of nc.status()) {
      if (stopped) return;
      if (type === Events.Disconnect) change(false);
      else if (type === Events.Reconnect) change(true);
    }
    change(false);
  };
  void follow();
  return {
    get up() {
      return up && !nc.isClosed();
    },
    stop: () => {
      stopped = true;
    },
  };
}
