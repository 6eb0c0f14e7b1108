/** Video Ready, Failed, On Hold and Unclear: REST hooks, one flat object for each event. */
'use strict';

const { at } = require('../server');

/** What a hook sends when the video is ready. */
const READY = {
  id: 'evt_0192a3b4c5d67e8f9a0b1c2d3e4f5a6c',
  type: 'job.succeeded',
  timestamp: '2026-01-01T00:01:14Z',
  sequence: 2,
  job_id: 'job_0192a3b4c5d67e8f9a0b1c2d3e4f5a6b',
  state: 'succeeded',
  model: 'kling-2.5-turbo',
  prompt: 'A red fox runs through fresh snow',
  video_url: 'https://clips.example.com/v/TOKEN',
  download_url: 'https://clips.example.com/v/TOKEN?download=1',
  poster_url: 'https://clips.example.com/v/TOKEN/poster.jpg',
  video_seconds: 5,
  error_code: null,
  error_message: null,
  created_at: '2026-01-01T00:00:00Z',
  finished_at: '2026-01-01T00:01:14Z',
};

const FAILED = {
  ...READY,
  type: 'job.failed',
  state: 'failed',
  video_url: null,
  download_url: null,
  poster_url: null,
  video_seconds: null,
  error_code: 'CONTENT_VIOLATION',
  error_message: 'the vendor refused the content',
};

const HELD = {
  ...FAILED,
  type: 'job.held',
  state: 'held',
  error_code: 'INSUFFICIENT_CREDITS',
  error_message: 'Insufficient credits',
  finished_at: null,
};

const UNKNOWN = {
  ...HELD,
  type: 'job.unknown',
  state: 'unknown',
  error_code: 'SUBMIT_TIMEOUT_UNKNOWN',
  error_message: 'the vendor did not answer in time',
};

const outputFields = [
  { key: 'id', label: 'Event ID', primary: true },
  { key: 'type', label: 'Event' },
  { key: 'timestamp', label: 'Event At', type: 'datetime' },
  { key: 'sequence', label: 'Number Within Job', type: 'integer' },
  { key: 'job_id', label: 'Job ID' },
  { key: 'state', label: 'State' },
  { key: 'model', label: 'Model' },
  { key: 'prompt', label: 'Prompt' },
  { key: 'video_url', label: 'Video URL' },
  { key: 'download_url', label: 'Download URL' },
  { key: 'poster_url', label: 'Poster URL' },
  { key: 'video_seconds', label: 'Video Seconds', type: 'number' },
  { key: 'error_code', label: 'Error Code' },
  { key: 'error_message', label: 'Error Message' },
  { key: 'created_at', label: 'Created At', type: 'datetime' },
  { key: 'finished_at', label: 'Finished At', type: 'datetime' },
];

/** A trigger for one event. */
const hears = (event, trigger, sample) => ({
  ...trigger,
  noun: 'Video',
  operation: {
    type: 'hook',
    performSubscribe: async (z, bundle) => {
      const body = { target_url: bundle.targetUrl, event };
      const { data } = await z.request({ url: at(bundle, '/v1/hooks'), method: 'POST', body });
      return { id: data.id };
    },
    performUnsubscribe: async (z, bundle) => {
      const url = at(bundle, `/v1/hooks/${bundle.subscribeData.id}`);
      await z.request({ url, method: 'DELETE' });
      return {};
    },
    perform: (z, bundle) => [bundle.cleanedRequest],
    performList: async (z, bundle) => {
      const { data } = await z.request(at(bundle, '/v1/events/samples'), { params: { event } });
      return data;
    },
    sample,
    outputFields,
  },
});

const videoReady = hears(
  'job.succeeded',
  {
    key: 'video_ready',
    display: {
      label: 'Video Ready',
      description: 'Triggers when a video is finished, with its link.',
    },
  },
  READY,
);

const videoFailed = hears(
  'job.failed',
  {
    key: 'video_failed',
    display: {
      label: 'Video Failed',
      description: 'Triggers when a video could not be made, with the reason.',
    },
  },
  FAILED,
);

const videoHeld = hears(
  'job.held',
  {
    key: 'video_held',
    display: {
      label: 'Video On Hold',
      description: 'Triggers when a video waits for credits, a budget, a price or an operator.',
    },
  },
  HELD,
);

const videoUnknown = hears(
  'job.unknown',
  {
    key: 'video_unknown',
    display: {
      label: 'Video Unclear',
      description: 'Triggers when a job was sent and no answer came, so a person may have to decide.',
    },
  },
  UNKNOWN,
);

module.exports = { videoFailed, videoHeld, videoReady, videoUnknown };
