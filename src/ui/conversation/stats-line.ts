import { css, html, nothing } from 'lit';
import { property } from 'lit/decorators.js';
import type { MemoryInfo, ModelInfo } from '../../protocol';
import { defineElement } from '../define-element';
import { formatMemory } from '../format';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';
import type { Say } from '../words/words';

/** "WebGPU (Apple M2)" or "CPU" */
export function describeBackend(info: ModelInfo): string {
  if (info.backend === 'cpu') return 'CPU';
  const name = info.adapter?.description || info.adapter?.vendor;
  return name ? `WebGPU (${name})` : 'WebGPU';
}

/** "90 MiB for this chat, 273 MiB at the full context of 8,192 tokens, limit 512 MiB" */
export function describeMemory(
  memory: MemoryInfo,
  { contextLength, options }: ModelInfo,
  say: Say,
  language: string,
): string {
  const full = memory.total - memory.kv + memory.kvFullContext;
  const now = formatMemory(memory.total, language);
  const said = say('memoryNow', { now, full: formatMemory(full, language), tokens: contextLength });
  return options.memoryBudget === null
    ? said
    : `${said}, ${say('memoryLimit', { limit: formatMemory(options.memoryBudget, language) })}`;
}

/** Who answers, what it takes, and what to make of it. */
export class StatsLine extends SpokenElement {
  @property({ attribute: false }) info: ModelInfo | null = null;
  @property({ attribute: false }) memory: MemoryInfo | null = null;

  static override styles = [
    theme,
    css`
      :host {
        display: block;
      }
      dl {
        display: flex;
        flex-wrap: wrap;
        gap: 0.1rem 1.2rem;
        margin: 0;
        font-size: 0.8125em;
        color: var(--_muted);
        font-variant-numeric: tabular-nums;
      }
      dl > div {
        display: flex;
        gap: 0.4em;
      }
      dt::after {
        content: ':';
      }
      dd {
        margin: 0;
        color: var(--_text);
      }
      p {
        margin: 0.2rem 0 0;
        font-size: 0.8125em;
        color: var(--_muted);
      }
    `,
  ];

  override render() {
    const { info, memory } = this;
    if (info === null) return nothing;
    const row = (term: string, id: string, value: string) =>
      html`<div><dt>${term}</dt><dd data-stat=${id}>${value}</dd></div>`;
    return html`<dl part="stats">
        ${row(this.say('statBackend'), 'backend', describeBackend(info))}
        ${memory ? row(this.say('statMemory'), 'memory', describeMemory(memory, info, this.say, this.language)) : nothing}
      </dl>
      <p data-stat="mistakes">${this.say('mistakes')}</p>
      ${info.storageReason ? html`<p data-stat="storage">${info.storageReason}</p>` : nothing}
      ${info.backend === 'cpu' ? html`<p data-stat="reason">${info.backendReason}</p>` : nothing}`;
  }
}

defineElement('nibble-stats', StatsLine);
