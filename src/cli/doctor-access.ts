/** Who can come in, and over which address? What an operator of real users must have said about both. */
import { BlockList, isIP } from 'node:net';
import type { AuthConfig, Config } from '../host/config.ts';
import { isLoopback } from '../host/config-values.ts';
import { fail, ok, warn, type Finding } from './doctor-finding.ts';

const defaultName = 'fermata';

export function judgeDevelopment(dev: boolean): Finding {
  const check = 'development';
  return dev
    ? fail(check, '--dev lets everybody in without a token', 'Leave it out.')
    : ok(check, 'off: every call needs a token');
}

export function judgeAuthentication(auth: AuthConfig): Finding {
  const check = 'authentication';
  if (auth.secret !== undefined) return ok(check, 'a shared secret');
  if (auth.jwksUrl !== undefined) return ok(check, `the keys at ${new URL(auth.jwksUrl).host}`);
  if (auth.jwksFile !== undefined) return ok(check, `the keys in ${auth.jwksFile}`);
  return fail(check, 'no token can be verified', 'Set AUTH_JWKS_URL, AUTH_JWKS_FILE or AUTH_JWT_SECRET_FILE.');
}

export function judgeAlgorithms({ algorithms, secret }: AuthConfig): Finding {
  const check = 'algorithms';
  const fitting = algorithms.every((name) => name.startsWith('HS') === (secret !== undefined));
  if (algorithms.length > 0 && (fitting || secret === undefined)) return ok(check, algorithms.join(', '));
  return fail(
    check,
    `${algorithms.join(', ') || 'none'} does not go with these keys`,
    'Set AUTH_ALGORITHMS, or leave it out.',
  );
}

/** `iss` or `aud`: a default is shared by every server that nobody told better. */
export function judgeName(check: 'issuer' | 'audience', value: string, auth: AuthConfig): Finding {
  const variable = check === 'issuer' ? 'AUTH_ISSUER' : 'AUTH_AUDIENCE';
  if (value !== defaultName) return ok(check, value);
  const byKeys = auth.jwksUrl !== undefined || auth.jwksFile !== undefined;
  if (byKeys && check === 'issuer')
    return fail(
      check,
      `"${defaultName}", the default, which your identity provider does not write into its tokens`,
      `Set ${variable} to the \`iss\` that it writes.`,
    );
  return warn(
    check,
    `"${defaultName}", the default`,
    `Set ${variable}, so that a token made for something else is refused here.`,
  );
}

export function judgeQueryTokens(queryToken: boolean): Finding {
  const check = 'query tokens';
  if (!queryToken) return ok(check, 'refused');
  return warn(
    check,
    'accepted: tokens in URLs end up in logs and histories',
    'Leave AUTH_QUERY_TOKEN out, unless a client can do nothing else.',
  );
}

/** `mode`: permissions of the list. */
export function judgeRevocation(path: string | undefined, mode = 0): Finding {
  const check = 'revocation';
  if (path === undefined) return ok(check, 'no list: a token is good until it expires');
  if ((mode & 0o022) === 0) return ok(check, path);
  return warn(check, `${path} can be written by others`, 'Whoever writes it decides who stays: chmod 0644 it.');
}

export function judgeOrigins(origins: readonly string[]): Finding {
  const check = 'origins';
  if (origins.length === 0)
    return warn(
      check,
      'none, so that no browser can connect from a page of another origin',
      'Right when no browser is among your clients; else name their pages: ALLOWED_ORIGINS=https://app.example.com',
    );
  const local = origins.filter((origin) => isLoopback(hostOf(origin)));
  if (local.length > 0)
    return warn(check, `${local.join(', ')} is a page of anybody's own machine`, 'Leave it out of ALLOWED_ORIGINS.');
  const plain = origins.filter((origin) => origin.startsWith('http:'));
  if (plain.length > 0)
    return warn(check, `${plain.join(', ')} comes without TLS`, 'Such a page can be changed on its way: use https.');
  return ok(check, origins.join(', '));
}

function hostOf(origin: string): string {
  return new URL(origin).hostname.replace(/^\[|\]$/g, '');
}

export function judgeAddress(host: string, inContainer: boolean): Finding {
  const check = 'address';
  if (isLoopback(host)) {
    if (!inContainer) return ok(check, `${host}: only this machine reaches it, such as a proxy`);
    return warn(
      check,
      `${host}: only this container reaches it`,
      'HOST=0.0.0.0, unless the proxy shares its network; publish the port to the proxy only.',
    );
  }
  if (host === '0.0.0.0' || host === '::') {
    if (inContainer) return ok(check, `${host}: every address of this container; publish the port to the proxy only`);
    return warn(
      check,
      `${host}: every network of this machine reaches it, without TLS`,
      'HOST=127.0.0.1 behind a proxy on this machine, else a private address.',
    );
  }
  if (isIP(host) === 0) return warn(check, `${host}: what it means is up to the resolver`, 'Write the address.');
  if (isPrivate(host)) return ok(check, `${host}: a private address`);
  return warn(
    check,
    `${host}: a public address, and TLS is not spoken there`,
    'HOST=127.0.0.1 behind a proxy on this machine, else a private address.',
  );
}

const privateNetworks = new BlockList();
for (const [network, prefix, family] of [
  ['10.0.0.0', 8, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['fc00::', 7, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
] as const)
  privateNetworks.addSubnet(network, prefix, family);

/** Metrics and health, without a token. `port`: whether it can be listened on. */
export function judgeAdminPort(config: Config, port: Finding | undefined, inContainer: boolean): Finding {
  const check = 'admin port';
  const { adminHost: host, adminPort } = config;
  if (adminPort === undefined) return ok(check, 'none: probes ask the port of the clients, and there are no metrics');
  const place = `${host}:${adminPort}`;
  const hint = 'It asks for no token: ADMIN_HOST=127.0.0.1, or an address in a network that no client reaches.';
  const open = host === '0.0.0.0' || host === '::' ? !inContainer : isIP(host) !== 0 && !isPrivate(host);
  if (open && !isLoopback(host)) return fail(check, `${place}: clients may reach it`, hint);
  if (port !== undefined && port.status !== 'ok') return { ...port, check, message: `${adminPort}: ${port.message}` };
  if (isLoopback(host)) return ok(check, `${place}: only this ${inContainer ? 'container' : 'machine'} reaches it`);
  return warn(check, `${place}: whoever is in that network reaches it`, hint);
}

function isPrivate(address: string): boolean {
  return privateNetworks.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}
