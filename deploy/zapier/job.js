/** A job as `/v1/jobs` shows it: what Create Video and Find Job give to later steps. */
'use strict';

const sample = {
  id: 'job_0192a3b4c5d67e8f9a0b1c2d3e4f5a6b',
  model: 'kling-2.5-turbo',
  provider: 'segmind',
  state: 'succeeded',
  input: { prompt: 'A red fox runs through fresh snow', duration: 5 },
  video: {
    url: 'https://clips.example.com/v/TOKEN',
    download_url: 'https://clips.example.com/v/TOKEN?download=1',
    poster_url: 'https://clips.example.com/v/TOKEN/poster.jpg',
    seconds: 5,
  },
  created_at: '2026-01-01T00:00:00Z',
  finished_at: '2026-01-01T00:01:14Z',
};

const outputFields = [
  { key: 'id', label: 'Job ID', primary: true },
  { key: 'model', label: 'Model' },
  { key: 'provider', label: 'Provider' },
  { key: 'state', label: 'State' },
  { key: 'input__prompt', label: 'Prompt' },
  { key: 'video__url', label: 'Video URL' },
  { key: 'video__download_url', label: 'Download URL' },
  { key: 'video__poster_url', label: 'Poster URL' },
  { key: 'video__seconds', label: 'Video Seconds', type: 'number' },
  { key: 'error__message', label: 'Error Message' },
  { key: 'created_at', label: 'Created At', type: 'datetime' },
  { key: 'finished_at', label: 'Finished At', type: 'datetime' },
];

module.exports = { outputFields, sample };
