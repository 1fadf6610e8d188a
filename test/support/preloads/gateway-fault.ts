/** A fault of our own in the gateway's thread: whoever calls the actor `doom` ends it. */
import { Intake } from '../../../src/gateway/intake.ts';

const call = Intake.prototype.call;

Intake.prototype.call = function (session, asked, waiter) {
  if (asked.actorId === 'doom') {
    setImmediate(() => {
      throw new Error('a fault in the gateway');
    });
  }
  return call.call(this, session, asked, waiter);
};
