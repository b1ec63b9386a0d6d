// Hands a request's deadline and trace on to what is called while it is served. Node.js alone.
import { AsyncLocalStorage } from 'node:async_hooks';

const LEFT = 'x-envoy-expected-rq-timeout-ms'; // what is left of the caller's time, in milliseconds
const TRACE = ['traceparent', 'tracestate', 'baggage', 'x-request-id'];
const HOP = 1; // ms, for the answer's way back: what Bowline takes off a hop, too
const requests = new AsyncLocalStorage();

/** The caller waits no longer. */
export class DeadlineExceeded extends Error {}

/** Wraps a handler of `http.createServer`; for Express: `app.use((req, res, next) => forward(next)(req, res))`. */
export function forward(handler) {
  return (req, res) => {
    const left = req.headers[LEFT] ?? '';
    const deadline = /^\d+$/.test(left) ? performance.now() + Number(left) - HOP : Infinity;
    const trace = Object.fromEntries(TRACE.filter((name) => name in req.headers).map((name) => [name, req.headers[name]]));
    return requests.run({ deadline, trace }, () => handler(req, res));
  };
}

/** Milliseconds that are left, `Infinity` without a deadline. Throws DeadlineExceeded. */
export function remaining() {
  const left = (requests.getStore()?.deadline ?? Infinity) - performance.now();
  if (left <= 0) throw new DeadlineExceeded();
  return left;
}

/** The headers for an outgoing request. Throws DeadlineExceeded. */
export function headers() {
  const left = remaining();
  const trace = requests.getStore()?.trace ?? {};
  return left === Infinity ? trace : { ...trace, [LEFT]: String(Math.floor(left)) };
}

/** What cancels an outgoing request when the caller's time is up: `fetch(url, { headers: headers(), signal: signal() })`. */
export function signal() {
  const left = remaining();
  return left === Infinity ? undefined : AbortSignal.timeout(Math.ceil(left));
}
