/** The triggers, from subscribe to unsubscribe; needs a sandbox provider. */
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { App, ask, hook, refusal, run } = require('./support');

const create = (prompt) => {
  const inputData = { model: 'kling-2-5-turbo-pro', prompt };
  return run(App.creates.create_video.operation.perform, { inputData });
};

/** The body that a trigger's hook gets for a video made while it listens. */
const heard = async ({ performSubscribe, performUnsubscribe }, prompt) => {
  const target = await hook();
  const subscribeData = await run(performSubscribe, { targetUrl: target.url });
  try {
    const subscribed = (await ask(`/v1/hooks/${subscribeData.id}`)).body;
    const job = await create(prompt);
    return { job, body: await target.about(job.id), subscribeData, subscribed };
  } finally {
    await run(performUnsubscribe, { targetUrl: target.url, subscribeData });
    target.close();
  }
};

for (const [key, prompt, state] of [
  ['video_ready', 'A fox', 'succeeded'],
  ['video_failed', '[fail NSFW_DETECTED] A fox', 'failed'],
]) {
  const { operation } = App.triggers[key];

  test(`${key}: subscribed, one flat object, unsubscribed`, { timeout: 60_000 }, async () => {
    const { job, body, subscribeData, subscribed } = await heard(operation, prompt);
    const [event, ...more] = await run(operation.perform, { cleanedRequest: body });

    assert.deepEqual(subscribed.events, [operation.sample.type]);
    assert.deepEqual(more, []);
    assert.deepEqual([event.job_id, event.state], [job.id, state]);
    assert.match(event.id, /^evt_/);
    assert.ok(Object.values(event).every((value) => typeof value !== 'object' || value === null));
    assert.equal((await ask(`/v1/hooks/${subscribeData.id}`)).status, 404);
  });

  test(`${key}: the sample has the fields of a real hook`, { timeout: 60_000 }, async () => {
    const { body } = await heard(operation, prompt);
    const { sample, outputFields } = operation;

    assert.deepEqual(Object.keys(sample).filter((name) => !(name in body)), []);
    assert.deepEqual(outputFields.map((field) => field.key), Object.keys(sample));
    for (const [name, value] of Object.entries(sample)) {
      assert.equal(body[name] === null, value === null, name);
      assert.equal(typeof body[name], typeof value, name);
    }
  });

}

for (const key of ['video_ready', 'video_failed', 'video_held', 'video_unknown']) {
  const { operation } = App.triggers[key];

  test(`${key}: the test step gets samples of the pushed shape`, async () => {
    const list = await run(operation.performList);

    assert.ok(list.length > 0);
    for (const event of list) {
      assert.deepEqual(Object.keys(operation.sample).filter((name) => !(name in event)), []);
      assert.equal(event.type, operation.sample.type);
      assert.equal(event.state, operation.sample.state);
    }
  });
}

for (const key of ['video_held', 'video_unknown']) {
  const { operation } = App.triggers[key];

  test(`${key}: subscribed to its event, unsubscribed`, async () => {
    const target = await hook();
    const bundle = { targetUrl: target.url };
    bundle.subscribeData = await run(operation.performSubscribe, bundle);
    const path = `/v1/hooks/${bundle.subscribeData.id}`;
    const subscribed = (await ask(path)).body;
    await run(operation.performUnsubscribe, bundle);
    target.close();

    assert.deepEqual(subscribed.events, [operation.sample.type]);
    assert.equal((await ask(path)).status, 404);
  });
}

test('a ready video plays from its link', { timeout: 60_000 }, async () => {
  const { body } = await heard(App.triggers.video_ready.operation, 'A fox');
  const answer = await fetch(body.video_url);

  assert.equal(answer.headers.get('content-type'), 'video/mp4');
  assert.equal(Buffer.from(await answer.arrayBuffer()).toString('latin1', 4, 8), 'ftyp');
});

test('a target that may not be called is reported while it subscribes', async () => {
  const call = run(App.triggers.video_ready.operation.performSubscribe, {
    targetUrl: 'ftp://hooks.example.com/',
  });

  assert.match(await refusal(call), /target_url: /);
});
