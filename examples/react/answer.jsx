import { load } from 'nibble-llm';
import { useEffect, useState } from 'react';
import 'nibble-llm/widget';

const MODEL = 'HuggingFaceTB/SmolLM2-135M-Instruct';

/** An answer of the library, and below it a whole chat. */
export function Answer() {
  const [text, setText] = useState('');
  const [done, setDone] = useState(false);
  useEffect(() => {
    let gone = false;
    const loading = load(MODEL);
    (async () => {
      const engine = await loading;
      for await (const piece of engine.chat([{ role: 'user', content: 'Why is the sky blue?' }])) {
        if (gone) return;
        setText((before) => before + piece);
      }
      setDone(true);
    })().catch((error) => {
      if (!gone) throw error;
    });
    return () => {
      gone = true;
      loading.then((engine) => engine.dispose());
    };
  }, []);
  return (
    <main>
      <output aria-busy={!done}>{text}</output>
      <nibble-chat model={MODEL} />
    </main>
  );
}
