/**
 * Reads a Dockerfile as Docker does: comments, continued lines, stages, flags, the exec form, global ARGs in FROM. What it
 * does not know it refuses, so that no step is passed over in silence.
 */

export interface Instruction {
  readonly line: number;
  readonly name: string;
  readonly flags: Readonly<Record<string, string>>;
  /** What is behind the flags, continued lines joined. */
  readonly text: string;
}

export interface Stage {
  readonly name: string | undefined;
  readonly base: string;
  readonly instructions: readonly Instruction[];
}

export interface HealthCheck {
  readonly interval: string;
  readonly timeout: string;
  readonly startPeriod: string;
  readonly retries: number;
  readonly command: readonly string[];
}

/** What an image tells whoever runs it. */
export interface ImageConfig {
  readonly env: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly user: string;
  readonly workdir: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly stopSignal: string;
  readonly volumes: readonly string[];
  readonly ports: readonly string[];
  readonly healthCheck: HealthCheck | undefined;
}

const known = new Set(
  'ARG FROM WORKDIR COPY RUN LABEL ENV USER VOLUME EXPOSE STOPSIGNAL HEALTHCHECK ENTRYPOINT CMD'.split(' '),
);

/** @throws Error that names the line */
export function stagesOf(text: string): Stage[] {
  const args: Record<string, string> = {};
  const stages: { name: string | undefined; base: string; instructions: Instruction[] }[] = [];
  for (const instruction of instructionsOf(text)) {
    const stage = stages.at(-1);
    if (instruction.name === 'FROM') {
      const [base = '', as, name] = expanded(instruction.text, args).split(/\s+/);
      if (as !== undefined && as.toUpperCase() !== 'AS') throw new Error(`line ${instruction.line}: FROM … ${as}`);
      stages.push({ name, base, instructions: [] });
    } else if (stage !== undefined) stage.instructions.push(instruction);
    else if (instruction.name === 'ARG') Object.assign(args, pairsOf(instruction.text));
    else throw new Error(`line ${instruction.line}: ${instruction.name} before the first FROM`);
  }
  return stages;
}

export function configOf(stage: Stage): ImageConfig {
  const last = (name: string): Instruction | undefined => stage.instructions.findLast((one) => one.name === name);
  const all = (name: string): Instruction[] => stage.instructions.filter((one) => one.name === name);
  const args = Object.assign({}, ...all('ARG').map(({ text }) => pairsOf(text))) as Record<string, string>;
  const pairs = (name: string): Record<string, string> =>
    Object.assign({}, ...all(name).map(({ text }) => pairsOf(expanded(text, args)))) as Record<string, string>;
  const healthCheck = last('HEALTHCHECK');
  return {
    env: pairs('ENV'),
    labels: pairs('LABEL'),
    user: last('USER')?.text ?? 'root',
    workdir: last('WORKDIR')?.text ?? '/',
    entrypoint: execForm(last('ENTRYPOINT')),
    command: execForm(last('CMD')),
    stopSignal: last('STOPSIGNAL')?.text ?? 'none named',
    volumes: all('VOLUME').flatMap((one) => execForm(one)),
    ports: all('EXPOSE').flatMap(({ text }) => text.split(/\s+/)),
    healthCheck: healthCheck && {
      interval: healthCheck.flags['interval'] ?? '30s',
      timeout: healthCheck.flags['timeout'] ?? '30s',
      startPeriod: healthCheck.flags['start-period'] ?? '0s',
      retries: Number(healthCheck.flags['retries'] ?? 3),
      command: execForm({ ...healthCheck, text: healthCheck.text.replace(/^CMD\s+/, '') }),
    },
  };
}

function instructionsOf(text: string): Instruction[] {
  const found: Instruction[] = [];
  let begun: { line: number; text: string } | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    // Comments and empty lines do not end what is continued.
    if (/^\s*(#|$)/.test(line)) continue;
    const joined = begun === undefined ? line.trimStart() : `${begun.text} ${line.trim()}`;
    begun = { line: begun?.line ?? index + 1, text: joined.replace(/\\\s*$/, '').trimEnd() };
    if (/\\\s*$/.test(line)) continue;
    found.push(instructionOf(begun.line, begun.text));
    begun = undefined;
  }
  if (begun !== undefined) throw new Error(`line ${begun.line} is continued by nothing`);
  return found;
}

function instructionOf(line: number, text: string): Instruction {
  const name = /^\w+/.exec(text)?.[0].toUpperCase() ?? '';
  if (!known.has(name)) throw new Error(`line ${line}: ${name} is not known here`);
  const flags: Record<string, string> = {};
  const rest = text
    .slice(name.length)
    .trimStart()
    .replace(/^(?:--[\w-]+=\S+\s+)+/, (all) => {
      for (const [, flag, value] of all.matchAll(/--([\w-]+)=(\S+)/g)) flags[flag!] = value!;
      return '';
    });
  return { line, name, flags, text: rest };
}

/** The words of an exec form. @throws Error when it is the shell's, where process 1 would be a shell */
function execForm(instruction: Instruction | undefined): string[] {
  if (instruction === undefined) return [];
  if (!instruction.text.startsWith('['))
    throw new Error(`line ${instruction.line}: ${instruction.name} in shell form, so that a shell gets the signals`);
  return JSON.parse(instruction.text) as string[];
}

function pairsOf(text: string): Record<string, string> {
  const pairs = text.matchAll(/([\w.-]+)(?:=(?:"((?:[^"\\]|\\.)*)"|(\S*)))?/g);
  return Object.fromEntries([...pairs].map(([, key, inQuotes, bare]) => [key!, inQuotes ?? bare ?? '']));
}

function expanded(text: string, args: Readonly<Record<string, string>>): string {
  return text.replace(/\$\{(\w+)\}/g, (_all, name: string) => {
    const value = args[name];
    if (value === undefined) throw new Error(`\${${name}} has no ARG`);
    return value;
  });
}
