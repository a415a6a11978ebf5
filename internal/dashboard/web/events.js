// What happens, and what has happened.
import { html, useRef, useState } from './vendor/htm-preact.js';
import { useStream } from './api.js';
import { typeName } from './state.js';
import { t } from './i18n.js';
import { clock, fromBase64, line, moment, number, pretty, visible } from './format.js';
import { Field, say, Select } from './ui.js';

const most = 500; // events that are shown
const back = { '': 0, 300: 300, 3600: 3600, 86400: 86400, all: -1 };

export function Events() {
  const [filter, setFilter] = useState({ name: '', device: '', type: '', back: '' });
  const [typed, setTyped] = useState({ device: '', type: '' });
  const [events, setEvents] = useState([]);
  const [paused, setPaused] = useState(false);
  const [held, setHeld] = useState(0);
  const waiting = useRef([]), drawing = useRef(0), since = useRef('');
  const show = () => {
    drawing.current = 0;
    const fresh = waiting.current;
    waiting.current = [];
    setEvents((old) => [...fresh.reverse(), ...old].slice(0, most));
  };
  const add = (name) => (e, id) => {
    waiting.current.push({ ...e, name, id });
    if (waiting.current.length > most) waiting.current.shift();
    if (paused) {
      drawing.current ||= setTimeout(() => { drawing.current = 0; setHeld(waiting.current.length); }, 200);
    } else drawing.current ||= requestAnimationFrame(show);
  };
  const params = { name: filter.name, device: filter.device, type: filter.type };
  if (filter.back === 'all') params.from = '0';
  else if (since.current) params.since = since.current;
  useStream('/v1/events', params, {
    message: add('message'), connect: add('connect'), disconnect: add('disconnect'), command: add('command'),
    lost: ({ count }) => say(t('{0} events are not remembered any more', number(count))),
  }, 'from', [filter]);
  const change = (what) => {
    const next = { ...filter, ...what };
    const seconds = back[next.back];
    since.current = seconds > 0 ? new Date(Date.now() - seconds * 1000).toISOString() : '';
    waiting.current = [];
    setEvents([]);
    setFilter(next);
  };
  const enter = (e) => {
    e.preventDefault();
    change({ device: typed.device.trim(), type: typed.type.trim() });
  };
  const pause = () => {
    if (paused) show();
    setHeld(0);
    setPaused(!paused);
  };
  return html`
    <form class="toolbar" onSubmit=${enter}>
      <h1>${t('Events')} <small>${paused ? t('paused, {0} more', number(held)) : ''}</small></h1>
      <${Select} label=${t('Kind')} value=${filter.name} onChange=${(name) => change({ name })}
        options=${[['', t('All')], ['message', t('message')], ['connect,disconnect', t('connections')], ['command', t('command')]]}/>
      <${Field} label=${t('Board')}><input type="search" value=${typed.device} spellcheck="false" placeholder=${t('Id')} onInput=${(e) => setTyped({ ...typed, device: e.target.value })} onChange=${enter}/></${Field}>
      <${Field} label=${t('Type')}><input value=${typed.type} spellcheck="false" size="10" onInput=${(e) => setTyped({ ...typed, type: e.target.value })} onChange=${enter}/></${Field}>
      <${Select} label=${t('Beginning')} value=${filter.back} onChange=${(b) => change({ back: b })}
        options=${[['', t('now')], ['300', t('5 minutes ago')], ['3600', t('an hour ago')], ['86400', t('a day ago')], ['all', t('as far as is kept')]]}/>
      <button type="button" aria-pressed=${paused} onClick=${pause}>${paused ? t('Go on') : t('Pause')}</button>
      <button class="offscreen" tabindex="-1">${t('Search')}</button>
    </form>
    <div id="events" class="card list" tabindex="0">
      ${events.length === 0 && html`<p class="faint">${t('Nothing yet. What happens is shown here as it does; the latest is at the top.')}</p>`}
      ${events.map((e) => html`<${Event} key=${e.id} event=${e}/>`)}
    </div>`;
}

function Event({ event: e }) {
  const [open, setOpen] = useState(false);
  const { name, id, ...rest } = e;
  return html`
    <details class="frame event ${name}" onToggle=${(x) => setOpen(x.target.open)}>
      <summary>
        <time datetime=${e.at} title=${moment(e.at)}>${clock(e.at)}</time>
        <span class="state ${name}">${t(name)}</span>
        <a class="type" href=${'#/board/' + encodeURIComponent(e.device)}>${e.device}</a>
        <code class="data">${tell(e)}</code>
      </summary>
      ${open && html`<pre>${pretty({ id, ...rest })}</pre>`}
    </details>`;
}

// tell says the most important of an event in a line.
function tell(e) {
  switch (e.name) {
    case 'message':
      return typeName(e.type, e.type_name) + '  ' + (e.raw !== undefined ? line(fromBase64(e.raw)) : e.data !== undefined ? visible(JSON.stringify(e.data)).slice(0, 400) : e.size + ' B');
    case 'connect':
      return `${e.remote_addr} → ${e.listener}`;
    case 'disconnect':
      return `${e.reason}  ${e.remote_addr}`;
    case 'command':
      return `${typeName(e.command.type, e.type_name)}  ${t(e.command.state)}  ${e.command.error ?? ''}`;
  }
  return '';
}
