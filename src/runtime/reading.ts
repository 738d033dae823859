/** What reads texts and writes none, in one lazy module. */
export { embed } from './embed';
export { rerank } from './rerank';
export { score } from './score';
