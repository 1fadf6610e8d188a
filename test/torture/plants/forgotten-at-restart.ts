/**
 * A planted bug: outcomes of numbered calls do not outlive the process; a repeat after a restart runs again. Chaos must find
 * it.
 */
import { NumberedClient } from '../../../src/runtime/numbered.ts';

NumberedClient.prototype.learn = function (): void {
  this.stored = undefined;
};
