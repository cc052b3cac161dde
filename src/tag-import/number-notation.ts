import type { RegisterKind } from '../sources/modbus/frame/read-pdu.ts';

const tables: Readonly<Record<string, RegisterKind>> = { '0': 'coil', '1': 'discrete', '3': 'input', '4': 'holding' };

/** Returns the register kind of the first digit of a number such as 40001. */
export function tableOf(digit: string): RegisterKind | undefined {
  return tables[digit];
}
