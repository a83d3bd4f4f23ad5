export * from './smq.js';
import * as SMQ from './smq.js';
export default SMQ;
