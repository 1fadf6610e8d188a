/** Is the process started as one that serves real users: as whom, with which options of Node, with how much memory? */
import type { Config } from '../host/config.ts';
import type { LogLevel } from '../host/log.ts';
import { fail, ok, warn, type Finding } from './doctor-finding.ts';
import { readableBytes, readableTime } from './readable.ts';

const mebibyte = 1024 * 1024;
/** What is left of the 15 s that docker-compose.yml and deploy/kubernetes give, after 3 s for balancers to look away. */
const stopMsMax = 12_000;
const stopMsMin = 2000;
/** Main, gateways, the keeper and what SQLite and sockets hold outside of any heap. */
const otherBytes = 512 * mebibyte;

export function judgeUser(uid: number | undefined): Finding {
  const check = 'user';
  if (uid === undefined) return ok(check, 'this system knows no numbers of users');
  if (uid !== 0) return ok(check, `${uid}, not root`);
  return fail(
    check,
    'root',
    'Run it as a user of its own that owns DATA_DIR; nothing here needs more. The image does so by itself.',
  );
}

export function judgeNodeEnv(value: string | undefined): Finding {
  const check = 'NODE_ENV';
  if (value === 'production') return ok(check, value);
  return warn(
    check,
    value === undefined ? 'not set' : `"${value}"`,
    'NODE_ENV=production: packages of your app may otherwise check, tell and keep more than they should.',
  );
}

/** `words`: NODE_OPTIONS and what stood between `node` and the command. `tlsUnverified`: NODE_TLS_REJECT_UNAUTHORIZED=0. */
export function judgeNodeOptions(words: readonly string[], tlsUnverified: boolean): Finding {
  const check = 'Node options';
  const open = words.find((word) => /^--inspect(-brk|-wait)?(=|$)/.test(word));
  if (open !== undefined)
    return fail(check, `${open} lets a debugger run any code in it`, 'Take it out of NODE_OPTIONS and of the command.');
  if (tlsUnverified)
    return fail(
      check,
      'NODE_TLS_REJECT_UNAUTHORIZED=0: keys are fetched from anybody',
      'Leave it out; name a CA of your own with NODE_EXTRA_CA_CERTS.',
    );
  if (words.includes('--enable-source-maps'))
    return warn(
      check,
      '--enable-source-maps makes each error read and decode maps on its thread',
      'Leave it out, unless the line numbers are worth it.',
    );
  return ok(check, words.length === 0 ? 'none' : words.join(' '));
}

export function judgeLogLevel(level: LogLevel): Finding {
  const check = 'log level';
  if (level === 'debug' || level === 'trace')
    return warn(check, `${level} writes a line for much that goes well`, 'LOG_LEVEL=info');
  if (level === 'silent' || level === 'fatal')
    return warn(check, `${level} keeps quiet about what goes wrong`, 'LOG_LEVEL=info');
  return ok(check, level);
}

export function judgeLogFormat(dev: boolean): Finding {
  const check = 'log format';
  if (dev)
    return warn(
      check,
      'for people, when --dev is given on a terminal',
      'What collects logs wants JSON: leave --dev out.',
    );
  return ok(check, 'JSON, one line for each event, on stdout');
}

export function judgeStopTime(stopMs: number): Finding {
  const check = 'stop time';
  const message = `${readableTime(stopMs)} (SHUTDOWN_TIMEOUT_MS)`;
  if (stopMs > stopMsMax)
    return warn(
      check,
      `${message}; the files for containers give 15 s, of which 3 s go to balancers`,
      `Set stop_grace_period or terminationGracePeriodSeconds to ${Math.ceil(stopMs / 1000) + 5} s or more, or it ends by SIGKILL.`,
    );
  if (stopMs < stopMsMin)
    return warn(
      check,
      `${message} cuts calls and sockets short`,
      'The default is 10000. Nothing acknowledged is lost.',
    );
  return ok(check, `${message}; give the container 5 s more`);
}

export interface MemoryFacts {
  readonly bytes: number;
  /** Set for this process (a cgroup), not merely what the machine has. */
  readonly limited: boolean;
}

export function judgeMemory({ shards, limits }: Config, { bytes, limited }: MemoryFacts): Finding {
  const check = 'memory';
  const has = `${readableBytes(bytes)} ${limited ? 'allowed' : 'in this machine'}`;
  const states = shards * limits.shardStateBytesMax + otherBytes / 2;
  const heaps = shards * limits.shardHeapMbMax * mebibyte + otherBytes;
  const hint = 'Raise the limit of the container, or lower SHARDS, --limit shardHeapMbMax=… or shardStateBytesMax=…';
  if (bytes < states)
    return fail(check, `${has}, but actors alone may fill ${readableBytes(states)}: the process would be killed`, hint);
  if (bytes < heaps) return warn(check, `${has}, but SHARDS=${shards} may use ${readableBytes(heaps)}`, hint);
  return ok(check, `${has}, up to ${readableBytes(heaps)} used`);
}

export function judgeClockSync(synchronized: boolean | undefined): Finding {
  const check = 'clock sync';
  if (synchronized === undefined) return ok(check, 'not known from in here: look at it on the machine itself');
  if (synchronized) return ok(check, 'kept right by NTP');
  return warn(
    check,
    'nobody keeps the clock right',
    'Tokens are judged by it, and backups are found by it: timedatectl set-ntp true, or chrony.',
  );
}
