// A service that calls the next one through the mesh: `hop.mjs PORT [NEXT]`, with HTTP_PROXY naming the mesh port.
import http from 'node:http';
import { DeadlineExceeded, forward, headers, remaining, signal } from './forward.mjs';

const [port, next] = process.argv.slice(2);

function ask(authority) {
  const mesh = new URL(process.env.HTTP_PROXY);
  const options = { host: mesh.hostname, port: mesh.port, path: `http://${authority}/hop`, headers: { host: authority, ...headers() }, signal: signal() };
  return new Promise((resolve, reject) => {
    http.get(options, async (answer) => {
      let text = '';
      for await (const piece of answer) text += piece;
      answer.statusCode === 200 ? resolve(JSON.parse(text)) : reject(new Error(`${authority}: ${answer.statusCode}`));
    }).on('error', reject);
  });
}

http.createServer(forward(async (req, res) => {
  try {
    const seen = { service: 'node', remaining_ms: remaining(), sent: headers() };
    const body = JSON.stringify([seen, ...(next ? await ask(next) : [])]);
    res.writeHead(200, { 'content-type': 'application/json' }).end(body);
  } catch (error) {
    res.writeHead(error instanceof DeadlineExceeded ? 504 : 502).end(`${error}\n`);
  }
})).listen(Number(port), '127.0.0.1');
