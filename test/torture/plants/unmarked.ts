/** A planted bug: no file knows how much it must hold, so that a lost end looks like an older file. Cut WALs must find it. */
import { Mark } from '../../../src/storage/mark.ts';

Mark.prototype.read = () => 0;
