/**
 * From words to a command and its exit code. The only place that turns an error into text for the terminal: one clear
 * line and a hint; a stack only with LOG_LEVEL=debug or for a fault of Fermata's own.
 */
import { ConfigError } from '../host/config-load.ts';
import { didYouMean } from '../host/config-values.ts';
import { parseArguments } from './arguments.ts';
import { backupCommand } from './backup-command.ts';
import { backupsCommand } from './backups-command.ts';
import { CommandError } from './command-error.ts';
import type { Command, Terminal } from './command.ts';
import { dlqCommand } from './dlq-command.ts';
import { doctorCommand } from './doctor-command.ts';
import { exitCodes } from './exit-codes.ts';
import { commandHelp, generalHelp } from './help.ts';
import { gatewayCommand } from './gateway-command.ts';
import { inspectCommand } from './inspect-command.ts';
import { moveCommand } from './move-command.ts';
import { openDataOperations } from './open-data-operations.ts';
import { quarantineCommand } from './quarantine-command.ts';
import { rebalanceCommand } from './rebalance-command.ts';
import { restoreCommand } from './restore-command.ts';
import { runtimeCommand } from './runtime-command.ts';
import { serveCommand } from './serve-command.ts';
import { statusCommand } from './status-command.ts';
import { tokenCommand } from './token-command.ts';
import { version } from './version.ts';
import { verifyCommand } from './verify-command.ts';

export const commands: readonly Command[] = [
  serveCommand,
  gatewayCommand,
  runtimeCommand,
  statusCommand,
  rebalanceCommand,
  dlqCommand,
  tokenCommand,
  inspectCommand,
  backupCommand(openDataOperations),
  backupsCommand,
  verifyCommand,
  restoreCommand(openDataOperations),
  quarantineCommand,
  moveCommand,
  doctorCommand,
];

type Env = Readonly<Record<string, string | undefined>>;

/** Runs one command line, of the commands in `known`. Never throws; answers with the exit code. */
export async function runCommandLine(
  words: readonly string[],
  env: Env,
  terminal: Terminal,
  known: readonly Command[] = commands,
): Promise<number> {
  try {
    return await run(words, env, terminal, known);
  } catch (error) {
    return report(error, words, env, terminal);
  }
}

async function run(words: readonly string[], env: Env, terminal: Terminal, known: readonly Command[]): Promise<number> {
  const [first, ...rest] = words;
  if (first === '--version' || first === '-v' || first === 'version') {
    terminal.out(version());
    return exitCodes.ok;
  }
  if (first === undefined) {
    terminal.err(generalHelp(known));
    return exitCodes.usage;
  }
  if (first === 'help' || first === '--help' || first === '-h') {
    terminal.out(rest[0] === undefined ? generalHelp(known) : commandHelp(commandNamed(rest[0], known)));
    return exitCodes.ok;
  }
  const command = commandNamed(first, known);
  if (asksForHelp(rest)) {
    terminal.out(commandHelp(command));
    return exitCodes.ok;
  }
  const { positionals, flags, problems } = parseArguments(rest, command);
  if (problems.length > 0)
    throw new CommandError(asList(problems), { exitCode: exitCodes.usage, hint: `See: fermata help ${command.name}` });
  return await command.run({ positionals, flags, env, terminal });
}

function commandNamed(word: string, known: readonly Command[]): Command {
  const command = known.find((candidate) => candidate.name === word);
  if (command !== undefined) return command;
  const names = [...known.map((candidate) => candidate.name), 'help'];
  if (word.startsWith('-')) {
    throw new CommandError(`the command comes first, then its flags, but "${word}" is a flag`, {
      exitCode: exitCodes.usage,
      hint: 'For example: fermata serve app.ts --dev',
    });
  }
  throw new CommandError(`there is no command "${word}"${didYouMean(word, names)}`, {
    exitCode: exitCodes.usage,
    hint: `Commands: ${names.join(', ')}. See: fermata --help`,
  });
}

function asksForHelp(words: readonly string[]): boolean {
  const end = words.indexOf('--');
  return words.slice(0, end === -1 ? words.length : end).some((word) => word === '--help' || word === '-h');
}

function report(error: unknown, words: readonly string[], env: Env, terminal: Terminal): number {
  const withStack =
    /^(debug|trace)$/.test(env.LOG_LEVEL ?? '') || words.some((word) => /^(--log-level=)?(debug|trace)$/.test(word));
  let exitCode: number = exitCodes.internal;
  if (error instanceof CommandError) {
    exitCode = error.exitCode;
    terminal.err(`fermata: ${error.message}`);
    if (error.hint !== undefined) terminal.err(`  ${error.hint}`);
  } else if (error instanceof ConfigError) {
    exitCode = exitCodes.config;
    terminal.err(`fermata: ${asList(error.problems)}`);
    terminal.err('  All settings: fermata help serve');
  } else {
    terminal.err(`fermata: internal fault: ${error instanceof Error ? error.message : String(error)}`);
    if (!withStack) terminal.err('  Run it again with LOG_LEVEL=debug for the details.');
  }
  if (withStack && error instanceof Error) terminal.err(stackOf(error));
  return exitCode;
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : '';
  return `${error.stack ?? error.message}${cause}`;
}

function asList(problems: readonly string[]): string {
  if (problems.length === 1) return problems[0]!;
  return [`${problems.length} mistakes`, ...problems.map((problem) => `  - ${problem}`)].join('\n');
}
