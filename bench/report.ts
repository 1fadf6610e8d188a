/** The report as Markdown: where it was measured, one table, the goals, and what the figures do not say. */
import type { Figures, Spread } from './figures.ts';
import type { Verdict } from './goals.ts';
import { keepsNothing, type Machine } from './machine.ts';
import type { Scenario } from './scenarios.ts';

export interface ShapeFigures {
  readonly shape: string;
  readonly turnsPerSecond: Spread;
  readonly patchesPerTurn: number;
}

export interface Report {
  readonly machine: Machine;
  readonly command: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly scenarios: readonly Pick<Scenario, 'name' | 'about'>[];
  readonly figures: readonly Figures[];
  readonly shapes: readonly ShapeFigures[];
  readonly verdicts: readonly Verdict[];
}

export function markdown(report: Report): string {
  return [conditions(report), callTable(report), shapeTable(report), goalTable(report), caveats(report)]
    .filter((part) => part !== '')
    .join('\n\n');
}

function conditions({ machine, command, rounds, seconds }: Report): string {
  const { date, commit, dirty, cpu, cores, memoryGiB, kernel, fileSystem, fsyncMs } = machine;
  return [
    `Measured ${date.slice(0, 16).replace('T', ' ')} UTC with \`${command}\`, commit ${commit}${dirty ? ' with changes' : ''}.`,
    `Machine: ${cpu}, ${cores} cores, ${memoryGiB} GiB, ${kernel}; data on ${fileSystem}, a 4 KiB write with fdatasync takes ${fsyncMs.toFixed(2)} ms.`,
    `Versions: fermata ${machine.fermata}, Node ${machine.node}, SQLite ${machine.sqlite}, uWebSockets.js (uws-pack) ${machine.uWebSockets}.`,
    `Medians of ${rounds} interleaved rounds of ${seconds} s each, smallest and largest in brackets. Servers and load generator share this machine.`,
  ].join('\n');
}

function callTable({ figures, scenarios }: Report): string {
  if (figures.length === 0) return '';
  const head = [
    'scenario',
    'load',
    'variant',
    'calls/s',
    'share of echo',
    '× naive',
    'p50 ms',
    'p99 ms',
    'CPU server',
    'CPU generator',
  ];
  const rows = figures.map((row) => [
    row.scenario,
    row.load,
    row.variant,
    `${count(row.perSecond.median)} (${count(row.perSecond.min)}–${count(row.perSecond.max)})`,
    row.ofEcho === undefined ? '' : ranged(row.ofEcho, 3),
    row.ofNaive === undefined || row.variant === 'naive' ? '' : ranged(row.ofNaive, 1),
    row.p50Ms.median.toFixed(3),
    row.p99Ms.median.toFixed(2),
    row.serverShare.toFixed(2),
    `${row.generatorShare.toFixed(2)}${row.generatorBound ? ' **bound**' : ''}`,
  ]);
  const about = scenarios.map(({ name, about }) => `- \`${name}\`: ${about}`);
  return [table(head, rows), ...about].join('\n').replace('\n- ', '\n\n- ');
}

function shapeTable({ shapes }: Report): string {
  if (shapes.length === 0) return '';
  return table(
    ['state engine alone', 'turns/s', 'patches per turn'],
    shapes.map(({ shape, turnsPerSecond, patchesPerTurn }) => [
      shape,
      `${count(turnsPerSecond.median)} (${count(turnsPerSecond.min)}–${count(turnsPerSecond.max)})`,
      String(patchesPerTurn),
    ]),
  );
}

function goalTable({ verdicts }: Report): string {
  if (verdicts.length === 0) return '';
  return table(
    ['goal', 'wanted', 'measured', ''],
    verdicts.map(({ text, goal, value, reached }) => [
      text,
      goal,
      ranged(value, 2),
      reached ? 'reached' : '**missed**',
    ]),
  );
}

function caveats({ figures, machine }: Report): string {
  const failed = figures.filter(({ errors }) => errors > 0);
  return [
    '- CPU is in cores, over all threads. Latency is that of a closed loop: a slow server is asked less often.',
    '- `fan-out` counts deliveries; its latency runs from the call to the last subscriber.',
    ...(figures.some(({ generatorBound }) => generatorBound)
      ? ['- **bound**: the generator used up its core, so the server could do more than the figure says.']
      : []),
    ...(keepsNothing(machine.fileSystem) ? ['- **The data lay in memory: nothing here was durable.**'] : []),
    ...failed.map(
      ({ scenario, variant, errors, firstError }) =>
        `- **${errors} errors** in ${scenario}, ${variant}; the first: \`${firstError}\``,
    ),
  ].join('\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function ranged({ median, min, max }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
}
