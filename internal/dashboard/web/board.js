// One board: who it is, what goes over the wire, and what one can do to it.
import { html, useEffect, useRef, useState } from './vendor/htm-preact.js';
import { call, device, get, query, usePoll, useStream } from './api.js';
import { types, typeName } from './state.js';
import { t } from './i18n.js';
import { age, bytes, clock, fromBase64, fromHex, gist, hexDump, line, moment, number, parse, pretty, read, span, toBase64, visible } from './format.js';
import { complain, copy, Dialog, Empty, Field, Presence, say, Select, useTick } from './ui.js';
import { CommandTable } from './commands.js';

export function Board({ id }) {
  const [board, setBoard] = useState(null);
  const [missing, setMissing] = useState('');
  const [kicking, setKicking] = useState(false);
  useTick();
  const refresh = usePoll(async (signal) => {
    try {
      setBoard(await get(device(id), signal));
      setMissing('');
    } catch (err) {
      if (err.status === 404) setMissing(err.message);
      throw err;
    }
  }, 2000, [id]);
  const kick = () => {
    setKicking(false);
    call('DELETE', device(id, '/connection')).then(() => say(t('The connection has been ended'))).catch(complain).finally(refresh);
  };
  if (missing) return html`<${Empty} title=${id}><p>${missing}</p><a href="#/fleet">${t('Back to the fleet')}</a></${Empty}>`;
  if (!board) return html`<p class="loading" role="status">${t('Loading…')}</p>`;
  const facts = [
    [t('Address'), board.remote_addr], [t('Listener'), board.listener], [t('Identity'), t(board.identity)],
    [board.online ? t('Online for') : t('Last seen'), board.online
      ? html`<span title=${moment(board.since)}>${span((Date.now() - Date.parse(board.since)) / 1000)}</span>`
      : html`<span title=${moment(board.last_seen)}>${t('{0} ago', age(board.last_seen))}</span>`],
    [t('In'), t('{0} messages, {1}', number(board.frames_in), bytes(board.bytes_in))],
    [t('Out'), t('{0} messages, {1}', number(board.frames_out), bytes(board.bytes_out))],
    [t('Epoch'), number(board.epoch)],
    [t('Last close'), board.last_close ? html`<span title=${moment(board.last_close.at)}><code>${board.last_close.reason}</code>, ${t('{0} ago', age(board.last_close.at))}</span>` : '–'],
    ...(board.groups.length ? [[t('Groups'), visible(board.groups.join(', '))]] : []),
    ...Object.entries(board.attributes).map((said) => said.map(visible)),
  ];
  return html`
    <div class="toolbar board">
      <h1><a class="back" href="#/fleet" aria-label=${t('Back to the fleet')}>‹</a> ${id} <${Presence} online=${board.online}/></h1>
      <button type="button" class="danger" disabled=${!board.online} onClick=${() => setKicking(true)}>${t('Kick')}</button>
    </div>
    ${kicking && html`<${Dialog} title=${t('Kick {0}?', id)} action=${t('Kick')} onDone=${kick} onCancel=${() => setKicking(false)}>
      <p>${t('Its connection ends now. It may come back at once.')}</p></${Dialog}>`}
    <dl class="facts card">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    <div class="columns">
      <${Trace} id=${id}/>
      <${Talk} id=${id} online=${board.online}/>
    </div>
    <${BoardCommands} id=${id}/>`;
}

const most = 500; // frames that are shown

function Trace({ id }) {
  const [frames, setFrames] = useState([]);
  const [paused, setPaused] = useState(false);
  const [as, setAs] = useState('text');
  const waiting = useRef([]); // have come, and are not shown yet
  const latest = useRef(0), drawing = useRef(0), counted = useRef(0);
  const [held, setHeld] = useState(0);
  const [follows, setFollows] = useState(false);
  const show = () => {
    drawing.current = 0;
    const fresh = waiting.current;
    waiting.current = [];
    setFrames((old) => [...fresh.reverse(), ...old].slice(0, most));
  };
  const add = (frame) => {
    if (frame.id <= latest.current) return; // it was there before the connection broke
    latest.current = frame.id;
    waiting.current.push(frame);
    if (waiting.current.length > most) waiting.current.shift();
    if (paused) {
      counted.current++;
      drawing.current ||= setTimeout(() => { drawing.current = 0; setHeld(counted.current); }, 200);
    } else drawing.current ||= requestAnimationFrame(show);
  };
  useStream(device(id, '/trace'), {}, { open: () => setFollows(true), frame: add, lost: ({ count }) => say(t('{0} frames went by too quickly to be shown', number(count))) }, '', [id]);
  const pause = () => {
    if (paused) show();
    counted.current = 0;
    setHeld(0);
    setPaused(!paused);
  };
  const copyAll = () => copy(frames.toReversed().map((f) => {
    const data = fromBase64(f.data);
    return [f.at, f.direction, '0x' + f.type.toString(16).padStart(4, '0'), f.size, as === 'hex' ? '\n' + hexDump(data) : line(data, data.length < f.size)].join(' ');
  }).join('\n') + '\n');
  return html`
    <section class="card trace" aria-label=${t('Frames')}>
      <div class="toolbar">
        <h2>${t('Frames')} ${paused && html`<small>${t('paused, {0} more', number(held))}</small>`}</h2>
        <button type="button" aria-pressed=${as === 'hex'} onClick=${() => setAs(as === 'hex' ? 'text' : 'hex')}>${t('Hex')}</button>
        <button type="button" aria-pressed=${paused} onClick=${pause}>${paused ? t('Go on') : t('Pause')}</button>
        <button type="button" onClick=${copyAll} disabled=${frames.length === 0}>${t('Copy')}</button>
      </div>
      <div id="trace" class="list" tabindex="0">
        ${frames.length === 0 && html`<p class="faint">${follows ? t('Nothing yet. Frames are shown from now on, both ways, as they go.') : t('Connecting…')}</p>`}
        ${frames.map((f) => html`<${Frame} key=${f.id} frame=${f} hex=${as === 'hex'}/>`)}
      </div>
    </section>`;
}

function Frame({ frame: f, hex }) {
  const [open, setOpen] = useState(false);
  const data = fromBase64(f.data);
  const cut = data.length < f.size;
  return html`
    <details class="frame ${f.direction}" onToggle=${(e) => setOpen(e.target.open)}>
      <summary>
        <time datetime=${f.at}>${clock(f.at)}</time>
        <span class="way">${f.direction === 'in' ? html`<i aria-hidden="true">←</i> ${t('in')}` : html`<i aria-hidden="true">→</i> ${t('out')}`}</span>
        <span class="type">${typeName(f.type, f.type_name)}</span>
        <span class="size">${f.size} B</span>
        <code class="data">${f.data === undefined && f.size > 0 ? t('not recorded') : hex ? [...data.subarray(0, 64)].map((b) => b.toString(16).padStart(2, '0')).join(' ') : gist(data, cut)}</code>
      </summary>
      ${open && html`<${Content} data=${data} cut=${cut} hex=${hex}/>`}
    </details>`;
}

export function Content({ data, cut, hex }) {
  const is = read(data, cut);
  return html`<pre>${hex || is.hex !== undefined ? hexDump(data) : is.json !== undefined ? pretty(is.json) : line(data, cut)}</pre>
    ${cut && html`<p class="faint">${t('The rest was too long to be remembered.')}</p>`}`;
}

function Talk({ id, online }) {
  const named = types.use().list;
  const [form, setForm] = useState({ type: '', data: '', form: 'json', match: '', timeout: '5' });
  const [problem, setProblem] = useState('');
  const [answer, setAnswer] = useState(null);
  const [busy, setBusy] = useState(false);
  const change = (what) => {
    setForm({ ...form, ...what });
    setProblem('');
  };
  const usual = named[0]?.name ?? '16';
  // message makes what is in the form a request, or says what is wrong with it.
  const message = () => {
    const type = form.type.trim() || usual;
    const number = /^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(type) ? Number(type) : null;
    if (number === null && !named.some((n) => n.name === type)) throw new Error(t('The type is a number, as 16 or 0x10, or a name of the configuration.'));
    const body = { type: number ?? type };
    if (form.form === 'json') {
      try {
        body.data = form.data.trim() === '' ? null : parse(form.data);
      } catch {
        throw new Error(t('This is not JSON. A text stands in double quotes.'));
      }
    } else {
      const raw = fromHex(form.data);
      if (!raw) throw new Error(t('This is not hexadecimal: two digits for each byte.'));
      body.raw = toBase64(raw);
    }
    return body;
  };
  const send = (what) => async (e) => {
    e?.preventDefault();
    let body;
    try {
      body = message();
    } catch (err) {
      setProblem(err.message);
      return;
    }
    if (what !== 'push' && form.match) body.match = form.match;
    if (what === 'ask') body.timeout = form.timeout + 's';
    setBusy(true);
    setAnswer(null);
    const began = performance.now();
    try {
      const got = await call('POST', device(id, what === 'command' ? '/commands' : '/' + what), body);
      const took = performance.now() - began;
      if (what === 'ask') setAnswer({ took, got });
      else say(what === 'push' ? t('The message is on its way') : t('The command is on disk, and waits for the board'));
    } catch (err) {
      setAnswer({ took: performance.now() - began, failed: err.message });
    }
    setBusy(false);
  };
  return html`
    <section class="card talk" aria-label=${t('Talk to it')}>
      <h2>${t('Talk to it')}</h2>
      <form onSubmit=${send('ask')}>
        <div class="fields">
          <${Field} label=${t('Type')}><input list="types" value=${form.type} placeholder=${usual} spellcheck="false" onInput=${(e) => change({ type: e.target.value })}/></${Field}>
          <${Select} label=${t('Data is')} value=${form.form} onChange=${(f) => change({ form: f })} options=${[['json', 'JSON'], ['hex', t('hexadecimal, sent as it is')]]}/>
          <${Select} label=${t('Answer is found by')} value=${form.match} onChange=${(match) => change({ match })} options=${[['', t('what is usual')], ['key', t('its key')], ['type', t('its type')]]}/>
          <${Select} label=${t('Wait for')} value=${form.timeout} onChange=${(timeout) => change({ timeout })} options=${['1', '5', '15', '60'].map((s) => [s, t('{0} s', s)])}/>
        </div>
        <datalist id="types">${named.map((n) => html`<option value=${n.name}>${'0x' + n.type.toString(16).padStart(4, '0')}</option>`)}</datalist>
        <${Field} label=${t('Data')} wide problem=${problem}>
          <textarea rows="4" spellcheck="false" value=${form.data} aria-invalid=${problem ? 'true' : undefined}
            placeholder=${form.form === 'json' ? '{"valve":"open"}' : 'c8 00 01'} onInput=${(e) => change({ data: e.target.value })}
            onKeyDown=${(e) => e.key === 'Enter' && (e.ctrlKey || e.metaKey) && send('ask')(e)}></textarea></${Field}>
        <div class="actions">
          <button class="primary" disabled=${busy || !online}>${t('Ask')}</button>
          <button type="button" disabled=${busy || !online} onClick=${send('push')}>${t('Push')}</button>
          <button type="button" disabled=${busy} onClick=${send('command')}>${t('Leave as command')}</button>
        </div>
        ${!online && html`<p class="faint">${t('It is away. A command waits for it.')}</p>`}
      </form>
      <div id="answer" aria-live="polite">${busy ? html`<p class="faint">${t('Waiting…')}</p>` : answer && html`<${Answer} ...${answer}/>`}</div>
    </section>`;
}

function Answer({ took, got, failed }) {
  const time = took < 1000 ? Math.round(took) + ' ms' : (took / 1000).toFixed(1) + ' s';
  if (failed) return html`<p><span class="state failed">${t('no answer')}</span> ${failed} <span class="faint">${time}</span></p>`;
  const good = got.status === undefined || /^2\d\d$/.test(got.status);
  return html`
    <p><span class="state ${good ? 'done' : 'failed'}">${got.status ?? t('answer')}</span> ${got.message ?? ''} <span class="faint">${t('after {0}', time)}</span></p>
    ${got.raw !== undefined ? html`<pre>${hexDump(fromBase64(got.raw))}</pre>` : html`<pre>${pretty(got.data !== undefined ? got.data : got)}</pre>`}`;
}

function BoardCommands({ id }) {
  const [commands, setCommands] = useState(null);
  const [off, setOff] = useState('');
  const refresh = usePoll(async (signal) => {
    try {
      const all = [];
      let next = '';
      do {
        const page = await get(query(device(id, '/commands'), { limit: 1000, cursor: next }), signal);
        all.push(...page.commands);
        next = page.next;
      } while (next && all.length < 5000);
      setCommands(all.reverse().slice(0, 200));
      setOff('');
    } catch (err) {
      if (err.status === 404) setCommands([]);
      if (err.status === 503) setOff(err.message);
      throw err;
    }
  }, 10000, [id]);
  useStream('/v1/events', { name: 'command', device: id }, { command: refresh }, 'from', [id]);
  return html`
    <section id="commands" class="card" aria-label=${t('Commands')}>
      <h2>${t('Commands')}</h2>
      ${off ? html`<p class="faint">${off}</p>` : commands?.length === 0 ? html`<p class="faint">${t('None. What is left as a command waits on disk until the board has answered it.')}</p>`
        : commands && html`<${CommandTable} commands=${commands} refresh=${refresh} own/>`}
    </section>`;
}
