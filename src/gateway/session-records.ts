/**
 * What became of the sessions here since main last asked, for people who look at a tenant. Main takes the records about
 * once per second and hands them to the keeper, which writes them into the tenants' files.
 *
 * Invariants: at most one record per session, the newest · a session that only helped another one to come back leaves no
 * trace when nobody was told of it · bounded: when nobody takes them, the oldest go.
 */
import type { Session } from './session.ts';

export interface SessionRecord {
  readonly tenant: string;
  readonly sessionId: string;
  readonly clientId: string;
  readonly userId: string | null;
  /** `detached`: its connection is lost, its client may come back · `inactive`: ended. */
  readonly status: 'active' | 'detached' | 'inactive';
  /** Why it is inactive: `closed` by the client or the server, `expired` grace, `shutdown`; '' otherwise. */
  readonly reason: '' | 'closed' | 'expired' | 'shutdown';
  /** The run of the process that it belongs to. */
  readonly boot: string;
  readonly connectedMs: number;
  /** When its connection last came or went. */
  readonly seenMs: number;
}

export class SessionRecords {
  readonly #boot: string;
  readonly #recordsMax: number;
  /** By session id, oldest first. */
  readonly #changed = new Map<string, SessionRecord>();
  /** Ids of living sessions that main has heard of. */
  readonly #told = new Set<string>();

  constructor(boot: string, recordsMax: number) {
    this.#boot = boot;
    this.#recordsMax = recordsMax;
  }

  active(session: Session): void {
    this.#note(session, 'active', '');
  }

  detached(session: Session): void {
    this.#note(session, 'detached', '');
  }

  ended(session: Session, reason: 'closed' | 'expired' | 'shutdown'): void {
    this.#note(session, 'inactive', reason);
  }

  /** The session gave its connection to the one that it came back for. */
  vanished(session: Session): void {
    if (this.#told.has(session.info.sessionId)) this.ended(session, 'closed');
    else this.#changed.delete(session.info.sessionId);
  }

  /** Another gateway has it now, and tells of it. */
  handedOver(session: Session): void {
    this.#changed.delete(session.info.sessionId);
    this.#told.delete(session.info.sessionId);
  }

  take(): SessionRecord[] {
    const records = [...this.#changed.values()];
    this.#changed.clear();
    for (const { sessionId, status } of records) {
      if (status === 'inactive') this.#told.delete(sessionId);
      else this.#told.add(sessionId);
    }
    return records;
  }

  #note(session: Session, status: SessionRecord['status'], reason: SessionRecord['reason']): void {
    const { info, connectedMs, seenMs } = session;
    const { tenant, sessionId, clientId, userId } = info;
    const record = { tenant, sessionId, clientId, userId, status, reason, boot: this.#boot, connectedMs, seenMs };
    this.#changed.delete(sessionId);
    this.#changed.set(sessionId, record);
    const [oldest] = this.#changed.keys();
    if (this.#changed.size <= this.#recordsMax || oldest === undefined) return;
    this.#changed.delete(oldest);
    this.#told.delete(oldest);
  }
}
