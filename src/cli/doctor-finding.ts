/** What one check of `fermata doctor` found. `fail`: the server will not start or will lose its promises here. */
export interface Finding {
  readonly check: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
}

export function ok(check: string, message: string): Finding {
  return { check, status: 'ok', message };
}

export function warn(check: string, message: string, hint: string): Finding {
  return { check, status: 'warn', message, hint };
}

export function fail(check: string, message: string, hint: string): Finding {
  return { check, status: 'fail', message, hint };
}

/** What an unknown caught thing has to say. */
export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
