/** An input method's keys are its own: Safari ends a composition before the key that ended it, and says 229. */
export const composes = ({ isComposing, keyCode }: Pick<KeyboardEvent, 'isComposing' | 'keyCode'>): boolean =>
  isComposing || keyCode === 229;
