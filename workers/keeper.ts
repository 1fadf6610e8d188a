/** The keeper thread's entry. */
import { workerData } from 'node:worker_threads';
import { answerMain } from '../src/host/thread.ts';
import { keeperThread, type KeeperThreadData } from '../src/storage/keeper-thread.ts';

answerMain(keeperThread(workerData as KeeperThreadData));
