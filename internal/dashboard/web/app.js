// The page: which part of it is to be seen, and what stands around that.
import { html, render, useEffect, useState } from './vendor/htm-preact.js';
import { call, get, loadSession, usePoll } from './api.js';
import { choose, look, net, session, types } from './state.js';
import { t } from './i18n.js';
import { complain, Notice } from './ui.js';
import { Fleet } from './fleet.js';
import { Board } from './board.js';
import { Commands } from './commands.js';
import { Events } from './events.js';
import { Health } from './health.js';
import { Login } from './login.js';

const pages = { fleet: Fleet, board: Board, commands: Commands, events: Events, health: Health };
const titles = [['fleet', 'Fleet'], ['commands', 'Commands'], ['events', 'Events'], ['health', 'Health']];

// where reads the address: #/board/ID.
function where() {
  const [, page, rest] = /^#\/(\w+)(?:\/(.*))?$/.exec(location.hash) ?? [];
  let id = '';
  try {
    id = decodeURIComponent(rest ?? '');
  } catch { /* it is none */ }
  return page in pages ? { page, id } : { page: 'fleet', id: '' };
}

function useWhere() {
  const [at, go] = useState(where());
  useEffect(() => {
    const changed = () => go(where());
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return at;
}

function Header({ page }) {
  const { lang, theme } = look.use();
  const { required, authenticated, name } = session.use();
  const themes = { auto: t('Theme: as the system'), light: t('Theme: light'), dark: t('Theme: dark') };
  const next = { auto: 'light', light: 'dark', dark: 'auto' }[theme] ?? 'auto';
  const leave = () => call('DELETE', '/v1/session').then(loadSession).catch(complain);
  return html`
    <header>
      <a class="brand" href="#/fleet" aria-label="longwire"><img src="icon.svg" alt="" width="24" height="24"/><b>longwire</b></a>
      <nav aria-label=${t('Pages')}>
        ${titles.map(([at, title]) => html`<a href="#/${at}" aria-current=${at === page || (page === 'board' && at === 'fleet') ? 'page' : undefined}>${t(title)}</a>`)}
      </nav>
      <div class="tools">
        ${required && authenticated && html`<button type="button" class="plain" onClick=${leave} title=${name}>${t('Log out')}</button>`}
        <button type="button" class="plain" onClick=${() => choose('theme', next)} aria-label=${themes[theme]} title=${themes[theme]}>
          <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" stroke-width="1.6"/><path d="M8 1.8a6.2 6.2 0 0 1 0 12.4z" fill="currentColor"/></svg>
        </button>
        <button type="button" class="plain" onClick=${() => choose('lang', lang === 'zh' ? 'en' : 'zh')} lang=${lang === 'zh' ? 'en' : 'zh'}>${lang === 'zh' ? 'English' : '中文'}</button>
      </div>
    </header>`;
}

function App() {
  const { lang, theme } = look.use();
  const { known, required, authenticated } = session.use();
  const { online } = net.use();
  const at = useWhere();
  useEffect(() => {
    document.documentElement.lang = lang === 'zh' ? 'zh-CN' : 'en';
    document.documentElement.dataset.theme = theme;
  }, [lang, theme]);
  const allowed = known && authenticated;
  usePoll(async () => {
    if (allowed) types.set({ list: (await get('/v1/types')).types });
  }, 60000, [allowed]);
  const title = titles.find(([page]) => page === at.page)?.[1];
  useEffect(() => {
    document.title = (at.id || t(title ?? 'Fleet')) + ' · longwire';
  }, [at.page, at.id, lang]);
  const Page = pages[at.page];
  return html`
    <a class="skip" href="#main" onClick=${(e) => { e.preventDefault(); document.getElementById('main').focus(); }}>${t('Skip to the page')}</a>
    <${Header} page=${at.page}/>
    ${!online && html`<div id="offline" class="banner" role="alert">${t('The gateway cannot be reached. Trying again; what you see is what was known last.')}</div>`}
    <main id="main" tabindex="-1">
      ${known && required && !authenticated ? html`<${Login}/>`
        : allowed ? html`<${Page} key=${at.page + '/' + at.id} id=${at.id}/>`
        : html`<p class="loading" role="status">${t('Loading…')}</p>`}
    </main>
    <${Notice}/>`;
}

addEventListener('keydown', (e) => {
  const typing = e.target.closest?.('input, textarea, select, dialog');
  if (e.key === '/' && !typing && !e.ctrlKey && !e.metaKey && !e.altKey) {
    const search = document.querySelector('input[type=search]');
    if (search) {
      e.preventDefault();
      search.focus();
    }
  }
  if (e.key === 'Escape' && !e.target.closest?.('dialog')) {
    if (e.target.type === 'search' && e.target.value) return; // the browser empties it
    if (typing) e.target.blur();
    else if (where().page === 'board') location.hash = '#/fleet';
  }
});

loadSession().catch(() => {});
render(html`<${App}/>`, document.getElementById('app'));
