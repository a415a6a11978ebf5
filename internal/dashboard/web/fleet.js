// All boards. The list may be of many thousands, so only the rows on the screen, and some around
// them, are asked for and drawn.
import { html, useEffect, useRef, useState } from './vendor/htm-preact.js';
import { get, query, usePoll, useStream } from './api.js';
import { t } from './i18n.js';
import { age, bytes, moment, number, short, visible } from './format.js';
import { complain, Empty, Field, Presence, Select, useTick } from './ui.js';

const rowHeight = 40; // as in the style
const around = 20; // rows that are asked for beyond what is to be seen, each way

const columns = [
  ['online', 'State', (d) => html`<${Presence} online=${d.online}/>`],
  ['id', 'Id', null],
  ['listener', 'Listener', (d) => d.listener],
  ['remote_addr', 'Address', (d) => d.remote_addr],
  ['last_seen', 'Last seen', (d) => html`<span title=${moment(d.last_seen)}>${age(d.last_seen)}</span>`],
  ['frames_in', 'In', (d) => html`<span title=${number(d.frames_in)}>${short(d.frames_in)}</span>`],
  ['frames_out', 'Out', (d) => html`<span title=${number(d.frames_out)}>${short(d.frames_out)}</span>`],
  ['bytes_in', 'Bytes in', (d) => bytes(d.bytes_in)],
  ['bytes_out', 'Bytes out', (d) => bytes(d.bytes_out)],
  ['last_close', 'Last close', (d) => d.last_close && html`<code title=${moment(d.last_close.at)}>${d.last_close.reason}</code>`],
];

// What was chosen last, so that coming back from a board finds the list as it was.
let chosen = { search: '', state: '', group: '', listener: '', sort: 'id', top: 0 };

export function Fleet() {
  const [filter, setFilter] = useState(chosen);
  const [page, setPage] = useState(null); // {offset, devices, total}
  const [listeners, setListeners] = useState([]);
  const [groups, setGroups] = useState([]);
  const [range, setRange] = useState({ first: 0, count: 30 });
  const [cursor, draw] = useState(-1);
  const place = useRef(-1); // the cursor, also between two keys before it is drawn
  const setCursor = (at) => {
    place.current = at;
    draw(at);
  };
  const box = useRef();
  useTick();

  const change = (what) => {
    chosen = { ...filter, ...what, top: 0 };
    setFilter(chosen);
    setCursor(-1);
    if (box.current) box.current.scrollTop = 0;
  };

  const wanted = { first: Math.max(0, range.first - around), count: Math.min(200, range.count + 2 * around) };
  const refresh = usePoll(async (signal) => {
    try {
      const found = await get(query('/v1/devices', {
        search: filter.search.trim(), group: filter.group, listener: filter.listener, sort: filter.sort,
        online: filter.state && String(filter.state === 'online'), offset: wanted.first, limit: wanted.count,
      }), signal);
      setPage({ offset: wanted.first, devices: found.devices, total: found.total });
      const seen = found.devices.flatMap((d) => d.groups);
      setGroups((known) => (seen.every((g) => known.includes(g)) ? known : [...new Set([...known, ...seen])].sort()));
    } catch (err) {
      if (err.status !== 0) complain(err);
      throw err;
    }
  }, 2000, [filter.search, filter.state, filter.group, filter.listener, filter.sort, wanted.first, wanted.count]);

  useEffect(() => {
    if (!page) return;
    requestAnimationFrame(() => performance.mark('fleet-rows'));
  }, [page !== null]);

  usePoll(async () => setListeners((await get('/v1/stats?since=' + new Date().toISOString())).listeners), 30000, []);

  // Somebody came or went: look again, at most once a second.
  const due = useRef(0);
  const soon = () => {
    due.current ||= setTimeout(() => {
      due.current = 0;
      refresh();
    }, 1000);
  };
  useEffect(() => () => clearTimeout(due.current), []);
  useStream('/v1/events', { name: 'connect,disconnect' }, { connect: soon, disconnect: soon }, 'from', []);

  const measure = () => {
    const el = box.current;
    if (!el) return;
    chosen.top = el.scrollTop;
    const first = Math.floor(el.scrollTop / rowHeight), count = Math.ceil(el.clientHeight / rowHeight) + 1;
    // In steps, so that not each row that passes by asks again.
    setRange((r) => (Math.abs(first - r.first) < around / 2 && count === r.count && !(first === 0 && r.first) ? r : { first, count }));
  };
  useEffect(() => {
    if (!page || !box.current) return undefined;
    box.current.scrollTop = chosen.top;
    measure();
    addEventListener('resize', measure);
    return () => removeEventListener('resize', measure);
  }, [page !== null && page.total !== 0]);

  // Arrows move in the list from wherever nothing else wants them, down also out of the search.
  const moved = useRef(false);
  const keys = useRef();
  keys.current = (e) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: range.count - 2, PageUp: 2 - range.count }[e.key];
    if (!step || !page?.total || e.altKey || e.ctrlKey || e.metaKey || e.target.closest?.('select, textarea, dialog')) return;
    if (e.target.closest?.('input') && e.key !== 'ArrowDown') return;
    e.preventDefault();
    moved.current = true;
    const to = Math.min(page.total - 1, Math.max(0, (place.current < 0 ? range.first - 1 : place.current) + step));
    setCursor(to);
    const el = box.current, top = to * rowHeight;
    if (top < el.scrollTop) el.scrollTop = top;
    if (top + rowHeight > el.scrollTop + el.clientHeight - rowHeight) el.scrollTop = top + 2 * rowHeight - el.clientHeight;
  };
  useEffect(() => {
    const down = (e) => keys.current(e);
    addEventListener('keydown', down);
    return () => removeEventListener('keydown', down);
  }, []);
  useEffect(() => {
    const link = moved.current && box.current?.querySelector(`a[data-at="${place.current}"]`);
    if (!link) return; // it has yet to come
    moved.current = false;
    link.focus({ preventScroll: true });
  }, [cursor, page]);

  const by = filter.sort.replace('-', '');
  const down = filter.sort.startsWith('-');
  const sort = (column) => change({ sort: column !== by ? (column === 'id' || column === 'listener' || column === 'remote_addr' ? column : '-' + column) : down ? column : '-' + column });
  const filtered = filter.search || filter.state || filter.group || filter.listener;
  const toolbar = html`
    <div class="toolbar">
      <h1>${t('Fleet')} <small id="total" aria-live="polite">${page && t(page.total === 1 ? '{0} board' : '{0} boards', number(page.total))}</small></h1>
      <${Field} label=${t('Search')}><input type="search" value=${filter.search} placeholder=${t('Id, address, group, attribute')} spellcheck="false"
        maxlength="128" onInput=${(e) => change({ search: e.target.value })}/></${Field}>
      <${Select} label=${t('State')} value=${filter.state} onChange=${(state) => change({ state })}
        options=${[['', t('All')], ['online', t('online')], ['away', t('away')]]}/>
      <${Select} label=${t('Group')} value=${filter.group} onChange=${(group) => change({ group })}
        options=${[['', t('All')], ...[...new Set(filter.group ? [...groups, filter.group] : groups)].map((g) => [g, visible(g)])]}/>
      <${Select} label=${t('Listener')} value=${filter.listener} onChange=${(listener) => change({ listener })}
        options=${[['', t('All')], ...listeners.map((l) => [l.name, l.name])]}/>
    </div>`;
  if (!page) return html`${toolbar}<p class="loading" role="status">${t('Loading…')}</p>`;
  if (page.total === 0) {
    return html`${toolbar}${filtered
      ? html`<${Empty} title=${t('No board is like that')}><button type="button" onClick=${() => change({ search: '', state: '', group: '', listener: '' })}>${t('Show all')}</button></${Empty}>`
      : html`<${Empty} title=${t('No board has connected yet')}><p>${t('Point one at the address of a listener, or try with one of ours:')}</p><pre>longwire listen ${location.hostname}:${listeners[0]?.address.split(':').at(-1) ?? '10302'} --id meter-7</pre></${Empty}>`}`;
  }
  const rows = [];
  for (let at = range.first - 5; at < range.first + range.count + 10; at++) {
    if (at < 0 || at >= page.total) continue;
    rows.push(html`<${Row} key=${at} at=${at} device=${page.devices[at - page.offset]} focus=${() => setCursor(at)}/>`);
  }
  return html`
    ${toolbar}
    <div class="table fleet" role="table" aria-label=${t('Fleet')} aria-rowcount=${page.total + 1} ref=${box} onScroll=${measure}>
      <div class="row head" role="row" aria-rowindex="1">
        ${columns.map(([name, title]) => html`<div role="columnheader" class=${name} aria-sort=${name !== by ? undefined : down ? 'descending' : 'ascending'}>
          ${name === 'last_close' ? t(title) : html`<button type="button" onClick=${() => sort(name)}>${t(title)}<i aria-hidden="true">${name !== by ? '' : down ? ' ↓' : ' ↑'}</i></button>`}</div>`)}
      </div>
      <div class="rows" style=${{ height: page.total * rowHeight + 'px' }}>${rows}</div>
    </div>`;
}

function Row({ at, device: d, focus }) {
  const style = { transform: `translateY(${at * rowHeight}px)` };
  if (!d) return html`<div class="row waiting" role="row" aria-rowindex=${at + 2} style=${style}><div role="cell">…</div></div>`;
  return html`
    <div class="row" role="row" aria-rowindex=${at + 2} style=${style}>
      ${columns.map(([name, , show]) => html`<div role="cell" class=${name}>${show ? show(d)
        : html`<a href=${'#/board/' + encodeURIComponent(d.id)} data-at=${at} onFocus=${focus}>${d.id}</a>`}</div>`)}
    </div>`;
}
