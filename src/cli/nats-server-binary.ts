/**
 * Finds the `nats-server` to run and makes sure that it is one, and of a version that we know.
 *
 * The shell looks on the PATH, and then where Debian puts servers, which only root's PATH names.
 */
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { CommandError } from './command-error.ts';
import { exitCodes } from './exit-codes.ts';

const versionMin = [2, 9] as const;
const answerMsMax = 10_000;
const run = promisify(execFile);

export interface NatsBinary {
  readonly path: string;
  /** Such as `2.9.10`. */
  readonly version: string;
}

/** `bin` is a path or a name. @throws CommandError when there is none, it is something else, or too old */
export async function findNatsServer(bin: string): Promise<NatsBinary> {
  const path = await locate(bin);
  const answer = await versionAnswer(path);
  const version = /^nats-server: v?((\d+)\.(\d+)\.\d+\S*)/m.exec(answer);
  if (version === null) {
    throw unfit(`${path} is not a nats-server: it answers --version with ${JSON.stringify(firstLine(answer))}`);
  }
  const [, text, major, minor] = version as unknown as [string, string, string, string];
  if (!isEnough(Number(major), Number(minor))) {
    throw unfit(`${path} is nats-server ${text}; ${versionMin.join('.')} or newer is needed`);
  }
  return { path, version: text };
}

async function locate(bin: string): Promise<string> {
  const script = 'PATH="$PATH:/usr/local/sbin:/usr/sbin"; command -v -- "$1"';
  try {
    const { stdout } = await run('/bin/sh', ['-c', script, 'sh', bin], { timeout: answerMsMax });
    return resolve(stdout.trim());
  } catch (error) {
    const where = bin.includes('/') ? 'there is no program of that name' : 'it is not on the PATH';
    throw unfit(`nats-server cannot be started: ${bin}: ${where}`, error);
  }
}

async function versionAnswer(path: string): Promise<string> {
  try {
    const { stdout, stderr } = await run(path, ['--version'], { timeout: answerMsMax });
    return stdout + stderr;
  } catch (error) {
    const message = error instanceof Error ? firstLine(error.message) : String(error);
    throw unfit(`${path} does not run: ${message}`, error);
  }
}

function isEnough(major: number, minor: number): boolean {
  const [majorMin, minorMin] = versionMin;
  return major > majorMin || (major === majorMin && minor >= minorMin);
}

function firstLine(text: string): string {
  return text.trimStart().split('\n', 1)[0]!.slice(0, 200);
}

function unfit(message: string, cause?: unknown): CommandError {
  return new CommandError(message, {
    exitCode: exitCodes.config,
    hint: 'Install it (Debian: apt-get install nats-server), or name the program with --nats-server-bin.',
    cause,
  });
}
