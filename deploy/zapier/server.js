/** The user's own Clipbell: its address, its key and its errors. */
'use strict';

/** `path` on the server that the connection names; a bare host is taken as https. */
const at = (bundle, path) => {
  const given = bundle.authData.base_url.trim().replace(/\/+$/, '');
  return (/^https?:\/\//i.test(given) ? given : `https://${given}`) + path;
};

/** Puts the API key on every request; no redirect may carry it elsewhere. */
const sendKey = (request, z, bundle) => {
  request.headers['x-api-key'] = bundle.authData.api_key;
  request.redirect = 'manual';
  return request;
};

/** The problem+json of an answer; nothing if the answer does not come from Clipbell. */
const problemOf = (response) => {
  try {
    const body = JSON.parse(response.content);
    return typeof body.detail === 'string' ? body : undefined;
  } catch {
    return undefined;
  }
};

const sentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);

/** An explanation of an answer that does not come from Clipbell. */
const notClipbell = (response) => {
  const place = response.getHeader('location');
  return place
    ? `This address leads on to ${place}: take the last address as the server URL.`
    : `No Clipbell answered at this address (HTTP ${response.status}): check the server URL.`;
};

/** A problem as sentences: the error, each wrong field, and the fix. */
const inWords = (problem) => {
  const faults = (problem.errors || []).map(
    ({ pointer, message }) => `${pointer.replace(/^\/(input\/)?/, '')}: ${message}`,
  );
  return [problem.detail, ...faults, problem.hint].filter(Boolean).map(sentence).join(' ');
};

/**
 * Throws the server's message for a refusal: a bad key ends the connection, a
 * busy server is retried later. A request with `skipThrowForStatus` handles its own 404.
 */
const tellRefusal = (response, z) => {
  const { status } = response;
  if (status < 300 || (status === 404 && response.skipThrowForStatus)) {
    return response;
  }
  const problem = problemOf(response);
  const message = problem ? inWords(problem) : notClipbell(response);
  if (status === 401) {
    throw new z.errors.ExpiredAuthError(message);
  }
  if (status === 503 && problem) {
    throw new z.errors.ThrottledError(message, Number(response.getHeader('retry-after')) || 60);
  }
  throw new z.errors.Error(message, problem ? problem.title : 'NotClipbell', status);
};

module.exports = { at, sendKey, tellRefusal };
