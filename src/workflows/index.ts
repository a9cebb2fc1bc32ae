import { run } from './run.js';
import * as exported from './index.js';

// Temporal looks the type of a workflow up among what this module exports, and takes the default where there is none: a workflow
// of any other type would otherwise be tried again for ever. It comes to `run` too, which refuses it.
export { run, run as default };

// Nothing is inherited either, such as `valueOf`.
Object.setPrototypeOf(exported, null);
