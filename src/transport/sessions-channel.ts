/** What gateways say to each other about sessions: each message is heard by all of them, or by some, or by none. */
export interface SessionsChannel {
  /**
   * Never throws. What cannot be said now is dropped, because whoever asked has given up before it could be said later: false
   * then. True promises nothing.
   */
  post(message: object): boolean;
  /** Called once. What is heard may be anything, and may be one's own. */
  onMessage(hear: (message: unknown) => void): void;
  close(): void;
}
