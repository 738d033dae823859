/** What the page's composer can do beyond text, fetched when it is first used. */
import type { ComposerTools } from '../ui/composer/composer-tools';

export const COMPOSER_TOOLS: ComposerTools = {
  files: () => import('../ui/attachments/attachments'),
  prompts: () => import('../ui/composer/prompts-panel'),
};
