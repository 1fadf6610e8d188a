/** Entry of the thread in which `fermata doctor --production` loads an app, as `serve` does. */
import { answerMain } from '../src/host/thread.ts';
import { answerAppLook } from '../src/runtime/app-look.ts';

answerMain(answerAppLook());
