/** Answers that have not begun, and those that are not whole. */
import type { ChatMessage } from '../../protocol';

/** Why the last answer is not whole, and how it goes on. */
export interface Cut {
  /** 'aborted': it was stopped, or the page was left; 'loop': it repeated itself (loop-detector.ts) */
  finish: 'length' | 'aborted' | 'loop';
  /** of what there is; null where that is known as text only */
  ids: number[] | null;
}

/** An answer that has not begun is none. */
export const isSaid = ({ content, reasoning_content }: ChatMessage): boolean => Boolean(content || reasoning_content);
