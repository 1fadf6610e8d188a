/** How much a request may say before its body: uWebSockets' own bound would turn away larger tokens. */
import { expect, onTestFinished, test } from 'vitest';
import { Stage } from '../support/stage.ts';

test('headers of 12 KiB are read, and of 20 KiB refused', async () => {
  const stage = new Stage();
  onTestFinished(() => stage.end());
  const server = await stage.serve({ app: 'ledger' });
  const statusOf = async (bytes: number): Promise<number> => {
    const response = await fetch(`${server.address}/health`, { headers: { 'x-long': 'a'.repeat(bytes) } });
    await response.arrayBuffer();
    return response.status;
  };
  expect(await statusOf(12 * 1024)).toBe(200);
  expect(await statusOf(20 * 1024)).toBe(431);
});
