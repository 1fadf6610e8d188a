import { expect, test } from 'vitest';
import { Observation } from '../../src/cluster/observation.ts';

test('time passes between proofs of sight', () => {
  const observation = new Observation(1000);
  observation.see(50_000);
  observation.see(50_300);
  observation.see(51_300);
  expect(observation.passedMs).toBe(1300);
});

test('over a gap it stands still: blindness is nobody’s silence', () => {
  const observation = new Observation(1000);
  observation.see(0);
  observation.see(60_000);
  expect(observation.passedMs).toBe(0);
  observation.see(60_500);
  expect(observation.passedMs).toBe(500);
});

test('after a lost connection the first proof only begins it again', () => {
  const observation = new Observation(1000);
  observation.see(0);
  observation.lose();
  observation.see(900);
  expect(observation.passedMs).toBe(0);
});

test('what happens between two proofs is not dated before it', () => {
  const observation = new Observation(1000);
  observation.see(0);
  expect(observation.at(400)).toBe(400);
  expect(observation.at(90_000)).toBe(1000);
  expect(new Observation(1000).at(5)).toBe(0);
});
