/** The order of the test files: those that start whole servers first, so that no worker is left with a long one at the end. */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const long =
  /\/test\/(torture|journeys|deploy\/image|package|cli\/slot-moves|cluster\/ownership|gateway\/(anchor|slow))/;

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isShort = ({ moduleId }: TestSpecification): number => Number(!long.test(moduleId));
    return sorted.toSorted((one, other) => isShort(one) - isShort(other));
  }
}
