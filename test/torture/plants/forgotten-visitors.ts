/**
 * A planted bug: who was with an actor when the process died is not known afterwards, and never gets its `onDisconnect`.
 * Chaos must find it.
 */
import { VisitorTable } from '../../../src/storage/visitor-table.ts';

VisitorTable.prototype.read = () => [];
