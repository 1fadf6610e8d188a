/**
 * Which paths exist. Parts are decoded one by one after the split, so that nothing inside a part can become a separator.
 */
export type Route =
  | { readonly kind: 'health' | 'ready' | 'socket' | 'auth' | 'unknown' }
  | { readonly kind: 'malformed'; readonly message: string }
  | { readonly kind: 'actor'; readonly actor: string; readonly actorId: string; readonly method: string };

export function findRoute(path: string): Route {
  if (path === '/health') return { kind: 'health' };
  if (path === '/ready') return { kind: 'ready' };
  if (path === '/ws') return { kind: 'socket' };
  if (path === '/v1/auth') return { kind: 'auth' };
  if (!path.startsWith('/v1/actors/')) return { kind: 'unknown' };
  const parts = path.slice('/v1/actors/'.length).split('/');
  if (parts.length !== 3) return { kind: 'unknown' };
  let decoded: string[];
  try {
    decoded = parts.map((part) => decodeURIComponent(part));
  } catch {
    return { kind: 'malformed', message: 'The path holds a broken percent escape' };
  }
  const [actor = '', actorId = '', method = ''] = decoded;
  return { kind: 'actor', actor, actorId, method };
}

/** `GET …/state` reads and `GET …/events` streams; with POST the same path is a call of a method that is named so. */
export function allowedMethods(route: Route): string {
  if (route.kind !== 'actor') return 'GET, HEAD';
  if (route.method === 'events') return 'GET, POST';
  return route.method === 'state' ? 'GET, HEAD, POST' : 'POST';
}
