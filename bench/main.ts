/**
 * `npm run bench`: measures Fermata against the bare echo and the naive design, prints one Markdown report and keeps the
 * raw figures as JSON. docs/benchmarks.md says how to read it.
 *
 *     node bench/main.ts [--only 50x16,http] [--seconds 4] [--rounds 3] [--json file] [--data-root folder] [--allow-tmpfs]
 *
 * Exit codes: 0 measured (also when goals are missed) · 1 calls failed, or a server or generator did · 2 wrong usage
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { startChild } from './children.ts';
import { figuresOf, median } from './figures.ts';
import { judge } from './goals.ts';
import { describeMachine, keepsNothing } from './machine.ts';
import { measureScenario, type Row } from './measurement.ts';
import { markdown, type Report, type ShapeFigures } from './report.ts';
import { scenarios } from './scenarios.ts';

const root = join(import.meta.dirname, '..');
const immer = 'immer';
const warmUpMs = 1500;
const tell = (line: string): void => void process.stderr.write(`${line}\n`);

const options = readOptions();
const machine = describeMachine(options.dataRoot);
if (keepsNothing(machine.fileSystem) && !options.allowTmpfs) {
  usage(
    `${options.dataRoot} lies on ${machine.fileSystem}, where nothing is durable; choose another --data-root, or say --allow-tmpfs`,
  );
}
const rows: Row[] = [];
const chosen = scenarios.filter(({ name }) => options.only.length === 0 || options.only.includes(name));
for (const scenario of chosen) {
  const window = { warmUpMs, measureMs: options.seconds * 1000 };
  rows.push(...(await measureScenario(scenario, { ...options, window, tell })));
}
const shapes = options.only.length === 0 || options.only.includes(immer) ? await measureShapes() : [];
const figures = figuresOf(rows);
const report: Report = {
  machine,
  command: `npm run bench${process.argv.length > 2 ? ` -- ${process.argv.slice(2).join(' ')}` : ''}`,
  rounds: options.rounds,
  seconds: options.seconds,
  scenarios: chosen.map(({ name, about }) => ({ name, about })),
  figures,
  shapes,
  verdicts: judge(figures),
};
process.stdout.write(`${markdown(report)}\n`);
keep();
process.exitCode = figures.some(({ errors }) => errors > 0) ? 1 : 0;

function keep(): void {
  const { date, commit, dirty } = machine;
  const name = `${date.slice(0, 16).replace(/[T:]/g, '-')}-${commit}${dirty ? '-changed' : ''}.json`;
  const path = options.json ?? join(root, 'bench/results', name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify({ ...report, rows }, null, 1)}\n`);
  tell(`raw figures: ${relative(process.cwd(), path)}`);
}

async function measureShapes(): Promise<ShapeFigures[]> {
  const runs: { shape: string; turnsPerSecond: number; patchesPerTurn: number }[][] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    const child = startChild({
      args: [join(root, 'bench/immer-shapes.ts'), String(Math.min(2, options.seconds))],
      channel: false,
      lifeMsMax: 60_000,
    });
    let text = '';
    child.stdout?.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    if (code !== 0) throw new Error(`bench/immer-shapes.ts ended with code ${code}`);
    runs.push(JSON.parse(text) as (typeof runs)[number]);
    tell(`immer round ${round}`);
  }
  return runs[0]!.map(({ shape, patchesPerTurn }, index) => {
    const values = runs.map((run) => run[index]!.turnsPerSecond);
    const turnsPerSecond = { median: median(values), min: Math.min(...values), max: Math.max(...values) };
    return { shape, patchesPerTurn, turnsPerSecond };
  });
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      seconds: { type: 'string', default: '4' },
      rounds: { type: 'string', default: '3' },
      json: { type: 'string' },
      'data-root': { type: 'string', default: join(root, 'data') },
      'allow-tmpfs': { type: 'boolean', default: false },
    },
  });
  const only = values.only.flatMap((names) => names.split(','));
  const known = [...scenarios.map(({ name }) => name), immer];
  const unknown = only.find((name) => !known.includes(name));
  if (unknown !== undefined) usage(`there is no scenario "${unknown}"; known: ${known.join(', ')}`);
  return {
    only,
    seconds: wholeNumber('--seconds', values.seconds, 60),
    rounds: wholeNumber('--rounds', values.rounds, 20),
    json: values.json,
    dataRoot: values['data-root'],
    allowTmpfs: values['allow-tmpfs'],
  };
}

function wholeNumber(flag: string, text: string, max: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > max)
    usage(`${flag} takes a whole number from 1 to ${max}, not "${text}"`);
  return value;
}

function usage(problem: string): never {
  tell(problem);
  process.exit(2);
}
