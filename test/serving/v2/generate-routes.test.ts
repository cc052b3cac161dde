import { describe, expect, test } from 'vitest';
import { OperatingError } from '../../../src/platform/errors.ts';
import { EventClient } from '../../support/event-client.ts';
import { asked, ended, GENERATE, STREAM, underWay } from '../../support/generate-endpoint.ts';
import { metricValue } from '../../support/test-deps.ts';
import { V2Server } from '../../support/v2-server.ts';
import { countingDecoder } from './fake-decoder.ts';
import { echoModel, FakeModels } from './fake-models.ts';

const head = { model_name: 'gpt', model_version: '3' };

describe('tokens are generated', () => {
  test('in one answer; each step is a run that gets only the new tokens', async () => {
    const decoder = countingDecoder('gpt');
    const models = new FakeModels([decoder]);
    await using server = await V2Server.start(models);
    const answer = await server.post(GENERATE, asked([4, 5], { max_tokens: 4 }, { id: 'a1' }));
    expect([answer.status, await answer.json()]).toEqual([
      200,
      { id: 'a1', ...head, output_ids: [6, 7, 8, 9], finish_reason: 'max_tokens' },
    ]);
    expect(decoder.texts).toEqual([
      [4, 5],
      [4, 5, 6],
      [4, 5, 6, 7],
      [4, 5, 6, 7, 8],
    ]);
    expect(models.asked.map(({ inputs }) => inputs['input_ids']?.dims)).toEqual([
      [1, 2],
      [1, 1],
      [1, 1],
      [1, 1],
    ]);
    expect(await metricValue(server.deps, 'andon_http_generated_tokens_total{model="gpt"}')).toBe(4);
    expect(await ended(server, 'max_tokens')).toBe(1);
  });

  test('as a stream of events, an event a token and a last one that says why it ended', async () => {
    await using server = await V2Server.start(new FakeModels([countingDecoder('gpt')]));
    const client = await EventClient.post(
      `${server.url}/v2/models/gpt/versions/3/generate_stream`,
      asked([7], { max_tokens: 2 }, { id: 'a2' }),
    );
    expect([client.status, client.headers['content-type']]).toEqual([200, 'text/event-stream']);
    expect(await client.all()).toEqual([
      { id: 'a2', ...head, token: 8, index: 0 },
      { id: 'a2', ...head, token: 9, index: 1 },
      { id: 'a2', ...head, finish_reason: 'max_tokens', token_count: 2 },
    ]);
  });

  test.each([
    ['end_token', [6], asked([5], { max_tokens: 9 })],
    ['max_tokens', [6], asked([5], { max_tokens: 1 })],
    [
      'model_limit',
      [3, 4],
      asked(
        Array.from({ length: 18 }, () => 2),
        { max_tokens: 9 },
      ),
    ],
    ['end_token', [], asked([6])],
  ] as const)('until the %s', async (reason, tokens, body) => {
    await using server = await V2Server.start(new FakeModels([countingDecoder('gpt', { endToken: 7 })]));
    expect(await (await server.post(GENERATE, body)).json()).toMatchObject({
      output_ids: tokens,
      finish_reason: reason,
    });
    const events = await (await EventClient.post(server.url + STREAM, body)).all();
    expect(events.at(-1)).toEqual({ ...head, finish_reason: reason, token_count: tokens.length });
    expect(events).toHaveLength(tokens.length + 1);
  });

  test('at random if a temperature is given: a seed repeats the text, and top_k 1 leaves no choice', async () => {
    await using server = await V2Server.start(new FakeModels([countingDecoder('gpt')]));
    const draw = async (parameters: object) => {
      const answer = await server.post(GENERATE, asked([0], { max_tokens: 12, ...parameters }));
      return ((await answer.json()) as { readonly output_ids: readonly number[] }).output_ids;
    };
    const likeliest = await draw({});
    const hot = await draw({ temperature: 9, seed: 1 });
    expect(hot).not.toEqual(likeliest);
    expect(await draw({ temperature: 9, seed: 1 })).toEqual(hot);
    expect(await draw({ temperature: 9, seed: 2 })).not.toEqual(hot);
    expect(await draw({ temperature: 9, top_k: 1, seed: 1 })).toEqual(likeliest);
  });

  test('an extension that the server and its API name', async () => {
    await using server = await V2Server.start(new FakeModels([]));
    const { extensions } = (await (await server.get('/v2')).json()) as { readonly extensions: readonly string[] };
    expect(extensions).toContain('generate');
    // oxlint-disable-next-line typescript/no-explicit-any -- A document of any shape.
    const api = (await (await server.get('/openapi.json')).json()) as any;
    const { post } = api.paths['/v2/models/{model}/generate_stream'];
    expect(Object.keys(post.responses['200'].content)).toEqual(['text/event-stream']);
    expect(post.requestBody.content['application/json'].schema).toMatchObject({
      required: ['input_ids'],
      additionalProperties: false,
      properties: {
        input_ids: { type: 'array', items: { type: 'integer' } },
        parameters: { properties: { max_tokens: { maximum: 1024, default: 16 }, temperature: { default: 0 } } },
      },
    });
  });
});

describe('a request that is wrong is refused in words before a step is run', () => {
  test.each([
    [{}, "'input_ids' is missing or not an array"],
    [asked([]), "'input_ids' has no tokens, expected at least one"],
    [{ input_ids: [1, '2'] }, '\'input_ids\' has "2" at 1, expected whole numbers of 0 or more'],
    [{ input_ids: [[1]] }, "'input_ids' has [1] at 0, expected whole numbers of 0 or more"],
    [asked([-1]), "'input_ids' has -1 at 0, expected whole numbers of 0 or more"],
    [asked([1.5]), "'input_ids' has 1.5 at 0, expected whole numbers of 0 or more"],
    [asked([2 ** 53]), "'input_ids' has 9007199254740992 at 0, expected whole numbers of 0 or more"],
    [asked([1, 10]), "input_ids[1] is 10; model 'gpt' has tokens 0 to 9"],
    [
      asked(Array.from({ length: 20 }, () => 1)),
      "'input_ids' has 20 tokens; model 'gpt' accepts 19, because prompt and answer together are at most 20",
    ],
    [asked([1], { max_tokens: 0 }), "'parameters.max_tokens' is 0, expected a whole number from 1 to 100"],
    [asked([1], { max_tokens: 101 }), "'parameters.max_tokens' is 101, expected a whole number from 1 to 100"],
    [asked([1], { max_tokens: '5' }), '\'parameters.max_tokens\' is "5", expected a whole number from 1 to 100'],
    [asked([1], { temperature: -1 }), "'parameters.temperature' is -1, expected a number from 0 to 100"],
    [asked([1], { temperature: null }), "'parameters.temperature' is null, expected a number from 0 to 100"],
    [asked([1], { top_k: 0 }), "'parameters.top_k' is 0, expected a whole number from 1 to 9007199254740991"],
    [asked([1], { seed: 2 ** 32 }), "'parameters.seed' is 4294967296, expected a whole number from 0 to 4294967295"],
    [
      asked([1], { top_p: 0.9 }),
      "'parameters' has the unknown key 'top_p'; expected max_tokens, temperature, top_k, seed",
    ],
    [asked([1], []), "'parameters' is not a JSON object"],
    [{ ...asked([1]), text: 'hi' }, "The request has the unknown key 'text'; expected id, input_ids, parameters"],
    [asked([1], {}, { id: 7 }), "'id' is 7, expected a string"],
    [asked([1], {}, { id: 'x'.repeat(1025) }), "'id' has more than 1024 characters"],
    [asked([1], {}, { id: { length: { toString: 1 } } }), '\'id\' is {"length":{"toString":1}}, expected a string'],
    [[], 'The request is not a JSON object'],
    [Buffer.from('{'), expect.stringContaining('The request is not JSON')],
    [Buffer.from([0xff]), 'The request is not UTF-8'],
    [new Uint8Array(), expect.stringContaining('The request is not JSON')],
    [Buffer.from('['.repeat(100)), 'The request is nested deeper than 36 levels at byte 36'],
  ])('%j', async (body, error) => {
    const models = new FakeModels([countingDecoder('gpt')]);
    await using server = await V2Server.start(models, { generation: { maxTokens: 100 } });
    for (const path of [GENERATE, STREAM]) {
      const answer = await server.post(path, body);
      expect([answer.status, await answer.json()]).toEqual([400, { error }]);
    }
    expect(models.asked).toEqual([]);
    expect(await metricValue(server.deps, 'andon_http_infer_refused_total{code="infer-request-invalid"}')).toBe(2);
  });

  test('for a model that is not there, is not ready, or cannot generate text', async () => {
    const notReady = { ...countingDecoder('broken'), state: 'failed' as const };
    const plain = echoModel('plain', [{ name: 'x', type: 'float32', dims: [-1, 2] }]);
    await using server = await V2Server.start(new FakeModels([countingDecoder('gpt'), notReady, plain]));
    const answered = async (path: string) => {
      const answer = await server.post(path, asked([1]));
      return [answer.status, await answer.json()];
    };
    expect(await answered('/v2/models/nobody/generate')).toEqual([404, { error: "Model 'nobody' is not loaded" }]);
    expect((await answered('/v2/models/gpt/versions/2/generate_stream'))[0]).toBe(404);
    expect(await answered('/v2/models/broken/generate')).toEqual([
      503,
      { error: "Model 'broken' is failed: out of order" },
    ]);
    expect(await answered('/v2/models/plain/generate_stream')).toEqual([
      400,
      { error: "Model 'plain' version 1 cannot generate text: its model.yaml has no 'generation'" },
    ]);
  });

  test('if the body is larger than the longest prompt', async () => {
    await using server = await V2Server.start(new FakeModels([countingDecoder('gpt')]));
    const answer = await server.post(GENERATE, Buffer.alloc(65_537, ' '));
    expect(answer.status).toBe(413);
  });
});

describe('what goes wrong with a step', () => {
  const failure = new OperatingError('host-crashed', 'retry', 'The host is gone');

  test('is a status before the first token, and an event after it', async () => {
    let failsAt = 0;
    const models = new FakeModels([
      countingDecoder('gpt', {
        beforeStep: (step) => {
          if (step === failsAt) throw failure;
          return undefined;
        },
      }),
    ]);
    await using server = await V2Server.start(models);
    for (const path of [GENERATE, STREAM]) {
      const answer = await server.post(path, asked([1]));
      expect([answer.status, await answer.json()]).toEqual([503, { error: 'The host is gone' }]);
      expect(answer.headers.get('retry-after')).toBe('1');
    }
    failsAt = -1;
    await server.post(GENERATE, asked([1], { max_tokens: 1 }));
    failsAt = 2;
    const client = await EventClient.post(server.url + STREAM, asked([1], { max_tokens: 5 }));
    expect(await client.all()).toEqual([
      { ...head, token: 2, index: 0 },
      { ...head, error: 'The host is gone' },
    ]);
    expect(await metricValue(server.deps, 'andon_http_generations_total{outcome="host-crashed"}')).toBe(3);
    expect(await underWay(server)).toBe(0);
  });

  test('ends with an error if another version is activated, to which the caches are meaningless', async () => {
    const models = new FakeModels([countingDecoder('gpt')]);
    const run = models.run.bind(models);
    models.run = async (...run_) => {
      const result = await run(...run_);
      return models.asked.length < 3 ? result : { ...result, manifest: { ...result.manifest, version: 4 } };
    };
    await using server = await V2Server.start(models);
    const client = await EventClient.post(server.url + STREAM, asked([1], { max_tokens: 5 }));
    expect((await client.all()).at(-1)).toEqual({
      ...head,
      error: "Version 4 of model 'gpt' replaced version 3 during the generation; start again",
    });
  });

  test('for example NaN scores, is not returned as a token', async () => {
    const decoder = countingDecoder('gpt');
    const nan = {
      ...decoder,
      run: async (inputs: Parameters<typeof decoder.run>[0]) => {
        const outputs = await decoder.run(inputs);
        const logits = { type: 'float32', dims: [1, 1, 10], data: new Float32Array(10).fill(Number.NaN) } as const;
        return { ...outputs, logits };
      },
    };
    await using server = await V2Server.start(new FakeModels([nan]));
    const answer = await server.post(GENERATE, asked([1]));
    expect([answer.status, await answer.json()]).toEqual([
      500,
      { error: "The decoder's score of token 0 is not a number" },
    ]);
  });
});
