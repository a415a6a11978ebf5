// Where a token is needed, and none is there.
import { html, useState } from './vendor/htm-preact.js';
import { call, loadSession } from './api.js';
import { t } from './i18n.js';
import { Field } from './ui.js';

export function Login() {
  const [token, setToken] = useState('');
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);
  const enter = async (e) => {
    e.preventDefault();
    setBusy(true);
    try {
      await call('POST', '/v1/session', { token: token.trim() });
      await loadSession();
    } catch (err) {
      setProblem(err.status === 401 ? t('This is not one of the tokens that are configured.') : err.message);
    }
    setBusy(false);
  };
  return html`
    <form class="login card" onSubmit=${enter}>
      <h1>${t('Log in')}</h1>
      <p>${t('This gateway needs a token. Whoever runs it has one: it is made with')} <code>longwire token</code>.</p>
      <${Field} label=${t('Token')} wide problem=${problem}>
        <input type="password" autocomplete="current-password" spellcheck="false" autofocus required value=${token}
          aria-invalid=${problem ? 'true' : undefined} onInput=${(e) => setToken(e.target.value)}/></${Field}>
      <button class="primary" disabled=${busy || token.trim() === ''}>${t('Log in')}</button>
      <p class="faint">${t('The browser keeps a cookie for twelve hours that stands for the token, and not the token.')}</p>
    </form>`;
}
