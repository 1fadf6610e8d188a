/** The gateways that docker-compose.yml adds to nginx.conf, by the real nginx. */
import { createServer, type Server } from 'node:http';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { send } from '../support/http.ts';
import { Nginx, shippedConfig } from '../support/nginx.ts';
import { root } from '../support/server.ts';
import { Stage } from '../support/stage.ts';
import { at } from './yaml-reading.ts';
import { serviceNamed } from './compose-file.ts';

const stage = new Stage();
const line = 'include gateways/*.conf;';
const file = readFileSync(join(root, 'deploy/nginx/gateways/second.conf'), 'utf8');

afterAll(() => stage.end());

test('the included file says of the second gateway what nginx.conf says of the first', () => {
  const servers = (text: string): string[] => text.match(/^\s*server \d.*$/gm)!.map((one) => one.trim());
  const [published] = at(serviceNamed('gateway-2'), 'ports') as [string];
  expect(servers(file)).toEqual([`server ${published.replace(/:\d+$/, '')} max_fails=0;`]);
  expect(servers(shippedConfig)).toEqual([servers(file)[0]!.replace(':8081', ':8080')]);
  // Relative to nginx.conf, which lies in /etc/nginx.
  expect(at(serviceNamed('nginx-distributed'), 'volumes')).toContain(
    `./deploy/nginx/gateways:/etc/nginx/${/^include (.+)\/\*\.conf;$/.exec(line)![1]}:ro`,
  );
});

test('requests reach both', async () => {
  const [first, second] = [await answering('first'), await answering('second')];
  const folder = stage.dataDir();
  mkdirSync(join(folder, 'gateways'));
  writeFileSync(join(folder, 'gateways/second.conf'), file.replace('127.0.0.1:8081', second));
  const replacements = [{ from: line, to: `include ${folder}/gateways/*.conf;` }];
  const nginx = await Nginx.start(stage, { upstreams: [first], replacements });
  const seen = new Set<string>();
  for (let asked = 0; asked < 8; asked++) seen.add((await send(nginx.address, 'GET', '/', { ca: nginx.ca })).text);
  expect([...seen].sort()).toEqual(['first', 'second']);
});

async function answering(name: string): Promise<string> {
  const server: Server = createServer((_request, response) => response.end(name));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stage.atEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
