/** System prompts to begin with, in the person's own language. */
import type { PhraseName } from '../words/words';

export const PRESETS: readonly { name: PhraseName; prompt: PhraseName }[] = [
  { name: 'presetBrief', prompt: 'presetBriefPrompt' },
  { name: 'presetTutor', prompt: 'presetTutorPrompt' },
  { name: 'presetEditor', prompt: 'presetEditorPrompt' },
  { name: 'presetCode', prompt: 'presetCodePrompt' },
];
