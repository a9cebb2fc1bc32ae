// Loaded into every supervised process before its own code (`node --import`), the example programs included, which
// know nothing of supervisors.
import { exitWhenParentDies } from './parent.js';

exitWhenParentDies();
