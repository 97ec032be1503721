// Requests to the service. An answer that is no success becomes a ServiceError with three parts.

export class ServiceError extends Error {
  constructor(status, parts) {
    super(parts.problem);
    this.status = status;
    this.problem = parts.problem;
    this.expected = parts.expected ?? "";
    this.fix = parts.fix ?? "";
  }
}

let token = ""; // in memory only

export function useToken(text) {
  token = text.trim();
}

async function send(path, settings) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let response;
  try {
    response = await fetch(path, { ...settings, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServiceError(0, {
      problem: "The service does not answer.",
      expected: "A running service.",
      fix: "Start it again, then reload this page.",
    });
  }
  const body = await response.json().catch(() => {
    settings.signal?.throwIfAborted(); // aborted while the body arrived
    return {};
  });
  if (response.ok) return body;
  if (response.status === 401) {
    throw new ServiceError(401, {
      problem: token ? "This is not the token of the service." : "This service needs a token.",
      expected: "The token that it was started with.",
      fix: "Enter it above.",
    });
  }
  throw new ServiceError(response.status, {
    problem: body.problem ?? `The service answers with the status ${response.status}.`,
    expected: body.expected,
    fix: body.fix,
  });
}

export const get = (path) => send(path, {});

// Values are texts, files, or lists of files; empty ones are left out.
export function post(path, values, signal) {
  const form = new FormData();
  for (const [name, value] of Object.entries(values)) {
    if (value === "" || value === null || value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) form.append(name, one);
  }
  return send(path, { method: "POST", body: form, signal });
}

export function fileOfBase64(text, name) {
  const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  return new File([bytes], name, { type: "audio/wav" });
}
