/**
 * A planted bug: the server forgets how a numbered call ended as soon as it has ended, so that a repeat runs again. Chaos
 * must find it.
 */
import { NumberedClient } from '../../../src/runtime/numbered.ts';

NumberedClient.prototype.get = () => undefined;
