/** An open line to a client that watches actors: a WebSocket (`Connection`) or an event stream over HTTP (`EventStream`). */
import type { ServerMessage } from '../protocol/messages.ts';
import type { Principal } from './auth.ts';
import type { Session } from './session.ts';

export interface Line {
  /** Owned by `Sessions`. */
  session: Session;
  /** Can its client come back for the session? */
  readonly additions: boolean;
  /** Whose token it stands on. */
  readonly principal: Principal;
  /** Keys of the topics it has joined. Written by the outlet. */
  readonly topics: Set<string>;
  readonly open: boolean;
  readonly bufferedBytes: number;

  sendMessage(message: ServerMessage): void;
  /** Keeps the text for `flush`. True when it is the first one kept. */
  queue(text: string): boolean;
  flush(): void;
  /** The text is published to a topic of its, after all that was queued before. */
  published(text: string): void;
  joinTopic(topic: string): void;
  leaveTopic(topic: string): void;
  /** Ends the line when too much waits for it. True when it is closed. */
  endIfSlow(): boolean;
  /** Asked once per second: for how many seconds nothing whole came from the client. */
  countSilence(): number;
  ping(): void;
  /** Ends it at once. */
  cut(): void;
  /** Ends it after what is buffered. `sessions.closed` is called before this returns. */
  end(code: number, reason: string): void;
}
