/** Bytes over TLS as they are given: for requests that no client would make. */
import { connect, type ConnectionOptions } from 'node:tls';

const answerMsMax = 5000;

/** All that comes back until the other side closes. @throws Error when it does not, or when there is no connection */
export function exchange(address: string, ca: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(address);
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect({ host: hostname, port: Number(port), ca }, () => socket.write(bytes, 'latin1'));
    socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
    socket.setTimeout(answerMsMax, () => socket.destroy(new Error(`still open after ${answerMsMax} ms: ${text}`)));
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}

/** The version and cipher that both sides settle on. @throws Error with the other side's alert */
export function handshake(address: string, options: ConnectionOptions): Promise<{ version: string; cipher: string }> {
  const { hostname, port } = new URL(address);
  return new Promise((resolve, reject) => {
    const socket = connect({ ...options, host: hostname, port: Number(port) }, () => {
      resolve({ version: socket.getProtocol() ?? '', cipher: socket.getCipher().standardName });
      socket.destroy();
    });
    socket.on('error', reject);
  });
}
