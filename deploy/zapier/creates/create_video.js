/** Create Video: asks for the chosen model's own inputs and sends one job. */
'use strict';

const { fieldsOf } = require('../fields');
const job = require('../job');
const { at } = require('../server');

/** The chosen model's fields; none before a model is chosen. */
const modelFields = async (z, bundle) => {
  const { data } = await z.request(at(bundle, '/v1/models'));
  const chosen = data.data.find((model) => model.id === bundle.inputData.model);
  return chosen ? fieldsOf(chosen.input_schema) : [];
};

/** Sends the job; it is queued when this returns, and Video Ready reports its result. */
const perform = async (z, bundle) => {
  const { model, idempotency_key: key, ...input } = bundle.inputData;
  const { data } = await z.request({
    url: at(bundle, '/v1/jobs'),
    method: 'POST',
    headers: key ? { 'Idempotency-Key': key } : {},
    body: { model, input },
  });
  return data;
};

module.exports = {
  key: 'create_video',
  noun: 'Video',
  display: {
    label: 'Create Video',
    description: 'Creates a video from a prompt. Use Video Ready to continue when it is finished.',
  },
  operation: {
    perform,
    inputFields: [
      {
        key: 'model',
        label: 'Model',
        type: 'string',
        required: true,
        dynamic: 'model_list.id.title',
        altersDynamicFields: true,
        helpText: 'Decides the fields below, the price and the time.',
      },
      modelFields,
      {
        key: 'idempotency_key',
        label: 'Idempotency Key',
        type: 'string',
        required: false,
        helpText:
          'Map something that names this run, such as the ID of the row or mail that started ' +
          'it: a run that is replayed within 24 hours is then not made and paid twice.',
      },
    ],
    sample: { ...job.sample, state: 'queued', video: null, finished_at: null },
    outputFields: job.outputFields,
  },
};
