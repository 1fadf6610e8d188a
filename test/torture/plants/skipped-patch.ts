/**
 * A planted bug: the patches of who comes back are off by one; the first is left out and the last comes twice. Chaos must
 * find it.
 */
import { History } from '../../../src/runtime/history.ts';

const after = History.prototype.after;

History.prototype.after = function (since: number) {
  const items = after.call(this, since);
  if (items === undefined || items[0]?.text.startsWith('[{') !== true) return items;
  return items.map(({ seq }, at) => ({ seq, text: (items[at + 1] ?? items[at]!).text }));
};
