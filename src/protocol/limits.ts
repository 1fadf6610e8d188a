/**
 * Every bound of the system, in one place: name with unit, default, reason. A bound that an operator may change is a
 * field of `defaultLimits` and can be set with `--limit name=value`; what the format itself fixes is a constant.
 *
 * Invariant: relations between bounds are checked by `checkLimits`, at load and again for a changed set.
 */

export const defaultLimits = {
  /** Bytes of one WebSocket message or HTTP body that a client may send. JSON.parse of hostile 64 KiB blocks for 15 ms; 256 KiB for 150 ms. */
  frameBytesMax: 64 * 1024,
  /** Nesting of a client's JSON. Deep values die in recursive code; nobody types more than 64 levels. */
  depthMax: 64,
  /** Calls that one connection may have in flight; the 1,025th is REJECTED as OVERLOADED. */
  connectionCallsMax: 1024,
  /** Calls waiting in one actor's mailbox. */
  mailboxCallsMax: 1024,
  /** Calls in flight of one tenant, per gateway thread. */
  tenantCallsMax: 10_000,
  /** Calls in flight towards one shard, per gateway thread. */
  shardCallsMax: 20_000,
  /** Milliseconds after which a call to another process that nobody has answered ends `unknown`; earlier when it has a deadline of its own. As long as a turn may take. */
  remoteCallMsMax: 30_000,
  /** Milliseconds that a call without a deadline may have waited in NATS when a runtime gets to it; past it it is REJECTED as OVERLOADED. By then its gateway gives it up. */
  queuedCallMsMax: 30_000,
  /** Bytes that may wait for one commit; a turn that reaches it is the batch's last. Bounds memory when answers are large. */
  batchBytesMax: 16 * 1024 * 1024,
  /** Turns that one commit may carry. Bounds both the pause and what one failed commit can undo. */
  batchTurnsMax: 1024,
  /** Bytes waiting in user space for one socket; past it the socket ends with 4408. */
  socketBufferBytesMax: 1024 * 1024,
  /** Sockets per gateway thread. Each costs a file descriptor; `fermata doctor` compares with the open-file limit. */
  socketsMax: 16_384,
  /** Seconds without any traffic before a socket is closed. Pings go out at half of it; bytes without a whole message are borne twice as long. uWebSockets takes 8 to 960. */
  socketIdleS: 60,
  /** Messages per second of one connection, and the burst that it may save up. 0 turns the limit off. */
  messagesPerSecond: 1000,
  messagesBurst: 2000,
  /** Milliseconds that a turn may take before it ends `failed` and its draft is revoked. */
  turnMs: 30_000,
  /** Bytes of one actor's state as JSON. A turn that grows it past this fails; nothing changes. */
  stateBytesMax: 8 * 1024 * 1024,
  /** Bytes of one call's result as JSON. */
  resultBytesMax: 4 * 1024 * 1024,
  /** Events that one turn may emit, and the bytes that their payloads may take together. */
  turnEventsMax: 1000,
  turnEventBytesMax: 8 * 1024 * 1024,
  /** Milliseconds without a call after which an actor without subscribers leaves memory. */
  actorIdleMs: 60_000,
  /** Bytes of state (as JSON) held by one shard; past it the longest-idle actors leave memory early. */
  shardStateBytesMax: 256 * 1024 * 1024,
  /** Mebibytes of JavaScript heap that one shard's thread may use; past it the thread ends and is started again. */
  shardHeapMbMax: 1024,
  /** Actors held in memory by one shard. */
  shardActorsMax: 100_000,
  /** Actors that one connection may touch while presence is tracked for it. */
  connectionActorsMax: 10_000,
  /** Bytes in one shard's journal that the tenant files do not hold yet; past it calls are REJECTED as OVERLOADED. */
  journalBytesMax: 64 * 1024 * 1024,
  /** Milliseconds for which the keeper gathers entries before it writes a tenant file. Longer coalesces more. */
  keeperDelayMs: 250,
  /** Tenant files that the keeper holds open at once: four file descriptors each. */
  tenantFilesOpenMax: 256,
  /** Milliseconds for which the outcome of a call with a key is kept. */
  outcomeMs: 24 * 60 * 60 * 1000,
  /** Outcomes of one actor held in memory; older ones are looked up in the tenant file. */
  outcomesInMemoryMax: 4096,
  /** Milliseconds for which a session waits for its client after the connection was lost. Until then presence does not flicker. */
  sessionGraceMs: 60_000,
  /** Sessions without a connection that one gateway thread keeps; past it the oldest end early. */
  detachedSessionsMax: 16_384,
  /** Milliseconds for which the record of an ended session is kept in its tenant's file. */
  sessionRecordMs: 24 * 60 * 60 * 1000,
  /** Records of ended sessions that a tenant's file keeps; the oldest go first. A client that connects in a loop must not fill a disk. */
  sessionRecordsMax: 10_000,
  /** Turns and bytes of patches that an actor with subscribers keeps, so that a client can resume; past them it gets a snapshot. */
  historyTurnsMax: 1000,
  historyBytesMax: 1024 * 1024,
  /** Outcomes of one client's numbered calls at one actor that it has not acknowledged, and their bytes; past them its calls are REJECTED as QUOTA. */
  unacknowledgedCallsMax: 2048,
  unacknowledgedBytesMax: 16 * 1024 * 1024,
  /** Milliseconds that a committed entry may wait before it is in the archived log: what a lost disk can cost. */
  archiveDelayMs: 1000,
  /** Bytes of entries that wait for a backup target that does not answer; past it the archived log gets a gap. */
  archiveBufferBytesMax: 64 * 1024 * 1024,
  /** Verified HTTP tokens that one gateway remembers, each until it expires. */
  httpPrincipalsMax: 1000,
  /** Milliseconds for which a node may commit after NATS last said that its slots are its own. Longer bears longer silences; shorter frees the slots of a dead node sooner. */
  leaseMs: 10_000,
};

export type Limits = typeof defaultLimits;

/** Characters of an actor id, of an idempotency key, of a client's call id. */
export const actorIdCharsMax = 256;
export const keyCharsMax = 256;
export const callIdCharsMax = 256;
/** Characters of a stream's epoch. */
export const epochCharsMax = 64;
/** Hash slots that actors are spread over; a power of two far above any thread count. Part of no file format. */
export const partitions = 1024;

/**
 * Throws a sentence that names both bounds when a set of limits contradicts itself.
 * @throws Error
 */
export function checkLimits(limits: Limits): Limits {
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new Error(`limit ${name} must be a whole number of 0 or more, not ${value}`);
    if (value === 0 && !name.startsWith('messages'))
      throw new Error(`limit ${name} must be at least 1; only messagesPerSecond may be 0 (off)`);
  }
  needs(
    limits.connectionCallsMax <= limits.tenantCallsMax,
    'connectionCallsMax',
    'tenantCallsMax',
    'one connection must fit in its tenant',
  );
  needs(
    limits.tenantCallsMax <= limits.shardCallsMax,
    'tenantCallsMax',
    'shardCallsMax',
    'one tenant must not be able to fill more than a shard',
  );
  needs(
    limits.frameBytesMax <= limits.socketBufferBytesMax,
    'frameBytesMax',
    'socketBufferBytesMax',
    'an echoed frame must fit in the buffer',
  );
  needs(
    limits.messagesPerSecond <= limits.messagesBurst,
    'messagesPerSecond',
    'messagesBurst',
    'a second of traffic must fit in the burst',
  );
  needs(
    limits.stateBytesMax <= limits.shardStateBytesMax,
    'stateBytesMax',
    'shardStateBytesMax',
    'one actor must fit in its shard',
  );
  needs(
    limits.stateBytesMax <= limits.journalBytesMax,
    'stateBytesMax',
    'journalBytesMax',
    'one snapshot must fit in the journal',
  );
  needs(
    limits.batchTurnsMax <= limits.outcomesInMemoryMax,
    'batchTurnsMax',
    'outcomesInMemoryMax',
    'an outcome must stay in memory until it is committed',
  );
  needs(
    limits.connectionCallsMax <= limits.unacknowledgedCallsMax,
    'connectionCallsMax',
    'unacknowledgedCallsMax',
    'what is in flight cannot be acknowledged yet',
  );
  if (limits.socketIdleS < 8 || limits.socketIdleS > 960)
    throw new Error(`limit socketIdleS must be 8 to 960, not ${limits.socketIdleS}: uWebSockets takes no other`);
  if (limits.leaseMs < 1000 || limits.leaseMs > 600_000)
    throw new Error(
      `limit leaseMs must be 1000 to 600000, not ${limits.leaseMs}: it is renewed three times in its life`,
    );
  return limits;
}

function needs(holds: boolean, smaller: string, larger: string, why: string): void {
  if (!holds) throw new Error(`limit ${smaller} must not exceed ${larger}: ${why}`);
}

checkLimits(defaultLimits);
