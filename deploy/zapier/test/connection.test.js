/** The definition, the connection and its refusals. */
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { App, authData, listen, refusal, run, zapier } = require('./support');

const authTest = (bundle) => run(App.authentication.test, bundle);
const withAuth = (change) => authTest({ authData: { ...authData, ...change } });

test("the definition keeps to Zapier's schema", async () => {
  const found = await zapier.createAppHandler(App)({ command: 'validate' });

  assert.deepEqual(found.results, []);
});

test('a good key connects, named by account and host', async () => {
  const account = await authTest();
  const label = await run(App.authentication.connectionLabel, { inputData: account });

  assert.match(account.id, /^acc_/);
  assert.equal(label, `${account.name} at ${new URL(authData.base_url).host}`);
});

test('a slash or a blank around the server URL does no harm', async () => {
  assert.match((await withAuth({ base_url: ` ${authData.base_url}/ ` })).id, /^acc_/);
});

test('a wrong key ends the connection and is reported with what to do', async () => {
  await assert.rejects(withAuth({ api_key: 'clb_wrong' }), {
    name: 'ExpiredAuthError',
    message: /the API key is missing or not valid\. .*x-api-key/,
  });
});

for (const [name, status, headers, body, expected] of [
  ['a page', 200, { 'content-type': 'text/html' }, '<h1>Hi</h1>', /but not as Clipbell/],
  ['a missing page', 404, {}, 'nothing', /No Clipbell answered .*HTTP 404/],
  ['a broken proxy', 502, {}, '<h1>Bad</h1>', /No Clipbell answered .*HTTP 502/],
  ['a redirect', 301, { location: 'https://else.example/v1/me' }, '', /on to https:\/\/else/],
]) {
  test(`another server (${name}) is reported from Clipbell`, async () => {
    const server = await listen((request, _, response) => {
      response.writeHead(status, headers).end(body);
    });
    try {
      assert.match(await refusal(withAuth({ base_url: server.url })), expected);
    } finally {
      server.close();
    }
  });
}

test('a busy server is asked again when it says', async () => {
  const server = await listen((request, _, response) => {
    const headers = { 'content-type': 'application/problem+json', 'retry-after': '7' };
    response.writeHead(503, headers).end('{"detail": "too much at once"}');
  });
  try {
    const call = withAuth({ base_url: server.url });
    await assert.rejects(call, (error) => {
      assert.equal(error.name, 'ThrottledError');
      assert.deepEqual(JSON.parse(error.message), { message: 'too much at once.', delay: 7 });
      return true;
    });
  } finally {
    server.close();
  }
});
