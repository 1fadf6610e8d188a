/**
 * Every metric that the server exports, in one place: name, kind, what it says, and the labels that it may have.
 *
 * Names follow the rules of Prometheus: base units, `_total` for what only grows. Labels have few values, known in advance:
 * never a tenant, an actor or a user, so that neither cost nor secrets grow with the load.
 * `docs/metrics.md`, the dashboard and the alert rules in `deploy/` are checked against this list.
 */

interface MetricFacts {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels?: readonly string[];
  /** Upper bounds of a histogram. */
  readonly buckets?: readonly number[];
}

/** From a tenth of a millisecond, which a quick turn takes, to the 30 s after which one is ended. */
const secondsBuckets = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];
const countBuckets = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

export const metricCatalog = {
  fermata_info: { type: 'gauge', help: '1, with the version that runs.', labels: ['version'] },
  fermata_ready: { type: 'gauge', help: '1 while the server takes calls, 0 while it starts, drains or is impaired.' },
  fermata_thread_up: { type: 'gauge', help: '1 when the thread answered this scrape.', labels: ['thread'] },
  fermata_thread_restarts_total: {
    type: 'counter',
    help: 'Threads that died and were started again.',
    labels: ['kind'],
  },
  fermata_event_loop_delay_seconds: {
    type: 'gauge',
    help: 'Delay of the event loop since the last scrape, by thread: half, 99 % and all of its samples were below.',
    labels: ['thread', 'quantile'],
  },

  fermata_sockets: { type: 'gauge', help: 'Open WebSockets and event streams.' },
  fermata_sessions: {
    type: 'gauge',
    help: 'Sessions: attached to a socket, or detached and within their grace.',
    labels: ['state'],
  },
  fermata_socket_closes_total: {
    type: 'counter',
    help: 'WebSockets and event streams that were closed, by close code.',
    labels: ['code'],
  },
  fermata_calls_total: {
    type: 'counter',
    help: 'Calls that got their answer, by outcome; not reads, nor what was refused before it was looked at as a call: rate limit, draining, malformed.',
    labels: ['outcome'],
  },
  fermata_calls_in_flight: { type: 'gauge', help: 'Calls that a gateway handed on and that have no answer yet.' },
  fermata_call_duration_seconds: {
    type: 'histogram',
    help: 'From the arrival of a call at the gateway to its answer.',
    buckets: secondsBuckets,
  },
  fermata_refusals_total: {
    type: 'counter',
    help: 'Calls, messages, upgrades and HTTP requests that were refused, by code of the error; not subscriptions that an actor refused.',
    labels: ['code'],
  },
  fermata_messages_received_total: { type: 'counter', help: 'Messages that came in on WebSockets.' },
  fermata_received_bytes_total: { type: 'counter', help: 'Bytes of those messages.' },
  fermata_messages_sent_total: { type: 'counter', help: 'Messages that went out on WebSockets.' },
  fermata_sent_bytes_total: {
    type: 'counter',
    help: 'Bytes of those messages before framing; a character beyond ASCII counts as one.',
  },
  fermata_nats_unacked_frames: {
    type: 'gauge',
    help: 'Frames of calls that NATS has not acknowledged yet; absent without NATS.',
  },

  fermata_nats_up: {
    type: 'gauge',
    help: '1 while NATS and JetStream answer, as `/health` says it; absent without NATS.',
  },
  fermata_nats_lag_frames: {
    type: 'gauge',
    help: 'Frames of calls for the slots of this runtime that wait in NATS or are being worked at.',
  },
  fermata_nats_held_frames: {
    type: 'gauge',
    help: 'Frames that came and wait for one before them, or for their gateway to say who is there.',
  },
  fermata_nats_redelivered_total: {
    type: 'counter',
    help: 'Frames that NATS delivered again, because it had heard nothing of them.',
  },
  fermata_dead_letters_total: {
    type: 'counter',
    help: 'Frames that could not be handled and were put aside by this process.',
  },
  fermata_dead_letters: {
    type: 'gauge',
    help: 'Dead letters that lie in NATS, of all runtimes; each of them tells the same.',
  },
  fermata_slots: { type: 'gauge', help: 'Slots of tenants that this runtime owns; absent without NATS.' },
  fermata_lease_held: {
    type: 'gauge',
    help: '1 while this runtime may commit for its slots; absent without NATS.',
  },

  fermata_actors: { type: 'gauge', help: 'Actors in memory.' },
  fermata_actor_state_bytes: {
    type: 'gauge',
    help: 'Text of their states and of what goes with them, as the last round of the eviction found.',
  },
  fermata_activations_total: { type: 'counter', help: 'Actors that were brought into memory.' },
  fermata_evictions_total: { type: 'counter', help: 'Actors that left memory: idle, to make room, or at the end.' },
  fermata_mailbox_items: { type: 'gauge', help: 'Calls and other work that waits in mailboxes.' },
  fermata_turn_duration_seconds: {
    type: 'histogram',
    help: 'From the start of a turn to its end, before its commit; waiting for promises of the handler included.',
    buckets: secondsBuckets,
  },
  fermata_commit_duration_seconds: {
    type: 'histogram',
    help: 'Transactions of the journal, fsync included.',
    buckets: secondsBuckets,
  },
  fermata_commit_calls: { type: 'histogram', help: 'Answers that waited for one commit.', buckets: countBuckets },
  fermata_commit_failures_total: {
    type: 'counter',
    help: 'Commits that failed; their callers heard unknown or rejected.',
  },
  fermata_patches_total: { type: 'counter', help: 'Changes of state that were made into patches for subscribers.' },
  fermata_journal_rows: { type: 'gauge', help: 'Rows of journals that are not in tenant files for good.' },
  fermata_journal_bytes: { type: 'gauge', help: 'Bytes of those rows.' },
  fermata_journal_writable: { type: 'gauge', help: '1 while the journal takes commits, by shard.', labels: ['shard'] },

  fermata_tenants: { type: 'gauge', help: 'Tenants with a file in the data directory.' },
  fermata_tenant_files_open: { type: 'gauge', help: 'Tenant files that are open.' },
  fermata_tenants_read_only: { type: 'gauge', help: 'Tenants whose file cannot be written at the moment.' },
  fermata_quarantined: {
    type: 'gauge',
    help: 'Tenants and actors that failed a check and were closed off since the start.',
  },
  fermata_quarantined_calls: { type: 'gauge', help: 'Calls that ended their thread repeatedly and are refused.' },
  fermata_keeper_pending_actors: {
    type: 'gauge',
    help: 'Actors whose changes wait to be written to their tenant file.',
  },
  fermata_tenant_write_duration_seconds: {
    type: 'histogram',
    help: 'Transactions of tenant files, fsync included.',
    buckets: secondsBuckets,
  },

  fermata_backup_age_seconds: {
    type: 'gauge',
    help: 'Since the last round that left every tenant with a good backup; absent before the first, and when there is no schedule.',
  },
  fermata_backup_overdue: { type: 'gauge', help: '1 when that is too long ago; absent when there is no schedule.' },
  fermata_backup_failing_tenants: { type: 'gauge', help: 'Tenants that the last round left without a new backup.' },
} as const satisfies Record<string, MetricFacts>;

export type MetricName = keyof typeof metricCatalog;
