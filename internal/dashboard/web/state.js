// What all pages share: the session, whether the gateway can be reached, language and theme.
import { useState, useEffect } from './vendor/htm-preact.js';

// A store holds an object that components render from.
export function store(value) {
  const readers = new Set();
  return {
    get: () => value,
    set(change) {
      value = { ...value, ...change };
      for (const read of readers) read(value);
    },
    use() {
      const [now, read] = useState(value);
      useEffect(() => {
        read(value);
        readers.add(read);
        return () => readers.delete(read);
      }, []);
      return now;
    },
  };
}

// Comes counts how often the gateway has come back: pages load again when it changes.
export const net = store({ online: true, comes: 0 });

// Known is false until the gateway has said whether a token is needed.
export const session = store({ known: false, required: false, authenticated: false, name: '' });

// Types are those that have a name.
export const types = store({ list: [] });

export function typeName(type, name) {
  return name || types.get().list.find((t) => t.type === type)?.name || '0x' + type.toString(16).padStart(4, '0');
}

export function reached() {
  if (!net.get().online) net.set({ online: true, comes: net.get().comes + 1 });
}

export function lost() {
  if (net.get().online) net.set({ online: false });
}

function remembered(key, otherwise) {
  try {
    return localStorage.getItem(key) ?? otherwise;
  } catch {
    return otherwise; // the browser keeps nothing
  }
}

export const look = store({
  lang: remembered('longwire.lang', navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en'),
  theme: remembered('longwire.theme', 'auto'),
});

export function choose(name, value) {
  try {
    localStorage.setItem('longwire.' + name, value);
  } catch { /* it is for this time only */ }
  look.set({ [name]: value });
}
