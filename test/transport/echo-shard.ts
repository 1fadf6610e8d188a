/** A thread with a shard's end of the embedded transport: every frame goes back to where it came from, `bye` ends it. */
import { workerData, type MessagePort } from 'node:worker_threads';
import { shardLink } from '../../src/transport/embedded.ts';

const link = shardLink((workerData as { ports: MessagePort[] }).ports);
link.onFrame((frame, gateway) => {
  link.send(gateway, `${gateway}:${frame}`);
  if (frame === 'bye') link.close();
});
