/**
 * HTTP requests of tests: with a good token, as raw bytes, and what every answer must carry.
 */
import { connect as connectTcp } from 'node:net';
import { expect } from 'vitest';
import type { Rig } from './rig.ts';
import { token } from './tokens.ts';

export const bearer = { authorization: `Bearer ${token()}` };

export async function post(rig: Rig, path: string, body?: string | Buffer, headers: Record<string, string> = {}) {
  return fetch(`${rig.http}${path}`, {
    method: 'POST',
    headers: { ...bearer, ...headers },
    ...(body === undefined ? {} : { body: new Uint8Array(Buffer.from(body)) }),
  });
}

/** Sends bytes as they are and gathers the answer until the server closes. */
export function raw(rig: Rig, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp(rig.gateway.port, '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.on('data', (data) => {
      answer += data.toString('latin1');
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}

export function expectSecurityHeaders(headers: Headers): void {
  expect(headers.get('strict-transport-security')).toMatch(/max-age=\d{8}/);
  expect(headers.get('x-content-type-options')).toBe('nosniff');
  expect(headers.get('cache-control')).toBe('no-store');
  expect(headers.get('x-frame-options')).toBe('DENY');
  expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
  expect(headers.get('referrer-policy')).toBe('no-referrer');
}
