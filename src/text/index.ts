/** What is loaded beside the weights, in one piece: the tokenizer and the chat template, with their libraries. */
export { createChatTemplate, GIVEN, templateSource } from './chat-template';
export { createTokenizer } from './tokenizer';
export { responseTemplate } from './tools/response-template';
