// Talking to the gateway.
import { useEffect, useLayoutEffect, useRef } from './vendor/htm-preact.js';
import { parse } from './format.js';
import { lost, net, reached, session } from './state.js';

// A Problem is a response that says why something was not done.
export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

// call sends a request and returns the body of the response, decoded; null when there is none.
export async function call(method, path, body, signal) {
  let response;
  try {
    response = await fetch(path, {
      method,
      signal,
      headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (err) {
    if (err.name === 'AbortError') throw err;
    lost();
    throw new Problem(0, 'the gateway cannot be reached');
  }
  reached();
  const text = await response.text();
  let value = null;
  try {
    value = text === '' ? null : parse(text);
  } catch {
    throw new Problem(response.status, 'the gateway has sent something strange');
  }
  if (response.ok) return value;
  if (response.status === 401 && path !== '/v1/session') session.set({ authenticated: false });
  throw new Problem(response.status, value?.detail ?? response.statusText);
}

export const get = (path, signal) => call('GET', path, undefined, signal);

// query returns a path with parameters, without those that say nothing.
export function query(path, params) {
  const said = Object.entries(params).filter(([, v]) => v !== undefined && v !== null && v !== '');
  return said.length === 0 ? path : path + '?' + new URLSearchParams(said);
}

export const device = (id, rest = '') => '/v1/devices/' + encodeURIComponent(id) + rest;

export async function loadSession() {
  session.set({ ...(await get('/v1/session')), known: true });
}

// useStream reads server-sent events while the page is to be seen. Events is an object of
// functions by name. The browser itself reads on behind the last event when the connection
// breaks; when the gateway refuses to, or the page was hidden, this begins again: behind the
// last event where params can say that (resume is then the name of the parameter).
export function useStream(path, params, events, resume, inputs) {
  const latest = useRef(events);
  latest.current = events;
  // Not useEffect, which would have the stream of before go on for a moment.
  useLayoutEffect(() => {
    let source = null, timer = 0, failures = 0, last = '';
    const open = () => {
      timer = 0;
      source = new EventSource(query(path, last && resume ? { ...params, since: undefined, [resume]: last } : params));
      source.onopen = () => {
        failures = 0;
        reached();
        latest.current.open?.();
      };
      source.onerror = () => {
        if (source.readyState !== EventSource.CLOSED) {
          lost(); // the browser tries again
          return;
        }
        const wait = Math.min(15000, 500 * 2 ** failures++) * (0.5 + Math.random());
        timer = setTimeout(open, wait);
        get('/v1/session').then((s) => session.set(s)).catch(() => {});
      };
      for (const name of Object.keys(latest.current)) {
        if (name === 'open') continue;
        source.addEventListener(name, (e) => {
          if (e.lastEventId) last = e.lastEventId;
          latest.current[name]?.(parse(e.data), e.lastEventId);
        });
      }
    };
    const shut = () => {
      clearTimeout(timer);
      source?.close();
      source = null;
    };
    const look = () => (document.hidden ? shut() : source ?? open());
    look();
    document.addEventListener('visibilitychange', look);
    return () => {
      document.removeEventListener('visibilitychange', look);
      shut();
    };
  }, inputs);
}

// usePoll calls load now, every so many milliseconds while the page is to be seen, and when the
// gateway has come back. Load gets a signal that ends when its result is not wanted any more.
export function usePoll(load, every, inputs) {
  const { comes } = net.use();
  const latest = useRef(load);
  latest.current = load;
  const now = useRef(() => {});
  useEffect(() => {
    const ended = new AbortController();
    let timer = 0, running = false, again = false;
    const run = async () => {
      clearTimeout(timer);
      if (running) {
        again = true;
        return;
      }
      running = true;
      again = false;
      try {
        if (!document.hidden) await latest.current(ended.signal);
      } catch { /* load tells what it must */ }
      running = false;
      if (!ended.signal.aborted) timer = setTimeout(run, again ? 0 : every);
    };
    now.current = run;
    run();
    document.addEventListener('visibilitychange', run);
    return () => {
      ended.abort();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', run);
    };
  }, [...inputs, comes]);
  return () => now.current();
}

// While the gateway cannot be reached, ask again and again whether it is there.
let asking = false;
setInterval(async () => {
  if (net.get().online || asking || document.hidden) return;
  asking = true;
  try {
    await loadSession();
  } catch { /* not yet */ }
  asking = false;
}, 1500 + Math.random() * 1000);
