/**
 * The topics of the shards, and who is in them: a text for all of a topic goes once to each gateway that has members.
 *
 * Shards number their topics each by itself; towards the gateways `number * shards + shard` is unique in this process. Of
 * one topic all members are in one slot, because they watch one actor.
 */
import type { Peer, RemoteSession } from './peer.ts';

export interface Topic {
  readonly shard: number;
  /** Towards the gateways. */
  readonly number: number;
  readonly members: Map<Peer, Set<RemoteSession>>;
}

export class Topics {
  readonly #shards: number;
  readonly #topics = new Map<number, Topic>();

  constructor(shards: number) {
    this.#shards = shards;
  }

  get size(): number {
    return this.#topics.size;
  }

  find(shard: number, local: number): Topic | undefined {
    return this.#topics.get(this.#numberOf(shard, local));
  }

  join(shard: number, local: number, remote: RemoteSession): Topic {
    const number = this.#numberOf(shard, local);
    let topic = this.#topics.get(number);
    if (topic === undefined) this.#topics.set(number, (topic = { shard, number, members: new Map() }));
    const members = topic.members.get(remote.peer) ?? new Set();
    topic.members.set(remote.peer, members.add(remote));
    remote.topics.add(topic);
    return topic;
  }

  leave(topic: Topic, remote: RemoteSession): void {
    remote.topics.delete(topic);
    const members = topic.members.get(remote.peer);
    members?.delete(remote);
    if (members?.size === 0) topic.members.delete(remote.peer);
    if (topic.members.size === 0) this.#topics.delete(topic.number);
  }

  /** Out of all of them. */
  forget(remote: RemoteSession): void {
    for (const topic of remote.topics) this.leave(topic, remote);
  }

  /** A copy, for a caller that lets their members leave. */
  ofShard(shard: number): Topic[] {
    return [...this.#topics.values()].filter((topic) => topic.shard === shard);
  }

  #numberOf(shard: number, local: number): number {
    return local * this.#shards + shard;
  }
}
