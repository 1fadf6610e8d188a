/** A fault of our own in the keeper's thread: whoever asks for the actor `doom` ends it. */
import { KeeperCore } from '../../../src/storage/keeper.ts';

const load = KeeperCore.prototype.load;

KeeperCore.prototype.load = function (address) {
  if (address.id === 'doom') {
    setImmediate(() => {
      throw new Error('a fault in the keeper');
    });
  }
  return load.call(this, address);
};
