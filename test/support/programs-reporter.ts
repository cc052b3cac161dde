import type { Reporter, TestModule } from 'vitest/node';
import { missingProgramMark } from './programs.ts';

/** After vitest's own report: which programs were missing, for how many tests, and one plain closing line. */
export class ProgramsReporter implements Reporter {
  onTestRunEnd(testModules: readonly TestModule[]): void {
    const tests = testModules.flatMap((module) => [...module.children.allTests()]);
    const count = (state: string) => tests.filter((test) => test.result().state === state).length;
    const missing = new Map<string, number>();
    for (const test of tests) {
      const mark = test.fullName.split(missingProgramMark)[1]?.split(']')[0];
      for (const program of mark?.split(', ') ?? []) missing.set(program, (missing.get(program) ?? 0) + 1);
    }
    for (const [program, number] of missing) console.log(`not run for want of ${program}: ${number} tests`);
    console.log(`${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`);
  }
}
