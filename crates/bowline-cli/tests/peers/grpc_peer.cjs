// gRPC as Node's grpc-js speaks it: `grpc_peer.cjs server PORT`, or `grpc_peer.cjs client PORT SERVER`.
//
// Messages are plain bytes: what is under test is what stands between the two.
const assert = require('node:assert/strict');
const grpc = require('@grpc/grpc-js');

const BINARY = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
const LARGE = Buffer.concat(Array(12 * 1024).fill(BINARY)); // 3 MiB, below every library's limit of 4
const MESSAGE = 'not here: Ünïcode, 100 %';

const method = (name, requestStream, responseStream) => ({
  path: `/bowline.test.Matrix/${name}`,
  requestStream,
  responseStream,
  requestSerialize: (bytes) => bytes,
  requestDeserialize: (bytes) => bytes,
  responseSerialize: (bytes) => bytes,
  responseDeserialize: (bytes) => bytes,
});
const METHODS = {
  Unary: method('Unary', false, false),
  Collect: method('Collect', true, false),
  Spread: method('Spread', false, true),
  Chat: method('Chat', true, true),
  Fail: method('Fail', false, false),
  FailLate: method('FailLate', false, true),
  Slow: method('Slow', false, false),
  Cancelled: method('Cancelled', false, false),
};

function server(port) {
  let cancelled = 0;
  const failure = () => {
    const metadata = new grpc.Metadata();
    metadata.set('grpc-status-details-bin', BINARY);
    return { code: grpc.status.NOT_FOUND, details: MESSAGE, metadata };
  };
  const running = new grpc.Server();
  running.addService(METHODS, {
    Unary(call, done) {
      const initial = new grpc.Metadata();
      for (const name of ['x-tag', 'x-tag-bin']) {
        for (const value of call.metadata.get(name)) initial.set(name, value);
      }
      call.sendMetadata(initial);
      const trailing = new grpc.Metadata();
      trailing.set('x-trailer-bin', BINARY);
      done(null, call.request, trailing);
    },
    Collect(call, done) {
      let length = 0;
      call.on('data', (bytes) => (length += bytes.length));
      call.on('end', () => done(null, Buffer.from(String(length))));
    },
    Spread(call) {
      for (let number = 0; number < Number(call.request); number += 1) call.write(Buffer.from(String(number)));
      call.end();
    },
    Chat(call) {
      call.on('data', (bytes) => call.write(bytes));
      call.on('end', () => call.end());
    },
    Fail(_, done) {
      done(failure());
    },
    FailLate(call) {
      call.write(Buffer.from('one'));
      call.emit('error', failure());
    },
    Slow(call, done) {
      const timer = setTimeout(() => done(null, Buffer.alloc(0)), 20_000);
      call.on('cancelled', () => {
        cancelled += 1;
        clearTimeout(timer);
      });
    },
    Cancelled(_, done) {
      done(null, Buffer.from(String(cancelled)));
    },
  });
  running.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error) => {
    if (error) throw error;
  });
}

async function client(port, to) {
  const Client = grpc.makeGenericClientConstructor(METHODS, 'Matrix');
  const options = { 'grpc.enable_retries': 0, 'grpc.enable_http_proxy': 0 };
  const channel = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), options);
  const metadata = (more = {}) => {
    const all = new grpc.Metadata();
    all.set('x-server', to);
    for (const [name, value] of Object.entries(more)) all.set(name, value);
    return all;
  };
  const within = (ms = 20_000) => ({ deadline: Date.now() + ms });
  const ask = (name, bytes, sent = metadata(), options = within()) =>
    new Promise((resolve, reject) => {
      let initial, trailing;
      const call = channel[name](bytes, sent, options, (error, answer) =>
        error ? reject(error) : setImmediate(() => resolve({ answer, initial, trailing })));
      call.on('metadata', (got) => (initial = got));
      call.on('status', (status) => (trailing = status.metadata));
    });
  const failed = async (work) => {
    try {
      await work();
    } catch (error) {
      return error;
    }
    throw new Error('it did not fail');
  };
  const cancellations = async () => Number((await ask('Cancelled', Buffer.alloc(0))).answer);
  const reaches = async (before) => {
    const until = Date.now() + 10_000;
    while ((await cancellations()) <= before) {
      assert(Date.now() < until, 'the callee never heard of it');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };

  const cases = {
    async unary() {
      assert.equal(String((await ask('Unary', Buffer.from('hello there'))).answer), 'hello there');
    },
    async large() {
      assert((await ask('Unary', LARGE)).answer.equals(LARGE));
    },
    async metadata() {
      const sent = metadata({ 'x-tag': 'a tag', 'x-tag-bin': BINARY });
      const { initial, trailing } = await ask('Unary', Buffer.alloc(0), sent);
      assert.equal(initial.get('x-tag')[0], 'a tag');
      assert(BINARY.equals(initial.get('x-tag-bin')[0]));
      // tonic's server has no trailing metadata for a good unary answer: it sends all of it first.
      const [last] = [...trailing.get('x-trailer-bin'), ...initial.get('x-trailer-bin')];
      assert(BINARY.equals(last));
    },
    async client_stream() {
      const answer = await new Promise((resolve, reject) => {
        const call = channel.Collect(metadata(), within(), (error, got) => (error ? reject(error) : resolve(got)));
        for (let n = 0; n < 50; n += 1) call.write(Buffer.alloc(n));
        call.end();
      });
      assert.equal(String(answer), '1225');
    },
    async server_stream() {
      const answers = [];
      for await (const answer of channel.Spread(Buffer.from('200'), metadata(), within())) answers.push(String(answer));
      assert.deepEqual(answers, Array.from({ length: 200 }, (_, n) => String(n)));
    },
    async both_stream() {
      // Each waits for the echo of the one before: nothing may be held back on the way.
      const call = channel.Chat(metadata(), within());
      const heard = [];
      call.write(Buffer.from('0'));
      for await (const answer of call) {
        heard.push(String(answer));
        if (heard.length < 20) call.write(Buffer.from(String(heard.length)));
        else call.end();
      }
      assert.deepEqual(heard, Array.from({ length: 20 }, (_, n) => String(n)));
    },
    async status() {
      const error = await failed(() => ask('Fail', Buffer.alloc(0)));
      assert.equal(error.code, grpc.status.NOT_FOUND);
      assert.equal(error.details, MESSAGE);
      assert(BINARY.equals(error.metadata.get('grpc-status-details-bin')[0]));
    },
    async late_status() {
      const answers = [];
      const error = await failed(async () => {
        for await (const answer of channel.FailLate(Buffer.alloc(0), metadata(), within())) answers.push(String(answer));
      });
      assert.deepEqual(answers, ['one']);
      assert.deepEqual([error.code, error.details], [grpc.status.NOT_FOUND, MESSAGE]);
    },
    async deadline() {
      const before = await cancellations();
      const error = await failed(() => ask('Slow', Buffer.alloc(0), metadata(), within(400)));
      assert.equal(error.code, grpc.status.DEADLINE_EXCEEDED);
      await reaches(before);
    },
    async cancel() {
      const before = await cancellations();
      const error = await failed(() => new Promise((resolve, reject) => {
        const call = channel.Slow(Buffer.alloc(0), metadata(), within(), (error) => (error ? reject(error) : resolve()));
        setTimeout(() => call.cancel(), 200);
      }));
      assert.equal(error.code, grpc.status.CANCELLED);
      await reaches(before);
    },
  };
  for (const [name, run] of Object.entries(cases)) {
    try {
      await run();
      console.log(name, 'ok');
    } catch (error) {
      console.log(name, 'FAILED', String(error).replaceAll('\n', ' '));
    }
  }
  channel.close();
}

const [what, port, to] = process.argv.slice(2);
if (what === 'server') server(port);
else client(port, to);
