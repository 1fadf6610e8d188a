/** Entry of the thread that verifies bases: Piscina calls it with one task at a time. */
export { answerVerify as default } from '../src/backup/verify-task.ts';
