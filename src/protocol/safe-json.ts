/**
 * JSON from strangers: bounded depth, and no own `__proto__` key anywhere.
 *
 * Both are checked on the text or while it is parsed, never by walking the value again. Text that cannot go past the
 * bound, or cannot spell the key, skips the check, and that is nearly all of it.
 */

export type ParsedJson =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'syntax' }
  /** JSON, but not of a kind that goes any further. `message` ends a sentence to its sender. */
  | { readonly kind: 'refused'; readonly message: string };

export function parseJson(text: string, depthMax: number): ParsedJson {
  if (isDeeperThan(text, depthMax)) return { kind: 'refused', message: `JSON must nest at most ${depthMax} levels` };
  try {
    if (!mayNameProto(text)) return { kind: 'value', value: JSON.parse(text) };
    let found = false;
    const value: unknown = JSON.parse(text, (key, inner: unknown) => {
      if (key === '__proto__') found = true;
      return inner;
    });
    return found ? { kind: 'refused', message: 'JSON must not hold a key "__proto__"' } : { kind: 'value', value };
  } catch {
    return { kind: 'syntax' };
  }
}

/** Every letter of the key may also be written as an escape below `\u0100`. */
function mayNameProto(text: string): boolean {
  return text.includes('__proto__') || text.includes('\\u00');
}

const quote = 0x22;
const backslash = 0x5c;

function isDeeperThan(text: string, depthMax: number): boolean {
  // Each level costs two characters to open and close; what never closes is no JSON and fails in the parser.
  if (text.length <= depthMax * 2 || !opensMoreThan(text, depthMax)) return false;
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === quote) at = endOfString(text, at);
    else if (isOpening(code)) {
      depth += 1;
      if (depth > depthMax) return true;
    } else if (isClosing(code)) depth -= 1;
  }
  return false;
}

/** Without a look at what is inside strings: finding a letter is much faster than walking over all of them. */
function opensMoreThan(text: string, times: number): boolean {
  let found = 0;
  for (const opening of ['{', '[']) {
    for (let at = text.indexOf(opening); at >= 0; at = text.indexOf(opening, at + 1)) {
      found += 1;
      if (found > times) return true;
    }
  }
  return false;
}

/**
 * The outer object of refused text, with null for all that is nested in it, so that its sender can be answered.
 * Undefined when the text is no JSON object.
 */
export function shallowCopy(text: string): unknown {
  let copy = '';
  let from = 0;
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === quote) at = endOfString(text, at);
    else if (isOpening(code)) {
      depth += 1;
      if (depth === 2) copy += `${text.slice(from, at)}null`;
    } else if (isClosing(code)) {
      if (depth === 2) from = at + 1;
      depth -= 1;
    }
  }
  try {
    return JSON.parse(copy + text.slice(from));
  } catch {
    return undefined;
  }
}

/** Index of the closing quote, or the text's end. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === quote) return at;
    at += code === backslash ? 2 : 1;
  }
  return text.length;
}

function isOpening(code: number): boolean {
  return code === 0x7b || code === 0x5b;
}

function isClosing(code: number): boolean {
  return code === 0x7d || code === 0x5d;
}
