/** The user's own Clipbell: its address, the key it wants, and what it says when it refuses. */
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

/** The problem+json of an answer, or nothing where something else than Clipbell answered. */
const problemOf = (response) => {
  try {
    const body = JSON.parse(response.content);
    return typeof body.detail === 'string' ? body : undefined;
  } catch {
    return undefined;
  }
};

const sentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);

/** Why an answer that is not Clipbell's is none. */
const notClipbell = (response) => {
  const place = response.getHeader('location');
  return place
    ? `This address leads on to ${place}: take the last address as the server URL.`
    : `No Clipbell answered at this address (HTTP ${response.status}): check the server URL.`;
};

/** A problem in sentences: what is wrong, each field with its fault, how to fix it. */
const inWords = (problem) => {
  const faults = (problem.errors || []).map(
    ({ pointer, message }) => `${pointer.replace(/^\/(input\/)?/, '')}: ${message}`,
  );
  return [problem.detail, ...faults, problem.hint].filter(Boolean).map(sentence).join(' ');
};

/**
 * Raises for a refusal, in the server's words: a bad key ends the connection, a
 * busy server is asked again later. A request with `skipThrowForStatus` sees its own 404.
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
