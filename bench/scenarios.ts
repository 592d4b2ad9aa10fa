import type { Sample } from './arena.ts';

export const scenarios = ['full', 'restore', 'unchanged', 'updates', 'append'] as const;
export type Scenario = (typeof scenarios)[number];

export interface Result extends Sample {
  readonly scenario: Scenario;
  readonly contestant: string;
  readonly round: number;
}
