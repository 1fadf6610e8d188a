/**
 * The transport of one process: a MessageChannel between each gateway thread and each shard thread. The main thread
 * lays the cables at start and is not on the path of a call.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { shardOf } from '../protocol/placement.ts';
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

/** A link of this process, whose peer may die and be replaced by a successor. */
export interface Replaceable {
  /** Frames go to and come from the successor's port from now on. Frames to the old one are lost, as they were anyway. */
  replace(peer: number, port: MessagePort): void;
}

export function gatewayLink(ports: readonly MessagePort[]): GatewayLink & Replaceable {
  const shards = ports.length;
  const place = (tenant: string, type: string, id: string): number => shardOf(tenant, type, id, shards);
  return { shards, place, accepts: () => true, ...link(ports) };
}

export function shardLink(ports: readonly MessagePort[]): ShardLink & Replaceable {
  return { gateways: ports.length, ...link(ports) };
}

function link(given: readonly MessagePort[]) {
  const ports = [...given];
  let open = true;
  let receiver: ((frame: string, peer: number) => void) | undefined;
  const listen = (port: MessagePort, peer: number): void => {
    port.on('message', (frame: string) => receiver?.(frame, peer));
  };
  return {
    send(peer: number, frame: string): void {
      if (open) ports[peer]?.postMessage(frame);
    },
    onFrame(receive: (frame: string, peer: number) => void): void {
      const first = receiver === undefined;
      receiver = receive;
      // Listening starts the flow: frames that came before wait in the port until then.
      if (first) for (const [peer, port] of ports.entries()) listen(port, peer);
    },
    replace(peer: number, port: MessagePort): void {
      if (!open) return port.close();
      ports[peer]?.close();
      ports[peer] = port;
      if (receiver !== undefined) listen(port, peer);
    },
    close(): void {
      open = false;
      for (const port of ports) port.close();
    },
  };
}
