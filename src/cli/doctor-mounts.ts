/** Which mount holds a path, from the text of /proc/self/mountinfo: its type, where it comes from, and whether it can be written. */

export interface Mount {
  /** Such as `ext4`. */
  readonly type: string;
  /** Such as `/dev/sda1`; what stands there for file systems without a device says nothing. */
  readonly source: string;
  readonly readOnly: boolean;
}

/** Undefined when no mount holds the path. `path` must be absolute and free of links. */
export function mountOf(mountinfo: string, path: string): Mount | undefined {
  let longest = '';
  let found: Mount | undefined;
  for (const line of mountinfo.split('\n')) {
    // Optional fields, any number of them, end with a lone dash.
    const [place = '', origin = ''] = line.split(' - ');
    const [, , , , escaped = '', options = ''] = place.split(' ');
    const [type = '', source = ''] = origin.split(' ');
    const point = unescaped(escaped);
    const holds = point === '/' || path === point || path.startsWith(`${point}/`);
    // Of two mounts on one point the later hides the earlier.
    if (point === '' || type === '' || !holds || point.length < longest.length) continue;
    longest = point;
    found = { type, source: unescaped(source), readOnly: options.split(',').includes('ro') };
  }
  return found;
}

/** Blanks and backslashes are written as three octal digits. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
