import { load } from 'nibble-llm';

const engine = await load('HuggingFaceTB/SmolLM2-135M-Instruct');
for await (const text of engine.chat([{ role: 'user', content: 'Why is the sky blue?' }])) document.body.append(text);
