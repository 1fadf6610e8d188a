import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

// The log writes to the process's stdout by its number, so it is read from outside.
function printed(level: string, pretty: boolean, script: string): string {
  const module = new URL('../../src/host/log.ts', import.meta.url).href;
  const program = `import { createLog } from '${module}'; const log = createLog({ level: '${level}', pretty: ${pretty} }, 'shard-1'); ${script}`;
  return spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' }).stdout;
}

function logged(level: string, script: string): Record<string, unknown>[] {
  return printed(level, false, script)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('a line is JSON with level, time, thread, message and fields', () => {
  const [line] = logged('info', `log.info({ tenant: 'acme' }, 'actor loaded')`);
  expect(line).toMatchObject({ thread: 'shard-1', msg: 'actor loaded', tenant: 'acme', level: 30 });
  expect(line?.time).toMatch(/^\d{4}-\d\d-\d\dT/);
});

test('lines below the level are not written', () => {
  expect(logged('warn', `log.info('small talk'); log.warn('mind this')`).map((line) => line.msg)).toEqual([
    'mind this',
  ]);
});

test('a token or secret that slips into a line is hidden, also two levels down', () => {
  const [line] = logged(
    'info',
    `log.info({ token: 'abc', secret: 'def', password: 'jkl', request: { authorization: 'ghi', hello: { resumeToken: 'mno' } } }, 'connect')`,
  );
  expect(JSON.stringify(line)).not.toMatch(/abc|def|ghi|jkl|mno/);
  expect(line?.token).toBe('[hidden]');
});

const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl';

test.each([false, true])('a token is hidden wherever it stands, pretty or not (%s), also in a child', (pretty) => {
  const text = printed(
    'info',
    pretty,
    `const child = log.child({ requestId: '${jwt}' }); child.info('got ${jwt}'); child.error({ err: new Error('${jwt}'), any: ['${jwt}'] }, 'failed');`,
  );
  expect(text).not.toContain('c2lnbmF0dXJl');
  expect(text.match(/\[hidden\]/g)!.length).toBeGreaterThanOrEqual(5);
});

const hostile = String.raw`'x\n[12:00:00] INFO: forged\u001b[2J\r\u009b31m\u202e'`;
const attack = `const evil = ${hostile}; const error = new Error(evil); log.child({ requestId: evil }).info({ evil, [evil]: { [evil]: evil }, err: error, type: 'Error', stack: evil }, evil); log.error(error, evil);`;

test('no text breaks a line', () => {
  const lines = printed('info', false, attack).split('\n');
  expect(lines).toHaveLength(3);
  expect(lines.pop()).toBe('');
  for (const line of lines)
    expect(JSON.parse(line)).toMatchObject({ msg: expect.stringContaining('forged') as string });
});

test('for people no text makes an entry or moves the cursor', () => {
  const text = printed('info', true, attack);
  // Colours are ours: they are taken off first, and nothing else of the kind is left.
  // oxlint-disable-next-line no-control-regex
  const plain = text.replace(/\u001b\[\d{1,2}m/g, '');
  // oxlint-disable-next-line no-control-regex
  expect(plain).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
  expect(plain.match(/forged/g)!.length).toBeGreaterThanOrEqual(5);
  const entries = plain.split('\n').filter((line) => /^\S/.test(line));
  expect(entries).toHaveLength(2);
  for (const entry of entries) expect(entry).toMatch(/^\[\d\d:\d\d:\d\d\] (INFO|ERROR): x$/);
});

test('the last line before the process is killed is there', () => {
  const lines = logged('info', `log.info('last words'); process.kill(process.pid, 'SIGKILL')`);
  expect(lines.map((line) => line.msg)).toEqual(['last words']);
});
