/** The keeper thread's entry, with or without an archive of what is committed. */
import { workerData } from 'node:worker_threads';
import { type LogOptions, noteGap, openLog } from '../src/backup/open-log.ts';
import { systemClock } from '../src/host/clock.ts';
import { answerMain } from '../src/host/thread.ts';
import { keeperThread, type KeeperThreadData } from '../src/storage/keeper-thread.ts';

const data = workerData as KeeperThreadData & { readonly archive: LogOptions | undefined };

answerMain(
  keeperThread(data, (log) => {
    if (data.archive !== undefined) return openLog(data.archive, systemClock, log);
    noteGap(data.dataDir);
    return undefined;
  }),
);
