/**
 * `fermata doctor`: looks at the machine before it carries anything, and says what to do about what it finds. With
 * `--production` it takes what `serve` takes, and asks what must be true before real users come.
 */
import { loadConfig } from '../host/config-load.ts';
import { flagOf, settingNames, type SettingName } from '../host/config-settings.ts';
import { CommandError } from './command-error.ts';
import { isOn, type Command, type Invocation } from './command.ts';
import { diskFindings } from './doctor-disk.ts';
import type { Finding } from './doctor-finding.ts';
import { machineFindings } from './doctor-machine.ts';
import { exitCodes } from './exit-codes.ts';

/** Of the machine alone. */
const plainSettings: readonly SettingName[] = [
  'DATA_DIR',
  'HOST',
  'PORT',
  'ADMIN_HOST',
  'ADMIN_PORT',
  'SHARDS',
  'GATEWAYS',
  'LIMITS',
  'LOG_LEVEL',
];

export const doctorCommand: Command = {
  name: 'doctor',
  usage: 'doctor [--production [<app>]]',
  summary: 'Check this machine: versions, disk, limits, ports.',
  about:
    'Checks Node, SQLite, uWebSockets.js, the data directory and its disk, open files, ports, cores and the clock, with the settings that `serve` would ' +
    'use. With --production it also checks what must be true before real users come: tokens, addresses, backups, memory, ' +
    'the app; run it as the user, with the flags and in the environment of `serve`. Changes nothing. Ends with 1 when ' +
    'something fails; warnings do not count.',
  examples: [
    ['fermata doctor', 'Look at this machine.'],
    ['fermata doctor --data-dir /var/lib/fermata', 'Is that disk fast enough?'],
    ['fermata doctor --production app.js', 'May real users come?'],
    ['fermata doctor --json', 'For scripts.'],
  ],
  positionalsMax: 1,
  flags: [
    {
      name: '--production',
      value: undefined,
      help: 'Also check what must be true before real users come. Only with it <app> and the settings of tokens and backups count.',
    },
    { name: '--json', value: undefined, help: 'Findings as JSON.' },
  ],
  settings: settingNames,
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const production = isOn(invocation, '--production');
  const findings = production ? await lookAtProduction(invocation) : await lookAtMachine(invocation);
  const json = isOn(invocation, '--json');
  invocation.terminal.out(json ? JSON.stringify(findings, null, 2) : printFindings(findings));
  if (production && !json) invocation.terminal.out(await printByHand());
  return findings.some((finding) => finding.status === 'fail') ? exitCodes.failed : exitCodes.ok;
}

async function lookAtMachine(invocation: Invocation): Promise<Finding[]> {
  refuseMore(invocation);
  const { config } = loadConfig(invocation, { names: plainSettings });
  return [...(await machineFindings(config)), ...diskFindings(config.dataDir)];
}

/** What the plain doctor would not look at is refused, so that nobody takes silence for a good answer. */
function refuseMore({ positionals, flags }: Invocation): void {
  const unused = settingNames.filter((name) => !plainSettings.includes(name)).map(flagOf);
  const surplus = [...positionals, ...unused.filter((flag) => flags.has(flag))];
  if (surplus.length === 0) return;
  throw new CommandError(`${surplus.join(', ')} means something only with --production`, {
    exitCode: exitCodes.usage,
    hint: 'For example: fermata doctor --production app.js',
  });
}

async function lookAtProduction(invocation: Invocation): Promise<Finding[]> {
  const { gatherFacts } = await import('./doctor-facts.ts');
  const { productionFindings } = await import('./doctor-production.ts');
  return productionFindings(await gatherFacts(invocation));
}

async function printByHand(): Promise<string> {
  const { byHand } = await import('./doctor-production.ts');
  const width = Math.max(...byHand.map(([what]) => what.length));
  return ['', 'To look at by hand:', ...byHand.map(([what, how]) => `      ${what.padEnd(width)}  ${how}`)].join('\n');
}

export function printFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map((finding) => finding.check.length));
  const margin = ' '.repeat(width + 8);
  const lines = findings.flatMap(({ check, status, message, hint }) => [
    `${status.padEnd(4)}  ${check.padEnd(width)}  ${message.replaceAll('\n', `\n${margin}`)}`,
    ...(hint === undefined ? [] : [`${margin}→ ${hint}`]),
  ]);
  const failed = findings.filter((finding) => finding.status === 'fail').length;
  const warned = findings.filter((finding) => finding.status === 'warn').length;
  const verdict = failed > 0 ? `${failed} of ${findings.length} checks failed` : 'nothing stands in the way';
  return [...lines, '', warned > 0 ? `${verdict}; ${warned} to look at` : verdict].join('\n');
}
