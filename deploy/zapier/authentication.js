/** Server URL and API key; Clipbell is hosted by its users, so there is no address of ours. */
'use strict';

const { at } = require('./server');

/** The owner of the key. Throws if the server is not Clipbell. */
const test = async (z, bundle) => {
  const { data } = await z.request(at(bundle, '/v1/me'));
  if (!data || !data.id) {
    const message = 'Something answered, but not as Clipbell: check the server URL.';
    throw new z.errors.Error(message, 'NotClipbell');
  }
  return data;
};

/** Account and host, so that connections to two servers can be distinguished. */
const connectionLabel = (z, bundle) =>
  `${bundle.inputData.name} at ${new URL(at(bundle, '/')).host}`;

module.exports = {
  type: 'custom',
  test,
  connectionLabel,
  fields: [
    {
      key: 'base_url',
      label: 'Server URL',
      type: 'string',
      required: true,
      placeholder: 'https://clips.example.com',
      helpText: 'The address at which Zapier reaches your Clipbell.',
    },
    {
      key: 'api_key',
      label: 'API Key',
      type: 'password',
      required: true,
      helpText:
        '`clipbell init` prints the first one, `clipbell keys create` makes more. ' +
        'Triggers need the scope admin, Create Video needs submit, the rest read.',
    },
  ],
};
