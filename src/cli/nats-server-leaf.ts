/**
 * A managed nats-server as a leaf of hubs: what is checked of their URLs, and what never crosses to them or from them.
 *
 * Leaves and hubs share subjects, and every Fermata uses the same ones. Without rules a hub's stream would store what is
 * published here a second time, a sibling's frames would come in, and an acknowledgement here would count for the
 * message of a sibling whose consumer has the same name. So all that is Fermata's own is denied both ways; the rest, such
 * as the subjects of the user, flows.
 *
 * The JetStream domain gives a leaf's JetStream a name of its own, `$JS.<domain>.API`. That one stays open: by it a hub may
 * read streams of the user here. Servers keep `$JS.API` and `$KV` apart by themselves where both sides have JetStream; our
 * rules say it once more, so that nothing depends on what the other side is.
 */
import { buckets, streams } from '../transport/nats-names.ts';
import { CommandError } from './command-error.ts';
import { exitCodes } from './exit-codes.ts';

const remotesMax = 10;
const portDefault = '7422';
const schemes = ['nats:', 'nats-leaf:', 'tls:', 'ws:', 'wss:'];

export interface LeafRemote {
  readonly url: string;
  readonly deny_imports: readonly string[];
  readonly deny_exports: readonly string[];
}

/** One remote for each URL, as the configuration wants it. @throws CommandError that names the bad one, without its secrets */
export function leafRemotes(urls: readonly string[]): readonly LeafRemote[] {
  if (urls.length > remotesMax)
    throw refused(`${urls.length} leaf remotes are given; at most ${remotesMax} are allowed`);
  const places = new Set<string>();
  for (const text of urls) {
    const place = placeOf(text);
    if (places.has(place)) throw refused(`the leaf remote ${withoutUser(text)} is given twice`);
    places.add(place);
  }
  return urls.map((url) => ({ url, deny_imports: ownSubjects, deny_exports: ownSubjects }));
}

/** Names a domain that no other leaf of the hub has. Undefined: there is no hub, and none is needed. */
export function leafDomain(domain: string | undefined, remotes: number, name: string): string | undefined {
  if (domain === undefined) return remotes === 0 ? undefined : `leaf-${name}`;
  if (/^[A-Za-z0-9_-]{1,64}$/.test(domain)) return domain;
  throw new CommandError(`the JetStream domain ${JSON.stringify(domain)} is not a name`, {
    exitCode: exitCodes.config,
    hint: 'Use letters, digits, - and _, at most 64.',
  });
}

/** What must not stand in a log: of each URL the password, or the token. */
export function leafSecrets(urls: readonly string[]): readonly string[] {
  return urls.flatMap((url) => {
    const { username, password } = new URL(url);
    const secret = password === '' ? username : password;
    return secret === '' ? [] : [secret, decodeURIComponent(secret)];
  });
}

const ownStreams = [
  ...Object.values(streams),
  ...Object.values(buckets).flatMap((bucket) => [`KV_${bucket}`, `OBJ_${bucket}`]),
];

/** A change of names in `nats-names.ts` changes these too. */
const ownSubjects: readonly string[] = [
  'fermata.>',
  '$JS.API.>',
  ...Object.values(buckets).flatMap((bucket) => [`$KV.${bucket}.>`, `$O.${bucket}.>`]),
  // The second form, with domain and account before the stream, is that of newer servers.
  ...ownStreams.flatMap((stream) => [`$JS.ACK.${stream}.>`, `$JS.ACK.*.*.${stream}.>`, `$JS.FC.${stream}.>`]),
  '$SRV.*.fermata',
  '$SRV.*.fermata.>',
];

function placeOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (
    url === undefined ||
    !schemes.includes(url.protocol) ||
    url.hostname === '' ||
    url.search !== '' ||
    url.hash !== ''
  )
    throw refused(`the leaf remote ${withoutUser(text)} is not the address of a NATS server`);
  if (!isDecodable(url.username) || !isDecodable(url.password))
    throw refused(`the user or password in the leaf remote ${withoutUser(text)} has a % that begins no code`);
  return `${url.hostname}:${url.port === '' ? portDefault : url.port}`;
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** Also of what is no URL: nothing before the last @ is shown. */
function withoutUser(text: string): string {
  const scheme = /^[a-z-]+:\/\//i.exec(text)?.[0] ?? '';
  const at = text.lastIndexOf('@');
  return JSON.stringify(at < 0 ? text : `${scheme}[hidden]@${text.slice(at + 1)}`);
}

function refused(message: string): CommandError {
  return new CommandError(message, {
    exitCode: exitCodes.config,
    hint: 'Give --leaf-remotes as nats://user:password@host:7422; tls://, ws:// and wss:// are understood as well.',
  });
}
