/** The integration: what Zapier loads. */
'use strict';

const authentication = require('./authentication');
const createVideo = require('./creates/create_video');
const findJob = require('./searches/find_job');
const modelList = require('./triggers/model_list');
const { sendKey, tellRefusal } = require('./server');
const { videoFailed, videoHeld, videoReady, videoUnknown } = require('./triggers/video_ended');

module.exports = {
  version: require('./package.json').version,
  platformVersion: require('zapier-platform-core').version,
  authentication,
  beforeRequest: [sendKey],
  afterResponse: [tellRefusal],
  triggers: {
    [videoReady.key]: videoReady,
    [videoFailed.key]: videoFailed,
    [videoHeld.key]: videoHeld,
    [videoUnknown.key]: videoUnknown,
    [modelList.key]: modelList,
  },
  creates: { [createVideo.key]: createVideo },
  searches: { [findJob.key]: findJob },
};
