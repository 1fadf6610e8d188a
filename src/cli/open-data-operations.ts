/**
 * Finds the owner of the data for each operation: the running server when one answers on the admin socket of the data
 * directory, else the directory itself.
 */
import type { Config } from '../host/config.ts';
import { createLog } from '../host/log.ts';
import type { BackupProgress, BackupResult, DataOperations, OpenedOperations, SwapResult } from './data-operations.ts';

export async function openDataOperations(config: Config): Promise<OpenedOperations> {
  const { askServer } = await import('./ask-server.ts');
  const { dataDir } = config;
  let offline: OpenedOperations | undefined;
  const own = async (): Promise<OpenedOperations> => {
    const { openOffline } = await import('./offline-operations.ts');
    offline ??= await openOffline(config, createLog({ level: 'silent', pretty: false }, 'backup'));
    return offline;
  };
  // Both sides are of one version, so that an answer is what the interface says.
  const operations: DataOperations = {
    async backup(request, progress) {
      const answer = await askServer(dataDir, 'backup', request, (line) => progress(line as BackupProgress));
      if (answer === undefined) return (await own()).backup(request, progress);
      return answer.done as readonly BackupResult[];
    },
    async swap(request) {
      const answer = await askServer(dataDir, 'swap', request, () => {});
      if (answer === undefined) return (await own()).swap(request);
      return answer.done as SwapResult;
    },
  };
  return { ...operations, close: async () => offline?.close() };
}
