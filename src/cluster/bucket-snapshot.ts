/**
 * All entries of a bucket as they are now, deleted ones left out. By a watch that ends with the last of them: the client's own
 * list of keys drops some when it is read slowly.
 */
import type { KV } from 'nats';

/** Texts by key. @throws NatsError when there is no such bucket, or NATS does not answer */
export async function bucketSnapshot(kv: KV): Promise<Map<string, string>> {
  let isAllReceived = false;
  const watch = await kv.watch({
    initializedFn: () => {
      isAllReceived = true;
    },
  });
  const texts = new Map<string, string>();
  if (isAllReceived && watch.getReceived() === 0) {
    watch.stop();
    return texts;
  }
  for await (const entry of watch) {
    if (entry.operation === 'PUT') texts.set(entry.key, entry.string());
    else texts.delete(entry.key);
    if (entry.delta === 0) break;
  }
  return texts;
}
