/**
 * Headers of every HTTP answer, errors included. TLS ends at the proxy in front; HSTS is set here so that no proxy
 * configuration can forget it (browsers ignore it on plain HTTP).
 */
export type Headers = readonly (readonly [name: string, value: string])[];

const common: Headers = [
  ['Strict-Transport-Security', 'max-age=31536000; includeSubDomains'],
  ['X-Content-Type-Options', 'nosniff'],
  ['X-Frame-Options', 'DENY'],
  ['Referrer-Policy', 'no-referrer'],
  ['Cache-Control', 'no-store'],
];

export const apiHeaders: Headers = [
  ...common,
  ['Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'"],
];

/** `X-Accel-Buffering`: nginx passes each piece on as it comes. */
export const streamHeaders: Headers = [
  ...apiHeaders,
  ['Content-Type', 'text/event-stream'],
  ['X-Accel-Buffering', 'no'],
];

/** For the development pages: their own scripts and styles, also inline ones, and connections to this server. */
export const pageHeaders: Headers = [
  ...common,
  [
    'Content-Security-Policy',
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
      "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  ],
];

/** For an allowed page of another origin. Tokens travel in a header, so credentials mode stays off. */
export function corsHeaders(origin: string): Headers {
  return origin === ''
    ? [['Vary', 'Origin']]
    : [
        ['Vary', 'Origin'],
        ['Access-Control-Allow-Origin', origin],
        ['Access-Control-Expose-Headers', 'ETag, Retry-After, X-Request-Id'],
      ];
}

export const preflightHeaders: Headers = [
  ['Access-Control-Allow-Methods', 'GET, HEAD, POST'],
  [
    'Access-Control-Allow-Headers',
    'Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, traceparent, X-Request-Id',
  ],
  ['Access-Control-Max-Age', '600'],
];

const reasons: Readonly<Record<number, string>> = {
  101: 'Switching Protocols',
  200: 'OK',
  204: 'No Content',
  304: 'Not Modified',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  413: 'Content Too Large',
  422: 'Unprocessable Content',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

export function statusLine(status: number): string {
  return `${status} ${reasons[status] ?? 'Status'}`;
}
