// Loaded into every supervised process before its own code (`node --import`), also into the example programs, which know nothing
// of supervisors.
import { exitWhenParentDies } from './children/parent.js';

exitWhenParentDies();
