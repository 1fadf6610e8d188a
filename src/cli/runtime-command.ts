/** `fermata runtime <app>`: actors and their data alone; sockets are in other processes, which NATS joins. */
import { natsClientNames } from '../host/config-nats-settings.ts';
import type { SettingName } from '../host/config-settings.ts';
import type { Command } from './command.ts';
import { printFlags, runServer } from './server-command.ts';

const settings = [
  'DATA_DIR',
  'BACKUP_DIR',
  'BACKUP_INTERVAL',
  'BACKUP_KEEP',
  'ADMIN_PORT',
  'ADMIN_HOST',
  'SHARDS',
  'SHUTDOWN_TIMEOUT_MS',
  'LOG_LEVEL',
  'NATS_URL',
  ...natsClientNames,
  'SLOT_GRACE',
  'LIMITS',
] as const satisfies SettingName[];
const example = 'fermata runtime app.ts --nats-url nats://127.0.0.1:4222';

export const runtimeCommand: Command = {
  name: 'runtime',
  usage: 'runtime <app>',
  summary: 'Run actors for gateways that NATS joins it with.',
  about:
    'Loads the module <app>, claims slots of tenants, and runs the calls that gateways put into JetStream for them. ' +
    "The tenants' data is in its data directory, and so is the id that it is known by: a runtime that is started again with the same directory owns what it owned before.",
  examples: [
    [example, 'Run actors on this machine.'],
    [`${example} --data-dir ./data-2`, 'A second one beside it.'],
  ],
  positionalsMax: 1,
  flags: printFlags,
  settings,
  run: (invocation) =>
    runServer(invocation, { name: 'runtime', sides: { sockets: false, data: true }, settings, example }),
};
