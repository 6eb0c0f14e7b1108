/** Create Video and Find Job, for every model that the server has. */
'use strict';

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const { test } = require('node:test');

const { App, ask, refusal, run, zapier } = require('./support');

const { inputFields, perform } = App.creates.create_video.operation;
const fieldsFor = (model) =>
  run(inputFields, { inputData: { model } });
const create = (inputData) => run(perform, { inputData });
const find = (id) => run(App.searches.find_job.operation.perform, { inputData: { job_id: id } });

/** The fields between the model's and the key's: the model's own. */
const ownFields = async (model) => (await fieldsFor(model)).slice(1, -1);

/** The models that the server has a key for. */
const usable = async () => {
  const { body } = await ask('/v1/models');
  return { data: body.data.filter((model) => model.available) };
};

test('the dropdown offers each model that can be used', async () => {
  const offered = await run(App.triggers.model_list.operation.perform);
  const body = await usable();

  assert.ok(offered.length > 0);
  assert.deepEqual(
    offered.map(({ id, title }) => [id, title]),
    body.data.filter((model) => model.available).map(({ id, title }) => [id, title]),
  );
});

test('before a model is chosen there are only the common fields', async () => {
  assert.deepEqual((await fieldsFor(undefined)).map(({ key }) => key), [
    'model',
    'idempotency_key',
  ]);
});

test("each model's fields say what its schema says", async () => {
  const body = await usable();
  for (const { id, input_schema: schema } of body.data) {
    const fields = await ownFields(id);
    assert.deepEqual(fields.map(({ key }) => key), Object.keys(schema.properties));
    for (const field of fields) {
      const property = schema.properties[field.key];
      const text = (value) => value && String(value);
      assert.equal(field.required, schema.required.includes(field.key));
      assert.equal(field.default, text(property.default));
      assert.deepEqual(field.choices, property.enum && property.enum.map(String));
      assert.equal(field.list === true, property.type === 'array');
      const number = ['integer', 'number'].includes(property.type);
      assert.equal(field.type, number ? property.type : property.maxLength ? 'text' : 'string');
      assert.ok(field.helpText.startsWith(property.description));
    }
  }
});

test("each model's fields keep to Zapier's schema", async () => {
  const body = await usable();
  for (const { id } of body.data) {
    const operation = { ...App.creates.create_video.operation };
    operation.inputFields = [inputFields[0], ...(await ownFields(id))];
    const app = { ...App, creates: { create_video: { ...App.creates.create_video, operation } } };
    const found = await zapier.createAppHandler(app)({ command: 'validate' });
    assert.deepEqual(found.results, [], id);
  }
});

/** A field's value as Zapier hands it to perform: numbers are numbers by then. */
const cast = ({ type, default: value }) =>
  ['integer', 'number'].includes(type) ? Number(value) : value;

test("each model takes its fields' defaults", async () => {
  const body = await usable();
  for (const { id } of body.data) {
    const defaults = (await ownFields(id)).filter((field) => field.default);
    const given = Object.fromEntries(defaults.map((field) => [field.key, cast(field)]));
    const job = await create({ model: id, prompt: 'A fox', ...given });
    assert.equal(job.model, id);
    assert.deepEqual(job.input, { ...job.input, prompt: 'A fox', ...given });
  }
});

test('the same idempotency key is the same video', async () => {
  const wish = { model: 'kling-2', prompt: 'A fox', idempotency_key: randomUUID() };
  const [first, second] = [await create(wish), await create(wish)];
  const other = await create({ ...wish, idempotency_key: randomUUID() });
  const said = await refusal(create({ ...wish, prompt: 'A hare' }));

  assert.equal(second.id, first.id);
  assert.notEqual(other.id, first.id);
  assert.match(said, /was used with another body\. Use a new key/);
});

test('wrong inputs are reported by field, all at once, with the hint', async () => {
  const said = await refusal(create({ model: 'kling-2', duration: 7, colour: 'red' }));

  assert.match(said, /fields are wrong\. /);
  assert.match(said, /prompt: this field is required\. /);
  assert.match(said, /duration: /);
  assert.match(said, /colour: kling-2 takes only prompt, /);
  assert.match(said, /nothing was stored\.$/);
});

test('a job is found by its id, anything else is not found', async () => {
  const made = await create({ model: 'kling-2', prompt: 'A fox' });
  const [found] = await find(` ${made.id} `);

  assert.deepEqual([found.id, found.input.prompt], [made.id, 'A fox']);
  assert.deepEqual(await find('job_nobody'), []);
  assert.deepEqual(await find('a/b?c'), []);
});
