/** Has a page look and speak as the person prefers. */
import { chooseLanguage, speakLanguage } from '../words/languages';
import { pageVocabulary } from '../words/words';
import { type PreferenceValues, preferences } from './preferences';

/** Of the browser's own text size, in per cent. */
const TEXT_PERCENT: Record<PreferenceValues['textSize'], number> = {
  small: 87.5,
  normal: 100,
  large: 118.75,
  largest: 137.5,
};

const COLORS = { light: '#ffffff', dark: '#131615' };

/** The bar of a browser's window, where it takes its colour from the page. */
function colourBar(theme: PreferenceValues['theme']): void {
  for (const meta of document.querySelectorAll<HTMLMetaElement>('meta[name=theme-color]'))
    meta.content = COLORS[theme !== 'system' ? theme : meta.media.includes('dark') ? 'dark' : 'light'];
}

function apply(): void {
  const { style } = document.documentElement;
  const theme = preferences.get('theme');
  style.colorScheme = theme === 'system' ? '' : theme;
  // the build makes a media query of what the style sheet says
  style.background = theme === 'system' ? '' : COLORS[theme];
  colourBar(theme);
  style.fontSize = `${TEXT_PERCENT[preferences.get('textSize')]}%`;
  style.setProperty('--nibble-text-size', '1rem');
  const language = preferences.get('language');
  void speakLanguage(pageVocabulary, chooseLanguage([...(language ? [language] : []), ...navigator.languages]));
}

function spoken(): void {
  const { language, direction } = pageVocabulary;
  const root = document.documentElement;
  root.lang = language;
  root.dir = direction;
  root.style.setProperty('--nibble-direction', direction);
}

/** Now, and whenever they change. */
export function applyPreferences(): void {
  preferences.addEventListener('change', apply);
  pageVocabulary.addEventListener('change', spoken);
  addEventListener('languagechange', apply);
  apply();
}
