/**
 * A planted bug: answers reach their socket a while after they were handed to it, so that a stop that looks
 * at the sockets alone closes them too early. The SIGTERM test must find it.
 */
import { Connection } from '../../../src/gateway/connection.ts';

const flush = Connection.prototype.flush;

Connection.prototype.flush = function (): void {
  setTimeout(() => flush.call(this), 400);
};
