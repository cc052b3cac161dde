import type { OutputFactory, OutputWriter } from '../../contracts/outputs/output.ts';
import { rulesOf, conditionOf } from '../output-condition.ts';
import { OutputDriver } from '../output-driver.ts';
import { MqttWriter } from './mqtt-writer.ts';
import type { MqttOutputConfig } from './mqtt-output-config.ts';
import { mqttTarget } from './mqtt-target.ts';

/** Creates MQTT outputs. */
export function mqttOutputs(): OutputFactory<MqttOutputConfig> {
  return {
    writer: (id, config, deps): OutputWriter => new MqttWriter({ id, config, safe: rulesOf(config).safe, deps }),
    create: (context) => {
      const { id, config, deps } = context;
      const rules = rulesOf(config);
      return new OutputDriver({
        ...context,
        condition: conditionOf(config),
        rules,
        readBackMs: undefined,
        writer: new MqttWriter({ id, config, safe: rules.safe, deps }),
        target: mqttTarget(config),
      });
    },
  };
}
