import { css, html, nothing } from 'lit';
import { property } from 'lit/decorators.js';
import type { Progress } from '../../protocol';
import { defineElement } from '../define-element';
import { formatBytes, formatBytesOf, formatSeconds } from '../format';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';
import type { PhraseName, Say } from '../words/words';

const PHASES: Record<Progress['phase'], PhraseName> = {
  header: 'progressHeader',
  download: 'progressDownload',
  upload: 'progressUpload',
  compile: 'progressCompile',
  ready: 'progressReady',
};

/** "Downloading: 12 of 85 MB · 9.4 MB/s · 8 s left" */
export function describeProgress(progress: Progress | null, say: Say, language: string): string {
  if (progress === null) return say('progressStarting');
  const { phase, loadedBytes, totalBytes, bytesPerSecond, secondsLeft } = progress;
  const parts = [say(PHASES[phase])];
  if (totalBytes > 0) parts.push(say('progressOf', formatBytesOf(loadedBytes, totalBytes, language)));
  if (phase === 'download' && bytesPerSecond) parts.push(formatBytes(bytesPerSecond, language, '-per-second'));
  if (phase === 'download' && secondsLeft !== null)
    parts.push(say('progressLeft', { time: formatSeconds(secondsLeft, language) }));
  return parts.join(' · ');
}

export class ProgressBar extends SpokenElement {
  @property({ attribute: false }) progress: Progress | null = null;

  static override styles = [
    theme,
    css`
      :host {
        display: block;
      }
      progress {
        display: block;
        width: 100%;
        height: 6px;
        margin-bottom: 0.6rem;
        appearance: none;
        border: 0;
        border-radius: 999px;
        overflow: hidden;
        background: var(--_surface);
        accent-color: var(--_accent);
      }
      progress::-webkit-progress-bar {
        background: color-mix(in oklab, var(--_accent) 14%, var(--_surface));
      }
      progress::-webkit-progress-value {
        border-radius: 999px;
        background: var(--_accent);
        transition: width 0.2s linear;
      }
      progress::-moz-progress-bar {
        border-radius: 999px;
        background: var(--_accent);
      }
    `,
  ];

  override render() {
    const { progress } = this;
    const text = describeProgress(progress, this.say, this.language);
    return html`
      ${
        progress?.totalBytes
          ? html`<progress part="progress" aria-label=${this.say('models')} aria-valuetext=${text} max=${progress.totalBytes} .value=${progress.loadedBytes}></progress>`
          : html`<progress part="progress" aria-label=${this.say('models')} aria-valuetext=${text}></progress>`
      }
      <div class="muted">${text}</div>
      ${progress?.note ? html`<div class="muted">${progress.note}</div>` : nothing}
    `;
  }
}

defineElement('nibble-progress', ProgressBar);
