/** What makes prompts and text: the tokenizer, the chat template, the ids that end an answer. */
import type { Checkpoint } from '../checkpoint/checkpoint';
import { modelDefaults, undoneNote } from '../generate/model-defaults';
import { stopIds } from '../generate/stop-ids';

/**
 * From the checkpoint's small files.
 * @param text the module src/text, which is fetched beside this one
 * @param given the caller's own chat template
 * @throws corrupt-checkpoint for a tokenizer that cannot be read, invalid-option for a given template that cannot
 */
export function openTokenizer(
  { createTokenizer, createChatTemplate, GIVEN, responseTemplate, templateSource }: typeof import('../text/index'),
  { tokenizer: files, generationConfig, config }: Checkpoint,
  given: string | null,
) {
  const tokenizer = files && createTokenizer(files.json, files.config);
  const source = given ?? templateSource(files?.config.chat_template);
  const toolSource = given ?? templateSource(files?.config.chat_template, true);
  const { form: ownForm, fault } = responseTemplate(files?.config.response_template);
  const { bad, undone } = modelDefaults(generationConfig);
  return {
    tokenizer,
    template: source === null ? null : createChatTemplate(source, given === null ? undefined : GIVEN),
    toolTemplate: toolSource === null || toolSource === source ? null : createChatTemplate(toolSource),
    ownForm,
    notes: [fault, ...bad, undoneNote(undone)].filter((note) => note !== null),
    stopIds: stopIds([generationConfig, config], tokenizer?.eosIds),
  };
}
