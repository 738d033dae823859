/** The CPU's executor as a part that is fetched only where it answers. */
export { createCpuExecutor } from './cpu/executor';
