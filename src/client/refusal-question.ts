/**
 * Asks the server whether it refuses this client. A WebSocket hides the status of a refused upgrade, so that a refused
 * token and a server that is away look the same; a plain request to the same server tells them apart.
 */
import { closeCodes } from '../protocol/messages.ts';

/** The close code that says what the server said, or undefined when it did not refuse, or could not be asked. Never rejects. */
export async function askForRefusal(url: string, token: string, signal: AbortSignal): Promise<number | undefined> {
  if (typeof fetch !== 'function') return undefined;
  try {
    const response = await fetch(questionUrl(url), {
      headers: token === '' ? {} : { Authorization: `Bearer ${token}` },
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
      signal,
    });
    await response.body?.cancel();
    if (response.status === 401) return closeCodes.unauthorized;
    return response.status === 403 ? closeCodes.forbidden : undefined;
  } catch {
    return undefined;
  }
}

/** Beside the WebSocket: the last segment of its path replaced. */
export function questionUrl(socketUrl: string): string {
  const url = new URL(socketUrl);
  url.protocol = url.protocol === 'wss:' ? 'https:' : 'http:';
  url.pathname = url.pathname.replace(/\/[^/]*$/, '/v1/auth');
  url.search = '';
  return url.href;
}
