/**
 * What a composer can do beyond text, fetched when it is first used. The page gives it to its composer; the widget, of
 * which every byte counts, has none.
 */
export interface ComposerTools {
  /** files and long pastes; defines <nibble-attachments> (attachment-chips.ts) */
  files(): Promise<typeof import('../attachments/attachments')>;
  /** defines <nibble-prompts> (prompts-panel.ts) */
  prompts(): Promise<typeof import('./prompts-panel')>;
}
