/**
 * The last hand on a line of the log before it is written, as text: whatever field it came in.
 *
 * No token leaves: what looks like one is cut out, also in the middle of a message that somebody else wrote. And no line
 * is anything but a line: JSON escapes what would break it; on a terminal, where text is printed as it is, controls are
 * shown instead of obeyed, and only the first line of an entry begins at the margin.
 */

/** Takes and gives a line of JSON. */
export function withoutTokens(line: string): string {
  if (!suspect.test(line)) return line;
  // The dot is looked for by hand: a pattern that needs one would try a long run of letters from each `eyJ` in it.
  const withoutJwts = line.replace(perhapsJwt, (found, rest: string | undefined) =>
    rest === undefined ? found : '[hidden]',
  );
  return withoutJwts.replace(token, '$1$2[hidden]');
}

const suspect = /eyJ|bearer|token=/i;
/** A JSON web token, when there is something behind its first part. */
const perhapsJwt = /eyJ[\w-]{4,}(\.[\w.-]*)?/gi;
/** What follows `Bearer`, or `bearer.` in a subprotocol · a parameter of a query that is named as one. */
const token = /(\bbearer(?:[ .]|%20)+)[\w.~+/=-]{12,}|(token=)[^&\s"\\]+/gi;

/** Takes a line of JSON and gives one whose strings hold nothing that a terminal obeys but line ends. */
export function withoutControls(line: string): string {
  return line.replace(/\\(?:u[\da-f]{4}|.)|[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/gi, (found) => {
    if (!found.startsWith('\\')) return `\\\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`;
    return /^\\(?:[bfr]|u00[0189])/i.test(found) || found === '\\u007f' ? `\\${found}` : found;
  });
}

/** Printed text in which all lines but the first are indented, so that none of them can pass for an entry. */
export function withMargin(text: string): string {
  return text.replace(/\n(?=[^\s])/g, '\n    ');
}
