// The kit that the service decides with is the one that a simulation decides with.
export { makeKit, queuesIn, sha256 } from '../schema/kit.js';
