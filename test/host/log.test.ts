import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

// The log writes to the process's stdout by its number, so it is read from outside.
function logged(level: string, script: string): Record<string, unknown>[] {
  const module = new URL('../../src/host/log.ts', import.meta.url).href;
  const program = `import { createLog } from '${module}'; const log = createLog({ level: '${level}', pretty: false }, 'shard-1'); ${script}`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  return stdout
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

test('a token or secret that slips into a line is hidden, also one level down', () => {
  const [line] = logged(
    'info',
    `log.info({ token: 'abc', secret: 'def', request: { authorization: 'Bearer ghi' } }, 'connect')`,
  );
  expect(JSON.stringify(line)).not.toMatch(/abc|def|ghi/);
  expect(line?.token).toBe('[hidden]');
});

test('the last line before the process is killed is there', () => {
  const lines = logged('info', `log.info('last words'); process.kill(process.pid, 'SIGKILL')`);
  expect(lines.map((line) => line.msg)).toEqual(['last words']);
});
