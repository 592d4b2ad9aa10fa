/** What a place promises beside what the port does: for doctor, and for verify to see what has changed since. */
export interface PlaceDescription {
  /** Plain facts by name, `versioning: enabled`. What could not be found out is `unknown`. */
  readonly facts: Readonly<Record<string, string>>;
  readonly concerns: readonly PlaceConcern[];
}

/** Something about the place that people should know or mend. */
export interface PlaceConcern {
  readonly message: string;
  /** What to do about it. */
  readonly mend?: string;
}
