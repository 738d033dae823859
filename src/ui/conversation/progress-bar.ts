import { css, html, LitElement, nothing } from 'lit';
import { property } from 'lit/decorators.js';
import type { Progress } from '../../protocol';
import { defineElement } from '../define-element';
import { formatBytes, formatBytesOf, formatSeconds } from '../format';
import { theme } from '../theme';

const PHASES: Record<Progress['phase'], string> = {
  header: 'Reading the model’s description',
  download: 'Downloading',
  upload: 'Loading',
  compile: 'Preparing',
  ready: 'Ready',
};

/** "Downloading: 12 of 85 MB · 9.4 MB/s · 8 s left" */
export function describeProgress(progress: Progress | null): string {
  if (progress === null) return 'Starting';
  const { phase, loadedBytes, totalBytes, bytesPerSecond, secondsLeft } = progress;
  const parts = [PHASES[phase]];
  if (totalBytes > 0) parts.push(formatBytesOf(loadedBytes, totalBytes));
  if (phase === 'download' && bytesPerSecond) parts.push(`${formatBytes(bytesPerSecond)}/s`);
  if (phase === 'download' && secondsLeft !== null) parts.push(`${formatSeconds(secondsLeft)} left`);
  return parts.join(' · ');
}

export class ProgressBar extends LitElement {
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
    const text = describeProgress(progress);
    return html`
      ${
        progress?.totalBytes
          ? html`<progress part="progress" aria-label="Model" aria-valuetext=${text} max=${progress.totalBytes} .value=${progress.loadedBytes}></progress>`
          : html`<progress part="progress" aria-label="Model" aria-valuetext=${text}></progress>`
      }
      <div class="muted">${text}</div>
      ${progress?.note ? html`<div class="muted">${progress.note}</div>` : nothing}
    `;
  }
}

defineElement('nibble-progress', ProgressBar);
