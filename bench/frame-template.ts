/**
 * An rpc as a masked WebSocket text frame, made once. Per call only digits change: the id, and wherever else the payload
 * holds the number (a key, an input). So a call costs a few byte stores, no JSON and no allocation.
 *
 * Frames of one batch lie side by side in `bytes` and leave in one write. The ring is several times as long as what can
 * be in flight: a region is used again only after its frame has long been answered, and so left the socket's buffer.
 */

/** Width of the running number in decimal digits. */
export const numberDigits = 8;
export const numberPlaceholder = '0'.repeat(numberDigits);
/** Stands for the number of the last call whose answer is known for certain: so many before the running one as are in flight. */
export const ackPlaceholder = '1'.repeat(numberDigits);

const mask = Buffer.from([0x5a, 0xc3, 0x17, 0x8e]);
const regionsPerCallInFlight = 4;

export class FrameRing {
  readonly #bytes: Buffer;
  readonly #frameBytes: number;
  readonly #regions: number;
  /** Where each changing digit lies in a frame, most significant first, and the mask over it. One list per number. */
  readonly #numbers: readonly Place[];
  readonly #acks: readonly Place[];
  readonly #inFlight: number;
  #nextRegion = 0;
  #from = 0;

  /** `payload` holds `numberPlaceholder` at least once. `inFlight`: frames that are unanswered at the same time, at most. */
  constructor(payload: string, inFlight: number) {
    const frame = textFrame(payload);
    const headerBytes = frame.length - Buffer.byteLength(payload);
    this.#frameBytes = frame.length;
    this.#regions = Math.max(1, inFlight) * regionsPerCallInFlight;
    this.#bytes = Buffer.alloc(frame.length * this.#regions);
    for (let region = 0; region < this.#regions; region += 1) frame.copy(this.#bytes, region * frame.length);
    this.#inFlight = inFlight;
    this.#numbers = placesOf(payload, numberPlaceholder, headerBytes);
    this.#acks = placesOf(payload, ackPlaceholder, headerBytes);
    if (this.#numbers.length === 0) throw new Error(`the payload holds no ${numberPlaceholder}: ${payload}`);
  }

  get frameBytes(): number {
    return this.#frameBytes;
  }

  /** Makes room for a batch of `count` frames that lie side by side. */
  begin(count: number): void {
    if (this.#nextRegion + count > this.#regions) this.#nextRegion = 0;
    this.#from = this.#nextRegion;
  }

  /** Adds the frame with this number to the batch. */
  add(number: number): void {
    const start = this.#nextRegion * this.#frameBytes;
    for (const place of this.#numbers) this.#write(number, start, place);
    for (const place of this.#acks) this.#write(number - this.#inFlight, start, place);
    this.#nextRegion += 1;
  }

  #write(number: number, start: number, { at, masks }: Place): void {
    let rest = number;
    for (let digit = numberDigits - 1; digit >= 0; digit -= 1) {
      const tens = Math.floor(rest / 10);
      this.#bytes[start + at + digit] = (48 + rest - tens * 10) ^ masks[digit]!;
      rest = tens;
    }
  }

  /** The batch as bytes to write. */
  end(): Buffer {
    return this.#bytes.subarray(this.#from * this.#frameBytes, this.#nextRegion * this.#frameBytes);
  }
}

/** A client's text frame: final, masked. */
export function textFrame(payload: string): Buffer {
  return clientFrame(0x81, Buffer.from(payload));
}

export function clientFrame(head: number, payload: Buffer): Buffer {
  const { length } = payload;
  if (length > 0xffff) throw new Error(`a frame of ${length} bytes is more than this generator sends`);
  const header =
    length < 126 ? Buffer.from([head, 0x80 | length]) : Buffer.from([head, 0xfe, length >> 8, length & 255]);
  const masked = Buffer.from(payload);
  for (let at = 0; at < length; at += 1) masked[at]! ^= mask[at & 3]!;
  return Buffer.concat([header, mask, masked]);
}

/** Where digits change, and the mask over each. */
interface Place {
  readonly at: number;
  readonly masks: readonly number[];
}

function placesOf(payload: string, placeholder: string, headerBytes: number): Place[] {
  const bytes = Buffer.from(payload);
  const places: Place[] = [];
  for (let at = bytes.indexOf(placeholder); at >= 0; at = bytes.indexOf(placeholder, at + numberDigits)) {
    const masks = Array.from({ length: numberDigits }, (_, digit) => mask[(at + digit) & 3]!);
    places.push({ at: headerBytes + at, masks });
  }
  return places;
}
