/**
 * Every name on NATS, in one place. Tokens are numbers of slots and generated ids, never words of users.
 *
 * Subjects end in one token, so that permissions can be given by wildcard: `fermata.calls.*`, `fermata.out.*` and so on.
 */

/** Tenants are spread over this many slots, each owned by one runtime. Fixed: it is in the names. */
export const slots = 64;

export const streams = {
  /** Work queue: frames of calls, removed when their calls are answered. */
  calls: 'FERMATA_CALLS',
  /** Frames that could not be handled, kept for people. */
  dead: 'FERMATA_DLQ',
} as const;

export const buckets = {
  /** Who owns which slot: the truth. */
  slots: 'fermata_slots',
  /** Who is there: for people. */
  directory: 'fermata_directory',
  /** Object store: tenant files on their way from one node to another. */
  moves: 'fermata_moves',
} as const;

export const subjects = {
  calls: (slot: number): string => `fermata.calls.${slot}`,
  allCalls: 'fermata.calls.*',
  dead: (slot: number): string => `fermata.dead.${slot}`,
  allDead: 'fermata.dead.*',
  /** Everything for one gateway thread. */
  out: (gateway: string): string => `fermata.out.${gateway}`,
  /** Acknowledgements of what a gateway thread published. */
  acks: (gateway: string): string => `fermata.ack.${gateway}`,
  /** Presence, for one runtime process. */
  in: (runtime: string): string => `fermata.in.${runtime}`,
  /** To all gateways: these slots are served by a newcomer. */
  hello: 'fermata.hello',
  /** To all runtimes: signs of life of gateways. */
  beat: 'fermata.beat',
  /** Between gateways: sessions whose client came back through another one. */
  sessions: 'fermata.sessions',
  /** Questions to one node. */
  node: (node: string): string => `fermata.node.${node}`,
  /** Before the endpoints of the micro service `fermata`. */
  service: 'fermata.service',
} as const;

/** Name of a slot's consumer: one per epoch, so that what a former owner says of it means nothing. */
export function consumerName(slot: number, epoch: number): string {
  return `slot-${slot}-e${epoch}`;
}

/** A generated id of a gateway thread, a runtime or a node: safe as a token of a subject. */
export const idPattern = /^[a-z0-9]{8,40}$/;
