import { ChatOpenAI } from '@langchain/openai';
import { load } from 'nibble-llm';
import { createFetch } from 'nibble-llm/openai';

const engine = await load('HuggingFaceTB/SmolLM2-135M-Instruct');
const fetch = createFetch(engine, { model: 'local' });
const model = new ChatOpenAI({ model: 'local', apiKey: 'none', configuration: { fetch } });
for await (const { text } of await model.stream('Why is the sky blue?')) process.stdout.write(text);
engine.dispose();
