/** Entry of a shard thread: a journal and the actors that hash to it. */
import { workerData } from 'node:worker_threads';
import { answerMain } from '../src/host/thread.ts';
import { shardThread, type ShardThreadData } from '../src/runtime/shard-thread.ts';
import { shardLink } from '../src/transport/embedded.ts';

const data = workerData as ShardThreadData;
answerMain(shardThread(data, shardLink(data.ports)));
