// Commands of all boards, and what can be done about them.
import { html, useEffect, useRef, useState } from './vendor/htm-preact.js';
import { call, device, get, query, usePoll, useStream } from './api.js';
import { typeName } from './state.js';
import { t } from './i18n.js';
import { age, fromBase64, line, moment, number, pretty, visible } from './format.js';
import { complain, Empty, say, Select, State, useTick } from './ui.js';

const states = ['queued', 'sent', 'done', 'failed', 'expired', 'dead', 'cancelled'];
const waits = (state) => state === 'queued' || state === 'sent';

let chosen = '';

export function Commands() {
  const [state, setState] = useState(chosen);
  const [commands, setCommands] = useState(null);
  const [more, setMore] = useState(false);
  const [off, setOff] = useState('');
  const [counts, setCounts] = useState(null);
  useTick();
  const refresh = usePoll(async (signal) => {
    try {
      const page = await get(query('/v1/commands', { state, limit: 200 }), signal);
      setCommands(page.commands);
      setMore(page.next !== '');
      setOff('');
      setCounts((await get('/v1/stats?since=' + new Date().toISOString(), signal)).commands);
    } catch (err) {
      if (err.status === 503) setOff(err.message);
      else if (err.status !== 0) complain(err);
      throw err;
    }
  }, 5000, [state]);
  const due = useRef(0);
  useEffect(() => () => clearTimeout(due.current), []);
  useStream('/v1/events', { name: 'command' }, { command: () => { due.current ||= setTimeout(() => { due.current = 0; refresh(); }, 300); } }, 'from', []);
  return html`
    <div class="toolbar">
      <h1>${t('Commands')} ${counts && html`<small>${t('{0} waiting', number(counts.waiting))}</small>`}</h1>
      <${Select} label=${t('State')} value=${state} onChange=${(s) => { chosen = s; setState(s); setCommands(null); }}
        options=${[['', t('All')], ...states.map((s) => [s, t(s)])]}/>
    </div>
    ${off ? html`<${Empty} title=${t('No commands')}><p>${off}</p></${Empty}>`
      : !commands ? html`<p class="loading" role="status">${t('Loading…')}</p>`
      : commands.length === 0 ? html`<${Empty} title=${t('No commands')}><p>${t('A command waits on disk until its board has answered it. Leave one on the page of a board, or:')}</p><pre>${'longwire commands send meter-7 16 \'{"valve":"open"}\''}</pre></${Empty}>`
      : html`<div class="card"><${CommandTable} commands=${commands} refresh=${refresh}/></div>
        ${more && html`<p class="faint">${t('There are more than are shown. Choose a state, or look at one board.')}</p>`}`}`;
}

// tell says what a board has answered in a line: its envelope's data, or what it says in place of that.
function tell(answer) {
  if (answer.raw !== undefined) return line(fromBase64(answer.raw));
  const { status = '', message = '', data = null } = answer;
  return visible([status, message === 'ok' ? '' : message, data === null ? '' : JSON.stringify(data)].filter(Boolean).join(' ') || JSON.stringify(answer));
}

export function CommandTable({ commands, refresh, own }) {
  const act = (what, method, c, path) => () =>
    call(method, device(c.device, `/commands/${encodeURIComponent(c.id)}${path}`)).then(() => say(what)).catch(complain).finally(refresh);
  return html`
    <div class="scroll"><table class="commands">
      <thead><tr>
        <th scope="col">${t('State')}</th>${!own && html`<th scope="col">${t('Board')}</th>`}
        <th scope="col">${t('Type')}</th><th scope="col">${t('Data')}</th><th scope="col">${t('Age')}</th><th scope="col" class="number">${t('Attempts')}</th>
        <th scope="col">${t('Answer')}</th><th><span class="offscreen">${t('What to do')}</span></th>
      </tr></thead>
      <tbody>${commands.map((c) => html`
        <tr key=${c.device + '/' + c.id} title=${c.id}>
          <td><${State} state=${c.state}/></td>
          ${!own && html`<td class="who"><a href=${'#/board/' + encodeURIComponent(c.device)}>${c.device}</a></td>`}
          <td class="what">${typeName(c.type)}</td>
          <td class="data"><code>${c.raw !== undefined ? line(fromBase64(c.raw)) : visible(JSON.stringify(c.data ?? null))}</code></td>
          <td class="when"><span title=${moment(c.created_at)}>${age(c.created_at)}</span></td>
          <td class="number">${c.attempts}</td>
          <td class="data">${c.answer ? html`<details><summary><code>${tell(c.answer)}</code></summary><pre>${pretty(c.answer)}</pre></details>` : c.error ?? ''}</td>
          <td class="act">
            ${c.state === 'queued' && html`<button type="button" onClick=${act(t('The command has been called back'), 'DELETE', c, '')}>${t('Cancel')}</button>`}
            ${!waits(c.state) && c.state !== 'done' && html`<button type="button" onClick=${act(t('The command waits again'), 'POST', c, '/retry')}>${t('Retry')}</button>`}
          </td>
        </tr>`)}
      </tbody>
    </table></div>`;
}
