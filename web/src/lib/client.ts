/** The API as the page asks it: with the user's token, errors as the server words them. */

/** A refusal: the `Status` that the server answered. */
export class ApiError extends Error {
  constructor(
    readonly code: number,
    readonly reason: string,
    message: string,
  ) {
    super(message);
  }
}

/** The server was not reached, or the connection broke. */
export class LostError extends Error {}

/** One request's options, as `fetch` takes them. */
export interface Options {
  method?: string;
  headers?: Record<string, string>;
  body?: BodyInit;
  signal?: AbortSignal | undefined;
}

/** JSON whose shape the reader checks. */
export type Json = Record<string, unknown>;

export class Client {
  /**
   * @param token sent with each request; empty: none
   * @param onRefused called when the server does not know the token (any more)
   */
  constructor(
    private readonly token: string,
    private readonly onRefused: () => void = () => undefined,
  ) {}

  /** The answer, if it is a success. Throws ApiError or LostError. */
  async send(path: string, options: Options = {}): Promise<Response> {
    const headers = new Headers(options.headers);
    if (this.token !== '') headers.set('authorization', `Bearer ${this.token}`);
    let response: Response;
    try {
      response = await fetch(path, {
        method: options.method ?? 'GET',
        headers,
        body: options.body ?? null,
        signal: options.signal ?? null,
        credentials: 'omit',
        cache: 'no-store',
      });
    } catch (error) {
      if (options.signal?.aborted === true) throw error;
      throw new LostError('the server cannot be reached');
    }
    if (response.ok) return response;
    const refusal = await readRefusal(response);
    if (refusal.code === 401) this.onRefused();
    throw refusal;
  }

  /** The answer's JSON object. */
  async json(path: string, options: Options = {}): Promise<Json> {
    const response = await this.send(path, {
      ...options,
      headers: { accept: 'application/json', ...options.headers },
    });
    const text = await response.text().catch((error: unknown) => {
      throw new LostError(`the connection broke (${String(error)})`);
    });
    return JSON.parse(text) as Json;
  }

  /** Sends an object as JSON. */
  write(method: string, path: string, value: unknown, type = 'application/json'): Promise<Json> {
    return this.json(path, { method, headers: { 'content-type': type }, body: JSON.stringify(value) });
  }
}

/** Errors of the API are a Status, the registry's a list; anything else is quoted. */
async function readRefusal(response: Response): Promise<ApiError> {
  const text = (await response.text().catch(() => '')).slice(0, 4096);
  try {
    const status = JSON.parse(text) as {
      reason?: string;
      message?: string;
      errors?: { code?: string; message?: string }[];
    };
    const first = status.errors?.[0];
    const message = status.message ?? first?.message;
    if (message !== undefined) return new ApiError(response.status, status.reason ?? first?.code ?? '', message);
  } catch {
    // No JSON: quoted below.
  }
  return new ApiError(response.status, '', text.trim() || `the server answered ${response.status}`);
}

/** What went wrong, for people. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
