/** `fermata token`: mints a token and prints nothing else on stdout, so that `$(fermata token …)` works in scripts. */
import { loadConfig } from '../host/config-load.ts';
import { isTenant } from '../protocol/address.ts';
import { CommandError } from './command-error.ts';
import { flagValue, type Command, type Invocation } from './command.ts';
import { readOrCreateDevSecret } from './dev-secret.ts';
import { exitCodes } from './exit-codes.ts';

/** Sockets close when their token expires and servers refuse longer ones; a day is what a person needs. */
const ttlSMax = 24 * 60 * 60;

export const tokenCommand: Command = {
  name: 'token',
  usage: 'token --tenant <tenant> --sub <user>',
  summary: 'Mint a token and print it alone.',
  about:
    'Signs with AUTH_JWT_SECRET, or without one with the development secret of the data directory, which `serve --dev` on the same directory accepts. ' +
    'Issuer, audience and the name of the tenant claim come from the same settings as for `serve`.',
  examples: [
    ['fermata token --tenant acme --sub ada', 'One hour, for user ada of tenant acme.'],
    ['fermata token --tenant acme --sub ada --ttl 15m --claim role=admin', 'Shorter, with a claim of your own.'],
    ['curl -H "Authorization: Bearer $(fermata token --tenant acme --sub ada)" …', 'In a script.'],
  ],
  positionalsMax: 0,
  flags: [
    {
      name: '--tenant',
      value: '<tenant>',
      help: 'Whose data it opens: lower-case letters, digits, _ and -, at most 63. Required.',
    },
    { name: '--sub', value: '<user>', help: 'Who it is for. Required.' },
    { name: '--ttl', value: '<time>', help: 'How long it is valid: 30s, 15m, 1h; at most 24h. [1h]' },
    {
      name: '--claim',
      value: '<name=value>',
      help: 'A further claim; repeatable. A value that is JSON is taken as JSON.',
    },
  ],
  settings: [
    'DATA_DIR',
    'AUTH_JWT_SECRET',
    'AUTH_JWT_SECRET_FILE',
    'AUTH_JWKS_URL',
    'AUTH_JWKS_FILE',
    'AUTH_ISSUER',
    'AUTH_AUDIENCE',
    'AUTH_ALGORITHMS',
    'AUTH_TENANT_CLAIM',
    'LOG_LEVEL',
  ],
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const { config } = loadConfig(invocation, { names: tokenCommand.settings });
  const { auth } = config;
  if (auth.jwksUrl !== undefined || auth.jwksFile !== undefined) {
    throw new CommandError(
      'tokens are verified with the keys of an identity provider here, so only that provider can issue them',
      {
        exitCode: exitCodes.config,
        hint: 'Remove AUTH_JWKS_URL and AUTH_JWKS_FILE to mint one for a server with a shared or development secret.',
      },
    );
  }
  const facts = {
    tenant: tenantName(required(invocation, '--tenant')),
    sub: required(invocation, '--sub'),
    ttlS: seconds(flagValue(invocation, '--ttl') ?? '1h'),
    claims: claimsOf(invocation.flags.get('--claim') ?? [], auth.tenantClaim),
  };
  const secret = auth.secret ?? readOrCreateDevSecret(config.dataDir);
  const { mintToken } = await import('../gateway/auth-mint.ts');
  invocation.terminal.out(await mintToken(auth, secret, facts));
  if (auth.secret === undefined) {
    invocation.terminal.err(
      `fermata: signed with the development secret of ${config.dataDir}; only \`serve --dev\` there accepts it`,
    );
  }
  return exitCodes.ok;
}

function required(invocation: Invocation, name: string): string {
  const value = flagValue(invocation, name);
  if (value === undefined) throw usage(`token needs ${name}`, 'For example: fermata token --tenant acme --sub ada');
  return value;
}

function tenantName(text: string): string {
  const refusal = usage(
    `--tenant: "${text}" is no tenant`,
    'Lower-case letters, digits, _ and -, beginning with a letter or digit, at most 63 characters.',
  );
  if (isTenant(text)) return text;
  throw refusal;
}

function seconds(text: string): number {
  const [, figure = '', unit = ''] = /^(\d{1,9})([smh])$/.exec(text) ?? [];
  const value = Number(figure) * ({ s: 1, m: 60, h: 3600 }[unit] ?? 0);
  if (value >= 1 && value <= ttlSMax) return value;
  throw usage(`--ttl: "${text}" is no time from 1s to 24h`, 'Write a number and s, m or h, such as 15m.');
}

function claimsOf(pairs: readonly string[], tenantClaim: string): Record<string, unknown> {
  const taken = new Set(['iss', 'aud', 'sub', 'exp', 'iat', 'nbf', tenantClaim]);
  const claims = new Map<string, unknown>();
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    const name = pair.slice(0, Math.max(0, equals));
    if (name === '') throw usage(`--claim: "${pair}" is no claim`, 'Write name=value, such as role=admin.');
    if (taken.has(name))
      throw usage(
        `--claim: "${name}" is set by the token itself`,
        'Use --tenant, --sub and --ttl, or the AUTH_ settings.',
      );
    claims.set(name, jsonOrText(pair.slice(equals + 1)));
  }
  return Object.fromEntries(claims);
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function usage(message: string, hint: string): CommandError {
  return new CommandError(message, { exitCode: exitCodes.usage, hint });
}
