/** `fermata gateway`: sockets alone; actors run in other processes, which NATS joins. */
import { natsServerNames } from '../host/config-nats-settings.ts';
import { type SettingName, settingNames } from '../host/config-settings.ts';
import type { Command } from './command.ts';
import { printFlags, runServer } from './server-command.ts';

/** What keeps data, or runs actors, or starts a nats-server. */
const elsewhere: ReadonlySet<SettingName> = new Set([
  'BACKUP_DIR',
  'BACKUP_INTERVAL',
  'BACKUP_KEEP',
  'SHARDS',
  'SLOT_GRACE',
  'NATS',
  ...natsServerNames,
]);
const settings = settingNames.filter((name) => !elsewhere.has(name));
const example = 'fermata gateway --nats-url nats://127.0.0.1:4222';

export const gatewayCommand: Command = {
  name: 'gateway',
  usage: 'gateway',
  summary: 'Own sockets, and hand calls to runtimes over NATS.',
  about:
    'Takes connections as `serve` does, and sends what clients ask to the runtimes that own their tenants, through JetStream. ' +
    'It keeps no data: any number of them can stand behind one balancer. DATA_DIR is only used by --dev, for its secret.',
  examples: [
    [`${example} --dev --port 8081`, 'A second gateway on this machine, to try it out.'],
    ['AUTH_JWT_SECRET=… fermata gateway --nats-url tls://nats.example.com', 'Serve others.'],
  ],
  positionalsMax: 0,
  flags: printFlags,
  settings,
  run: (invocation) =>
    runServer(invocation, { name: 'gateway', sides: { sockets: true, data: false }, settings, example }),
};
