/** `fermata dlq`: frames of calls that could not be handled, for people: look at them, make their calls again, drop them. */
import { didYouMean } from '../host/config-values.ts';
import { createLog } from '../host/log.ts';
import type { NatsDeadLetterShelf, ShelvedLetter } from '../transport/nats-dead-letter-shelf.ts';
import { type ClusterConnection, connectionSettings, withCluster } from './cluster-connection.ts';
import { CommandError } from './command-error.ts';
import { isOn, type Command, type Invocation } from './command.ts';
import { callsOf } from './dlq-frame.ts';
import { callText, detailOf, listText, outcomeText, showText, summaryOf } from './dlq-text.ts';
import { exitCodes } from './exit-codes.ts';
import { counted, printable } from './readable.ts';

const lettersMax = 1000;

const actions = { list, show, replay, drop } as const;

export const dlqCommand: Command = {
  name: 'dlq',
  usage: 'dlq [list | show <seq> | replay <seq>|--all | drop <seq>|--all --yes]',
  summary: 'Dead letters: frames of calls that could not be handled.',
  about:
    'A frame of calls with which five owners of its slot died in a row, or that no runtime can read, is put aside, and whoever waited for its ' +
    'calls heard `unknown`. `replay` makes the calls of such a frame again, one after the other, with the keys that they had, so that they happen ' +
    'exactly once; a letter goes when nothing more can become of any of its calls. Calls without a key may have run already: they are made ' +
    'again only with --unkeyed. Mend what ended the runtimes first.',
  examples: [
    ['fermata dlq list', 'What was put aside, when and why.'],
    ['fermata dlq show 3', 'One of them, with its calls.'],
    ['fermata dlq replay 3', 'Make its calls again.'],
    ['fermata dlq drop 3 --yes', 'Throw it away.'],
  ],
  positionalsMax: 2,
  flags: [
    { name: '--json', value: undefined, help: 'With list and show: JSON.' },
    { name: '--claims', value: undefined, help: 'With show: the claims of the callers, too.' },
    { name: '--all', value: undefined, help: 'With replay and drop: all letters.' },
    {
      name: '--unkeyed',
      value: undefined,
      help: 'With replay: also calls without a key, which may happen twice by it.',
    },
    { name: '--yes', value: undefined, help: 'With drop: it is meant so.' },
  ],
  settings: connectionSettings,
  run,
};

interface Asked extends ClusterConnection {
  readonly invocation: Invocation;
  readonly shelf: NatsDeadLetterShelf;
  /** Of the letter that is meant; undefined: all of them. */
  readonly seq: number | undefined;
}

async function run(invocation: Invocation): Promise<number> {
  const [name = 'list', word] = invocation.positionals;
  const action = Object.hasOwn(actions, name) ? actions[name as keyof typeof actions] : undefined;
  if (action === undefined) throw usage(`dlq knows no "${name}"${didYouMean(name, Object.keys(actions))}`);
  const seq = seqGiven(invocation, name, word);
  if (action === drop && !isOn(invocation, '--yes')) throw usage('what is dropped is gone; say --yes');
  return await withCluster(invocation, async (connection) => {
    const { NatsDeadLetterShelf } = await import('../transport/nats-dead-letter-shelf.ts');
    const shelf = await NatsDeadLetterShelf.open(connection.nc);
    return await action({ ...connection, invocation, shelf, seq });
  });
}

function seqGiven(invocation: Invocation, name: string, word: string | undefined): number | undefined {
  const all = isOn(invocation, '--all');
  if (name === 'list') {
    if (word !== undefined) throw usage('dlq list takes no further words');
    return undefined;
  }
  if (word === undefined) {
    if (all && name !== 'show') return undefined;
    throw usage(`dlq ${name} takes the number of a letter, as dlq list shows it`);
  }
  if (all) throw usage('either the number of a letter, or --all');
  if (!/^[1-9]\d{0,14}$/.test(word)) throw usage(`"${word}" is no number of a letter`);
  return Number(word);
}

async function list({ shelf, invocation }: Asked): Promise<number> {
  const { terminal } = invocation;
  const letters = await lettersOn(shelf);
  if (isOn(invocation, '--json')) terminal.out(printable(JSON.stringify(letters.map(summaryOf), null, 2)));
  else if (letters.length === 0) terminal.out('there are no dead letters');
  else {
    terminal.out(listText(letters, Date.now()));
    if (letters.length === lettersMax) terminal.out(`… the oldest ${lettersMax}`);
  }
  return exitCodes.ok;
}

async function show(asked: Asked): Promise<number> {
  const { invocation } = asked;
  const [letter] = await meant(asked);
  const withClaims = isOn(invocation, '--claims');
  if (isOn(invocation, '--json'))
    invocation.terminal.out(printable(JSON.stringify(detailOf(letter!, withClaims), null, 2)));
  else invocation.terminal.out(showText(letter!, withClaims, Date.now()));
  return exitCodes.ok;
}

async function drop(asked: Asked): Promise<number> {
  const letters = await meant(asked);
  for (const { seq } of letters) await asked.shelf.remove(seq);
  asked.invocation.terminal.out(`dropped ${counted(letters.length, 'dead letter')}`);
  return exitCodes.ok;
}

async function replay(asked: Asked): Promise<number> {
  const { invocation, shelf } = asked;
  const letters = await meant(asked);
  const { Replay } = await import('./dlq-replay.ts');
  const replaying = new Replay(asked, createLog({ level: 'silent', pretty: false }, 'main'));
  let isAllDone = true;
  try {
    for (const letter of letters) {
      const ending = await replayOne(replaying, letter, invocation);
      if (ending === 'done') await shelf.remove(letter.seq);
      else isAllDone = false;
      if (ending === 'silence') break;
    }
  } finally {
    replaying.close();
  }
  if (letters.length === 0) invocation.terminal.out('there are no dead letters');
  return isAllDone ? exitCodes.ok : exitCodes.failed;
}

/** `silence`: nobody answered, so that nothing more should be sent. */
async function replayOne(
  replaying: InstanceType<typeof import('./dlq-replay.ts')['Replay']>,
  letter: ShelvedLetter,
  invocation: Invocation,
): Promise<'done' | 'kept' | 'silence'> {
  const { isSettled, keyOf } = await import('./dlq-replay.ts');
  const { terminal } = invocation;
  const { seq, slot, kind, frame } = letter;
  const calls = callsOf(letter);
  if (kind !== 'undone' || frame === undefined) {
    terminal.err(
      `fermata: dead letter ${seq} is ${kind}, its calls cannot be made again; look at it: fermata dlq show ${seq}`,
    );
    return 'kept';
  }
  let left = 0;
  for (const { envelope, caller } of calls) {
    const say = (what: string): void => terminal.out(`${seq}  ${callText(envelope)}: ${what}`);
    if (caller === undefined) say('not made again: nobody knows who made it');
    else if (envelope[6] === '' && !isOn(invocation, '--unkeyed'))
      say('not made again without --unkeyed: it may have run');
    else {
      const outcome = await replaying.call(slot, caller, envelope, keyOf(frame, envelope));
      say(outcomeText(outcome));
      if (isSettled(outcome)) continue;
      if (outcome.kind === 'none') {
        terminal.err(`fermata: dead letter ${seq} is kept, and nothing more is sent; see: fermata status`);
        return 'silence';
      }
    }
    left += 1;
  }
  if (left === 0) {
    terminal.out(`${seq}  done, the letter is removed`);
    return 'done';
  }
  terminal.err(`fermata: dead letter ${seq} is kept: ${counted(left, 'call')} without an end`);
  return 'kept';
}

/** The one that was named, or all. @throws CommandError when there is none of this number */
async function meant({ shelf, seq }: Asked): Promise<ShelvedLetter[]> {
  if (seq === undefined) return await lettersOn(shelf);
  const letter = await shelf.letter(seq);
  if (letter !== undefined) return [letter];
  throw new CommandError(`there is no dead letter ${seq}`, {
    exitCode: exitCodes.failed,
    hint: 'See: fermata dlq list',
  });
}

async function lettersOn(shelf: NatsDeadLetterShelf): Promise<ShelvedLetter[]> {
  const letters: ShelvedLetter[] = [];
  for await (const letter of shelf.letters()) {
    letters.push(letter);
    if (letters.length === lettersMax) break;
  }
  return letters;
}

function usage(message: string): CommandError {
  return new CommandError(message, { exitCode: exitCodes.usage, hint: `It is: fermata ${dlqCommand.usage}` });
}
