/** Find Job: one job by its id; this also renews an expired link. */
'use strict';

const job = require('../job');
const { at } = require('../server');

const perform = async (z, bundle) => {
  const id = encodeURIComponent(bundle.inputData.job_id.trim());
  const response = await z.request(at(bundle, `/v1/jobs/${id}`), { skipThrowForStatus: true });
  return response.status === 404 ? [] : [response.data];
};

module.exports = {
  key: 'find_job',
  noun: 'Job',
  display: {
    label: 'Find Job',
    description: 'Finds a job by its ID, with its state and, when it is ready, the link.',
  },
  operation: {
    perform,
    inputFields: [
      {
        key: 'job_id',
        label: 'Job ID',
        type: 'string',
        required: true,
        placeholder: 'job_…',
      },
    ],
    sample: job.sample,
    outputFields: job.outputFields,
  },
};
