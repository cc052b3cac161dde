import type { OutputFactory } from '../../contracts/outputs/output.ts';
import type { Deps } from '../../platform/deps.ts';
import { invariant } from '../../platform/errors.ts';
import { endpointName, parseModbusUrl } from '../../protocols/modbus/modbus-url.ts';
import { conditionOf, rulesOf } from '../output-condition.ts';
import { OutputDriver } from '../output-driver.ts';
import type { ModbusOutputConfig } from './modbus-output-config.ts';
import { ModbusWriter } from './modbus-writer.ts';
import { WriteLink } from './write-link.ts';
import { modbusTarget } from './modbus-target.ts';

/** Creates Modbus outputs. Those on one device share a connection. */
export function modbusOutputs(): OutputFactory<ModbusOutputConfig> {
  const links = new Map<string, { readonly link: WriteLink; users: number }>();

  const writer = (config: ModbusOutputConfig, { clock }: Pick<Deps, 'clock'>): ModbusWriter => {
    const { url } = config;
    invariant(url !== undefined, 'The url of a source is set before the output is created');
    const endpoint = parseModbusUrl(url);
    const name = endpointName(endpoint);
    const shared = links.get(name) ?? { link: new WriteLink(endpoint, clock), users: 0 };
    links.set(name, shared);
    shared.users += 1;
    return new ModbusWriter(config, shared.link, async () => {
      shared.users -= 1;
      if (shared.users > 0) return;
      links.delete(name);
      await shared.link[Symbol.asyncDispose]();
    });
  };

  return {
    writer: (_id, config, deps) => writer(config, deps),
    create: (context) => {
      const { config, deps } = context;
      return new OutputDriver({
        ...context,
        condition: conditionOf(config),
        rules: rulesOf(config),
        readBackMs: config.readBackMs,
        writer: writer(config, deps),
        target: modbusTarget(config),
      });
    },
  };
}
