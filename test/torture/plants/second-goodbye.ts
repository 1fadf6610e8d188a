/**
 * A planted bug: that `onDisconnect` has run is not written down, so that it runs again after the next crash. Chaos must
 * find it.
 */
import { VisitorTable } from '../../../src/storage/visitor-table.ts';

const put = VisitorTable.prototype.put;

VisitorTable.prototype.put = function (type, id, visit): void {
  if (visit.kind === 'in') put.call(this, type, id, visit);
};
