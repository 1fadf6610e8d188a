/** `fermata doctor`: looks at the machine before it carries anything, and says what to do about what it finds. */
import { loadConfig } from '../host/config-load.ts';
import { isOn, type Command, type Invocation } from './command.ts';
import { diskFindings } from './doctor-disk.ts';
import type { Finding } from './doctor-finding.ts';
import { machineFindings } from './doctor-machine.ts';
import { exitCodes } from './exit-codes.ts';

export const doctorCommand: Command = {
  name: 'doctor',
  usage: 'doctor',
  summary: 'Check this machine: versions, disk, limits, ports.',
  about:
    'Checks Node, SQLite, uWebSockets.js, the data directory and its disk, open files, ports, cores and the clock, with the settings that `serve` would ' +
    'use. Changes nothing. Ends with 1 when something fails; warnings do not count.',
  examples: [
    ['fermata doctor', 'Look at this machine.'],
    ['fermata doctor --data-dir /var/lib/fermata', 'Is that disk fast enough?'],
    ['fermata doctor --json', 'For scripts.'],
  ],
  positionalsMax: 0,
  flags: [{ name: '--json', value: undefined, help: 'Findings as JSON.' }],
  settings: ['DATA_DIR', 'HOST', 'PORT', 'ADMIN_PORT', 'SHARDS', 'GATEWAYS', 'LIMITS', 'LOG_LEVEL'],
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const { config } = loadConfig(invocation, { names: doctorCommand.settings });
  const findings = [...(await machineFindings(config)), ...diskFindings(config.dataDir)];
  invocation.terminal.out(isOn(invocation, '--json') ? JSON.stringify(findings, null, 2) : printFindings(findings));
  return findings.some((finding) => finding.status === 'fail') ? exitCodes.failed : exitCodes.ok;
}

export function printFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map((finding) => finding.check.length));
  const lines = findings.flatMap(({ check, status, message, hint }) => [
    `${status.padEnd(4)}  ${check.padEnd(width)}  ${message}`,
    ...(hint === undefined ? [] : [`${' '.repeat(width + 8)}→ ${hint}`]),
  ]);
  const failed = findings.filter((finding) => finding.status === 'fail').length;
  const warned = findings.filter((finding) => finding.status === 'warn').length;
  const verdict = failed > 0 ? `${failed} of ${findings.length} checks failed` : 'nothing stands in the way';
  return [...lines, '', warned > 0 ? `${verdict}; ${warned} to look at` : verdict].join('\n');
}
