/** What was being done, for the message. */
export interface S3Deed {
  /** The service's name of the operation: `PutObject`. */
  readonly operation: string;
  /** A verb: `write`, `read`, `list`, `delete`. */
  readonly action: string;
  /** The object's name, or what else it is about. */
  readonly name: string;
}
