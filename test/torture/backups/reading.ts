/**
 * What a server says that books hold: asked over a socket, as any client asks. For a restored data directory the shipped
 * command is started on it, and keyed calls are repeated, which must change nothing.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BaseClient } from '../../support/base-client.ts';
import { ServerProcess } from '../../support/server.ts';
import { mint } from '../../support/token.ts';
import type { Violation } from '../oracle.ts';
import type { Book, Content, Span } from './book.ts';
import { askOf, type Pair } from './writers.ts';

export const booksApp = 'test/torture/backups/books-app.ts';

const noRates = ['--limit', 'messagesPerSecond=0', '--limit', 'messagesBurst=0'];
export const serveArgs = ['--shards', '2', '--gateways', '1', ...noRates];
const readArgs = ['--shards', '1', '--gateways', '1', ...noRates];

const askedAtOnce = 200;
const repeatsMax = 20;
/** Until it is clear that a server did not end. */
const endMsMax = 200;

/** What each of a tenant's books holds. @throws Error when one cannot be read */
export async function readBooks(address: string, books: readonly Book[]): Promise<Map<Book, Content>> {
  const contents = new Map<Book, Content>();
  const clients = new Map<string, BaseClient>();
  try {
    for (const tenant of new Set(books.map((book) => book.tenant)))
      clients.set(
        tenant,
        await BaseClient.connect(address, { token: await mint({ tenant, sub: 'reader' }), v1: true }),
      );
    for (let at = 0; at < books.length; at += askedAtOnce) {
      const some = books.slice(at, at + askedAtOnce);
      await Promise.all(
        some.map(async (book) => {
          const client = clients.get(book.tenant)!;
          contents.set(book, (await client.rpc('book', book.id, 'look')) as Content);
        }),
      );
    }
  } catch (error) {
    const why = [...clients.values()].map(
      ({ failure, texts }) => `${failure?.message ?? 'no failure'} after ${texts.at(-1)}`,
    );
    const read = `${contents.size} of ${books.length} books were read`;
    throw new Error(`${read}: ${String(error)} (${why.join('; ')})`, { cause: error });
  } finally {
    for (const client of clients.values()) client.socket.terminate();
  }
  return contents;
}

/** Starts the command on a restored directory and holds it against what is known. */
export async function judgeRestored(
  dataDir: string,
  pairs: readonly Pair[],
  span: Span,
  when: string,
): Promise<Violation[]> {
  const server = new ServerProcess({ app: booksApp, dataDir, args: readArgs });
  try {
    await server.ready();
    const books = pairs.flatMap(({ first, twin }) => [first, twin]);
    const contents = await readBooks(server.address, books);
    const violations = judgePairs(pairs, contents, span, when);
    if (violations.length > 0) return violations;
    return await judgeRepeats(server.address, books, contents, span, when);
  } catch (error) {
    const end = await Promise.race([server.exited, sleep(endMsMax, 'it runs')]);
    const facts = `${String(error)}, ${JSON.stringify(end)}\n${server.output.slice(-2000)}`;
    return [{ kind: 'unavailable', text: `${when} it cannot be read: ${facts}` }];
  } finally {
    await server.kill9();
  }
}

export function judgePairs(
  pairs: readonly Pair[],
  contents: ReadonlyMap<Book, Content>,
  span: Span,
  when: string,
): Violation[] {
  return pairs.flatMap(({ first, twin }) => [
    ...first.judge(contents.get(first)!, span, when),
    ...twin.judge(contents.get(twin)!, span, when),
    ...judgeTwins({ first, twin }, contents, span.fromMs, when),
  ]);
}

/** Whatever the twin holds was acknowledged by the first before it was sent to the twin, and was not undone by `atMs`. */
export function judgeTwins(
  { first, twin }: Pair,
  contents: ReadonlyMap<Book, Content>,
  atMs: number,
  when: string,
): Violation[] {
  const held = new Set(contents.get(first)!.entries);
  for (const { entry, undoneMs } of first.calls) if (undoneMs <= atMs) held.add(entry);
  const early = contents.get(twin)!.entries.filter((entry) => !held.has(entry));
  if (early.length === 0) return [];
  return [{ kind: 'changed', text: `${twin.name} ${when} holds ${early.join(', ')}, which ${first.id} lacks` }];
}

async function judgeRepeats(
  address: string,
  books: readonly Book[],
  before: ReadonlyMap<Book, Content>,
  span: Span,
  when: string,
): Promise<Violation[]> {
  const violations: Violation[] = [];
  const asked: Book[] = [];
  for (const book of books.toReversed()) {
    const sent = book.keyed(span.fromMs).at(-1);
    if (sent === undefined) continue;
    if (asked.push(book) > repeatsMax) break;
    const client = await BaseClient.connect(address, {
      token: await mint({ tenant: book.tenant, sub: 'writer' }),
      v1: true,
    });
    const reply = await client.call(askOf(book, sent));
    client.socket.terminate();
    if (reply.outcome === 'ok' && (reply.result === sent.returned || sent.returned === 0)) continue;
    const text = `${book.name} ${when}: ${sent.key} had ${sent.returned}, and its repeat ${JSON.stringify(reply)}`;
    violations.push({ kind: 'changed', text });
  }
  const after = await readBooks(address, asked);
  for (const [book, { count }] of after) {
    if (count !== before.get(book)!.count)
      violations.push({ kind: 'doubled', text: `${book.name} ${when} was changed by a repeat` });
  }
  return violations;
}
