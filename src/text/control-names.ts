/**
 * Names of control tokens. What ends a turn or a text is known by its name, as in llama.cpp (src/llama-vocab.cpp,
 * special_eot_id and special_eog_ids), for files name one end at most and some none that the model uses.
 */

const ENDS = [
  // ChatML, Qwen and Phi 4; Llama 3; Gemma; Phi 3; SmolLM, OLMo 2 and Phi; Llama 3 and Granite; Llama 2 and Mistral
  '<|im_end|>',
  '<|eot_id|>',
  '<|eom_id|>',
  '<end_of_turn>',
  '<eos>',
  '<|end|>',
  '<|endoftext|>',
  '<|end_of_text|>',
  '</s>',
  // Gemma 4, which waits for a tool's answer, too; gpt-oss; Solar; Kimi; DeepSeek; SmolDocling; older code models
  '<turn|>',
  '<|tool_response>',
  '<|return|>',
  '<|call|>',
  '<|calls|>',
  '<|flush|>',
  '[EOT]',
  '[EOS]',
  '<｜end▁of▁sentence｜>',
  '<end_of_utterance>',
  '<EOT>',
  '_<EOT>',
];

/** What begins texts, turns and their parts: ChatML, Phi, Llama 3, Granite, Gemma, Mistral, DeepSeek, Llama 2. */
const STARTS = [
  '<|im_start|>',
  '<|im_sep|>',
  '<|system|>',
  '<|user|>',
  '<|assistant|>',
  '<|begin_of_text|>',
  '<|start_header_id|>',
  '<|end_header_id|>',
  '<|start_of_role|>',
  '<|end_of_role|>',
  '<|startoftext|>',
  '<bos>',
  '<start_of_turn>',
  '<|turn>',
  '[INST]',
  '[/INST]',
  '<｜begin▁of▁sentence｜>',
  '<｜User｜>',
  '<｜Assistant｜>',
  '<s>',
];

/** gpt-oss and Solar: <|end|> ends one part of an answer. */
const HARMONY = ['<|return|>', '<|flush|>'];
/** Gemma's <s> and </s> are HTML. */
const GEMMA = ['<bos>', '<eos>', '<|tool_response>'];

/**
 * Names that end a turn or a text.
 * @param has whether there is a special token of this name
 */
export const endNames = (has: (name: string) => boolean): string[] =>
  ENDS.filter((name) => has(name) && !(name === '<|end|>' && HARMONY.some(has)));

/**
 * Names that are control tokens, whatever a file says.
 * @param has whether there is a token of this name
 */
export const controlNames = (has: (name: string) => boolean): string[] =>
  [...ENDS, ...STARTS].filter((name) => has(name) && !(/^<\/?s>$/.test(name) && GEMMA.some(has)));
