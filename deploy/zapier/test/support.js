/** What the tests share: the app, a connection to a running Clipbell, and a hook that listens. */
'use strict';

// Before Zapier's core is loaded: it then keeps its memory log to itself.
process.env.NODE_ENV = 'test';

const assert = require('node:assert/strict');
const http = require('node:http');
const { EventEmitter, once } = require('node:events');
const zapier = require('zapier-platform-core');

const App = require('../index');

const { CLIPBELL_URL, CLIPBELL_KEY } = process.env;
assert.ok(CLIPBELL_URL && CLIPBELL_KEY, 'set CLIPBELL_URL and CLIPBELL_KEY');

const authData = { base_url: CLIPBELL_URL, api_key: CLIPBELL_KEY };

const appTester = zapier.createAppTester(App);

/** One of the app's functions, called as Zapier does. */
const run = (method, bundle = {}) => appTester(method, { authData, ...bundle });

/** One request past the integration, to see what the server has. */
const ask = async (path) => {
  const answer = await fetch(CLIPBELL_URL + path, { headers: { 'x-api-key': CLIPBELL_KEY } });
  return { status: answer.status, body: await answer.json() };
};

/** What a person reads of an error of the app: Zapier wraps some in JSON. */
const messageOf = (error) => {
  try {
    return JSON.parse(error.message).message;
  } catch {
    return error.message;
  }
};

/** The message with which a call fails; it must fail. */
const refusal = async (call) => {
  const outcome = await call.then(() => undefined, (error) => error);
  assert.ok(outcome, 'it should have been refused');
  return messageOf(outcome);
};

/** A server on loopback that answers everything by `answer(request, body, response)`. */
const listen = async (answer) => {
  const server = http.createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    answer(request, Buffer.concat(parts).toString(), response);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = `http://127.0.0.1:${server.address().port}`;
  return { url, close: () => server.close() };
};

/** A hook of Zapier's: `about(jobId)` gives the body of the POST about that job. */
const hook = async () => {
  const arrivals = new EventEmitter();
  const bodies = [];
  const server = await listen((request, body, response) => {
    bodies.push(JSON.parse(body));
    arrivals.emit('one');
    response.end();
  });
  // Other jobs of the account are notified here too.
  const about = async (jobId) => {
    const found = bodies.find((body) => body.job_id === jobId);
    if (found) return found;
    await once(arrivals, 'one');
    return about(jobId);
  };
  return { ...server, about };
};

module.exports = { App, ask, authData, hook, listen, refusal, run, zapier };
