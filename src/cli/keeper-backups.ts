/** The keeper thread of a server, as backups see it. */
import { Progress } from '../host/progress.ts';
import type { Thread } from '../host/thread.ts';
import type { Copied } from '../storage/tenant-copies.ts';
import type { BackupKeeper } from './backups.ts';

/** How often a copy's progress is looked at, milliseconds. */
const lookMs = 100;

export function keeperOf(thread: Thread, shards: number): BackupKeeper {
  return {
    tenants: () => thread.ask('tenants'),
    async copy(request, progress) {
      const pages = new Progress();
      const timer = setInterval(() => progress(pages.done, pages.total), lookMs);
      try {
        return await thread.ask<Copied>('copy', { ...request, shards, progress: pages.memory });
      } finally {
        clearInterval(timer);
        progress(pages.done, pages.total);
      }
    },
    stopCopies: () => thread.ask('stopCopies'),
    exchange: (request) => thread.ask('exchange', { ...request, shards }),
    closeStale: () => thread.ask('closeStale', { shards }),
  };
}
