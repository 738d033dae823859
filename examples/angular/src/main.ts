import { Component, CUSTOM_ELEMENTS_SCHEMA, provideZonelessChangeDetection, signal } from '@angular/core';
import { bootstrapApplication } from '@angular/platform-browser';
import type { NibbleChatEvents, NibbleQuestion } from 'nibble-llm/widget';
import 'nibble-llm/widget';

@Component({
  selector: 'app-root',
  schemas: [CUSTOM_ELEMENTS_SCHEMA],
  template: `
    <nibble-chat [model]="model" [beforeSend]="check" max-new-tokens="16" (nibble-message)="hear($event)"></nibble-chat>
    <output>{{ said() }}</output>
  `,
})
class App {
  readonly model = 'HuggingFaceTB/SmolLM2-135M-Instruct';
  readonly said = signal('');
  readonly check = ({ text }: NibbleQuestion) =>
    text.includes('secret') ? { refuse: 'No secrets, please.' } : undefined;

  hear({ detail }: NibbleChatEvents['nibble-message']) {
    if (detail.role === 'assistant') this.said.set(detail.content);
  }
}

bootstrapApplication(App, { providers: [provideZonelessChangeDetection()] });
