/**
 * Flipped bits and cut files, round by round: a copy of a data directory whose content is known (flips/world.ts), one damage
 * to one of its files (flips/damage.ts), the shipped command on it, and questions about everything (flips/judge.ts).
 *
 *   journal   journal/<n>.db or its -wal         every second round
 *   tenant    tenant.db or its -wal              the others
 *
 * Allowed are the right value, a refusal, and a process that refuses to start with one clear line and a code that is
 * documented. Each world is asked once without damage first; there a refusal is a violation too.
 */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { damageFile, type Damage, type How, type Where } from './flips/damage.ts';
import { judgeWorld, type Finding } from './flips/judge.ts';
import { startOn, World, type WorldKind } from './flips/world.ts';
import type { Violation } from './oracle.ts';
import { addViolations, newReport, type RoundOptions, type RoundReport } from './report.ts';
import { SeededRandom } from './seeded-random.ts';

export interface FlipOptions extends RoundOptions {
  /** By default all of them in turn. */
  readonly where?: Where;
  readonly how?: How;
  readonly worlds?: readonly WorldKind[];
  /** Rounds on copies of one world. */
  readonly roundsPerWorld?: number;
}

export type Verdict = 'harmless' | 'refused' | 'no start' | 'rolled back' | 'doubled' | 'wrong' | 'crashed';

export interface FlipReport extends RoundReport {
  /** By kind of file and damage, such as `journal -wal cut`. */
  readonly damaged: Record<string, Partial<Record<Verdict, number>>>;
  readonly verdicts: Record<Verdict, number>;
}

const atOnce = 2;
const kindsOf: Readonly<Record<Where, readonly WorldKind[]>> = {
  journal: ['journal', 'heavy'],
  tenant: ['stopped', 'killed'],
};
/** Exit codes of docs/cli.md that a start may end with. */
const refusingCodes = [70, 73];
const violationsTold = 5;

export async function runFlipRounds(options: FlipOptions): Promise<FlipReport> {
  return await new FlipRun(options).run();
}

class FlipRun {
  readonly #options: FlipOptions;
  readonly #endMs: number;
  readonly #report: FlipReport = {
    ...newReport(),
    damaged: {},
    verdicts: { harmless: 0, refused: 0, 'no start': 0, 'rolled back': 0, doubled: 0, wrong: 0, crashed: 0 },
  };

  constructor(options: FlipOptions) {
    this.#options = options;
    this.#endMs = performance.now() + (options.msMax ?? Number.POSITIVE_INFINITY);
  }

  async run(): Promise<FlipReport> {
    const { rounds, worlds = Object.values(kindsOf).flat(), roundsPerWorld = 20, where } = this.#options;
    const kinds = worlds.filter((kind) => where === undefined || kindsOf[where].includes(kind));
    const left = Array.from({ length: rounds }, (_, at) => at + 1);
    for (let made = 0; left.length > 0 && !this.#isOver; made += 1) {
      const before = this.#report.violations.length;
      const world = await this.#makeWorld(made, kinds[made % kinds.length]!);
      const ofWorld = left.splice(0, roundsPerWorld);
      const work = async (): Promise<void> => {
        for (let round = ofWorld.shift(); round !== undefined && !this.#isOver; round = ofWorld.shift())
          await this.#round(world, round);
      };
      await Promise.all(Array.from({ length: atOnce }, work));
      if (this.#report.violations.length === before) rmSync(world.dataDir, { recursive: true, force: true });
    }
    for (const [what, verdicts] of Object.entries(this.#report.damaged)) this.#tell(`${what}: ${figures(verdicts)}`);
    this.#tell(`all: ${figures(this.#report.verdicts)}`);
    return this.#report;
  }

  get #isOver(): boolean {
    const found = this.#options.untilFound === true && this.#report.violations.length > 0;
    return found || performance.now() > this.#endMs;
  }

  async #makeWorld(made: number, kind: WorldKind): Promise<World> {
    const { seed, dataDir, plant } = this.#options;
    const random = new SeededRandom(seed + made);
    const world = await World.make({ kind, dataDir: join(dataDir, `world-${made}`), random, plant });
    this.#report.acknowledged += world.acknowledged;
    const { findings, failure } = await this.#ask(world, `${world.dataDir}-sound`, random, () => undefined);
    // A refusal of something sound is a finding too.
    const violations = findings.flatMap((found) => violationOf(found, 'without damage', 'unavailable'));
    if (failure !== undefined) violations.push({ kind: 'unavailable', text: `without damage: ${failure}` });
    addViolations(this.#report, violations);
    for (const { kind: what, text } of violations.slice(0, violationsTold)) this.#tell(`  ${what}: ${text}`);
    this.#tell(`world ${made}, ${kind}: ${world.actors.length} actors, ${world.acknowledged} calls acknowledged`);
    return world;
  }

  async #round(world: World, round: number): Promise<void> {
    const { seed, dataDir, how } = this.#options;
    const random = new SeededRandom(seed * 1009 + round);
    const where = kindsOf.journal.includes(world.kind) ? 'journal' : 'tenant';
    let damage: Damage | undefined;
    const outcome = await this.#ask(world, join(dataDir, `round-${round}`), random, (copy) => {
      damage = damageFile(copy, where, how ?? random.pick(['flip', 'cut']), random);
    });
    this.#count(world, round, damage!, outcome);
  }

  async #ask(
    world: World,
    copy: string,
    random: SeededRandom,
    damage: (copy: string) => void,
  ): Promise<{ findings: Finding[]; failure?: string; refusal?: string }> {
    rmSync(copy, { recursive: true, force: true });
    cpSync(world.dataDir, copy, { recursive: true });
    damage(copy);
    const server = startOn(copy, this.#options.plant);
    try {
      const started = await Promise.race([server.ready().then(() => true), server.exited.then(() => false)]);
      if (!started) {
        const { code, signal } = await server.exited;
        const lines = server.output.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
        const isClear = code !== null && refusingCodes.includes(code) && lines.length <= 2 && !isStack(server.output);
        const text = `exit ${code ?? signal}: ${lines.join(' ')}`;
        return isClear ? { findings: [], refusal: text } : { findings: [], failure: `${text}\n${server.output}` };
      }
      this.#report.readyMs.push(performance.now() - server.startedMs);
      const findings = await judgeWorld(server.address, world, random);
      const died = server.logs.find(({ msg }) => msg !== undefined && /\bdied\b|fault in the gateway/.test(msg));
      return { findings, ...(died === undefined ? {} : { failure: JSON.stringify(died) }) };
    } catch (error) {
      return { findings: [], failure: `${String(error)}\n${server.output.slice(-3000)}` };
    } finally {
      await server.kill9();
      rmSync(copy, { recursive: true, force: true });
    }
  }

  #count(
    world: World,
    round: number,
    { where, how, file, text }: Damage,
    { findings, failure, refusal }: { findings: Finding[]; failure?: string; refusal?: string },
  ): void {
    const report = this.#report;
    const of = (kind: Finding['kind']): number => findings.filter((finding) => finding.kind === kind).length;
    const verdict = verdictOf(of, failure, refusal);
    const damaged = (report.damaged[`${where}${file.endsWith('-wal') ? ' -wal' : ''} ${how}`] ??= {});
    damaged[verdict] = (damaged[verdict] ?? 0) + 1;
    report.verdicts[verdict] += 1;
    report.rounds += 1;
    const violations = findings.flatMap((finding) => violationOf(finding, text));
    if (failure !== undefined) violations.push({ kind: 'unavailable', text: `${text}: ${failure}` });
    addViolations(report, violations);
    const counts = [
      ['refused', of('refused')],
      ['rolled back', of('rolled-back')],
      ['doubled', of('doubled')],
      ['wrong', of('wrong')],
    ] as const;
    const facts = counts.filter(([, times]) => times > 0).map(([what, times]) => `${times} ${what}`);
    this.#tell(
      `round ${round} ${world.kind}: ${text}: ${[verdict, ...facts].join(', ')}${refusal === undefined ? '' : ` (${refusal})`}`,
    );
    for (const { kind, text: what } of violations.slice(0, violationsTold)) this.#tell(`  ${kind}: ${what}`);
  }

  #tell(line: string): void {
    this.#options.report?.(line);
  }
}

/** The worst that was seen. */
function verdictOf(of: (kind: Finding['kind']) => number, failure?: string, refusal?: string): Verdict {
  if (failure !== undefined) return 'crashed';
  if (of('wrong') > 0) return 'wrong';
  if (of('doubled') > 0) return 'doubled';
  if (of('rolled-back') > 0) return 'rolled back';
  if (refusal !== undefined) return 'no start';
  return of('refused') > 0 ? 'refused' : 'harmless';
}

/** A refusal is none, unless `refused` says what it is. */
function violationOf({ kind, text }: Finding, damage: string, refused?: Violation['kind']): Violation[] {
  const kinds = { refused, 'rolled-back': 'lost', doubled: 'doubled', wrong: 'changed' } as const;
  const violation = kinds[kind];
  return violation === undefined ? [] : [{ kind: violation, text: `${damage}: ${text}` }];
}

function isStack(output: string): boolean {
  return /\n\s+at .+:\d+:\d+/.test(output);
}

function figures(of: Partial<Record<Verdict, number>>): string {
  return Object.entries(of)
    .map(([what, times]) => `${times} ${what}`)
    .join(', ');
}
