/** What is said about memory and computes nothing: a part of the worker's code that comes beside the weights. */
export { estimateDevice } from './device-estimate';
export { shortfall, suggest } from './suggestions';
