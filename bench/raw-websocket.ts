/**
 * A WebSocket client that costs next to nothing: TCP, a handshake, and a parser that finds frame borders and leaves the
 * payload where it lies. All sockets of the process read into one buffer, because each read is handled before the next.
 *
 * Understands what a server sends in this benchmark: unfragmented text, ping, close. Anything else ends the run.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { clientFrame, textFrame } from './frame-template.ts';

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

/** The payload lies in `bytes` from `start` to `end`, and only until the callback returns. */
export type OnText = (bytes: Buffer, start: number, end: number) => void;

const readBuffer = Buffer.allocUnsafeSlow(256 * 1024);
const nothing = Buffer.alloc(0);
const handshakeMsMax = 10_000;

export class RawWebSocket {
  onText: OnText = () => undefined;
  /** After all frames of one read. */
  onReadEnd: () => void = () => undefined;
  onFailure: (reason: string) => void = () => undefined;
  readonly #socket: Socket;
  #handshake: { resolve: () => void; reject: (error: Error) => void } | undefined;
  /** Bytes of a frame, or of the handshake's answer, that has not come whole. */
  #rest: Buffer = nothing;
  #closing = false;

  static async connect(target: Target, token: string | undefined): Promise<RawWebSocket> {
    const raw = new RawWebSocket(target);
    const opened = new Promise<void>((resolve, reject) => {
      raw.#handshake = { resolve, reject };
    });
    const lines = [
      `GET ${target.path} HTTP/1.1`,
      `Host: ${target.host}:${target.port}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      'Sec-WebSocket-Protocol: fermata.v1',
      ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
    ];
    raw.#socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    const timer = setTimeout(() => raw.#fail('no answer to the handshake'), handshakeMsMax);
    try {
      await opened;
      return raw;
    } finally {
      clearTimeout(timer);
    }
  }

  private constructor({ host, port }: Target) {
    this.#socket = connect({
      host,
      port,
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (length) => {
          this.#read(length);
          return true;
        },
      },
    });
    this.#socket.on('error', (error) => this.#fail(error.message));
    this.#socket.on('close', () => this.#fail('the server closed the connection'));
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  sendText(text: string): void {
    this.#socket.write(textFrame(text));
  }

  close(): void {
    this.#closing = true;
    this.#socket.destroy();
  }

  #read(length: number): void {
    let bytes = readBuffer;
    let end = length;
    if (this.#rest.length > 0) {
      bytes = Buffer.concat([this.#rest, readBuffer.subarray(0, length)]);
      end = bytes.length;
    }
    let at = this.#handshake === undefined ? 0 : this.#handshakeEnd(bytes, end);
    if (at < 0) {
      this.#rest = Buffer.from(bytes.subarray(0, end));
      return;
    }
    while (end - at >= 2) {
      let payloadAt = at + 2;
      let payloadBytes = bytes[at + 1]!;
      if (payloadBytes === 126) {
        payloadAt += 2;
        if (payloadAt > end) break;
        payloadBytes = bytes.readUInt16BE(at + 2);
      } else if (payloadBytes === 127) {
        payloadAt += 8;
        if (payloadAt > end) break;
        payloadBytes = bytes.readUInt32BE(at + 2) * 2 ** 32 + bytes.readUInt32BE(at + 6);
      }
      const frameEnd = payloadAt + payloadBytes;
      if (frameEnd > end) break;
      if (bytes[at] === 0x81) this.onText(bytes, payloadAt, frameEnd);
      else this.#control(bytes[at]!, bytes.subarray(payloadAt, frameEnd));
      at = frameEnd;
    }
    this.#rest = at < end ? Buffer.from(bytes.subarray(at, end)) : nothing;
    if (this.#handshake === undefined) this.onReadEnd();
  }

  /** Where frames begin, or -1 while the answer is not whole yet. */
  #handshakeEnd(bytes: Buffer, end: number): number {
    const answer = bytes.toString('latin1', 0, end);
    const headEnd = answer.indexOf('\r\n\r\n');
    if (headEnd < 0) return -1;
    const { resolve, reject } = this.#handshake!;
    if (answer.startsWith('HTTP/1.1 101 ')) {
      this.#handshake = undefined;
      resolve();
    } else {
      this.#closing = true;
      reject(new Error(`the upgrade was refused: ${answer.split('\r\n', 1)[0]} ${answer.slice(headEnd + 4)}`));
      this.#socket.destroy();
    }
    return headEnd + 4;
  }

  #control(head: number, payload: Buffer): void {
    if (head === 0x89) this.write(clientFrame(0x8a, payload));
    else if (head === 0x88) {
      const code = payload.length < 2 ? 'without code' : payload.readUInt16BE(0);
      this.#fail(`the server closed the connection: ${code} ${payload.toString('utf8', 2)}`);
    } else if (head !== 0x8a) this.#fail(`unexpected frame 0x${head.toString(16)}`);
  }

  #fail(reason: string): void {
    if (this.#closing) return;
    this.close();
    if (this.#handshake !== undefined) this.#handshake.reject(new Error(reason));
    else this.onFailure(reason);
  }
}
