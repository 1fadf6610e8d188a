/**
 * The transport of one process: a MessageChannel between each gateway thread and each shard thread. The main thread
 * lays the cables at start and is not on the path of a call.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { GatewayLink, ShardLink } from './contract.ts';

export interface Cables {
  /** For gateway g: one port per shard, by number. */
  readonly toShards: MessagePort[][];
  /** For shard s: one port per gateway, by number. */
  readonly toGateways: MessagePort[][];
}

export function layCables(gateways: number, shards: number): Cables {
  const channels = Array.from({ length: gateways }, () => Array.from({ length: shards }, () => new MessageChannel()));
  return {
    toShards: channels.map((row) => row.map((channel) => channel.port1)),
    toGateways: Array.from({ length: shards }, (_, shard) => channels.map((row) => row[shard]!.port2)),
  };
}

export function gatewayLink(ports: readonly MessagePort[]): GatewayLink {
  return { shards: ports.length, ...link(ports) };
}

export function shardLink(ports: readonly MessagePort[]): ShardLink {
  return { gateways: ports.length, ...link(ports) };
}

function link(ports: readonly MessagePort[]) {
  let open = true;
  return {
    send(peer: number, frame: string): void {
      if (open) ports[peer]?.postMessage(frame);
    },
    onFrame(receive: (frame: string, peer: number) => void): void {
      for (const [peer, port] of ports.entries()) port.on('message', (frame: string) => receive(frame, peer));
    },
    close(): void {
      open = false;
      for (const port of ports) port.close();
    },
  };
}
