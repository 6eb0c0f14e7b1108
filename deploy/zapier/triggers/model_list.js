/** The models that this server can use; feeds the dropdown of Create Video. */
'use strict';

const { at } = require('../server');

const perform = async (z, bundle) => {
  const { data } = await z.request(at(bundle, '/v1/models'));
  return data.data.filter((model) => model.available);
};

module.exports = {
  key: 'model_list',
  noun: 'Model',
  display: {
    label: 'List of Models',
    description: 'Triggers for the dropdown of models.',
    hidden: true,
  },
  operation: {
    perform,
    sample: { id: 'kling-2.5-turbo', title: 'Kling 2.5 Turbo' },
  },
};
