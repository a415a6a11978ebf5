// What pages are made of.
import { html, useEffect, useRef, useState } from './vendor/htm-preact.js';
import { store } from './state.js';
import { t } from './i18n.js';

// The message at the edge of the page; one at a time, which screen readers read out.
const notice = store({ text: '', bad: false });
let clearing = 0;

export function say(text, bad = false) {
  notice.set({ text, bad });
  clearTimeout(clearing);
  clearing = setTimeout(() => notice.set({ text: '' }), bad ? 8000 : 4000);
}

export const complain = (err) => err.name !== 'AbortError' && say(err.message, true);

export function Notice() {
  const { text, bad } = notice.use();
  return html`<div class="notice ${bad ? 'bad' : ''} ${text ? 'shown' : ''}" role="status" aria-live="polite">${text}</div>`;
}

// Dialog asks before something that cannot be taken back.
export function Dialog({ title, children, action, onDone, onCancel }) {
  const box = useRef();
  useEffect(() => {
    box.current.showModal();
  }, []);
  return html`
    <dialog ref=${box} aria-label=${title} onCancel=${(e) => { e.preventDefault(); onCancel(); }}>
      <h2>${title}</h2>
      <div>${children}</div>
      <div class="actions">
        <button type="button" autofocus onClick=${onCancel}>${t('Cancel')}</button>
        <button type="button" class="danger" onClick=${onDone}>${action}</button>
      </div>
    </dialog>`;
}

export function Field({ label, children, wide, problem }) {
  return html`<div class="field ${wide ? 'wide' : ''}"><label><span>${label}</span>${children}</label>${problem && html`<em role="alert">${problem}</em>`}</div>`;
}

export function Select({ label, value, options, onChange }) {
  return html`<${Field} label=${label}>
    <select value=${value} onChange=${(e) => onChange(e.target.value)}>
      ${options.map(([v, text]) => html`<option value=${v} selected=${v === value}>${text}</option>`)}
    </select></${Field}>`;
}

export const Presence = ({ online }) =>
  html`<span class="presence ${online ? 'on' : 'off'}"><i aria-hidden="true"></i>${online ? t('online') : t('away')}</span>`;

export const State = ({ state }) => html`<span class="state ${state}">${t(state)}</span>`;

export const Empty = ({ title, children }) => html`<div class="empty"><h2>${title}</h2>${children}</div>`;

// useTick makes ages go on.
export function useTick(every = 1000) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => !document.hidden && tick((n) => n + 1), every);
    return () => clearInterval(timer);
  }, [every]);
}

// copy puts text on the clipboard, also where the page came over plain HTTP.
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'offscreen';
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    if (!done) {
      say(t('The browser does not let this page copy'), true);
      return;
    }
  }
  say(t('Copied'));
}
